"""The joint consultation: departments that have come agree on one result (集中会诊)."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Final

from services.routing.domain.slot import Slot
from services.routing.domain.town import Setting
from services.routing.domain.values import Actor, Case, Fact, Refused, misread
from services.routing.domain.whistle import Settled, blower_of, settled

_TOGETHER: Final = 2


def consult(
    case: Case,
    slots: Sequence[Slot],
    departments: Sequence[str],
    actor: Actor,
    expected_seq: int,
    sealed: Mapping[str, object],
    setting: Setting,
) -> Settled | Refused:
    """Record one result for all the departments named, or tell who has yet to come."""
    by = blower_of(case, actor, setting)
    if isinstance(by, Refused):
        return by
    if not setting.rules.whistle.joint_consult or case.closed:
        return Refused("consultation_not_allowed")
    unseen = misread(case, expected_seq)
    if unseen is not None:
        return unseen
    named = tuple(dict.fromkeys(departments))
    if hindrance := _hindrance(named, slots):
        return hindrance
    data = {"departments": named, "by": asdict(by), "sealed": sealed}
    return settled(case, [], [Fact("case.consulted.v1", data)], human=True)


def _hindrance(named: Sequence[str], slots: Sequence[Slot]) -> Refused | None:
    """Tell why these departments cannot agree on anything yet."""
    if len(named) < _TOGETHER:
        return Refused("not_joint", tuple(named))
    awaited = {slot.department for slot in slots if slot.pending and not slot.came}
    if waiting := tuple(one for one in named if one in awaited):
        return Refused("still_awaited", waiting)
    came = {slot.department for slot in slots if slot.came}
    others = tuple(one for one in named if one not in came)
    return Refused("not_called", others) if others else None
