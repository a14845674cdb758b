"""What the board makes of a case that passes from hand to hand; what else is the whistle's."""

from dataclasses import replace

from contracts.events import Event, Fact
from contracts.facts import CaseCalledV1, CaseHandedOverV1, HandoverReceivedV1
from services.console import whistles
from services.console.domain.acts import Act
from services.console.domain.board import HAND_OVER_CLOCK, BoardCase, stopped


def changed(case: BoardCase, event: Event) -> BoardCase:
    """Take in who has a case now; a sheet that is signed for has no clock any more."""
    match event.data:
        case CaseHandedOverV1(owner=owner):
            return replace(case, owner_unit=owner.unit, owner_role=owner.role)
        case HandoverReceivedV1():
            return stopped(case, HAND_OVER_CLOCK)
        case _:
            return whistles.changed(case, event)


def told(act: Act, fact: Fact) -> Act | None:
    """Add to whom it goes, and who is called."""
    match fact:
        case CaseHandedOverV1(owner=owner):
            return replace(act, to_unit=owner.unit, to_role=owner.role)
        case CaseCalledV1(called=called) if called:
            return replace(act, to_unit=called[0].unit, to_role=called[0].role)
        case _:
            return whistles.told(act, fact)
