"""What a newer table of official days makes of the clocks on duty time that it finds.

Each is reckoned anew from its start, by its own rule. Nobody becomes late by that:

- Later is later: a miss that is none any more is withdrawn.
- Earlier, and what could not be told before, leaves a rest from now on: as much duty time as the
  clock's warning leaves, all of it where there is no warning. Then, or when it was due before if
  that is sooner. So what is due already, by the old table, does not move.

A warning goes with its deadline: once more, and at once where its moment has passed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from services.routing.domain import worktime
from services.routing.domain.deadlines import Moments, add, moments, set_clock
from services.routing.domain.rules import DeadlineRule, Rules
from services.routing.domain.slot import Slot, Stage, clocks, rung_of
from services.routing.domain.values import (
    CLASS_DEADLINE,
    FIRST_ACTION,
    Case,
    Fact,
    NewTimer,
)
from services.routing.domain.whistle import Settled, report_in_rule
from services.routing.domain.worktime import WorkCalendar

What = Literal["armed", "moved", "withdrawn", "kept"]


@dataclass(frozen=True, slots=True)
class Told:
    """A fact of a case after a miss, as far as it tells whether the clock has been met."""

    type: str
    at: datetime
    step: str | None = None
    from_state: str | None = None
    to_state: str | None = None


@dataclass(frozen=True, slots=True)
class Ending:
    """When a department that had been missed was done with: it refused, or its call was withdrawn.

    By a refusal that was rejected its time began anew: that is another clock.
    """

    whistle_id: UUID
    department: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Clock:
    """A case's own clock on duty time, as it stands.

    `missed`: it was announced so; `since` is what followed.
    """

    started_at: datetime
    due_at: datetime | None = None
    provisional: bool = False
    missed: bool = False
    since: tuple[Told, ...] = ()


def reckon_anew(
    rule: DeadlineRule, start: datetime, was: datetime | None, now: datetime, rules: Rules
) -> Moments | None:
    """Return a clock's moments by the table that holds now; None: they cannot be told."""
    fresh, calendar = moments(rule, start, rules), rules.work_calendar
    if fresh is None or calendar is None:
        return None
    if was is None or fresh.due_at < was:
        least = worktime.add(calendar, now, _rest(rule, start, fresh, calendar))
        due_at = max(fresh.due_at, least if was is None else min(was, least))
        provisional = worktime.is_provisional(calendar, start, due_at)
        fresh = replace(fresh, due_at=due_at, provisional=provisional)
    if fresh.warn_at is not None:
        fresh = replace(fresh, warn_at=max(fresh.warn_at, now) if now < fresh.due_at else None)
    return fresh


def _rest(rule: DeadlineRule, start: datetime, at: Moments, calendar: WorkCalendar) -> timedelta:
    run = worktime.between(calendar, start, at.due_at)
    return run if rule.warn_share is None else run * (1 - rule.warn_share)


def recount_clock(
    case: Case, rule: DeadlineRule, clock: Clock, now: datetime, rules: Rules
) -> tuple[Settled, What] | None:
    """Reckon one of a case's own clocks anew; None: all stays as it was.

    A miss is withdrawn where the clock was met in time, or can still be.
    """
    at = reckon_anew(rule, clock.started_at, clock.due_at, now, rules)
    if at is None or (at.due_at, at.provisional) == (clock.due_at, clock.provisional):
        return None
    if clock.missed:
        return _withdrawn(case, rule, clock, at, now, rules)
    if case.closed or rule.id not in case.running:
        return None
    fact, timers = set_clock(rule, clock.started_at, at, rules)
    case = replace(case, seq=case.seq + 1)
    if at.due_at == clock.due_at:
        return Settled(case, (), (fact,)), "kept"
    what: What = "armed" if clock.due_at is None else "moved"
    return Settled(case, (), (fact,), timers, frozenset((rule.id,))), what


def _withdrawn(
    case: Case, rule: DeadlineRule, clock: Clock, at: Moments, now: datetime, rules: Rules
) -> tuple[Settled, What] | None:
    met_at = next((one.at for one in clock.since if _meets(rule, one)), None)
    runs = met_at is None and not case.closed and rule.id not in case.running
    late = at.due_at <= now if met_at is None else met_at > at.due_at
    if late or (met_at is None and not runs):
        return None
    fact, timers = set_clock(rule, clock.started_at, at, rules)
    fact = Fact(fact.type, {**fact.data, "armed": runs, "miss_withdrawn": True})
    running = case.running | {rule.id} if runs else case.running
    case = replace(case, seq=case.seq + 1, running=running)
    return Settled(case, (), (fact,), timers if runs else ()), "withdrawn"


def _meets(rule: DeadlineRule, one: Told) -> bool:
    """Tell whether a fact meets a clock, or ends it."""
    if one.type == "case.closed.v1":
        return True
    if rule.id == CLASS_DEADLINE:
        return one.type in ("case.resolved.v1", "case.reopened.v1")
    if rule.id == FIRST_ACTION:
        return one.type == "case.accepted.v1"
    if one.type != "case.step_taken.v1":
        return False
    left = one.from_state in rule.states and one.to_state not in rule.states
    return left or rule.id == f"step.{one.step}"


def recount_slot(
    case: Case, slot: Slot, rung: int | None, now: datetime, rules: Rules
) -> tuple[Settled, What] | None:
    """Reckon a department's clock anew; None: all stays as it was. `rung` is the one it waits for.

    Who was late and is not becomes `corrected`; who was missed and is still awaited begins anew.
    """
    rule = report_in_rule(case, slot.department, rules)
    at = reckon_anew(rule, slot.blown_at, slot.due_at, now, rules)
    if at is None or (at.due_at, at.provisional) == (slot.due_at, slot.provisional):
        return None
    after = replace(slot, due_at=at.due_at, provisional=at.provisional)
    after = replace(after, calendar_version=_version(rules))
    if slot.outcome == "reported_late" and slot.reported_in_at is not None:
        punctual = slot.reported_in_at <= at.due_at
        after = replace(after, outcome="corrected" if punctual else "reported_late")
        return _moved(case, slot, after, {"miss_withdrawn": punctual})
    if not slot.awaited or case.closed:
        return None
    if slot.due_at == at.due_at:
        return _moved(case, slot, after, {"warn_at": at.warn_at})
    if slot.outcome == "missed" and at.due_at <= now:
        return _moved(case, slot, after, {}, _rung(after, rung, rules), clocks(slot, rules))
    _, timers = set_clock(rule, slot.blown_at, at, rules)
    told = {"warn_at": at.warn_at, "miss_withdrawn": slot.outcome == "missed"}
    return _moved(case, slot, replace(after, outcome=None), told, timers, clocks(slot, rules))


def recount_ended(
    case: Case, ending: Ending, clock: Clock, now: datetime, rules: Rules
) -> tuple[Settled, What] | None:
    """Withdraw the miss of a part that ended before the clock runs out by the newer table.

    None: the miss stands. Nothing is awaited anew: its part stays as it is.
    """
    rule = report_in_rule(case, ending.department, rules)
    at = reckon_anew(rule, clock.started_at, clock.due_at, now, rules)
    if at is None or clock.due_at is None or ending.at > at.due_at:
        return None
    data = {
        "whistle_id": ending.whistle_id,
        "department": ending.department,
        "due_at": at.due_at,
        "was_due_at": clock.due_at,
        "ended_at": ending.at,
        "provisional": at.provisional,
    }
    fact = Fact("whistle.miss_withdrawn.v1", data)
    return Settled(replace(case, seq=case.seq + 1), (), (fact,)), "withdrawn"


def _version(rules: Rules) -> int:
    return rules.work_calendar.version if rules.work_calendar else 0


def _rung(slot: Slot, rung: int | None, rules: Rules) -> tuple[NewTimer, ...]:
    """Keep the moment of the rung that a missed department waits for; it goes with the deadline."""
    if slot.due_at is None:
        return ()
    return rung_timer(slot.department, rung, "report_in", slot.due_at, rules)


def rung_timer(
    department: str, rung: int | None, stage: Stage, due_at: datetime, rules: Rules
) -> tuple[NewTimer, ...]:
    """Return the moment of the rung that a missed department waits for, by a new due time."""
    if rung is None:
        return ()
    at = add(due_at, rules.whistle.on_miss[rung].after, rules)
    name, version = rung_of(department, rung, stage), _version(rules)
    return (NewTimer(name, "rung", at, due_at, calendar_version=version),)


def _moved(
    case: Case,
    was: Slot,
    slot: Slot,
    told: Mapping[str, object],
    timers: tuple[NewTimer, ...] = (),
    ended: frozenset[str] = frozenset(),
) -> tuple[Settled, What]:
    data: dict[str, object] = {
        "whistle_id": slot.whistle_id,
        "department": slot.department,
        "due_at": slot.due_at,
        "provisional": slot.provisional,
        "was_due_at": was.due_at,
        **told,
    }
    data = {name: value for name, value in data.items() if value is not None}
    what: What = "moved" if was.due_at != slot.due_at else "kept"
    if was.due_at is None:
        what = "armed"
    if data.get("miss_withdrawn"):
        what = "withdrawn"
    fact = Fact("whistle.deadline_moved.v1", data)
    return Settled(replace(case, seq=case.seq + 1), (slot,), (fact,), timers, ended), what
