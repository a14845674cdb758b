"""The calendar: which days the State Council declares off, which weekend days it makes workdays.

`contracts/calendars/cn.json` is the table that ships; it has the form of the registry's record. A
year enters when its notice is out, in November of the year before; until then it may stand there
with its statutory days alone and `official` false. A year that is missing has plain weeks.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from contracts.events import Fact
from contracts.facts import Part

CN = Path(__file__).parent / "calendars" / "cn.json"

_DAYS_MAX = 31
_DECEMBER = 12
_SATURDAY = 5


class Source(Part):
    """The document that says so: its number (发文字号) and the day it was signed."""

    number: str = Field(min_length=1, max_length=100)
    issued: date


class Holiday(Part):
    """Days off in a row (放假), weekend days among them; both ends belong to it."""

    zh: str = Field(min_length=1, max_length=100)
    first: date
    last: date

    @property
    def days(self) -> Iterator[date]:
        return (self.first + timedelta(n) for n in range((self.last - self.first).days + 1))

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not 0 <= (self.last - self.first).days < _DAYS_MAX:
            raise ValueError(f"expected 1 to {_DAYS_MAX} days, from first to last")
        return self


class CalendarYear(Part):
    """What one year's notice says. `workdays` are weekend days that are worked (调休).

    Unless `official`, no notice is out: what rests on this year is provisional.
    """

    year: int = Field(ge=1950, le=2200)
    official: bool
    sources: tuple[Source, ...] = Field(min_length=1, max_length=10)
    holidays: tuple[Holiday, ...] = Field(max_length=100)
    workdays: tuple[date, ...] = Field((), max_length=100)

    @property
    def days_off(self) -> Iterator[date]:
        return (day for holiday in self.holidays for day in holiday.days)

    @model_validator(mode="after")
    def _of_this_year(self) -> Self:
        for day in (*self.days_off, *self.workdays):
            # New Year's days off, or a day worked for them, may lie before the year.
            if day.year != self.year and (day.year, day.month) != (self.year - 1, _DECEMBER):
                raise ValueError(f"{day} does not belong to {self.year}")
        for day in self.workdays:
            if day.weekday() < _SATURDAY:
                raise ValueError(f"{day} is no weekend day: it is a workday already")
        return self


class Calendar(Fact):
    """The calendar of a country, year by year; the record's id is the country's code, such as `cn`.

    A later `version` takes the place of an earlier one, and deadlines are reckoned anew.
    """

    TYPE = "registry.calendar.v1"
    version: int = Field(ge=1)
    years: tuple[CalendarYear, ...] = Field(min_length=1, max_length=100)

    @model_validator(mode="after")
    def _no_day_twice(self) -> Self:
        if any(one.year >= following.year for one, following in pairwise(self.years)):
            raise ValueError("expected each year once, in order")
        told = Counter(day for one in self.years for day in (*one.days_off, *one.workdays))
        if twice := [str(day) for day, times in told.items() if times > 1]:
            raise ValueError(f"told more than once: {', '.join(sorted(twice))}")
        return self


def load(path: Path = CN) -> Calendar:
    """Read a table from a file; unlike a record's, its keys must all be known.

    Raises:
        ValidationError: the table has faults; each is named by its place.
    """
    return Calendar.model_validate_json(path.read_bytes(), strict=True, extra="forbid")
