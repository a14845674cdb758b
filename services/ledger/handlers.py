"""Kafka in: every fact of every service is kept as it came, and counted."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from uuid import UUID

import structlog

from contracts.events import Fact, Unreadable, read_body, read_text
from contracts.facts import (
    CaseAssignedV1,
    CaseClosedV1,
    CaseDeadlineMissedV1,
    CaseDeadlineSetV1,
    CaseHandedOverV1,
    CaseOpenedV1,
    CaseReopenedV1,
    CaseStepTakenV1,
)
from services.chassis.batch import Heard
from services.chassis.inbox import Record
from services.chassis.postgres import Connection
from services.ledger import slots
from services.ledger.store import facts, wall
from services.ledger.store.facts import CaseNow, LedgerEntry

log = structlog.get_logger()

Key = tuple[str, UUID]  # tenant, case
COUNTED: Mapping[str, type[Fact]] = {
    "case.opened.v1": CaseOpenedV1,
    "case.assigned.v1": CaseAssignedV1,
    "case.handed_over.v1": CaseHandedOverV1,
    "case.step_taken.v1": CaseStepTakenV1,
    "case.deadline_set.v1": CaseDeadlineSetV1,
    "case.deadline_missed.v1": CaseDeadlineMissedV1,
    "case.closed.v1": CaseClosedV1,
    "case.reopened.v1": CaseReopenedV1,
}


def parse(record: Record) -> LedgerEntry:
    """Read the envelope alone: what a body says is nobody's reason to lose it."""
    text = read_text(record.headers)
    try:
        event_id, seq = UUID(text["ce_id"]), int(text.get("ce_sequence", "0"))
    except ValueError as error:
        raise Unreadable("ce_id or ce_sequence has the wrong form") from error
    return LedgerEntry(
        tenant_id=text["ce_tenant"],
        event_id=event_id,
        topic=record.topic,
        partition=record.partition,
        record_offset=record.offset,
        at=record.at,
        type=text["ce_type"],
        subject=text["ce_subject"],
        seq=seq,
        occurred_at=text["ce_time"],
        headers=text,
        body=record.value,
    )


async def on_facts(conn: Connection, heard: Sequence[Heard[LedgerEntry]]) -> None:
    by_tenant: dict[str, list[LedgerEntry]] = {}
    for one in heard:
        by_tenant.setdefault(one.message.tenant_id, []).append(one.message)
    for tenant_id, entries in sorted(by_tenant.items()):  # in one order: locks are taken in it
        await wall.turn_to(conn, tenant_id)
        await facts.append(conn, entries)
        await _count(conn, entries)
        await slots.turn(conn, entries)


async def _count(conn: Connection, entries: Sequence[LedgerEntry]) -> None:
    counted = [(key, entry) for entry in entries if (key := _case_of(entry)) is not None]
    if not counted:
        return
    now = await facts.now(conn, sorted({key for key, _ in counted}))
    for key, entry in counted:
        after = _after(key, now.get(key), entry)
        if after is not None:
            now[key] = after
    if now:
        await facts.put_now(conn, list(now.values()))


def _case_of(entry: LedgerEntry) -> Key | None:
    """Return the case that a fact is to be counted for: one about something else is only kept."""
    try:
        return (entry.tenant_id, UUID(entry.subject)) if entry.type in COUNTED else None
    except ValueError:
        return None


def _after(key: Key, case: CaseNow | None, entry: LedgerEntry) -> CaseNow | None:
    try:
        fact = read_body(COUNTED[entry.type], entry.body)
    except Unreadable as error:
        log.warning("fact_not_counted", event_id=str(entry.event_id), error=str(error))
        return case
    if isinstance(fact, CaseOpenedV1):
        return _opened(key, fact)
    return _changed(case, fact) if case is not None else None


def _opened(key: Key, opened: CaseOpenedV1) -> CaseNow:
    return CaseNow(
        tenant_id=key[0],
        case_id=key[1],
        number=opened.number,
        grid=opened.grid,
        village=opened.village,
        fallback=opened.fallback,
        category=opened.category,
        case_class=opened.case_class,
        state=opened.state,
        owner_unit=opened.owner.unit,
        owner_role=opened.owner.role,
        closed=False,
        late=False,
    )


def _changed(case: CaseNow, fact: Fact) -> CaseNow:  # noqa: PLR0911 - one line a fact
    match fact:
        case CaseStepTakenV1(to_state=state, owner=owner):
            return replace(case, state=state, owner_unit=owner.unit, owner_role=owner.role)
        case CaseAssignedV1(owner=owner) | CaseHandedOverV1(owner=owner):
            return replace(case, owner_unit=owner.unit, owner_role=owner.role)
        case CaseDeadlineMissedV1(deadline=deadline):
            missed = tuple(dict.fromkeys((*case.missed, deadline)))
            return replace(case, late=True, missed=missed)
        case CaseDeadlineSetV1(deadline=deadline, miss_withdrawn=True) if deadline in case.missed:
            missed = tuple(one for one in case.missed if one != deadline)
            return replace(case, late=bool(missed), missed=missed)
        case CaseClosedV1():
            return replace(case, closed=True)
        case CaseReopenedV1():
            return replace(case, closed=False)
        case _:
            return case
