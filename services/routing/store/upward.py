"""Calls to the level above: which case is called for, who answers, and what became of it."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from uuid import UUID

from services.chassis.postgres import Connection
from services.routing.domain.values import Owner, UpwardCall
from services.routing.store.cases import Key

_CALLER = tuple(Owner.__dataclass_fields__)
CALLS = """
SELECT tenant_id, case_id, whistle_id, unit, called_at, due_at, outcome, answered_at,
    caller_unit, caller_role, caller_staff
FROM upward_call
JOIN unnest($1::text[], $2::uuid[]) AS wanted(tenant_id, case_id) USING (tenant_id, case_id)
ORDER BY tenant_id, case_id, called_at
"""


async def of_cases(conn: Connection, keys: Iterable[Key]) -> Mapping[Key, tuple[UpwardCall, ...]]:
    """Read the calls of cases, the oldest first; their writers hold the cases' locks."""
    wanted = list(set(keys))
    rows = await conn.fetch(CALLS, [tenant for tenant, _ in wanted], [id_ for _, id_ in wanted])
    found: dict[Key, list[UpwardCall]] = defaultdict(list)
    for row in rows:
        values = dict(row)
        key = (values.pop("tenant_id"), values.pop("case_id"))
        unit, role, staff = (values.pop(f"caller_{name}") for name in _CALLER)
        by = Owner(unit, role, staff) if unit is not None else None
        found[key].append(UpwardCall(**values, by=by))
    return {key: tuple(found[key]) for key in wanted}


CASE_OF_CALL = """
SELECT case_id
FROM upward_call
WHERE tenant_id = $1 AND whistle_id = $2
"""


async def case_of(conn: Connection, tenant_id: str, whistle_id: UUID) -> UUID | None:
    """Return the case for which the level above was called."""
    found: UUID | None = await conn.fetchval(CASE_OF_CALL, tenant_id, whistle_id)
    return found


PUT_CALLS = """
INSERT INTO upward_call (
    tenant_id, case_id, whistle_id, unit, called_at, due_at, outcome, answered_at,
    caller_unit, caller_role, caller_staff
)
SELECT *
FROM unnest(
    $1::text[], $2::uuid[], $3::uuid[], $4::text[], $5::timestamptz[], $6::timestamptz[],
    $7::text[], $8::timestamptz[], $9::text[], $10::text[], $11::text[]
)
ON CONFLICT (tenant_id, whistle_id) DO UPDATE
SET due_at = excluded.due_at, outcome = excluded.outcome, answered_at = excluded.answered_at
"""


async def put(conn: Connection, calls: Iterable[tuple[Key, UpwardCall]]) -> None:
    """Keep calls, new ones and changed ones; the caller holds the cases' locks."""
    given = list(calls)
    if not given:
        return
    names = ("whistle_id", "unit", "called_at", "due_at", "outcome", "answered_at")
    columns = ([getattr(call, name) for _, call in given] for name in names)
    tenants, ids = [key[0] for key, _ in given], [key[1] for key, _ in given]
    callers = ([getattr(call.by, name, None) for _, call in given] for name in _CALLER)
    await conn.execute(PUT_CALLS, tenants, ids, *columns, *callers)
