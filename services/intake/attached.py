"""What is attached to which case, and who may read it: kept from what routing announces."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any
from uuid import UUID

from contracts.events import Event, Fact
from contracts.facts import (
    CaseAcceptedV1,
    CaseAssignedV1,
    CaseCallAnsweredV1,
    CaseCalledV1,
    CaseClosedV1,
    CaseFollowUpKeptV1,
    CaseHandedOverV1,
    CaseOpenedV1,
    CaseStepTakenV1,
    CaseTransferEndedV1,
    CaseTransferOfferedV1,
    WhistleBlownV1,
    WhistleCalledUpwardV1,
)
from services.chassis.postgres import Connection
from services.intake import posted
from services.intake.domain.reach import Reach, Reader

FACTS: Mapping[str, type[Fact]] = {
    fact.TYPE: fact
    for fact in (
        CaseAcceptedV1,
        CaseAssignedV1,
        CaseCallAnsweredV1,
        CaseCalledV1,
        CaseClosedV1,
        CaseFollowUpKeptV1,
        CaseHandedOverV1,
        CaseOpenedV1,
        CaseStepTakenV1,
        CaseTransferEndedV1,
        CaseTransferOfferedV1,
        WhistleBlownV1,
        WhistleCalledUpwardV1,
    )
}
_NOBODY: frozenset[str] = frozenset()
Key = tuple[str, UUID]


async def keep(conn: Connection, events: Sequence[Event]) -> None:
    """Keep what these facts say of attachments and hands; others say nothing."""
    told = [event for event in events if event.data.TYPE in FACTS]
    reaches = await _reaches(conn, sorted({_key(event) for event in told}))
    for event in told:
        moved = _moved(reaches.get(_key(event)), event.data)
        if moved is not None:
            reaches[_key(event)] = moved
    await _put_reaches(conn, sorted(reaches.items()))
    await _put_attached(conn, {(*_key(event), id_) for event in told for id_ in _ids(event.data)})


def _key(event: Event) -> Key:
    return event.tenant_id, event.subject_id


def _ids(fact: Fact) -> tuple[str, ...]:
    match fact:
        case CaseOpenedV1(attachments=ids) | CaseFollowUpKeptV1(attachments=ids):
            return ids
        case CaseStepTakenV1(proof=ids):
            return ids
        case _:
            return ()


def _moved(reach: Reach | None, fact: Fact) -> Reach | None:
    """Return in whose hands the case is now; None: nobody knows its owner yet."""
    match fact:
        case CaseOpenedV1():
            return Reach(fact.owner.unit, fact.grid or fact.village)
        case CaseAssignedV1() | CaseStepTakenV1() | CaseHandedOverV1():
            return _owned(reach, fact)
        case _ if reach is None:
            return None
        case _:
            return _lent(reach, fact)


def _owned(reach: Reach | None, fact: CaseAssignedV1 | CaseStepTakenV1 | CaseHandedOverV1) -> Reach:
    """Take in who owns it now. With another owner an offer is void, and so is joint work."""
    before = reach or Reach(fact.owner.unit)  # opened before this was kept: its place is unknown
    after = replace(before, owner=fact.owner.unit)
    if after.owner != before.owner:
        after = replace(after, offered=_NOBODY, joint=_NOBODY)
    if isinstance(fact, CaseAssignedV1):
        after = replace(after, joint=frozenset(one.unit for one in fact.joint))
    if isinstance(fact, CaseHandedOverV1):
        after = replace(after, offered=_NOBODY, called=_NOBODY)
    return after


def _lent(reach: Reach, fact: Fact) -> Reach:
    """Take in who else is asked to do something about it."""
    changed: dict[str, Any] = {}
    match fact:
        case CaseCalledV1():
            changed["called"] = frozenset(one.unit for one in fact.called)
        case CaseCallAnsweredV1() | CaseAcceptedV1():
            changed["called"] = _NOBODY
        case CaseTransferOfferedV1():
            changed["offered"] = frozenset((fact.to.unit,))
        case CaseTransferEndedV1():
            changed["offered"] = _NOBODY
        case CaseClosedV1():
            changed = dict.fromkeys(("offered", "called", "joint"), _NOBODY)
        case WhistleBlownV1():
            named = {one.department for one in fact.departments}
            changed["departments"] = reach.departments | named
        case WhistleCalledUpwardV1(unit=str(unit)):
            changed["upward"] = reach.upward | {unit}
    return replace(reach, **changed)


REACHES = """
SELECT tenant_id, case_id, reach
FROM case_reach
JOIN unnest($1::text[], $2::uuid[]) AS wanted(tenant_id, case_id) USING (tenant_id, case_id)
"""


async def _reaches(conn: Connection, keys: Sequence[Key]) -> dict[Key, Reach]:
    rows = await conn.fetch(REACHES, [tenant for tenant, _ in keys], [id_ for _, id_ in keys])
    return {(row["tenant_id"], row["case_id"]): _read(row["reach"]) for row in rows}


PUT_REACHES = """
INSERT INTO case_reach (tenant_id, case_id, reach)
SELECT tenant_id, case_id, reach::jsonb
FROM unnest($1::text[], $2::uuid[], $3::text[]) AS given(tenant_id, case_id, reach)
ON CONFLICT (tenant_id, case_id) DO UPDATE
SET reach = excluded.reach
"""


async def _put_reaches(conn: Connection, reaches: Iterable[tuple[Key, Reach]]) -> None:
    rows = [(*key, _written(reach)) for key, reach in reaches]
    if rows:
        await conn.execute(PUT_REACHES, *zip(*rows, strict=True))


PUT_ATTACHED = """
INSERT INTO case_attachment (tenant_id, case_id, attachment_id)
SELECT tenant_id, case_id, attachment_id
FROM unnest($1::text[], $2::uuid[], $3::text[]) AS given(tenant_id, case_id, attachment_id)
ON CONFLICT DO NOTHING
"""


async def _put_attached(conn: Connection, rows: Iterable[tuple[str, UUID, str]]) -> None:
    if rows := sorted(rows):
        await conn.execute(PUT_ATTACHED, *zip(*rows, strict=True))
        await posted.note_named(conn, {(tenant_id, id_) for tenant_id, _, id_ in rows})


IS_READ_BY = """
SELECT EXISTS (
    SELECT
    FROM case_attachment
    JOIN case_reach USING (tenant_id, case_id)
    WHERE tenant_id = $1 AND attachment_id = $2
        AND (
            reach ->> 'owner' = ANY($3::text[])
            OR reach -> 'joint' ?| $3::text[]
            OR reach -> 'called' ?| $3::text[]
            OR reach -> 'offered' ?| $3::text[]
            OR reach -> 'upward' ?| $3::text[]
            OR reach -> 'departments' ? $4::text
            OR reach ->> 'place' = ANY($5::text[])
            OR ($6::boolean AND NOT reach ? 'place')
        )
)
"""


async def is_read_by(conn: Connection, tenant_id: str, attachment_id: str, who: Reader) -> bool:
    """Tell whether any case that has an attachment is one that somebody may read."""
    given = (sorted(who.units), who.department, sorted(who.places), who.whole_town)
    return bool(await conn.fetchval(IS_READ_BY, tenant_id, attachment_id, *given))


def _written(reach: Reach) -> str:
    told = asdict(reach)
    kept = {n: sorted(v) if isinstance(v, frozenset) else v for n, v in told.items() if v}
    return json.dumps(kept, ensure_ascii=False)


def _read(kept: Mapping[str, Any]) -> Reach:
    given: dict[str, Any] = {n: frozenset(v) if type(v) is list else v for n, v in kept.items()}
    return Reach(**given)
