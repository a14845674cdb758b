"""The blind index: which records may hold a text. Who looks compares what it finds."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from asyncpg import Record

from services.chassis.postgres import Connection
from services.ledger.store.history import Held, When
from services.ledger.store.registry import Entry

PUT = """
INSERT INTO registry_index (tenant_id, token, kind, record_id)
SELECT $1, token, kind, record_id
FROM unnest($2::bytea[], $3::text[], $4::text[]) AS given(token, kind, record_id)
ON CONFLICT DO NOTHING
"""


async def put(conn: Connection, tenant_id: str, entries: Sequence[Entry]) -> None:
    """Let records be found by the texts of these versions, in the transaction that appends them."""
    rows = [(token, one.kind, one.record_id) for one in entries for token in one.tokens]
    if rows:
        rows.sort()
        await conn.execute(PUT, tenant_id, *([row[n] for row in rows] for n in range(3)))


FORGET = "DELETE FROM registry_index WHERE tenant_id = $1 AND kind = $2 AND record_id = $3"


async def forget(conn: Connection, tenant_id: str, kind: str, record_id: str) -> None:
    """Let a record be found no more: its texts are gone."""
    await conn.execute(FORGET, tenant_id, kind, record_id)


FOUND = """
SELECT record_id
FROM registry_index
WHERE tenant_id = $1 AND token = $2 AND kind = $3 AND record_id > $4
ORDER BY record_id
LIMIT $5
"""
Wanted = tuple[str, bytes]  # a kind, and a digest


async def found(
    conn: Connection, tenant_id: str, wanted: Wanted, after: str, limit: int
) -> list[str]:
    """Return the ids of records of a kind that hold a digest, or did once, in their order."""
    kind, token = wanted
    return _ids(await conn.fetch(FOUND, tenant_id, token, kind, after, limit))


# Who ever lived in these grids is told first, by arrays of ids in one walk of each index: a digest
# may be half the town's, and a plan that is kept for all digests would begin with it.
LODGERS = """
SELECT record_id
FROM registry_index
WHERE tenant_id = $1 AND token = $2 AND kind = $3 AND record_id > $4
    AND record_id = ANY(
        ARRAY(
            SELECT record_id
            FROM registry_record
            WHERE tenant_id = $1 AND kind = $3 AND place = ANY(
                ARRAY(
                    SELECT record_id
                    FROM registry_record
                    WHERE tenant_id = $1 AND kind = 'household' AND place = ANY($6::text[])
                )
            )
        )
    )
ORDER BY record_id
LIMIT $5
"""
HOUSES = """
SELECT record_id
FROM registry_index
WHERE tenant_id = $1 AND token = $2 AND kind = $3 AND record_id > $4
    AND record_id = ANY(
        ARRAY(
            SELECT record_id
            FROM registry_record
            WHERE tenant_id = $1 AND kind = $3 AND place = ANY($6::text[])
        )
    )
ORDER BY record_id
LIMIT $5
"""


async def found_in(
    conn: Connection, tenant_id: str, wanted: Wanted, places: Sequence[str], after: str, limit: int
) -> list[str]:
    """Return the ids of such records that belong, or once belonged, to one of these units."""
    kind, token = wanted
    statement = LODGERS if kind == "person" else HOUSES
    return _ids(await conn.fetch(statement, tenant_id, token, kind, after, limit, places))


LINKED = """
SELECT DISTINCT latest.body ->> 'to' AS record_id
FROM (
    SELECT DISTINCT record_id
    FROM registry_record
    WHERE tenant_id = $1 AND kind = 'link' AND link_staff = $2
) AS ever
CROSS JOIN LATERAL (
    SELECT link.body
    FROM registry_record AS link
    WHERE tenant_id = $1 AND kind = 'link' AND link.record_id = ever.record_id
        AND valid_from <= $6 AND recorded_at <= coalesce($7::timestamptz, 'infinity')
    ORDER BY valid_from DESC, version DESC
    LIMIT 1
) AS latest
WHERE latest.body ->> 'staff' = $2 AND latest.body ->> 'to_kind' = $3
    AND latest.body ->> 'to' > $4
ORDER BY 1
LIMIT $5
"""


async def linked(
    conn: Connection, tenant_id: str, wanted: tuple[str, str], when: When, after: str, limit: int
) -> list[str]:
    """Return the ids of records of a kind that a member of staff looks after by a link."""
    kind, staff = wanted
    given = (tenant_id, staff, kind, after, limit, when.as_of, when.known_on)
    return _ids(await conn.fetch(LINKED, *given))


# The limit within holds the plan to one look at the index for each digest, however many there are.
SHARING = """
SELECT given.record_id, other.record_id AS other
FROM unnest($3::bytea[], $4::text[]) AS given(token, record_id)
CROSS JOIN LATERAL (
    SELECT record_id
    FROM registry_index
    WHERE tenant_id = $1 AND token = given.token AND kind = $2 AND record_id <> given.record_id
    LIMIT 1000
) AS other
LIMIT 1000000
"""


async def sharing(
    conn: Connection, tenant_id: str, kind: str, given: Sequence[tuple[bytes, str]]
) -> list[tuple[str, str]]:
    """Return of these digests' records those that share one with another, and each such other."""
    columns = ([row[n] for row in given] for n in range(2))
    rows = await conn.fetch(SHARING, tenant_id, kind, *columns)
    return [(row["record_id"], row["other"]) for row in rows]


SPELLS = """
SELECT record_id, version, change_set_id, valid_from, body IS NOT NULL AS there,
    body -> 'sealed' AS sealed
FROM registry_record
WHERE tenant_id = $1 AND kind = $2 AND record_id = ANY($3::text[])
LIMIT 1000000
"""


async def spells(
    conn: Connection, tenant_id: str, kind: str, records: Sequence[str]
) -> list[dict[str, Any]]:
    """Return every version of these records, with what each holds sealed."""
    return [dict(row) for row in await conn.fetch(SPELLS, tenant_id, kind, records)]


def _ids(rows: Iterable[Record]) -> list[str]:
    return [row["record_id"] for row in rows]


HELD = """
SELECT held.record_id, version, body, change_set_id, valid_from, recorded_at
FROM unnest($3::text[]) AS found(record_id)
CROSS JOIN LATERAL (
    SELECT record_id, version, body, change_set_id, valid_from, recorded_at
    FROM registry_record AS record
    WHERE tenant_id = $1 AND kind = $2 AND record.record_id = found.record_id
        AND valid_from <= $4 AND recorded_at <= coalesce($5::timestamptz, 'infinity')
    ORDER BY valid_from DESC, version DESC
    LIMIT 1
) AS held
WHERE body IS NOT NULL
ORDER BY held.record_id
LIMIT 1000
"""

# Where a record belongs is told as at every door: by what it says now, or said last (BELONGING).
HELD_IN = """
SELECT held.record_id, held.version, held.body, held.change_set_id, held.valid_from,
    held.recorded_at
FROM unnest($3::text[]) AS found(record_id)
CROSS JOIN LATERAL (
    SELECT place,
        CASE WHEN $2 <> 'person' THEN body ->> 'group' END AS part,
        CASE WHEN $2 = 'staff' THEN jsonb_path_query_array(body, '$.posts[*].unit') END AS posts
    FROM registry_record AS record
    WHERE tenant_id = $1 AND kind = $2 AND record.record_id = found.record_id
        AND record.body IS NOT NULL
    ORDER BY valid_from <= $6 DESC, valid_from DESC, version DESC
    LIMIT 1
) AS last
LEFT JOIN LATERAL (
    SELECT place, body ->> 'group' AS part
    FROM registry_record AS record
    WHERE $2 = 'person' AND tenant_id = $1 AND kind = 'household'
        AND record.record_id = last.place AND record.body IS NOT NULL
    ORDER BY valid_from <= $6 DESC, valid_from DESC, version DESC
    LIMIT 1
) AS house ON TRUE
CROSS JOIN LATERAL (
    SELECT record_id, version, body, change_set_id, valid_from, recorded_at
    FROM registry_record AS record
    WHERE tenant_id = $1 AND kind = $2 AND record.record_id = found.record_id
        AND valid_from <= $4 AND recorded_at <= coalesce($5::timestamptz, 'infinity')
    ORDER BY valid_from DESC, version DESC
    LIMIT 1
) AS held
WHERE held.body IS NOT NULL
    AND (
        CASE WHEN $2 = 'person' THEN house.place ELSE last.place END = ANY($7::text[])
        OR CASE WHEN $2 = 'person' THEN house.part ELSE last.part END = ANY($7)
        OR last.posts ?| $7
    )
ORDER BY held.record_id
LIMIT 1000
"""


async def held(
    conn: Connection,
    tenant_id: str,
    kind: str,
    ids: Sequence[str],
    when: When,
    now: datetime,
    units: Sequence[str] | None = None,
) -> list[Held]:
    """Return what holds of these records; with `units`, of those that belong to one of them."""
    given = (tenant_id, kind, ids, when.as_of, when.known_on)
    if units is None:
        rows = await conn.fetch(HELD, *given)
    else:
        rows = await conn.fetch(HELD_IN, *given, now, units)
    return [Held(**row) for row in rows]


VERSIONS = """
SELECT kind, record_id, version, body -> 'sealed' AS sealed
FROM registry_record
WHERE tenant_id = $1 AND kind = ANY($2::text[]) AND body ? 'sealed'
    AND (kind, record_id, version) > ($3, $4, $5)
ORDER BY kind, record_id, version
LIMIT $6
"""
Version = tuple[str, str, int]


async def versions(
    conn: Connection, tenant_id: str, kinds: Sequence[str], after: Version, limit: int
) -> list[tuple[Version, dict[str, object]]]:
    """Return versions that hold sealed texts, in their order."""
    rows = await conn.fetch(VERSIONS, tenant_id, kinds, *after, limit)
    return [((row["kind"], row["record_id"], row["version"]), row["sealed"]) for row in rows]


COUNT = """
SELECT count(*)
FROM registry_record
WHERE tenant_id = $1 AND kind = ANY($2::text[]) AND body ? 'sealed'
"""


async def count(conn: Connection, tenant_id: str, kinds: Sequence[str]) -> int:
    """Count the versions that hold sealed texts."""
    counted: int = await conn.fetchval(COUNT, tenant_id, kinds)
    return counted
