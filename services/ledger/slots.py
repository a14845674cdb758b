"""What whistles' facts make of departments' slots; their sheets are counted from these."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import get_args

import structlog

from contracts.events import Event, Fact, Unreadable, read_event
from contracts.facts import (
    WhistleArrivedV1,
    WhistleBlownV1,
    WhistleCorrectedV1,
    WhistleDeadlineMovedV1,
    WhistleMissedV1,
    WhistleMissWithdrawnV1,
    WhistleRefusedV1,
    WhistleReportedInV1,
    WhistleRuledV1,
    WhistleStageMissedV1,
    WhistleStageMovedV1,
    WhistleWithdrawnV1,
)
from services.chassis.postgres import Connection
from services.ledger.store import facts, slots
from services.ledger.store.facts import LedgerEntry
from services.ledger.store.slots import Outcome, SlotKey, SlotNow

log = structlog.get_logger()

OfSlot = (
    WhistleReportedInV1
    | WhistleArrivedV1
    | WhistleRefusedV1
    | WhistleRuledV1
    | WhistleMissedV1
    | WhistleStageMissedV1
    | WhistleCorrectedV1
    | WhistleDeadlineMovedV1
    | WhistleMissWithdrawnV1
    | WhistleStageMovedV1
    | WhistleWithdrawnV1
)
READ: Mapping[str, type[Fact]] = {one.TYPE: one for one in (WhistleBlownV1, *get_args(OfSlot))}
_TURNS: Mapping[type[Fact], Outcome] = {
    WhistleMissedV1: "missed",
    WhistleRefusedV1: "refused",
    WhistleWithdrawnV1: "withdrawn",
}


async def turn(conn: Connection, entries: Sequence[LedgerEntry]) -> None:
    """Take in what facts say of slots; what is unreadable, or about no slot, changes none."""
    told = [(entry, event) for entry in entries if (event := _read(entry)) is not None]
    keys = sorted({key for _, event in told if (key := _key(event)) is not None})
    there = await slots.now(conn, keys) if keys else {}
    changed: dict[SlotKey, SlotNow] = {}
    for entry, event in told:
        if isinstance(event.data, WhistleMissWithdrawnV1):
            before = await facts.before(conn, entry, READ)
            turned = _anew(there, event, [one for kept in before if (one := _read(kept))])
        else:
            turned = _turned(there, event)
        there |= turned
        changed |= turned
    if changed:
        await slots.put(conn, changed.values())


def _read(entry: LedgerEntry) -> Event | None:
    if entry.type not in READ:
        return None
    try:
        headers = {name: text.encode() for name, text in entry.headers.items()}
        return read_event(READ, headers, entry.body)
    except Unreadable as error:
        log.warning("fact_not_counted", event_id=str(entry.event_id), error=str(error))
        return None


def _key(event: Event) -> SlotKey | None:
    fact = event.data
    if isinstance(fact, OfSlot):
        return event.tenant_id, fact.whistle_id, fact.department
    return None


def _turned(there: Mapping[SlotKey, SlotNow], event: Event) -> dict[SlotKey, SlotNow]:
    """Return the slots that a fact changes."""
    if isinstance(event.data, WhistleBlownV1):
        return {slot.key: slot for slot in _called(event, event.data)}
    key = _key(event)
    if key is None or key not in there or not isinstance(event.data, OfSlot):
        return {}
    return {key: after(there[key], event.data, event.occurred_at)}


def _anew(
    there: Mapping[SlotKey, SlotNow], event: Event, before: Sequence[Event]
) -> dict[SlotKey, SlotNow]:
    """Return the slot of a withdrawn miss as all that was told before leaves it without that."""
    whose = _key(event)
    mine = [one for one in before if isinstance(one.data, WhistleBlownV1) or _key(one) == whose]
    withdrawn = {
        one.data.was_due_at
        for one in (*mine, event)
        if isinstance(one.data, WhistleMissWithdrawnV1)
    }
    anew: dict[SlotKey, SlotNow] = {}
    for one in mine:
        if not isinstance(one.data, WhistleMissedV1) or one.data.due_at not in withdrawn:
            anew |= _turned(anew, one)
    return {key: slot for key, slot in anew.items() if key == whose and key in there}


def _called(event: Event, blown: WhistleBlownV1) -> list[SlotNow]:
    return [
        SlotNow(
            tenant_id=event.tenant_id,
            whistle_id=blown.whistle_id,
            department=one.department,
            case_id=event.subject_id,
            called_at=event.occurred_at,
            counts_from=event.occurred_at,
            due_at=one.due_at,
        )
        for one in blown.departments
    ]


def after(slot: SlotNow, fact: OfSlot, at: datetime) -> SlotNow:  # noqa: PLR0911 - one line a fact
    """Return a slot as a fact of the time `at` leaves it.

    A miss stands until it is corrected, a newer calendar withdraws it, or the arbiter says that it
    was not this department's matter. Otherwise a refusal that is rejected gives it its time anew.
    """
    match fact:
        case WhistleReportedInV1() | WhistleCorrectedV1():
            return replace(slot, outcome=_came(slot, fact), reported_in_at=fact.at)
        case WhistleDeadlineMovedV1():
            return replace(slot, outcome=_moved(slot, fact), due_at=fact.due_at)
        case WhistleRuledV1(ruling="accept"):
            return replace(slot, outcome="refused")
        case WhistleRefusedV1() | WhistleRuledV1() | WhistleWithdrawnV1() if _missed(slot):
            return slot
        case WhistleRuledV1():
            return replace(slot, outcome=None, counts_from=at, due_at=fact.due_at)
        case WhistleMissedV1() | WhistleRefusedV1() | WhistleWithdrawnV1():
            return replace(slot, outcome=_TURNS[type(fact)])
        case _:
            return replace(slot, arrival_missed=_arrival_missed(slot, fact))


def _missed(slot: SlotNow) -> bool:
    return slot.outcome == "missed"


def _came(slot: SlotNow, fact: WhistleReportedInV1 | WhistleCorrectedV1) -> Outcome:
    if isinstance(fact, WhistleCorrectedV1):
        return "corrected"
    return "reported_late" if fact.late or _missed(slot) else "reported"


def _moved(slot: SlotNow, moved: WhistleDeadlineMovedV1) -> Outcome | None:
    if not moved.miss_withdrawn:
        return slot.outcome
    return "corrected" if slot.reported_in_at else None


def _arrival_missed(slot: SlotNow, fact: OfSlot) -> bool:
    match fact:
        case WhistleStageMissedV1():
            return True
        case WhistleStageMovedV1(stage="arrive", miss_withdrawn=True):
            return False
        case WhistleArrivedV1(late=late):
            return late
        case _:
            return slot.arrival_missed
