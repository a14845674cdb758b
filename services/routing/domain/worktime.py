"""Time on duty: the duty spans of workdays, and nothing else.

Instants are aware; answers are in UTC. A span begins with its first instant and is over at its
last. Time that begins outside duty begins to run at the next span; time that fills a span is over
where the span is, not where the next one begins. So a length of time never ends outside duty, and
two lengths one after the other are as long as their sum.
"""

from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property, lru_cache
from zoneinfo import ZoneInfo

_WEEK = 7
_DAYS_KEPT = 1024
# A year's notice tells the days off around New Year too: once from 29 December of the year before.
_NOTICE_REACHES_BACK = timedelta(days=3)

Instants = tuple[datetime, datetime]


@dataclass(frozen=True)
class WorkCalendar:
    """When a town is on duty.

    `spans` are counted from midnight by the wall clock, in order, none overlapping. `weekdays`
    begin with 0 for Monday; `exceptions` tells of some days whether they are workdays, whatever
    their weekday. `official_years` are those whose exceptions are final. `version` is that of the
    table behind them.
    """

    zone: ZoneInfo
    spans: tuple[tuple[timedelta, timedelta], ...]
    weekdays: frozenset[int]
    exceptions: Mapping[date, bool]
    official_years: frozenset[int]
    version: int = 1

    def __post_init__(self) -> None:
        if not self.weekdays or not any(first < last for first, last in self.spans):
            raise ValueError("a town without any duty has no duty time")

    def is_workday(self, day: date) -> bool:
        return self._works(day.toordinal())

    @cached_property
    def spans_on(self) -> Callable[[int], tuple[Instants, ...]]:
        """A day's duty; the day is counted as `date.toordinal` does."""
        return lru_cache(_DAYS_KEPT)(self._spans_on)

    def is_plain(self, day: int) -> bool:
        """Tell whether the seven days from this one hold just a week's duty."""
        after = bisect_left(self._exceptional, day)
        return (
            after == len(self._exceptional) or self._exceptional[after] >= day + _WEEK
        ) and self._offset(day) == self._offset(day + _WEEK)

    @cached_property
    def week(self) -> timedelta:
        """The duty time of a week without exceptions."""
        day = sum((last - first for first, last in self.spans), timedelta())
        return day * len(self.weekdays)

    def _spans_on(self, day: int) -> tuple[Instants, ...]:
        if not self._works(day):
            return ()
        midnight = datetime.fromordinal(day)
        spans = (
            (_first(midnight + first, self.zone), _first(midnight + last, self.zone))
            for first, last in self.spans
        )
        return tuple(span for span in spans if span[0] < span[1])

    def _works(self, day: int) -> bool:
        works = self._works_on.get(day)
        return (day - 1) % _WEEK in self.weekdays if works is None else works

    def _offset(self, day: int) -> timedelta:
        return self.zone.utcoffset(datetime.fromordinal(day)) or timedelta()

    @cached_property
    def _works_on(self) -> Mapping[int, bool]:
        return {day.toordinal(): works for day, works in self.exceptions.items()}

    @cached_property
    def _exceptional(self) -> tuple[int, ...]:
        return tuple(sorted(self._works_on))


def add(calendar: WorkCalendar, start: datetime, length: timedelta) -> datetime:
    """Return when a length of duty time is over that begins to run at `start` or soon after."""
    if length < timedelta():
        raise ValueError("duty time runs forward")
    start, left = start.astimezone(UTC), length
    day = start.astimezone(calendar.zone).toordinal()
    while True:
        for first, last in calendar.spans_on(day):
            here = max(first, start)
            if here <= last:
                if left <= last - here:
                    return here + left
                left -= last - here
        day += 1
        while left > calendar.week and calendar.is_plain(day):
            left -= calendar.week
            day += _WEEK


def between(calendar: WorkCalendar, start: datetime, end: datetime) -> timedelta:
    """Return the duty time from one instant to another; none if the other is not later."""
    start, end = start.astimezone(UTC), end.astimezone(UTC)
    day, last_day = (at.astimezone(calendar.zone).toordinal() for at in (start, end))
    found = timedelta()
    while day <= last_day:
        for first, last in calendar.spans_on(day):
            found += max(min(last, end) - max(first, start), timedelta())
        day += 1
        while day + _WEEK <= last_day and calendar.is_plain(day):
            found += calendar.week
            day += _WEEK
    return found


def on_duty(calendar: WorkCalendar, at: datetime) -> bool:
    """Tell whether somebody is on duty: from a span's first instant until just before its last."""
    day = at.astimezone(calendar.zone).toordinal()
    return any(first <= at < last for first, last in calendar.spans_on(day))


def next_start(calendar: WorkCalendar, after: datetime) -> datetime:
    """Return when the next span begins, later than `after`."""
    day = after.astimezone(calendar.zone).toordinal()
    while True:
        for first, _ in calendar.spans_on(day):
            if first > after:
                return first
        day += 1


def latest(calendar: WorkCalendar, until: datetime) -> datetime:
    """Return the last instant of duty that is not later than `until`."""
    until = until.astimezone(UTC)
    day = until.astimezone(calendar.zone).toordinal()
    while True:
        for first, last in reversed(calendar.spans_on(day)):
            if first <= until:
                return min(last, until)
        day -= 1


def end_of_day(calendar: WorkCalendar, day: date) -> datetime | None:
    """Return when a day's duty is over; None if there is none on that day."""
    spans = calendar.spans_on(day.toordinal())
    return spans[-1][1] if spans else None


def is_provisional(calendar: WorkCalendar, start: datetime, end: datetime) -> bool:
    """Tell whether duty time from one instant to another rests on a year without a notice."""
    from_year = start.astimezone(calendar.zone).year
    to_year = (end.astimezone(calendar.zone) + _NOTICE_REACHES_BACK).year
    return not calendar.official_years.issuperset(range(from_year, to_year + 1))


def _first(wall: datetime, zone: ZoneInfo) -> datetime:
    """Return the first instant at which the wall clock reads this or later.

    A time that is never read, since clocks go forward there, has two instants by PEP 495, the
    second before the first; the change lies between them.
    """
    first, second = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if first <= second:
        return first

    def read(seconds: int) -> datetime:
        return (second + timedelta(seconds=seconds)).astimezone(zone).replace(tzinfo=None)

    apart = int((first - second).total_seconds())
    return second + timedelta(seconds=bisect_left(range(apart), wall, key=read))
