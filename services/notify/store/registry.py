"""What notify reads of its own copy of the registry."""

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


UNITS = """
SELECT record_id, body - 'polygon' AS body
FROM registry_copy
WHERE tenant_id = $1 AND kind = 'unit'
ORDER BY record_id
LIMIT 100000
"""


async def units(conn: Connection, tenant_id: str) -> dict[str, Mapping[str, Any]]:
    """Return a tenant's units by id, without their outlines."""
    return {row["record_id"]: row["body"] for row in await conn.fetch(UNITS, tenant_id)}


@dataclass(frozen=True, slots=True)
class Serving:
    """What a member of staff holds, and the department served."""

    posts: Sequence[Mapping[str, Any]]
    department: str | None


SERVING = """
SELECT record_id, body -> 'posts' AS posts, body ->> 'department' AS department
FROM registry_copy
WHERE tenant_id = $1 AND kind = 'staff'
ORDER BY record_id
LIMIT 100000
"""


async def serving(conn: Connection, tenant_id: str) -> dict[str, Serving]:
    """Return what a tenant's staff hold, by id, without their contacts."""
    rows = await conn.fetch(SERVING, tenant_id)
    return {row["record_id"]: Serving(row["posts"], row["department"]) for row in rows}


PROFILE_VERSIONS = """
SELECT record_id
FROM registry_copy
WHERE tenant_id = $1 AND kind = 'profile'
LIMIT 100000
"""


async def profile_versions(conn: Connection, tenant_id: str) -> list[int]:
    """Return which versions of a tenant's profile are there."""
    return [int(row["record_id"]) for row in await conn.fetch(PROFILE_VERSIONS, tenant_id)]


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


CONTACTS = """
SELECT tenant_id, record_id, body -> 'sealed' AS sealed
FROM registry_copy
JOIN unnest($1::text[], $2::text[]) AS wanted(tenant_id, record_id) USING (tenant_id, record_id)
WHERE kind = 'staff'
"""


async def staff_contacts(
    conn: Connection, staff: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], Mapping[str, Any]]:
    """Return the sealed contacts of staff as they are now; whoever has left is missing."""
    wanted = list(set(staff))
    rows = await conn.fetch(CONTACTS, [tenant for tenant, _ in wanted], [s for _, s in wanted])
    return {(row["tenant_id"], row["record_id"]): row["sealed"] for row in rows if row["sealed"]}
