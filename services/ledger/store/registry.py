"""The registry: versions of records, appended set by set."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from services.chassis.postgres import Connection


@dataclass(frozen=True, slots=True)
class Expected:
    """Which version of a record a line of a set was written against; 0: none."""

    version: int
    line: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One record of a change set as it is kept; without a body the record is removed.

    `tokens` are the digests under which it is found.
    """

    kind: str
    record_id: str
    body: dict[str, Any] | None
    expected: Expected | None = None
    tokens: frozenset[bytes] = frozenset()


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """Who recorded which set, and from when it holds. `digest` tells its content, by no word."""

    tenant_id: str
    change_set_id: str
    recorded_by: str
    valid_from: datetime
    digest: str | None = None
    reason: str | None = None


OPEN_SET = """
INSERT INTO change_set (tenant_id, change_set_id, recorded_by, valid_from, entries, digest, reason)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT DO NOTHING
RETURNING change_set_id
"""

# One writer per tenant at a time: versions count up, and sets do not mix on the topic.
TAKE_TURN = "SELECT pg_advisory_xact_lock(4713, hashtext($1))"


async def take_turn(conn: Connection, tenant_id: str) -> None:
    """Wait for the tenant's turn; it lasts until the transaction ends."""
    await conn.execute(TAKE_TURN, tenant_id)


TRY_TURN = "SELECT pg_try_advisory_xact_lock(4713, hashtext($1))"


async def try_turn(conn: Connection, tenant_id: str) -> bool:
    """Take the tenant's turn unless somebody has it; it lasts until the transaction ends."""
    taken: bool = await conn.fetchval(TRY_TURN, tenant_id)
    return taken


async def open_set(conn: Connection, one: ChangeSet, entries: int) -> bool:
    """Enter a change set and take the tenant's turn; False if it is known already."""
    await take_turn(conn, one.tenant_id)
    columns = (one.tenant_id, one.change_set_id, one.recorded_by, one.valid_from, entries)
    return await conn.fetchval(OPEN_SET, *columns, one.digest, one.reason) is not None


DIGEST = "SELECT digest FROM change_set WHERE tenant_id = $1 AND change_set_id = $2"


async def digest(conn: Connection, one: ChangeSet) -> str | None:
    """Return the digest that a set was recorded with, if any was."""
    kept: str | None = await conn.fetchval(DIGEST, one.tenant_id, one.change_set_id)
    return kept


APPEND = """
INSERT INTO registry_record (
    tenant_id, kind, record_id, version, body, change_set_id, valid_from, recorded_at
)
SELECT $1, kind, record_id,
    1 + coalesce(
        (
            SELECT max(version)
            FROM registry_record kept
            WHERE kept.tenant_id = $1
                AND kept.kind = given.kind
                AND kept.record_id = given.record_id
        ),
        0
    ),
    body, $2, $3, (SELECT recorded_at FROM change_set WHERE tenant_id = $1 AND change_set_id = $2)
FROM unnest($4::text[], $5::text[], $6::jsonb[]) AS given(kind, record_id, body)
"""


async def append(conn: Connection, one: ChangeSet, entries: Sequence[Entry]) -> None:
    """Append the records' next versions, all known from one moment; the caller has the turn."""
    kinds, ids = [entry.kind for entry in entries], [entry.record_id for entry in entries]
    bodies = [entry.body for entry in entries]
    what = (one.tenant_id, one.change_set_id, one.valid_from, kinds, ids, bodies)
    await conn.execute(APPEND, *what)


NEWEST = """
SELECT body
FROM registry_record
WHERE tenant_id = $1 AND kind = $2 AND record_id = $3
ORDER BY version DESC
LIMIT 1
"""


async def newest(
    conn: Connection, tenant_id: str, kind: str, record_id: str
) -> dict[str, Any] | None:
    """Return what was recorded last, whenever it holds; None if nothing was, or a removal."""
    body: dict[str, Any] | None = await conn.fetchval(NEWEST, tenant_id, kind, record_id)
    return body


NOW = """
SELECT clock_timestamp() AS now,
    (
        SELECT body
        FROM registry_record
        WHERE tenant_id = $1 AND kind = 'clock' AND record_id = 'clock'
        ORDER BY version DESC
        LIMIT 1
    ) AS clock
"""


async def now(conn: Connection, tenant_id: str) -> tuple[datetime, dict[str, Any] | None]:
    """Return the database's time, and a town's virtual clock as it was recorded last."""
    (row,) = await conn.fetch(NOW, tenant_id)
    return row["now"].astimezone(UTC), row["clock"]


# The town's own are those that name nothing above them.
PATHS = """
WITH RECURSIVE path AS (
    SELECT unit.record_id, unit.place
    FROM (
        SELECT unnest($2::text[]) AS record_id
        UNION
        SELECT record_id
        FROM registry_record
        WHERE tenant_id = $1 AND kind = 'unit' AND place IS NULL AND $4
    ) AS first
    CROSS JOIN LATERAL (
        SELECT record_id, place, body IS NOT NULL AS is_there
        FROM registry_record AS record
        WHERE tenant_id = $1 AND kind = 'unit' AND record.record_id = first.record_id
            AND valid_from <= $3
        ORDER BY valid_from DESC, version DESC
        LIMIT 1
    ) AS unit
    WHERE is_there AND (unit.place IS NULL OR unit.record_id = ANY($2))
    UNION
    SELECT above.record_id, above.place
    FROM path
    CROSS JOIN LATERAL (
        SELECT record_id, place, body IS NOT NULL AS is_there
        FROM registry_record AS record
        WHERE tenant_id = $1 AND kind = 'unit' AND record.record_id = path.place
            AND valid_from <= $3
        ORDER BY valid_from DESC, version DESC
        LIMIT 1
    ) AS above
    WHERE is_there
)
SELECT record_id
FROM path
LIMIT 10000
"""


async def paths(
    conn: Connection, tenant_id: str, units: Sequence[str], at: datetime, *, town: bool = False
) -> list[str]:
    """Return these units and those above them as of a moment; with `town`, the town's own too."""
    return [row["record_id"] for row in await conn.fetch(PATHS, tenant_id, units, at, town)]


async def path(conn: Connection, tenant_id: str, unit_id: str | None, at: datetime) -> list[str]:
    """Return a unit and those above it as of a moment; without a unit, the town itself."""
    units = [] if unit_id is None else [unit_id]
    return await paths(conn, tenant_id, units, at, town=unit_id is None)


BELOW = """
WITH RECURSIVE below AS (
    SELECT given.record_id
    FROM unnest($2::text[]) AS given(record_id)
    CROSS JOIN LATERAL (
        SELECT body IS NOT NULL AS is_there
        FROM registry_record AS record
        WHERE tenant_id = $1 AND kind = 'unit' AND record.record_id = given.record_id
            AND valid_from <= $3
        ORDER BY valid_from DESC, version DESC
        LIMIT 1
    ) AS unit
    WHERE is_there
    UNION
    SELECT unit.record_id
    FROM below
    JOIN registry_record AS ever
        ON ever.tenant_id = $1 AND ever.kind = 'unit' AND ever.place = below.record_id
    CROSS JOIN LATERAL (
        SELECT record_id, place
        FROM registry_record AS record
        WHERE tenant_id = $1 AND kind = 'unit' AND record.record_id = ever.record_id
            AND valid_from <= $3
        ORDER BY valid_from DESC, version DESC
        LIMIT 1
    ) AS unit
    WHERE unit.place = below.record_id
)
SELECT record_id
FROM below
LIMIT 100000
"""


async def below(conn: Connection, tenant_id: str, units: Sequence[str], at: datetime) -> list[str]:
    """Return these units and all below them as of a moment."""
    return [row["record_id"] for row in await conn.fetch(BELOW, tenant_id, units, at)]


PARENTS = """
SELECT record_id, place AS parent
FROM (
    SELECT DISTINCT ON (record_id) record_id, place, body IS NOT NULL AS is_there
    FROM registry_record
    WHERE tenant_id = $1 AND kind = 'unit' AND valid_from <= $2
    ORDER BY record_id, valid_from DESC, version DESC
) AS held
WHERE is_there
LIMIT 100000
"""


async def parents(conn: Connection, tenant_id: str, at: datetime) -> dict[str, str | None]:
    """Return a town's units as of a moment, each with the unit above it."""
    rows = await conn.fetch(PARENTS, tenant_id, at)
    return {row["record_id"]: row["parent"] for row in rows}


REFERRERS = """
SELECT unit, kind, count(DISTINCT record_id) AS records
FROM (
    SELECT DISTINCT ON (kind, record_id) kind, record_id, body
    FROM registry_record
    WHERE tenant_id = $1 AND kind IN ('unit', 'household', 'staff', 'roster', 'backup_pair')
        AND valid_from <= $3
    ORDER BY kind, record_id, valid_from DESC, version DESC
) AS held
CROSS JOIN LATERAL (
    VALUES (body ->> 'parent'), (body ->> 'grid'), (body ->> 'group'), (body ->> 'unit')
    UNION ALL
    SELECT jsonb_path_query(body, '$.posts[*].unit') #>> '{}'
    UNION ALL
    SELECT jsonb_path_query(body, '$.grids[*]') #>> '{}'
) AS named (unit)
WHERE unit = ANY($2::text[])
GROUP BY unit, kind
ORDER BY unit, kind
LIMIT 1000
"""


async def referrers(
    conn: Connection, tenant_id: str, units: Sequence[str], at: datetime
) -> list[tuple[str, str, int]]:
    """Count the records that name these units as of a moment: unit, kind, how many."""
    rows = await conn.fetch(REFERRERS, tenant_id, units, at)
    return [(row["unit"], row["kind"], row["records"]) for row in rows]


CATEGORIES = """
SELECT DISTINCT category #>> '{}' AS category
FROM registry_record
CROSS JOIN LATERAL jsonb_path_query(body, '$.body.cases.categories[*].id') AS category
WHERE tenant_id = $1 AND kind = 'profile'
ORDER BY 1
LIMIT 10000
"""


async def categories(conn: Connection, tenant_id: str) -> list[str]:
    """Return the categories that any version of a town's profile has."""
    return [row["category"] for row in await conn.fetch(CATEGORIES, tenant_id)]


COUNT_BY_KIND = """
SELECT kind, count(*) AS records
FROM (
    SELECT DISTINCT ON (kind, record_id) kind, body
    FROM registry_record
    WHERE tenant_id = $1 AND valid_from <= $2
    ORDER BY kind, record_id, valid_from DESC, version DESC
) AS held
WHERE body IS NOT NULL
GROUP BY kind
ORDER BY kind
LIMIT 100
"""


async def count_by_kind(conn: Connection, tenant_id: str, at: datetime) -> dict[str, int]:
    """Count the records that there are as of a moment, by kind."""
    rows = await conn.fetch(COUNT_BY_KIND, tenant_id, at)
    return {row["kind"]: row["records"] for row in rows}
