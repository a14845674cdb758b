"""The registry in time: which version of a record holds, what it was before, what belongs where."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.chassis.postgres import Connection
from services.ledger.store.registry import ChangeSet, Entry


@dataclass(frozen=True, slots=True)
class Held:
    """One version of a record; without a body it is removed."""

    record_id: str
    version: int
    body: dict[str, Any] | None
    change_set_id: str
    valid_from: datetime
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class When:
    """As of a moment of the town's, as far as was known on one of the database's; None: all."""

    as_of: datetime
    known_on: datetime | None = None


HOLDS = """
SELECT record_id, version, body, change_set_id, valid_from, recorded_at
FROM registry_record
WHERE tenant_id = $1 AND kind = $2 AND record_id = $3
    AND valid_from <= $4 AND recorded_at <= coalesce($5::timestamptz, 'infinity')
ORDER BY valid_from DESC, version DESC
LIMIT 1
"""


async def holds(
    conn: Connection, tenant_id: str, kind: str, record_id: str, when: When
) -> Held | None:
    """Return the version of a record that holds; None if it was not there yet."""
    record = (tenant_id, kind, record_id)
    row = await conn.fetchrow(HOLDS, *record, when.as_of, when.known_on)
    return Held(**row) if row else None


HISTORY = """
SELECT version, change_set_id, recorded_by, reason, record.valid_from, record.recorded_at,
    body IS NULL AS removed
FROM registry_record AS record
JOIN change_set USING (tenant_id, change_set_id)
WHERE tenant_id = $1 AND kind = $2 AND record_id = $3
    AND version < coalesce($4::integer, 2147483647)
ORDER BY version DESC
LIMIT $5
"""


async def history(
    conn: Connection, tenant_id: str, kind: str, record_id: str, before: int | None, limit: int
) -> list[dict[str, Any]]:
    """Return a record's versions, the newest first, with who recorded each and why."""
    rows = await conn.fetch(HISTORY, tenant_id, kind, record_id, before, limit)
    return [dict(row) for row in rows]


# From record to record by the index, until so many are there: a plan for all of them at once would
# rather sort a million.
PAGE = """
WITH RECURSIVE page AS (
    SELECT $3::text AS record_id, NULL::integer AS version, NULL::jsonb AS body,
        NULL::text AS change_set_id, NULL::timestamptz AS valid_from,
        NULL::timestamptz AS recorded_at, 0 AS there
    UNION ALL
    SELECT next.record_id, held.version, held.body, held.change_set_id, held.valid_from,
        held.recorded_at, there + (held.body IS NOT NULL)::integer
    FROM page
    CROSS JOIN LATERAL (
        SELECT record_id
        FROM registry_record
        WHERE tenant_id = $1 AND kind = $2 AND record_id > page.record_id
        ORDER BY record_id
        LIMIT 1
    ) AS next
    LEFT JOIN LATERAL (
        SELECT version, body, change_set_id, valid_from, recorded_at
        FROM registry_record AS record
        WHERE tenant_id = $1 AND kind = $2 AND record.record_id = next.record_id
            AND valid_from <= $4 AND recorded_at <= coalesce($5::timestamptz, 'infinity')
        ORDER BY valid_from DESC, version DESC
        LIMIT 1
    ) AS held ON TRUE
    WHERE there < $6
)
SELECT record_id, version, body, change_set_id, valid_from, recorded_at
FROM page
WHERE body IS NOT NULL
ORDER BY record_id
LIMIT $6
"""


async def page(
    conn: Connection, tenant_id: str, kind: str, when: When, after: str, limit: int
) -> list[Held]:
    """Return a page of the records of a kind, by their ids."""
    rows = await conn.fetch(PAGE, tenant_id, kind, after, when.as_of, when.known_on, limit)
    return [Held(**row) for row in rows]


PAGE_OF_PLACE = """
SELECT held.record_id, version, body, change_set_id, valid_from, recorded_at
FROM (
    SELECT DISTINCT record_id
    FROM registry_record
    WHERE tenant_id = $1 AND kind = $2 AND record_id > $3 AND place = $7
    ORDER BY record_id
) AS ever
CROSS JOIN LATERAL (
    SELECT record_id, version, body, place, change_set_id, valid_from, recorded_at
    FROM registry_record AS record
    WHERE tenant_id = $1 AND kind = $2 AND record.record_id = ever.record_id
        AND valid_from <= $4 AND recorded_at <= coalesce($5::timestamptz, 'infinity')
    ORDER BY valid_from DESC, version DESC
    LIMIT 1
) AS held
WHERE held.place = $7
ORDER BY ever.record_id
LIMIT $6
"""


async def page_of_place(
    conn: Connection, tenant_id: str, kind: str, place: str, when: When, after: str, limit: int
) -> list[Held]:
    """Return a page of the records of a kind that belong to a grid, a household or a unit."""
    given = (tenant_id, kind, after, when.as_of, when.known_on, limit, place)
    return [Held(**row) for row in await conn.fetch(PAGE_OF_PLACE, *given)]


# A person belongs to a unit through the household that he lives in. Who ever did is found by the
# indexes alone; what holds is read in the order of the page, and no further.
PAGE_OF_HOMES = """
SELECT person.record_id, person.version, person.body, person.change_set_id, person.valid_from,
    person.recorded_at
FROM (
    SELECT DISTINCT record_id
    FROM registry_record
    WHERE tenant_id = $1 AND kind = 'person' AND record_id > $2 AND place = ANY(
        ARRAY(
            SELECT record_id
            FROM registry_record
            WHERE tenant_id = $1 AND kind = 'household' AND place = $6
        )
    )
    ORDER BY record_id
) AS ever
CROSS JOIN LATERAL (
    SELECT record_id, version, body, place, change_set_id, valid_from, recorded_at
    FROM registry_record AS record
    WHERE tenant_id = $1 AND kind = 'person' AND record.record_id = ever.record_id
        AND valid_from <= $3 AND recorded_at <= coalesce($4::timestamptz, 'infinity')
    ORDER BY valid_from DESC, version DESC
    LIMIT 1
) AS person
CROSS JOIN LATERAL (
    SELECT place
    FROM registry_record AS record
    WHERE tenant_id = $1 AND kind = 'household' AND record.record_id = person.place
        AND valid_from <= $3 AND recorded_at <= coalesce($4::timestamptz, 'infinity')
    ORDER BY valid_from DESC, version DESC
    LIMIT 1
) AS home
WHERE home.place = $6
ORDER BY ever.record_id
LIMIT $5
"""


async def page_of_homes(
    conn: Connection, tenant_id: str, grid: str, when: When, after: str, limit: int
) -> list[Held]:
    """Return a page of the persons who live in the households of a grid."""
    given = (tenant_id, after, when.as_of, when.known_on, limit, grid)
    return [Held(**row) for row in await conn.fetch(PAGE_OF_HOMES, *given)]


VERSIONS = """
SELECT wanted.kind, wanted.record_id, latest.version
FROM unnest($2::text[], $3::text[]) AS wanted(kind, record_id)
CROSS JOIN LATERAL (
    SELECT version
    FROM registry_record AS kept
    WHERE kept.tenant_id = $1
        AND kept.kind = wanted.kind
        AND kept.record_id = wanted.record_id
    ORDER BY kept.version DESC
    LIMIT 1
) AS latest
"""


async def versions(
    conn: Connection, tenant_id: str, records: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], int]:
    """Return the newest version of each of these records; those without any are left out."""
    columns = ([kind for kind, _ in records], [record_id for _, record_id in records])
    rows = await conn.fetch(VERSIONS, tenant_id, *columns)
    return {(row["kind"], row["record_id"]): row["version"] for row in rows}


LATER = """
SELECT DISTINCT valid_from
FROM change_set
WHERE tenant_id = $1 AND valid_from > $2
ORDER BY valid_from
LIMIT 10000
"""


async def later(conn: Connection, tenant_id: str, moment: datetime) -> list[datetime]:
    """Return the later moments from which sets of a town hold."""
    return [row["valid_from"] for row in await conn.fetch(LATER, tenant_id, moment)]


HELD_BY = """
SELECT given.kind, given.record_id
FROM unnest($3::text[], $4::text[]) AS given(kind, record_id)
CROSS JOIN LATERAL (
    SELECT change_set_id
    FROM registry_record AS record
    WHERE tenant_id = $1 AND record.kind = given.kind AND record.record_id = given.record_id
        AND valid_from <= $5
    ORDER BY valid_from DESC, version DESC
    LIMIT 1
) AS held
WHERE held.change_set_id = $2
"""


async def held_by(
    conn: Connection, one: ChangeSet, entries: Sequence[Entry], moment: datetime
) -> list[Entry]:
    """Return those records of a set in whose place no other version holds at a moment."""
    columns = [entry.kind for entry in entries], [entry.record_id for entry in entries]
    rows = await conn.fetch(HELD_BY, one.tenant_id, one.change_set_id, *columns, moment)
    there = {(row["kind"], row["record_id"]) for row in rows}
    return [entry for entry in entries if (entry.kind, entry.record_id) in there]


OVERTAKEN = """
SELECT kind, record_id, min(valid_from) AS valid_from
FROM registry_record
JOIN unnest($3::text[], $4::text[]) AS given(kind, record_id) USING (kind, record_id)
WHERE tenant_id = $1 AND valid_from > $2
GROUP BY kind, record_id
ORDER BY kind, record_id
LIMIT 50
"""


async def overtaken(
    conn: Connection, one: ChangeSet, entries: Sequence[Entry]
) -> list[tuple[str, str, datetime]]:
    """Return kind and id of a set's records which another version follows, and since when."""
    if not await later(conn, one.tenant_id, one.valid_from):
        return []
    columns = [entry.kind for entry in entries], [entry.record_id for entry in entries]
    rows = await conn.fetch(OVERTAKEN, one.tenant_id, one.valid_from, *columns)
    return [(row["kind"], row["record_id"], row["valid_from"]) for row in rows]
