"""What routing reads of its own copy of the registry."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
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


# One statement, so that all of it is of one version: between two, a whole set may take effect.
SNAPSHOT = """
SELECT registry_version.version, kind, record_id,
    CASE WHEN kind <> 'profile' THEN body END AS body
FROM registry_version
JOIN registry_copy USING (tenant_id)
WHERE tenant_id = $1 AND kind IN ('profile', 'unit', 'staff', 'clock')
ORDER BY kind, record_id
LIMIT 200000
"""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A tenant's copy at one version: records by kind and id; of profiles, their ids alone."""

    version: int
    records: Mapping[str, Mapping[str, Mapping[str, Any]]]


async def snapshot(conn: Connection, tenant_id: str) -> Snapshot:
    """Read all that a town is compiled from."""
    rows = await conn.fetch(SNAPSHOT, tenant_id)
    records: dict[str, dict[str, Mapping[str, Any]]] = defaultdict(dict)
    for row in rows:
        records[row["kind"]][row["record_id"]] = row["body"]
    return Snapshot(rows[0]["version"] if rows else 0, records)


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
