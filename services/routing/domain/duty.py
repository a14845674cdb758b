"""Who is on duty when, who is away, and who stands in for whom (AB角)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta

from services.routing.domain import worktime
from services.routing.domain.worktime import WorkCalendar

Away = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Shift:
    """Hours of a day, from midnight by the wall clock; `days` from 0 for Monday, None: workdays."""

    first: timedelta
    last: timedelta
    days: frozenset[int] | None = None


@dataclass(frozen=True, slots=True)
class Rosters:
    """What the registry says of people's hours; who is not named keeps the profile's.

    `groups` maps a grid to the grids that back each other, itself among them, in order.
    """

    staff: Mapping[str, tuple[Shift, ...]] = field(default_factory=dict)
    units: Mapping[str, tuple[Shift, ...]] = field(default_factory=dict)
    absences: Mapping[str, tuple[Away, ...]] = field(default_factory=dict)
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def is_away(self, staff: str, at: datetime) -> bool:
        return any(first <= at < last for first, last in self.absences.get(staff, ()))

    def away(self, at: datetime) -> frozenset[str]:
        """Return everybody who is away."""
        return frozenset(staff for staff in self.absences if self.is_away(staff, at))

    def partners(self, grid: str, *, symmetric: bool) -> tuple[str, ...]:
        """Return the grids that back a grid, the next in the order first.

        Unless it is symmetric, only the first of a group is backed.
        """
        group = self.groups.get(grid, ())
        if grid not in group or (not symmetric and group[0] != grid):
            return ()
        place = group.index(grid)
        return (*group[place + 1 :], *group[:place])


def on_shift(shifts: Sequence[Shift], calendar: WorkCalendar, at: datetime) -> bool:
    """Tell whether a moment lies in a shift: from its first instant until just before its last."""
    local = at.astimezone(calendar.zone)
    day = local.date()
    since = timedelta(hours=local.hour, minutes=local.minute, seconds=local.second)
    return any(
        shift.first <= since < shift.last
        and (calendar.is_workday(day) if shift.days is None else day.weekday() in shift.days)
        for shift in shifts
    )


def in_hours(path: Sequence[str], rosters: Rosters, calendar: WorkCalendar, at: datetime) -> bool:
    """Tell whether a place has its hours: by the nearest unit with a roster, else the town's."""
    shifts = next((rosters.units[unit] for unit in path if unit in rosters.units), None)
    return worktime.on_duty(calendar, at) if shifts is None else on_shift(shifts, calendar, at)


def reachable(staff: str, rosters: Rosters, calendar: WorkCalendar, at: datetime) -> bool:
    """Tell whether somebody can be turned to: not away, and in his own shift if he has any."""
    shifts = rosters.staff.get(staff)
    own = shifts is None or on_shift(shifts, calendar, at)
    return own and not rosters.is_away(staff, at)


def present(
    staff: str, rosters: Rosters, calendar: WorkCalendar, at: datetime, *, hours: bool
) -> bool:
    """Tell whether somebody is on duty; `hours`: the place has its hours now."""
    return reachable(staff, rosters, calendar, at) and (hours or staff in rosters.staff)


def morning(calendar: WorkCalendar, after: datetime, by: time | None) -> datetime:
    """Return the next workday's `by`; without one, when duty next begins."""
    if by is None:
        return worktime.next_start(calendar, after)
    day: date = after.astimezone(calendar.zone).date()
    while True:
        due_at = datetime.combine(day, by, calendar.zone)
        if calendar.is_workday(day) and due_at > after:
            return due_at.astimezone(after.tzinfo)
        day += timedelta(days=1)
