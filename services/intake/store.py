"""All SQL of intake: what the reporter may follow."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.chassis.postgres import Connection


@dataclass(frozen=True, slots=True)
class Tracked:
    """A case as its reporter may see it: no words, no contacts."""

    tenant_id: str
    case_id: UUID
    tracking_code: str
    number: str
    flow: str
    state: str
    owner_role: str
    owner_unit: str
    due_at: datetime | None
    received_at: datetime
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class TrackedStep:
    """One step that has been taken."""

    tenant_id: str
    case_id: UUID
    seq: int
    step: str
    role: str
    at: datetime


TRACKED = """
SELECT tenant_id, case_id, tracking_code, number, flow, state, owner_role, owner_unit, due_at,
    received_at, changed_at
FROM track
JOIN unnest($1::text[], $2::uuid[]) AS wanted(tenant_id, case_id) USING (tenant_id, case_id)
"""


async def tracked(
    conn: Connection, keys: Sequence[tuple[str, UUID]]
) -> dict[tuple[str, UUID], Tracked]:
    """Read what is followed already."""
    rows = await conn.fetch(TRACKED, [tenant for tenant, _ in keys], [id_ for _, id_ in keys])
    return {(row["tenant_id"], row["case_id"]): Tracked(**row) for row in rows}


PUT = """
INSERT INTO track (
    tenant_id, case_id, tracking_code, number, flow, state, owner_role, owner_unit, due_at,
    received_at, changed_at
)
SELECT tenant_id, case_id, tracking_code, number, flow, state, owner_role, owner_unit, due_at,
    received_at, changed_at
FROM unnest(
    $1::text[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
    $9::timestamptz[], $10::timestamptz[], $11::timestamptz[]
) AS given(
    tenant_id, case_id, tracking_code, number, flow, state, owner_role, owner_unit, due_at,
    received_at, changed_at
)
ORDER BY tenant_id, case_id
ON CONFLICT (tenant_id, case_id) DO UPDATE
SET state = excluded.state, owner_role = excluded.owner_role, owner_unit = excluded.owner_unit,
    due_at = excluded.due_at, changed_at = excluded.changed_at
"""

_COLUMNS = tuple(Tracked.__dataclass_fields__)


async def put(conn: Connection, cases: Sequence[Tracked]) -> None:
    """Write what is followed, as it stands now."""
    await conn.execute(PUT, *([getattr(case, name) for case in cases] for name in _COLUMNS))


PUT_STEPS = """
INSERT INTO track_step (tenant_id, case_id, seq, step, role, at)
SELECT tenant_id, case_id, seq, step, role, at
FROM unnest($1::text[], $2::uuid[], $3::integer[], $4::text[], $5::text[], $6::timestamptz[])
    AS given(tenant_id, case_id, seq, step, role, at)
ON CONFLICT DO NOTHING
"""

_STEP_COLUMNS = tuple(TrackedStep.__dataclass_fields__)


async def put_steps(conn: Connection, steps: Sequence[TrackedStep]) -> None:
    """Write the steps that were taken."""
    if steps:
        columns = ([getattr(step, name) for step in steps] for name in _STEP_COLUMNS)
        await conn.execute(PUT_STEPS, *columns)


BY_CODE = """
SELECT tenant_id, case_id, tracking_code, number, flow, state, owner_role, owner_unit, due_at,
    received_at, changed_at
FROM track
WHERE tracking_code = $1
"""


async def by_code(conn: Connection, tracking_code: str) -> Tracked | None:
    """Find a case by its tracking code."""
    row = await conn.fetchrow(BY_CODE, tracking_code)
    return Tracked(**row) if row else None


STEPS = """
SELECT tenant_id, case_id, seq, step, role, at
FROM track_step
WHERE tenant_id = $1 AND case_id = $2
ORDER BY seq
LIMIT 200
"""


async def steps(conn: Connection, case: Tracked) -> list[TrackedStep]:
    """Read the steps of a case, in order."""
    rows = await conn.fetch(STEPS, case.tenant_id, case.case_id)
    return [TrackedStep(**row) for row in rows]
