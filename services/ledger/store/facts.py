"""The case ledger: every fact as it came; and the counts that are drawn from them."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from services.chassis.postgres import Connection


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One fact: where it lay, what its envelope says, and its body untouched."""

    tenant_id: str
    event_id: UUID
    topic: str
    partition: int
    record_offset: int
    at: datetime
    type: str
    subject: str
    seq: int
    occurred_at: str
    headers: dict[str, str]
    body: bytes | None


@dataclass(frozen=True, slots=True)
class CaseNow:
    """A case as the facts have left it. `missed` are the deadlines for which it is late."""

    tenant_id: str
    case_id: UUID
    number: str
    grid: str | None
    village: str | None
    fallback: str | None
    category: str
    case_class: str
    state: str
    owner_unit: str
    owner_role: str
    closed: bool
    late: bool
    missed: tuple[str, ...] = ()


APPEND = """
INSERT INTO case_ledger (
    tenant_id, event_id, topic, partition, record_offset, at, type, subject, seq, occurred_at,
    headers, body
)
SELECT tenant_id, event_id, topic, partition, record_offset, at, type, subject, seq, occurred_at,
    headers, body
FROM unnest(
    $1::text[], $2::uuid[], $3::text[], $4::integer[], $5::bigint[], $6::timestamptz[], $7::text[],
    $8::text[], $9::integer[], $10::text[], $11::jsonb[], $12::bytea[]
) AS given(
    tenant_id, event_id, topic, partition, record_offset, at, type, subject, seq, occurred_at,
    headers, body
)
"""

_COLUMNS = tuple(LedgerEntry.__dataclass_fields__)


async def append(conn: Connection, entries: Sequence[LedgerEntry]) -> None:
    """Append facts. One that is there already makes this fail: the inbox keeps repeats away."""
    columns = ([getattr(entry, name) for entry in entries] for name in _COLUMNS)
    await conn.execute(APPEND, *columns)


NOW = """
SELECT tenant_id, case_id, number, grid, village, fallback, category, class AS case_class, state,
    owner_unit, owner_role, closed, late, missed
FROM case_now
JOIN unnest($1::text[], $2::uuid[]) AS wanted(tenant_id, case_id) USING (tenant_id, case_id)
"""


async def now(
    conn: Connection, keys: Sequence[tuple[str, UUID]]
) -> dict[tuple[str, UUID], CaseNow]:
    """Read cases as the facts have left them so far."""
    rows = await conn.fetch(NOW, [tenant for tenant, _ in keys], [id_ for _, id_ in keys])
    return {
        (row["tenant_id"], row["case_id"]): CaseNow(**{**row, "missed": tuple(row["missed"])})
        for row in rows
    }


PUT_NOW = """
INSERT INTO case_now (
    tenant_id, case_id, number, grid, village, fallback, category, class, state, owner_unit,
    owner_role, closed, late, missed
)
SELECT tenant_id, case_id, number, grid, village, fallback, category, class, state, owner_unit,
    owner_role, closed, late, missed::jsonb
FROM unnest(
    $1::text[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
    $9::text[], $10::text[], $11::text[], $12::boolean[], $13::boolean[], $14::text[]
) AS given(
    tenant_id, case_id, number, grid, village, fallback, category, class, state, owner_unit,
    owner_role, closed, late, missed
)
ORDER BY tenant_id, case_id
ON CONFLICT (tenant_id, case_id) DO UPDATE
SET state = excluded.state, owner_unit = excluded.owner_unit, owner_role = excluded.owner_role,
    closed = excluded.closed, late = excluded.late, missed = excluded.missed
"""

_NOW_COLUMNS = tuple(name for name in CaseNow.__dataclass_fields__ if name != "missed")


async def put_now(conn: Connection, cases: Sequence[CaseNow]) -> None:
    """Write cases as the facts have left them."""
    columns = ([getattr(case, name) for case in cases] for name in _NOW_COLUMNS)
    await conn.execute(PUT_NOW, *columns, [json.dumps(case.missed) for case in cases])


COUNTS = """
SELECT owner_unit, state, class AS case_class, late, closed, coalesce(fallback, '') AS fallback,
    coalesce(grid, '') AS grid, count(*) AS cases
FROM case_now
WHERE tenant_id = $1
GROUP BY 1, 2, 3, 4, 5, 6, 7
ORDER BY 1, 2, 3, 4, 5, 6, 7
LIMIT 100000
"""


async def counts(conn: Connection, tenant_id: str) -> list[dict[str, Any]]:
    """Count a tenant's cases by every dimension at once."""
    return [dict(row) for row in await conn.fetch(COUNTS, tenant_id)]


OPEN_OF_UNITS = """
SELECT owner_unit, count(*) AS cases
FROM case_now
WHERE tenant_id = $1 AND NOT closed AND owner_unit = ANY($2::text[])
GROUP BY owner_unit
ORDER BY owner_unit
LIMIT 1000
"""


async def open_of_units(conn: Connection, tenant_id: str, units: Sequence[str]) -> dict[str, int]:
    """Count the open cases that each of these units owns; a unit without any is left out."""
    rows = await conn.fetch(OPEN_OF_UNITS, tenant_id, units)
    return {row["owner_unit"]: row["cases"] for row in rows}


FACTS = """
SELECT topic, type, seq, at, occurred_at, event_id
FROM case_ledger
WHERE tenant_id = $1 AND subject = $2
ORDER BY at, topic, seq
LIMIT $3
"""


async def facts(conn: Connection, tenant_id: str, subject: str, limit: int) -> list[dict[str, Any]]:
    """Read which facts of a subject the ledger holds, in the order in which they came."""
    return [dict(row) for row in await conn.fetch(FACTS, tenant_id, subject, limit)]


BEFORE = """
SELECT tenant_id, event_id, topic, partition, record_offset, at, type, subject, seq, occurred_at,
    headers, body
FROM case_ledger
WHERE tenant_id = $1 AND subject = $2 AND topic = $3 AND seq < $4 AND type = ANY($5::text[])
ORDER BY seq
LIMIT 100000
"""


async def before(conn: Connection, entry: LedgerEntry, types: Iterable[str]) -> list[LedgerEntry]:
    """Read what was told of a fact's subject before it, of these types, in order."""
    place = (entry.tenant_id, entry.subject, entry.topic, entry.seq)
    rows = await conn.fetch(BEFORE, *place, [*types])
    return [LedgerEntry(**row) for row in rows]
