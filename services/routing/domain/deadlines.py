"""Clocks on the calendar: when something is due, when to warn, which clocks start and end."""

from calendar import monthrange
from collections.abc import Iterable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from services.routing.domain.rules import DeadlineRule, Rules, Span
from services.routing.domain.values import Fact, NewTimer

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


def start_clock(
    rule: DeadlineRule, start: datetime, rules: Rules
) -> tuple[Fact, tuple[NewTimer, ...]]:
    """Start one clock: what to announce, and the moments to keep."""
    if rule.clock == "duty":
        fact = {"deadline": rule.id, "clock": rule.clock, "armed": False}
        return Fact("case.deadline_set.v1", fact), (NewTimer(rule.id, "miss", None, None),)
    due_at = due_by(rule, start, rules)
    timers = [NewTimer(rule.id, "miss", due_at, due_at)]
    warn_at = None
    if rule.warn_share is not None:
        warn_at = start + (due_at - start) * rule.warn_share
        timers.insert(0, NewTimer(rule.id, "warn", warn_at, due_at))
    fact = {"deadline": rule.id, "clock": rule.clock, "armed": True, "due_at": due_at}
    if warn_at is not None:
        fact["warn_at"] = warn_at
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
