"""What routing reads of its own copy of the registry."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from services.chassis.postgres import Connection, Pool

VERSIONS = """
SELECT tenant_id, version
FROM registry_version
WHERE tenant_id = ANY($1::text[])
"""


async def versions(conn: Connection, tenant_ids: Sequence[str]) -> dict[str, int]:
    """Return how many times each tenant's copy has changed; an unknown tenant is missing."""
    return {row["tenant_id"]: row["version"] for row in await conn.fetch(VERSIONS, tenant_ids)}


RECORDS = """
SELECT record_id, body
FROM registry_copy
WHERE tenant_id = $1 AND kind = $2
ORDER BY record_id
LIMIT 100000
"""


async def records(conn: Connection, tenant_id: str, kind: str) -> dict[str, Mapping[str, Any]]:
    """Return all of a tenant's records of one kind, by id."""
    return {row["record_id"]: row["body"] for row in await conn.fetch(RECORDS, tenant_id, kind)}


RECORD_IDS = """
SELECT record_id
FROM registry_copy
WHERE tenant_id = $1 AND kind = $2
LIMIT 100000
"""


async def record_ids(conn: Connection, tenant_id: str, kind: str) -> list[str]:
    """Return the ids of a tenant's records of one kind, without their bodies."""
    return [row["record_id"] for row in await conn.fetch(RECORD_IDS, tenant_id, kind)]


RECORD = """
SELECT body
FROM registry_copy
WHERE tenant_id = $1 AND kind = $2 AND record_id = $3
"""


async def record(
    conn: Connection, tenant_id: str, kind: str, record_id: str
) -> Mapping[str, Any] | None:
    """Return one record."""
    body: Mapping[str, Any] | None = await conn.fetchval(RECORD, tenant_id, kind, record_id)
    return body


ANY_TOWN = "SELECT EXISTS (SELECT FROM registry_copy WHERE kind = 'profile')"


async def any_town(conn: Connection | Pool) -> bool:
    """Tell whether at least one town has come."""
    found: bool = await conn.fetchval(ANY_TOWN)
    return found


HOUSEHOLD_GRIDS = """
SELECT tenant_id, record_id, body ->> 'grid' AS grid
FROM registry_copy
JOIN unnest($1::text[], $2::text[]) AS wanted(tenant_id, record_id) USING (tenant_id, record_id)
WHERE kind = 'household'
"""


async def household_grids(
    conn: Connection, households: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], str]:
    """Return where households belong; an unknown one is missing."""
    wanted = list(households)
    if not wanted:
        return {}
    rows = await conn.fetch(
        HOUSEHOLD_GRIDS, [tenant for tenant, _ in wanted], [h for _, h in wanted]
    )
    return {(row["tenant_id"], row["record_id"]): row["grid"] for row in rows}
