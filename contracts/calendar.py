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
from typing import NamedTuple, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

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
            raise PydanticCustomError(
                "holiday_length",
                "expected 1 to {days} days, from first to last",
                {"days": _DAYS_MAX},
            )
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
                raise PydanticCustomError(
                    "day_of_another_year",
                    "{day} does not belong to {year}",
                    {"day": str(day), "year": self.year},
                )
        for day in self.workdays:
            if day.weekday() < _SATURDAY:
                raise PydanticCustomError(
                    "no_weekend_day",
                    "{day} is no weekend day: it is a workday already",
                    {"day": str(day)},
                )
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
            raise PydanticCustomError("years_out_of_order", "expected each year once, in order")
        told = Counter(day for one in self.years for day in (*one.days_off, *one.workdays))
        if twice := [str(day) for day, times in told.items() if times > 1]:
            raise PydanticCustomError(
                "day_told_twice", "told more than once: {days}", {"days": ", ".join(sorted(twice))}
            )
        return self


class Unfit(NamedTuple):
    """Why a table may not take the place of another: the field, what is wrong, what to do."""

    field: str
    zh: str
    en: str


def unfit(known: Calendar, new: Calendar) -> list[Unfit]:
    """Return why a table may not take the place of the one that is known; it may be the same."""
    if new == known:
        return []
    found = []
    if new.version <= known.version:
        then = known.version + 1
        zh = f"版本 {new.version} 不比已登记的 {known.version} 新：请写 {then}。"
        en = f"{new.version} is not newer than the recorded {known.version}: write {then}."
        found.append(Unfit("version", zh, en))
    places = {one.year: (n, one.official) for n, one in enumerate(new.years)}
    for one in known.years:
        place, official = places.get(one.year, (None, False))
        if not one.official or official:
            continue
        if place is None:
            zh = f"缺少 {one.year} 年，它已正式公布：请补上。"
            en = f"{one.year} is missing, and it is official: add it."
            found.append(Unfit("years", zh, en))
        else:
            zh = f"{one.year} 年已正式公布，不能改回暂定：请改为 true。"
            en = f"{one.year} is official and cannot become provisional again: write true."
            found.append(Unfit(f"years.{place}.official", zh, en))
    return found


def load(path: Path = CN) -> Calendar:
    """Read a table from a file; unlike a record's, its keys must all be known.

    Raises:
        ValidationError: the table has faults; each is named by its place.
    """
    return Calendar.model_validate_json(path.read_bytes(), strict=True, extra="forbid")
