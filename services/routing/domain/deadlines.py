"""Clocks: when something is due, when to warn, which clocks start and end."""

from calendar import monthrange
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from zoneinfo import ZoneInfo

from services.routing.domain import worktime
from services.routing.domain.rules import DeadlineRule, Rules, Span
from services.routing.domain.values import Fact, NewTimer
from services.routing.domain.worktime import WorkCalendar

_MONTH_DAYS = 30


def add(start: datetime, span: Span, rules: Rules) -> datetime:
    """Add a span on the town's calendar; 31 January and one month is the end of February."""
    local = start.astimezone(ZoneInfo(rules.timezone))
    if rules.month_is_30_days:
        local += timedelta(days=span.months * _MONTH_DAYS)
    elif span.months:
        years, month = divmod(local.month - 1 + span.months, 12)
        year, month = local.year + years, month + 1
        day = min(local.day, monthrange(year, month)[1])
        local = local.replace(year=year, month=month, day=day)
    # Days are whole days of the town's wall clock, seconds are real ones.
    return (local + timedelta(days=span.days)).astimezone(start.tzinfo) + timedelta(
        seconds=span.seconds
    )


def due_by(rule: DeadlineRule, start: datetime, rules: Rules) -> datetime:
    """Return when a clock that starts now is due.

    A time of day that has passed already when the clock starts means the next day's.
    """
    due_at = add(start, rule.within, rules)
    if rule.by_time is None:
        return due_at
    day = due_at.astimezone(ZoneInfo(rules.timezone))
    local = datetime.combine(day, rule.by_time, day.tzinfo)
    return (local if local >= start else local + timedelta(days=1)).astimezone(start.tzinfo)


def due_on_duty(rule: DeadlineRule, start: datetime, calendar: WorkCalendar) -> datetime:
    """Return when a clock on duty time that starts now is due: never outside duty.

    A time of day at which nobody is on duty means the last duty before it. One that has passed
    already when the clock starts means the next workday's.
    """
    due_at = worktime.add(calendar, start, timedelta(seconds=rule.within.seconds))
    if rule.by_time is None:
        return due_at
    day = due_at.astimezone(calendar.zone).date()
    while True:
        limit = datetime.combine(day, rule.by_time, calendar.zone)
        if calendar.is_workday(day) and (due_at := worktime.latest(calendar, limit)) >= start:
            return due_at
        day += timedelta(days=1)


def warned_at(
    rule: DeadlineRule, start: datetime, due_at: datetime, calendar: WorkCalendar | None
) -> datetime | None:
    """Return when the warned share of the time has run; on duty time, if a calendar is given."""
    if rule.warn_share is None:
        return None
    if calendar is None:
        return start + (due_at - start) * rule.warn_share
    run = worktime.between(calendar, start, due_at)
    return worktime.add(calendar, start, run * rule.warn_share)


@dataclass(frozen=True, slots=True)
class Moments:
    """When a clock is due and when it warns. `provisional`: it rests on a year without a notice."""

    due_at: datetime
    warn_at: datetime | None = None
    provisional: bool = False


def moments(rule: DeadlineRule, start: datetime, rules: Rules) -> Moments | None:
    """Reckon a clock from its start; None: its time cannot be told."""
    if rule.clock != "duty":
        due_at = due_by(rule, start, rules)
        return Moments(due_at, warned_at(rule, start, due_at, None))
    calendar = rules.work_calendar
    if calendar is None:
        return None
    due_at = due_on_duty(rule, start, calendar)
    provisional = worktime.is_provisional(calendar, start, due_at)
    return Moments(due_at, warned_at(rule, start, due_at, calendar), provisional)


def start_clock(
    rule: DeadlineRule, start: datetime, rules: Rules
) -> tuple[Fact, tuple[NewTimer, ...]]:
    """Start one clock: what to announce, and the moments to keep."""
    return set_clock(rule, start, moments(rule, start, rules), rules)


def set_clock(
    rule: DeadlineRule, start: datetime, at: Moments | None, rules: Rules
) -> tuple[Fact, tuple[NewTimer, ...]]:
    """Set a clock to its moments: what to announce, and what to keep."""
    fact: dict[str, object] = {"deadline": rule.id, "clock": rule.clock, "armed": at is not None}
    keep = partial(NewTimer, rule.id)
    if rule.clock == "duty":
        calendar = rules.work_calendar
        version = calendar.version if calendar else 0
        keep = partial(keep, started_at=start, calendar_version=version)
    if at is None:
        return Fact("case.deadline_set.v1", fact), (keep("miss", None, None),)
    if rule.clock == "duty":
        fact["provisional"] = at.provisional
        keep = partial(keep, provisional=at.provisional)
    fact["due_at"] = at.due_at
    timers = [keep("miss", at.due_at, at.due_at)]
    if at.warn_at is not None:
        timers.insert(0, keep("warn", at.warn_at, at.due_at))
        fact["warn_at"] = at.warn_at
    return Fact("case.deadline_set.v1", fact), tuple(timers)


def start_clocks(
    started: Iterable[DeadlineRule], start: datetime, rules: Rules
) -> tuple[tuple[Fact, ...], tuple[NewTimer, ...]]:
    """Start several clocks at one moment."""
    facts: list[Fact] = []
    timers: list[NewTimer] = []
    for rule in started:
        fact, kept = start_clock(rule, start, rules)
        facts.append(fact)
        timers += kept
    return tuple(facts), tuple(timers)
