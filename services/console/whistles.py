"""What a whistle's facts make of the board: departments with their lamps, and lines to be told."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from contracts.events import Event, Fact
from contracts.facts import (
    Called,
    CaseConsultedV1,
    CaseEscalatedV1,
    WhistleArrivedV1,
    WhistleBlownV1,
    WhistleCalledUpwardV1,
    WhistleCorrectedV1,
    WhistleDeadlineMovedV1,
    WhistleMissedV1,
    WhistleRefusedV1,
    WhistleReportedInV1,
    WhistleRuledV1,
    WhistleStageMissedV1,
    WhistleStageMovedV1,
    WhistleUnruledV1,
    WhistleWithdrawnV1,
)
from services.console.domain.acts import Act, ActKind
from services.console.domain.board import BoardCase, called, moved, turned
from services.console.domain.slots import Lamp, Slot, shown

_TURNS: Mapping[type[Fact], Lamp] = {
    WhistleMissedV1: "missed",
    WhistleStageMissedV1: "missed",
    WhistleRefusedV1: "refused",
    WhistleWithdrawnV1: "withdrawn",
}
# The rungs of the ladder that are told. What concerns a department's score is not the board's.
_RUNGS: Mapping[str, ActKind] = {
    "remind": "chased",
    "notify_head": "head_told",
    "escalate": "escalated",
    "call_upward": "escalated",
}


def changed(case: BoardCase, event: Event) -> BoardCase:
    """Take in what a fact says of the departments; most facts say nothing of them."""
    fact = event.data
    match fact:
        case WhistleBlownV1():
            return _blown(case, fact, event.occurred_at)
        case WhistleReportedInV1(late=True):
            return turned(case, (fact.whistle_id, fact.department), "late", fact.at)
        case WhistleReportedInV1() | WhistleCorrectedV1():
            return turned(case, (fact.whistle_id, fact.department), "reported", fact.at)
        case WhistleMissedV1() | WhistleStageMissedV1() | WhistleRefusedV1():
            return turned(case, (fact.whistle_id, fact.department), _TURNS[type(fact)])
        case WhistleDeadlineMovedV1():
            return moved(
                case,
                (fact.whistle_id, fact.department),
                fact.due_at,
                provisional=fact.provisional,
                miss_withdrawn=fact.miss_withdrawn,
            )
        case _:
            return _later(case, fact)


def _later(case: BoardCase, fact: Fact) -> BoardCase:
    match fact:
        case WhistleArrivedV1():
            return _arrived(case, fact)
        case WhistleStageMovedV1(stage="arrive", miss_withdrawn=True):
            return _not_absent(case, fact)
        case WhistleRuledV1():
            return _ruled(case, fact)
        case WhistleWithdrawnV1():
            gone = turned(case, (fact.whistle_id, fact.department), _TURNS[type(fact)])
            return _led(gone, fact.leads)
        case _:
            return case


def _arrived(case: BoardCase, fact: WhistleArrivedV1) -> BoardCase:
    """Turn the lamp of one who had reported in and was missed on the spot."""
    key = (fact.whistle_id, fact.department)
    slot = case.slots.get(key)
    if slot is None or slot.lamp != "missed":
        return case
    return turned(case, key, "late" if fact.late else "reported", fact.at)


def _not_absent(case: BoardCase, fact: WhistleStageMovedV1) -> BoardCase:
    """Turn the lamp back of one who was missed on the spot, or late there, and is not any more."""
    key = (fact.whistle_id, fact.department)
    slot = case.slots.get(key)
    if slot is None or slot.lamp not in ("missed", "late"):
        return case
    return turned(case, key, "reported", slot.came_at or fact.reported_in_at)


def _ruled(case: BoardCase, fact: WhistleRuledV1) -> BoardCase:
    """Await one again whose refusal was rejected; whoever takes the lead over shows it."""
    slot = case.slots.get((fact.whistle_id, fact.department))
    if fact.ruling == "reject" and slot is not None:
        return called(case, [replace(slot, lamp="waiting", due_at=fact.due_at)])
    return _led(case, fact.call) if fact.lead else case


def _blown(case: BoardCase, fact: WhistleBlownV1, at: datetime) -> BoardCase:
    """Await those who are called now; one who had been called may lead from now on."""
    return _led(called(case, _slots(fact.whistle_id, fact.departments, at)), fact.leads)


def _led(case: BoardCase, department: str | None) -> BoardCase:
    leading = [slot for slot in shown(case.slots.values()) if slot.department == department]
    return called(case, [replace(slot, lead=True) for slot in leading])


def _slots(whistle_id: UUID, named: Sequence[Called], at: datetime) -> Iterable[Slot]:
    lead_first = sorted(named, key=lambda one: not one.lead)
    for place, one in enumerate(lead_first):
        slot = Slot(whistle_id, one.department, one.lead, place, at, one.due_at)
        yield replace(slot, provisional=bool(one.provisional))


def told(act: Act, fact: Fact) -> Act | None:
    """Add what a whistle's fact tells; None: it is told by nobody."""
    match fact:
        case CaseEscalatedV1():
            return _rung(act, fact)
        case WhistleCalledUpwardV1(to_level=to_level):
            return replace(act, to_level=to_level)
    act = replace(act, departments=_named(fact))
    match fact:
        case WhistleReportedInV1(late=True):
            return replace(act, kind="reported_late")
        case WhistleRuledV1(ruling="reject"):
            return replace(act, kind="rejected")
        case WhistleRefusedV1(arbiter=hears) | WhistleUnruledV1(superior=hears) if hears:
            return replace(act, to_unit=hears.unit, to_role=hears.role)
    return act


def _named(fact: Fact) -> tuple[str, ...]:
    """Return the departments of whom a fact tells."""
    match fact:
        case WhistleBlownV1(departments=named, merged=merged):
            return (*(one.department for one in named), *merged)
        case CaseConsultedV1(departments=agreed):
            return agreed
        case _:
            department = getattr(fact, "department", None)
            return (department,) if department is not None else ()


def _rung(act: Act, rung: CaseEscalatedV1) -> Act | None:
    kind: ActKind | None = "nobody_there" if rung.nobody else _RUNGS.get(rung.do)
    if kind == "chased" and rung.stage == "arrive":
        kind = "not_there"
    if kind is None:
        return None
    level = None if rung.nobody else rung.to_level
    return replace(act, kind=kind, departments=(rung.department,), to_level=level)
