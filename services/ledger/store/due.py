"""Records that hold from a moment to come, until their readers have been told."""

from collections.abc import Sequence
from datetime import datetime

from services.chassis.postgres import Connection
from services.ledger.store.registry import ChangeSet, Entry

PUT = """
INSERT INTO change_due (tenant_id, valid_from, change_set_id, n, kind, record_id)
SELECT $1, $2, $3, n, kind, record_id
FROM unnest($4::text[], $5::text[]) WITH ORDINALITY AS given(kind, record_id, n)
"""


async def put(conn: Connection, one: ChangeSet, entries: Sequence[Entry]) -> None:
    """Keep for later that readers are to be told of a set's records."""
    columns = [entry.kind for entry in entries], [entry.record_id for entry in entries]
    await conn.execute(PUT, one.tenant_id, one.valid_from, one.change_set_id, *columns)


# From town to town by the index: a set of a hundred thousand records waits there as one step.
TENANTS = """
WITH RECURSIVE town AS (
    SELECT min(tenant_id) AS tenant_id FROM change_due
    UNION ALL
    SELECT (SELECT min(tenant_id) FROM change_due WHERE tenant_id > town.tenant_id)
    FROM town
    WHERE town.tenant_id IS NOT NULL
)
SELECT tenant_id
FROM town
WHERE tenant_id IS NOT NULL
LIMIT 100000
"""


async def tenants(conn: Connection) -> list[str]:
    """Return the towns in which something is to come."""
    return [row["tenant_id"] for row in await conn.fetch(TENANTS)]


NEXT = """
SELECT change_set_id, change_due.valid_from
FROM change_due
JOIN change_set USING (tenant_id, change_set_id)
WHERE tenant_id = $1 AND change_due.valid_from <= $2
ORDER BY change_due.valid_from, recorded_at
LIMIT 1
"""


async def next_set(conn: Connection, tenant_id: str, now: datetime) -> ChangeSet | None:
    """Return the set which fell due first; the caller holds the tenant's turn."""
    row = await conn.fetchrow(NEXT, tenant_id, now)
    return ChangeSet(tenant_id, row["change_set_id"], "", row["valid_from"]) if row else None


TAKE = """
WITH taken AS (
    DELETE FROM change_due
    WHERE tenant_id = $1 AND change_set_id = $2
    RETURNING kind, record_id, n
)
SELECT kind, record_id, body
FROM taken
CROSS JOIN LATERAL (
    SELECT change_set_id, body
    FROM registry_record AS record
    WHERE tenant_id = $1 AND record.kind = taken.kind AND record.record_id = taken.record_id
        AND valid_from <= $3
    ORDER BY valid_from DESC, version DESC
    LIMIT 1
) AS held
WHERE held.change_set_id = $2
ORDER BY n
"""


async def take(conn: Connection, one: ChangeSet, now: datetime) -> list[Entry]:
    """Return a due set's records, but for those in whose place another holds by now."""
    rows = await conn.fetch(TAKE, one.tenant_id, one.change_set_id, now)
    return [Entry(**row) for row in rows]
