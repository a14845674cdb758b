"""Lengths of time as a profile writes them. What a month is on a calendar is decided elsewhere."""

import re
from dataclasses import dataclass
from typing import Self

PATTERN = r"^P(?=.)([0-9]+Y)?([0-9]+M)?([0-9]+W)?([0-9]+D)?(T(?=.)([0-9]+H)?([0-9]+M)?([0-9]+S)?)?$"
DAYS_MAX = 36_600  # a hundred years: beyond, a sum with a date overflows

_PARTS = re.compile(
    r"P(?=.)(?:(\d{1,9})Y)?(?:(\d{1,9})M)?(?:(\d{1,9})W)?(?:(\d{1,9})D)?"
    r"(?:T(?=.)(?:(\d{1,9})H)?(?:(\d{1,9})M)?(?:(\d{1,9})S)?)?",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Duration:
    """Years, months, days and seconds, kept apart: a month has no fixed number of days.

    Weeks are seven days; hours and minutes are seconds. A day is not 24 hours: `P1D` and `PT24H`
    are different values.
    """

    years: int = 0
    months: int = 0
    days: int = 0
    seconds: int = 0

    def __post_init__(self) -> None:
        if min(self.years, self.months, self.days, self.seconds) < 0:
            raise ValueError("a duration is not negative")
        days = self.years * 366 + self.months * 31 + self.days + self.seconds / 86_400
        if days > DAYS_MAX:
            raise ValueError("a duration is at most a hundred years")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ISO 8601 such as `PT30M`, `P7D`, `P1M`.

        Raises:
            ValueError: it is no duration, or too long a one.
        """
        match = _PARTS.fullmatch(text)
        if match is None:
            raise ValueError("not an ISO 8601 duration")
        years, months, weeks, days, hours, minutes, seconds = (int(n or 0) for n in match.groups())
        return cls(years, months, weeks * 7 + days, hours * 3600 + minutes * 60 + seconds)

    @property
    def has_clock_time_only(self) -> bool:
        """Whether it holds nothing but hours, minutes and seconds."""
        return not (self.years or self.months or self.days)

    def __str__(self) -> str:
        hours, rest = divmod(self.seconds, 3600)
        minutes, seconds = divmod(rest, 60)
        date = _join((self.years, "Y"), (self.months, "M"), (self.days, "D"))
        time = _join((hours, "H"), (minutes, "M"), (seconds, "S"))
        if not date and not time:
            return "PT0S"
        return f"P{date}T{time}" if time else f"P{date}"


def _join(*parts: tuple[int, str]) -> str:
    return "".join(f"{number}{unit}" for number, unit in parts if number)
