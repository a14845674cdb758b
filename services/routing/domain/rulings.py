"""What the arbiter decides on a department's refusal: it must come, or another comes instead."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Literal
from uuid import uuid5

from services.routing.domain.slot import Slot, about, clock_of
from services.routing.domain.town import Setting
from services.routing.domain.values import Actor, Case, Fact, Owner, Refused
from services.routing.domain.whistle import Settled, arbiter_of, called_slot, settled


@dataclass(frozen=True, slots=True)
class Ruling:
    """What somebody wants to decide. Without `call`, whom the department proposed comes instead."""

    ruling: Literal["accept", "reject"]
    actor: Actor
    call: str | None = None
    sealed: Mapping[str, object] | None = None


def rule(
    case: Case, slots: Sequence[Slot], slot: Slot, ruling: Ruling, now: datetime, setting: Setting
) -> Settled | Refused:
    """Decide on a refusal, once, or tell why not."""
    by = _arbiter(ruling.actor, setting)
    if isinstance(by, Refused):
        return by
    if case.closed:
        return Refused("whistle_not_allowed")
    if not slot.undecided:
        return Refused("nothing_to_rule", (slot.department,))
    if ruling.ruling == "reject":
        return _awaited_again(case, slots, slot, ruling, by, now, setting)
    return _called_instead(case, slots, slot, ruling, by, now, setting)


def _arbiter(actor: Actor, setting: Setting) -> Owner | Refused:
    """Return as whom somebody may decide: any supervisor of the town, or whoever is named."""
    named = arbiter_of(setting)
    roles = tuple(dict.fromkeys((*setting.rules.whistle.supervisors, named.role)))
    role = next((one for one in roles if one in actor.roles), None)
    if role is None:
        return Refused("role_not_allowed", roles)
    if named.unit not in actor.units:
        return Refused("unit_not_allowed", (named.unit,))
    return Owner(named.unit, role, actor.staff)


def _awaited_again(
    case: Case,
    slots: Sequence[Slot],
    slot: Slot,
    ruling: Ruling,
    by: Owner,
    now: datetime,
    setting: Setting,
) -> Settled | Refused:
    """Await the department again: its whole time runs anew from now."""
    if any(one.open and one.department == slot.department for one in slots):
        return Refused("already_called", (slot.department,))
    fresh, timers, dates = called_slot(slot.whistle_id, slot.department, case, now, setting)
    again = replace(fresh, lead=slot.lead, proposed=slot.proposed, ruling="reject")
    fact = _ruled(slot, ruling, by, **dates)
    return settled(case, [again], [fact], timers, ended=_clock(slot), human=True)


def _called_instead(
    case: Case,
    slots: Sequence[Slot],
    slot: Slot,
    ruling: Ruling,
    by: Owner,
    now: datetime,
    setting: Setting,
) -> Settled | Refused:
    """Call another department in its place, with a clock of its own; it leads if that one led.

    A department that has been called before keeps its clock.
    """
    instead = ruling.call or slot.proposed or ""
    if instead == slot.department:
        return Refused("same_department", (instead,))
    if instead not in setting.rules.whistle.targets:
        return Refused("unknown_department", (instead,))
    leads = slot.lead and not any(
        one.pending and one.lead for one in slots if one.department != slot.department
    )
    decided, ended = replace(slot, ruling="accept"), _clock(slot)
    ruled = _ruled(slot, ruling, by, call=instead, lead=leads)
    there = next((one for one in slots if one.pending and one.department == instead), None)
    if there is not None:
        kept = replace(there, lead=there.lead or leads)
        return settled(case, [decided, kept], [ruled], ended=ended, human=True)
    whistle_id = uuid5(case.case_id, f"ruling/{case.seq}")
    new, timers, dates = called_slot(whistle_id, instead, case, now, setting)
    called = {"department": instead, "lead": leads, **dates}
    data = {"whistle_id": whistle_id, "departments": (called,), "merged": (), "by": asdict(by)}
    facts = [ruled, Fact("whistle.blown.v1", data)]
    both = [decided, replace(new, lead=leads)]
    return settled(case, both, facts, timers, ended=ended, human=True)


def _clock(slot: Slot) -> frozenset[str]:
    """Return the clock by which a ruling was awaited."""
    return frozenset((clock_of(slot.department, "rule"),))


def _ruled(slot: Slot, ruling: Ruling, by: Owner, **more: object) -> Fact:
    data = {**about(slot), "ruling": ruling.ruling, "by": asdict(by), **more}
    if ruling.sealed is not None:
        data["sealed"] = ruling.sealed
    return Fact("whistle.ruled.v1", data)
