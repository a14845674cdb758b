"""Slots: which departments were called to a case, and what became of it."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from services.chassis.postgres import Connection
from services.routing.domain.slot import Slot
from services.routing.store.cases import Key

_COLUMNS = (
    "whistle_id",
    "department",
    "lead",
    "blown_at",
    "due_at",
    "outcome",
    "means",
    "reported_in_at",
    "arrived_at",
    "released_at",
    "arrive_due_at",
    "proposed",
    "ruling",
    "calendar_version",
    "provisional",
    "release_due_at",
    "ruling_due_at",
)
SLOTS = """
SELECT tenant_id, case_id, whistle_id, department, lead, blown_at, due_at, outcome, means,
    reported_in_at, arrived_at, released_at, arrive_due_at, proposed, ruling, calendar_version,
    provisional, release_due_at, ruling_due_at
FROM slot
JOIN unnest($1::text[], $2::uuid[]) AS wanted(tenant_id, case_id) USING (tenant_id, case_id)
ORDER BY tenant_id, case_id, blown_at, NOT lead, department
"""


async def of_cases(conn: Connection, keys: Iterable[Key]) -> Mapping[Key, tuple[Slot, ...]]:
    """Read the slots of cases, the lead first; their writers hold the cases' locks."""
    wanted = list(set(keys))
    rows = await conn.fetch(SLOTS, [tenant for tenant, _ in wanted], [id_ for _, id_ in wanted])
    found: dict[Key, list[Slot]] = defaultdict(list)
    for row in rows:
        slot = Slot(**{name: row[name] for name in _COLUMNS})
        found[row["tenant_id"], row["case_id"]].append(slot)
    return {key: tuple(found[key]) for key in wanted}


CALLED = """
SELECT DISTINCT department
FROM slot
WHERE tenant_id = $1 AND case_id = $2
"""


async def called(conn: Connection, tenant_id: str, case_id: UUID) -> set[str]:
    """Return every department that was ever called to a case."""
    return {row["department"] for row in await conn.fetch(CALLED, tenant_id, case_id)}


CASE_OF = """
SELECT case_id
FROM slot
WHERE tenant_id = $1 AND whistle_id = $2
LIMIT 1
"""


async def case_of(conn: Connection, tenant_id: str, whistle_id: UUID) -> UUID | None:
    """Return the case for which a whistle was blown."""
    found: UUID | None = await conn.fetchval(CASE_OF, tenant_id, whistle_id)
    return found


PUT = """
INSERT INTO slot (
    tenant_id, case_id, whistle_id, department, lead, blown_at, due_at, outcome, means,
    reported_in_at, arrived_at, released_at, arrive_due_at, proposed, ruling, calendar_version,
    provisional, release_due_at, ruling_due_at
)
SELECT *
FROM unnest(
    $1::text[], $2::uuid[], $3::uuid[], $4::text[], $5::boolean[], $6::timestamptz[],
    $7::timestamptz[], $8::text[], $9::text[], $10::timestamptz[], $11::timestamptz[],
    $12::timestamptz[], $13::timestamptz[], $14::text[], $15::text[], $16::integer[],
    $17::boolean[], $18::timestamptz[], $19::timestamptz[]
)
ON CONFLICT (tenant_id, whistle_id, department) DO UPDATE
SET lead = excluded.lead, blown_at = excluded.blown_at, due_at = excluded.due_at,
    outcome = excluded.outcome, means = excluded.means, reported_in_at = excluded.reported_in_at,
    arrived_at = excluded.arrived_at, released_at = excluded.released_at,
    arrive_due_at = excluded.arrive_due_at, proposed = excluded.proposed, ruling = excluded.ruling,
    calendar_version = excluded.calendar_version, provisional = excluded.provisional,
    release_due_at = excluded.release_due_at, ruling_due_at = excluded.ruling_due_at
"""


async def put(conn: Connection, slots: Iterable[tuple[Key, Slot]]) -> None:
    """Keep slots, new ones and changed ones; the caller holds the cases' locks."""
    given = list(slots)
    if not given:
        return
    columns: list[list[Any]] = [[getattr(slot, name) for _, slot in given] for name in _COLUMNS]
    tenants, ids = [key[0] for key, _ in given], [key[1] for key, _ in given]
    await conn.execute(PUT, tenants, ids, *columns)
