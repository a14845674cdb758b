"""The demo tells of a morning: when the next one is, by the town's own clock and calendar."""

from datetime import datetime, time, timedelta

from contracts.calendar import Calendar, load
from deploy.cli.clock import ask_clock, move
from deploy.local.registered import timezone_of
from deploy.local.state import StackState

BEGINS, ENDS = time(9), time(11)
_SATURDAY = 5


def next_morning(now: datetime, calendar: Calendar) -> datetime | None:
    """Return when the next workday's morning begins, in the zone of `now`; None: it is one."""
    off = {day for year in calendar.years for day in year.days_off}
    worked = {day for year in calendar.years for day in year.workdays}
    day = now.date()
    while True:
        if (day.weekday() < _SATURDAY and day not in off) or day in worked:
            begins = datetime.combine(day, BEGINS, now.tzinfo)
            if now <= begins:
                return begins
            if now < datetime.combine(day, ENDS, now.tzinfo):
                return None
        day += timedelta(days=1)


async def go_to_morning(state: StackState, tenant: str) -> None:
    """Move the town's clock on to a workday's morning, unless it is one."""
    zone = await timezone_of(state.dsns["ledger"], tenant)
    now = datetime.fromisoformat((await ask_clock(state, tenant, None))["now"])
    if begins := next_morning(now.astimezone(zone), load()):
        await move(state, tenant, {"set_to": begins.isoformat()})
