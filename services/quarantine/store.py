"""The SQL of what was set aside and let go; whoever calls owns the transaction.

A subject is held by its rows in `quarantine`. A row of `quarantine_release` names a key that is to
be read again (or the place of a record without a key); it outlives its last record for a while,
since a batch that saw the key held may still be about to park one more behind it.
"""

from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.chassis.inbox import Record
from services.chassis.postgres import Connection, Pool

TAKE = """
SELECT release_id, released_by, released_at < now() - interval '60 s' AS waited
FROM quarantine_release AS release
WHERE next_at <= now()
    AND EXISTS (
        SELECT
        FROM quarantine
        WHERE topic = ANY($1::text[])
            AND (
                quarantine.record_key = release.record_key
                OR (
                    quarantine.record_key IS NULL
                    AND quarantine.topic = release.topic
                    AND quarantine.partition = release.partition
                    AND quarantine.record_offset = release.record_offset
                )
            )
    )
ORDER BY release_id
LIMIT 1
FOR UPDATE SKIP LOCKED
"""


@dataclass(frozen=True, slots=True)
class Release:
    """One subject let go; `waited`: for longer than a change set takes to come whole."""

    release_id: int
    released_by: str
    waited: bool


async def take(conn: Connection, topics: Sequence[str]) -> Release | None:
    """Lock the oldest release that something of these topics waits for and nobody works at."""
    row = await conn.fetchrow(TAKE, topics)
    return None if row is None else Release(**row)


# Within a partition by offset; partitions by the broker's time, which may step back within one.
ROWS = """
WITH mine AS (
    SELECT topic, partition, record_offset,
        max(at) OVER (PARTITION BY topic, partition ORDER BY record_offset) AS turn
    FROM quarantine
    WHERE topic = ANY($2::text[])
        AND (
            record_key = (SELECT record_key FROM quarantine_release WHERE release_id = $1)
            OR (topic, partition, record_offset) = (
                SELECT topic, partition, record_offset
                FROM quarantine_release
                WHERE release_id = $1 AND record_key IS NULL
            )
        )
)
SELECT topic, partition, record_offset, kept.at, record_key,
    coalesce(corrected_headers, headers) AS headers,
    CASE WHEN corrected_headers IS NULL THEN body ELSE corrected_body END AS body
FROM mine
JOIN quarantine AS kept USING (topic, partition, record_offset)
ORDER BY turn, topic, partition, record_offset
LIMIT $3
FOR UPDATE OF kept
"""


async def rows(
    conn: Connection, release: Release, topics: Sequence[str], limit: int
) -> list[Record]:
    """Lock the first records of a release, in the order in which they are to take effect."""
    found = await conn.fetch(ROWS, release.release_id, topics, limit)
    return [
        Record(
            topic=row["topic"],
            partition=row["partition"],
            offset=row["record_offset"],
            at=row["at"],
            key=row["record_key"],
            value=row["body"],
            headers=as_came(row["headers"]),
        )
        for row in found
    ]


def as_came(headers: Mapping[str, str]) -> dict[str, bytes]:
    """Return headers as they came, from how `quarantine` keeps them."""
    return {name: b64decode(value) for name, value in headers.items()}


REPLAYED = """
WITH gone AS (
    DELETE FROM quarantine
    USING unnest($2::text[], $3::integer[], $4::bigint[])
        WITH ORDINALITY AS done(topic, partition, record_offset, n)
    WHERE (quarantine.topic, quarantine.partition, quarantine.record_offset)
        = (done.topic, done.partition, done.record_offset)
    RETURNING quarantine.*, done.n
), noted AS (
    INSERT INTO quarantine_act (act, done_by, why, topic, partition, record_offset, record_key)
    SELECT 'replayed', $5, reason, topic, partition, record_offset, record_key
    FROM gone
    ORDER BY n
)
UPDATE quarantine_release
SET next_at = now()
WHERE release_id = $1
"""


async def replayed(conn: Connection, release: Release, records: Sequence[Record]) -> None:
    """Take records that have had their effect out of the quarantine, and note who let them go."""
    places = ((one.topic, one.partition, one.offset) for one in records)
    columns: list[Any] = [list(column) for column in zip(*places, strict=True)]
    await conn.execute(REPLAYED, release.release_id, *columns, release.released_by)


HELD_AGAIN = """
WITH ended AS (
    DELETE FROM quarantine_release
    WHERE release_id = $1
)
UPDATE quarantine
SET state = $5, reason = $6
WHERE (topic, partition, record_offset) = ($2, $3, $4)
"""


async def held_again(
    conn: Connection, release: Release, record: Record, state: str, reason: str
) -> None:
    """Let a record that failed once more hold its subject, with its new reason."""
    place = (record.topic, record.partition, record.offset)
    await conn.execute(HELD_AGAIN, release.release_id, *place, state, reason)


PUT_OFF = """
UPDATE quarantine_release
SET next_at = now() + $2::float8 * interval '1 s'
WHERE release_id = $1
"""


async def put_off(conn: Connection | Pool, release: Release, seconds: float) -> None:
    """Let a release wait; others go on."""
    await conn.execute(PUT_OFF, release.release_id, seconds)


FORGET = """
DELETE FROM quarantine_release AS release
WHERE next_at < now() - interval '10 min'
    AND NOT EXISTS (
        SELECT
        FROM quarantine
        WHERE quarantine.record_key = release.record_key
            OR (
                quarantine.record_key IS NULL
                AND quarantine.topic = release.topic
                AND quarantine.partition = release.partition
                AND quarantine.record_offset = release.record_offset
            )
    )
"""


async def forget(conn: Connection | Pool) -> None:
    """Remove releases whose last record has been gone for longer than any batch takes."""
    await conn.execute(FORGET)


# A change set is open while the rest of it has not come.
OPEN_SETS = """
SELECT count(*) FILTER (WHERE change_set = $2) > 0 AS own,
    count(*) FILTER (WHERE change_set <> $2) > 0 AS other
FROM registry_staged
WHERE tenant_id = $1
"""


async def open_sets(conn: Connection, tenant_id: str, change_set: str) -> tuple[bool, bool]:
    """Tell whether this set is open at this tenant, and whether another is.

    None begins before the transaction ends.
    """
    await conn.execute("LOCK TABLE registry_staged IN SHARE ROW EXCLUSIVE MODE")
    row = await conn.fetchrow(OPEN_SETS, tenant_id, change_set)
    return (row["own"], row["other"]) if row else (False, False)
