"""Entries of sensitive groups: what they say is sealed, and whose they are is a digest."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.chassis.postgres import Connection


@dataclass(frozen=True, slots=True)
class Kept:
    """One entry as it is kept."""

    place: str
    sealed: dict[str, Any]
    version: int
    recorded_by: str
    recorded_at: datetime
    ended_at: datetime | None


PUT = """
INSERT INTO sensitive_entry AS kept (tenant_id, place, person, sealed, version, recorded_by)
VALUES ($1, $2, $3, $4, 1, $5)
ON CONFLICT (tenant_id, place) DO UPDATE
SET sealed = excluded.sealed, version = kept.version + 1, recorded_by = excluded.recorded_by,
    recorded_at = excluded.recorded_at, ended_at = NULL
RETURNING version
"""


async def put(
    conn: Connection, tenant_id: str, place: str, person: str, sealed: dict[str, Any], by: str
) -> int:
    """Keep an entry in the place of what was there, and return its version."""
    version: int = await conn.fetchval(PUT, tenant_id, place, person, sealed, by)
    return version


OF_PERSON = """
SELECT place, sealed, version, recorded_by, recorded_at, ended_at
FROM sensitive_entry
WHERE tenant_id = $1 AND person = $2
ORDER BY recorded_at, place
LIMIT 1000
"""


async def of_person(conn: Connection, tenant_id: str, person: str) -> list[Kept]:
    """Return all entries of a person."""
    return [Kept(**row) for row in await conn.fetch(OF_PERSON, tenant_id, person)]


END = """
UPDATE sensitive_entry
SET ended_at = coalesce(ended_at, $3), version = version + (ended_at IS NULL)::integer
WHERE tenant_id = $1 AND place = $2
RETURNING version
"""


async def end(conn: Connection, tenant_id: str, place: str, at: datetime) -> int | None:
    """End an entry; again is the same. Return its version, None where there is none."""
    version: int | None = await conn.fetchval(END, tenant_id, place, at)
    return version


FORGET = "DELETE FROM sensitive_entry WHERE tenant_id = $1 AND person = $2"


async def forget(conn: Connection, tenant_id: str, person: str) -> None:
    """Keep nothing more of a person, and not that there was anything."""
    await conn.execute(FORGET, tenant_id, person)


GROUPS = """
SELECT kept.value ->> 'id' AS id, kept.value ->> 'zh' AS zh
FROM (
    SELECT body -> 'body' -> 'registry' -> 'sensitive_groups' AS listed
    FROM registry_record
    WHERE tenant_id = $1 AND kind = 'profile'
    ORDER BY (body ->> 'version')::integer DESC
    LIMIT 1
) AS newest
CROSS JOIN LATERAL jsonb_array_elements(
    CASE jsonb_typeof(listed) WHEN 'array' THEN listed ELSE '[]' END
) AS kept
LIMIT 1000
"""


async def groups(conn: Connection, tenant_id: str) -> dict[str, str]:
    """Return the sensitive groups of the newest profile, with what each is called."""
    return {row["id"]: row["zh"] for row in await conn.fetch(GROUPS, tenant_id)}
