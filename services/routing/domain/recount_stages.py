"""What a newer table of official days makes of a whistle's later clocks.

They are those for arriving, for being let go, and for an answer from above.

As for those of `recount`: nobody becomes late by it, and a miss that is none any more is withdrawn.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from services.routing.domain.deadlines import Moments, set_clock
from services.routing.domain.recount import Clock, What, reckon_anew, rung_timer
from services.routing.domain.rules import DeadlineRule, Rules
from services.routing.domain.slot import Slot, Stage, about, clocks, stage_of
from services.routing.domain.upward import answer_rule
from services.routing.domain.values import Case, Fact, UpwardCall
from services.routing.domain.whistle import Settled, settled, stage_rule


def recount_stage(
    case: Case,
    slot: Slot,
    stage: Stage,
    clock: Clock,
    rung: int | None,
    now: datetime,
    rules: Rules,
) -> tuple[Settled, What] | None:
    """Reckon anew by when a department is to be on the spot, or let go; None: all stays as it was.

    `rung` is the one it waits for. What was missed and has come since may have been in time.
    """
    rule, was, done_at = _awaited(case, slot, stage, rules)
    at = reckon_anew(rule, clock.started_at, was, now, rules) if rule else None
    if rule is None or at is None or (at.due_at, at.provisional) == (was, clock.provisional):
        return None
    after = replace(slot, arrive_due_at=at.due_at)
    if stage == "release":
        after = replace(slot, release_due_at=at.due_at)
    told = {**about(slot), "stage": stage, "reported_in_at": slot.reported_in_at}
    if done_at is not None:
        punctual = done_at <= at.due_at
        fact, what = _moved("whistle.stage_moved.v1", told, was, at, withdrawn=punctual)
        return settled(case, [after], [fact]), what
    if case.closed or not slot.open:
        return None
    late = clock.missed and at.due_at <= now
    fact, what = _moved(
        "whistle.stage_moved.v1", told, was, at, withdrawn=clock.missed and not late
    )
    if what == "kept":
        return settled(case, [after], [fact]), what
    if late:
        timers = rung_timer(slot.department, rung, stage, at.due_at, rules)
        ended = frozenset(one.deadline for one in timers)
    else:
        _, timers = set_clock(rule, clock.started_at, at, rules)
        ended = frozenset(one for one in clocks(slot, rules) if stage_of(one) == stage)
    return settled(case, [after], [fact], timers, ended=ended), what


def _awaited(
    case: Case, slot: Slot, stage: Stage, rules: Rules
) -> tuple[DeadlineRule | None, datetime | None, datetime | None]:
    """Return a stage's rule, by when it was due, and when it came."""
    rule = stage_rule(case, slot.department, stage, rules)
    if stage == "release":
        return rule, slot.release_due_at, slot.released_at
    return rule, slot.arrive_due_at, slot.arrived_at


def recount_answer(
    case: Case, call: UpwardCall, clock: Clock, now: datetime, rules: Rules
) -> tuple[Settled, What] | None:
    """Reckon anew by when the level above is to answer; None: all stays as it was."""
    rule, was = answer_rule(call.unit, rules), call.due_at
    at = reckon_anew(rule, clock.started_at, was, now, rules) if rule else None
    if rule is None or at is None or (at.due_at, at.provisional) == (was, clock.provisional):
        return None
    after, told = (
        replace(call, due_at=at.due_at),
        {"whistle_id": call.whistle_id, "unit": call.unit},
    )
    if call.answered_at is not None:
        punctual = call.answered_at <= at.due_at
        fact, what = _moved("whistle.answer_moved.v1", told, was, at, withdrawn=punctual)
        after = replace(after, outcome="answered" if punctual else call.outcome)
        return settled(case, [], [fact], upward=after), what
    if case.closed:
        return None
    late = clock.missed and at.due_at <= now
    fact, what = _moved(
        "whistle.answer_moved.v1", told, was, at, withdrawn=clock.missed and not late
    )
    if what == "kept" or late:
        return settled(case, [], [fact], upward=after), what
    _, timers = set_clock(rule, clock.started_at, at, rules)
    after = replace(after, outcome=None)
    return settled(case, [], [fact], timers, ended=frozenset((rule.id,)), upward=after), what


def _moved(
    type_: str, told: Mapping[str, object], was: datetime | None, at: Moments, *, withdrawn: bool
) -> tuple[Fact, What]:
    data = {**told, "due_at": at.due_at, "provisional": at.provisional, "was_due_at": was}
    data["miss_withdrawn"] = withdrawn
    what: What = "kept" if was == at.due_at else "moved"
    if withdrawn:
        what = "withdrawn"
    elif was is None:
        what = "armed"
    return Fact(type_, {name: one for name, one in data.items() if one is not None}), what
