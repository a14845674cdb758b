"""The call upward: the town calls the level above, which answers; the town stays owner (乡呼区应).

A case has at most one call that is still open.
"""

from collections.abc import Collection, Mapping
from dataclasses import asdict, replace
from datetime import datetime
from uuid import uuid5

from services.routing.domain.deadlines import start_clock
from services.routing.domain.rules import DeadlineRule, Rules
from services.routing.domain.town import Setting
from services.routing.domain.values import (
    SYSTEM,
    Actor,
    Case,
    Fact,
    NewTimer,
    Owner,
    Refused,
    UpwardCall,
    misread,
)
from services.routing.domain.whistle import Settled, settled

_CLOCK = "call_upward/"


def is_upward(clock: str) -> bool:
    """Tell whether a clock is that of a call upward."""
    return clock.startswith(_CLOCK)


def call_upward(
    case: Case,
    calls: Collection[UpwardCall],
    actor: Actor,
    expected_seq: int,
    sealed: Mapping[str, object],
    now: datetime,
    setting: Setting,
) -> Settled | Refused:
    """Call the level above, or tell why not."""
    rules = setting.rules.whistle
    if rules.upward is None or case.closed:
        return Refused("upward_not_allowed")
    held = [role for role in rules.upward_callers if role in actor.roles]
    units = {role: setting.unit_for(role, case.grid, case.village) for role in held}
    role = next((role for role, unit in units.items() if unit in actor.units), None)
    if role is None:
        return Refused("unit_not_allowed" if held else "role_not_allowed", rules.upward_callers)
    unseen = misread(case, expected_seq)
    if unseen is not None:
        return unseen
    if any(call.open for call in calls):
        return Refused("already_called_upward", tuple(call.unit for call in calls if call.open))
    by = Owner(units[role] or "", role, actor.staff)
    call, fact, timers = _called(case, by, now, setting)
    fact = Fact(fact.type, {**fact.data, "sealed": sealed})
    return settled(case, [], [fact], timers, human=True, upward=call)


def call_by_rule(done: Settled, now: datetime, setting: Setting) -> Settled:
    """Call the level above because a rung says so, after what the rung has recorded."""
    by = Owner(setting.town.root or setting.rules.ladder[-1], SYSTEM, SYSTEM)
    call, fact, timers = _called(done.case, by, now, setting)
    more = settled(done.case, [], [fact])
    return replace(
        done,
        case=more.case,
        facts=(*done.facts, *more.facts),
        timers=(*done.timers, *timers),
        upward=call,
    )


def _called(
    case: Case, by: Owner, now: datetime, setting: Setting
) -> tuple[UpwardCall, Fact, tuple[NewTimer, ...]]:
    rules = setting.rules.whistle
    unit = _unit(case, rules.upward_to, setting) if rules.upward_to else ""
    rule = answer_rule(unit, setting.rules)
    if rule is None or not unit:
        raise ValueError("a rung calls upward, and the profile does not say whom")
    _, timers = start_clock(rule, now, setting.rules)
    whistle_id = uuid5(case.case_id, f"upward/{case.seq}")
    person = None if by.role == SYSTEM else by
    call = UpwardCall(whistle_id, unit, now, timers[-1].due_at, by=person)
    data = {
        "whistle_id": whistle_id,
        "from_level": rules.upward_from,
        "to_level": rules.upward_to,
        "due_at": call.due_at,
        "by": asdict(by),
        "unit": unit,
    }
    return call, Fact("whistle.called_upward.v1", data), timers


def answer_rule(unit: str, rules: Rules) -> DeadlineRule | None:
    """Return the rule by which a unit of the level above answers."""
    rule = rules.whistle.upward
    return rule and replace(rule, id=f"{_CLOCK}{unit}", warn_share=None)


def _unit(case: Case, level: str, setting: Setting) -> str:
    """Return who is called: the case's unit at the level, by the level's name if none is known."""
    return setting.town.at_level(setting.lowest(case.grid, case.village), level) or level


def answer(
    case: Case, call: UpwardCall, actor: Actor, sealed: Mapping[str, object], at: datetime
) -> Settled | Refused:
    """Take the answer of the level above, handed in `at`; the first one stands."""
    if call.unit not in actor.units:
        return Refused("unit_not_allowed", (call.unit,))
    if not call.open:
        return Refused("already_answered", (call.unit,))
    late = call.due_at is not None and at > call.due_at
    answered = replace(call, outcome="answered_late" if late else "answered", answered_at=at)
    by = Owner(call.unit, min(actor.roles, default=call.unit), actor.staff)
    data = {
        "whistle_id": call.whistle_id,
        "unit": call.unit,
        "at": at,
        "late": late,
        "by": asdict(by),
        "sealed": sealed,
    }
    ended = frozenset((f"{_CLOCK}{call.unit}",))
    fact = Fact("whistle.answered.v1", data)
    return settled(case, [], [fact], ended=ended, upward=answered)


def strike_call(case: Case, call: UpwardCall) -> Settled | None:
    """Let the moment of an answer come; None: it no longer matters."""
    if case.closed or call.due_at is None or call.outcome is not None:
        return None
    data: dict[str, object] = {
        "whistle_id": call.whistle_id,
        "unit": call.unit,
        "due_at": call.due_at,
    }
    if call.by is not None:
        data["called_by"] = asdict(call.by)
    missed = replace(call, outcome="missed")
    return settled(case, [], [Fact("whistle.unanswered.v1", data)], upward=missed)
