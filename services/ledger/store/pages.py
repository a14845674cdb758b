"""What stands on the pages of a grid and of a household: records as they held, and cases."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from services.chassis.postgres import Connection
from services.ledger.store.elements import Key
from services.ledger.store.history import Held, When

KIN = """
WITH RECURSIVE above AS (
    SELECT held.*
    FROM (SELECT $2::text AS record_id) AS given
    CROSS JOIN LATERAL (
        SELECT record_id, place, body - 'polygon' AS body
        FROM registry_record AS record
        WHERE tenant_id = $1 AND kind = 'unit' AND record.record_id = given.record_id
            AND valid_from <= $3 AND recorded_at <= coalesce($4::timestamptz, 'infinity')
        ORDER BY valid_from DESC, version DESC
        LIMIT 1
    ) AS held
    UNION
    SELECT held.*
    FROM above
    CROSS JOIN LATERAL (
        SELECT record_id, place, body - 'polygon' AS body
        FROM registry_record AS record
        WHERE tenant_id = $1 AND kind = 'unit' AND record.record_id = above.place
            AND valid_from <= $3 AND recorded_at <= coalesce($4::timestamptz, 'infinity')
        ORDER BY valid_from DESC, version DESC
        LIMIT 1
    ) AS held
), below AS (
    SELECT * FROM above WHERE record_id = $2
    UNION
    SELECT held.*
    FROM below
    JOIN registry_record AS ever
        ON ever.tenant_id = $1 AND ever.kind = 'unit' AND ever.place = below.record_id
    CROSS JOIN LATERAL (
        SELECT record_id, place, body - 'polygon' AS body
        FROM registry_record AS record
        WHERE tenant_id = $1 AND kind = 'unit' AND record.record_id = ever.record_id
            AND valid_from <= $3 AND recorded_at <= coalesce($4::timestamptz, 'infinity')
        ORDER BY valid_from DESC, version DESC
        LIMIT 1
    ) AS held
    WHERE held.place = below.record_id
)
SELECT record_id, body
FROM (SELECT * FROM above UNION SELECT * FROM below) AS kin
WHERE body IS NOT NULL
ORDER BY record_id
LIMIT 1000
"""


async def kin(
    conn: Connection, tenant_id: str, unit_id: str, when: When
) -> dict[str, dict[str, Any]]:
    """Return a unit, those above it and those below it, by id."""
    rows = await conn.fetch(KIN, tenant_id, unit_id, when.as_of, when.known_on)
    return {row["record_id"]: row["body"] for row in rows}


STAFF_OF = """
SELECT record_id, version, body, change_set_id, valid_from, recorded_at
FROM (
    SELECT DISTINCT ON (record_id)
        record_id, version, body, change_set_id, valid_from, recorded_at
    FROM registry_record
    WHERE tenant_id = $1 AND kind = 'staff'
        AND valid_from <= $3 AND recorded_at <= coalesce($4::timestamptz, 'infinity')
    ORDER BY record_id, valid_from DESC, version DESC
) AS held
WHERE EXISTS (
    SELECT FROM jsonb_array_elements(body -> 'posts') AS post
    WHERE post.value ->> 'unit' = ANY($2::text[])
)
ORDER BY record_id
LIMIT 1000
"""


async def staff_of(
    conn: Connection, tenant_id: str, units: Sequence[str], when: When
) -> list[Held]:
    """Return who has a post at one of these units."""
    rows = await conn.fetch(STAFF_OF, tenant_id, units, when.as_of, when.known_on)
    return [Held(**row) for row in rows]


LINKS_TO = """
SELECT held.record_id, version, body, change_set_id, valid_from, recorded_at
FROM (
    SELECT DISTINCT record_id
    FROM registry_record
    WHERE tenant_id = $1 AND kind = 'link' AND link_to = ANY($2::text[])
) AS ever
CROSS JOIN LATERAL (
    SELECT record_id, version, body, link_to, change_set_id, valid_from, recorded_at
    FROM registry_record AS record
    WHERE tenant_id = $1 AND kind = 'link' AND record.record_id = ever.record_id
        AND valid_from <= $3 AND recorded_at <= coalesce($4::timestamptz, 'infinity')
    ORDER BY valid_from DESC, version DESC
    LIMIT 1
) AS held
WHERE held.link_to = ANY($2::text[])
ORDER BY held.record_id
LIMIT 5000
"""


async def links_to(conn: Connection, tenant_id: str, to: Sequence[str], when: When) -> list[Held]:
    """Return the links that lead to these records."""
    rows = await conn.fetch(LINKS_TO, tenant_id, to, when.as_of, when.known_on)
    return [Held(**row) for row in rows]


HELD_MANY = """
SELECT wanted.kind, held.*
FROM unnest($2::text[], $3::text[]) AS wanted(kind, record_id)
CROSS JOIN LATERAL (
    SELECT record_id, version, body, change_set_id, valid_from, recorded_at
    FROM registry_record AS record
    WHERE tenant_id = $1 AND record.kind = wanted.kind AND record.record_id = wanted.record_id
        AND valid_from <= $4 AND recorded_at <= coalesce($5::timestamptz, 'infinity')
    ORDER BY valid_from DESC, version DESC
    LIMIT 1
) AS held
WHERE body IS NOT NULL
LIMIT 5000
"""


async def held_many(
    conn: Connection, tenant_id: str, wanted: Sequence[Key], when: When
) -> dict[Key, Held]:
    """Return those of these records that are there."""
    columns = [kind for kind, _ in wanted], [record_id for _, record_id in wanted]
    rows = await conn.fetch(HELD_MANY, tenant_id, *columns, when.as_of, when.known_on)
    found = [dict(row) for row in rows]
    return {(row.pop("kind"), row["record_id"]): Held(**row) for row in found}


HEADS = """
SELECT record_id, kid, wrapped, name
FROM (
    SELECT DISTINCT ON (record_id) record_id, body #>> '{sealed,kid}' AS kid,
        body #>> '{sealed,key}' AS wrapped, body #>> '{sealed,fields,name}' AS name
    FROM registry_record
    WHERE tenant_id = $1 AND kind = 'person' AND record_id = ANY($2::text[])
        AND valid_from <= $3 AND recorded_at <= coalesce($4::timestamptz, 'infinity')
    ORDER BY record_id, valid_from DESC, version DESC
) AS held
WHERE name IS NOT NULL
LIMIT 5000
"""


async def heads(
    conn: Connection, tenant_id: str, persons: Sequence[str], when: When
) -> dict[str, dict[str, Any]]:
    """Return of each of these persons the sealed name alone: of five hundred nothing else."""
    rows = await conn.fetch(HEADS, tenant_id, persons, when.as_of, when.known_on)
    return {
        row["record_id"]: {
            "sealed": {"kid": row["kid"], "key": row["wrapped"], "fields": {"name": row["name"]}}
        }
        for row in rows
    }


HOMES = """
SELECT record_id, body
FROM (
    SELECT DISTINCT ON (record_id) record_id, place, body - 'sealed' AS body
    FROM registry_record
    WHERE tenant_id = $1 AND kind = 'household'
        AND valid_from <= $3 AND recorded_at <= coalesce($4::timestamptz, 'infinity')
        AND record_id = ANY(
            ARRAY(
                SELECT record_id
                FROM registry_record
                WHERE tenant_id = $1 AND kind = 'household' AND place = $2
            )
        )
    ORDER BY record_id, valid_from DESC, version DESC
) AS held
WHERE place = $2
ORDER BY record_id
LIMIT $5
"""


async def homes(
    conn: Connection, tenant_id: str, grid: str, when: When, limit: int
) -> dict[str, dict[str, Any]]:
    """Return the households of a grid by id, without what is sealed."""
    rows = await conn.fetch(HOMES, tenant_id, grid, when.as_of, when.known_on, limit)
    return {row["record_id"]: row["body"] for row in rows}


PROFILE_VERSION = """
SELECT max((body ->> 'version')::integer)
FROM registry_record
WHERE tenant_id = $1 AND kind = 'profile'
"""


async def profile_version(conn: Connection, tenant_id: str) -> int | None:
    """Return the number of the newest version of a town's profile."""
    version: int | None = await conn.fetchval(PROFILE_VERSION, tenant_id)
    return version


LIVE_IN = """
SELECT place AS household, count(*) AS persons
FROM (
    SELECT DISTINCT ON (record_id) place
    FROM registry_record
    WHERE tenant_id = $1 AND kind = 'person'
        AND valid_from <= $3 AND recorded_at <= coalesce($4::timestamptz, 'infinity')
        AND record_id = ANY(
            ARRAY(
                SELECT record_id
                FROM registry_record
                WHERE tenant_id = $1 AND kind = 'person' AND place = ANY(
                    ARRAY(
                        SELECT record_id
                        FROM registry_record
                        WHERE tenant_id = $1 AND kind = 'household' AND place = $2
                    )
                )
            )
        )
    ORDER BY record_id, valid_from DESC, version DESC
) AS held
WHERE place IS NOT NULL
GROUP BY place
LIMIT 10000
"""


async def live_in(conn: Connection, tenant_id: str, grid: str, when: When) -> dict[str, int]:
    """Count by household the persons who live, or once lived, in a household of a grid."""
    rows = await conn.fetch(LIVE_IN, tenant_id, grid, when.as_of, when.known_on)
    return {row["household"]: row["persons"] for row in rows}


CASES_OF = """
SELECT case_id, number, category, class AS case_class, state, owner_unit, owner_role, closed, late
FROM case_now
WHERE tenant_id = $1 AND grid = ANY($2::text[]) AND NOT closed
ORDER BY number DESC
LIMIT $3
"""


async def cases_of(
    conn: Connection, tenant_id: str, grids: Sequence[str], limit: int
) -> list[dict[str, Any]]:
    """Return the open cases of these grids by number, the newest first."""
    rows = await conn.fetch(CASES_OF, tenant_id, grids, limit)
    return [dict(row) for row in rows]


CASES_FOR = """
SELECT case_id, number, category, class AS case_class, state, owner_unit, owner_role, closed, late
FROM case_now
WHERE tenant_id = $1 AND grid = ANY($3::text[]) AND case_id = ANY(
    ARRAY(
        SELECT subject::uuid
        FROM case_ledger
        WHERE tenant_id = $1 AND household = $2 AND topic = $4
    )
)
ORDER BY closed, number DESC
LIMIT $5
"""


async def cases_for(
    conn: Connection, tenant_id: str, household: str, grids: Sequence[str], topic: str, limit: int
) -> list[dict[str, Any]]:
    """Return cases of these grids that were reported for a household: open ones, then newest."""
    rows = await conn.fetch(CASES_FOR, tenant_id, household, grids, topic, limit)
    return [dict(row) for row in rows]


REPORTED_FOR = """
SELECT subject, household
FROM case_ledger
WHERE tenant_id = $1 AND subject = ANY($2::text[]) AND topic = $3 AND household IS NOT NULL
ORDER BY subject, seq
LIMIT 5000
"""


async def reported_for(
    conn: Connection, tenant_id: str, cases: Sequence[UUID], topic: str
) -> dict[UUID, str]:
    """Return for which household each of these cases was reported; for none, it is left out."""
    subjects = [str(one) for one in cases]
    rows = await conn.fetch(REPORTED_FOR, tenant_id, subjects, topic)
    return {UUID(row["subject"]): row["household"] for row in rows}


EVER_ABOUT = """
SELECT kind, record_id
FROM registry_record
WHERE tenant_id = $1 AND kind = 'person'
    AND place = $2
UNION
SELECT kind, record_id
FROM registry_record
WHERE tenant_id = $1 AND kind = 'link' AND link_to = $2
LIMIT 1000
"""

# Before a version stood what held from its moment on, as known before it: the page may not reach
# that far back.
VERSIONS_OF = """
SELECT told.*, before.version IS NULL AS first, before.body AS before
FROM (
    SELECT kind, record_id, version, body, change_set_id, recorded_by, reason, record.valid_from,
        record.recorded_at
    FROM registry_record AS record
    JOIN change_set USING (tenant_id, change_set_id)
    JOIN unnest($2::text[], $3::text[]) AS wanted(kind, record_id) USING (kind, record_id)
    WHERE tenant_id = $1 AND record.recorded_at <= coalesce($4::timestamptz, 'infinity')
    ORDER BY record.recorded_at DESC, kind, record_id, version DESC
    LIMIT $5
) AS told
LEFT JOIN LATERAL (
    SELECT version, body
    FROM registry_record AS record
    WHERE tenant_id = $1 AND record.kind = told.kind AND record.record_id = told.record_id
        AND record.version < told.version AND record.valid_from <= told.valid_from
    ORDER BY record.valid_from DESC, record.version DESC
    LIMIT 1
) AS before ON TRUE
ORDER BY told.recorded_at DESC, told.kind, told.record_id, told.version DESC
LIMIT $5
"""


async def versions_about(
    conn: Connection, tenant_id: str, household: str, known_on: datetime | None, limit: int
) -> list[dict[str, Any]]:
    """Return the versions of a household, of who ever lived in it and of the links to it.

    Each has beside it what it took the place of; the `first` took that of none.
    """
    rows = await conn.fetch(EVER_ABOUT, tenant_id, household)
    keys = [("household", household), *((row["kind"], row["record_id"]) for row in rows)]
    columns = [kind for kind, _ in keys], [record_id for _, record_id in keys]
    return [
        dict(row) for row in await conn.fetch(VERSIONS_OF, tenant_id, *columns, known_on, limit)
    ]
