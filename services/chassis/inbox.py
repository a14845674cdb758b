"""What has been read: one row per event, one per record set aside, one per partition.

All of it is written in the transaction of the effect, so a record has taken effect exactly if
its row is there. A record whose handling fails is set aside with its reason, and its subject (the
record's key) is held: later records of that subject are parked behind it, in order.
"""

from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias
from uuid import UUID

from services.chassis.postgres import Connection, Pool

EventKey: TypeAlias = tuple[str, UUID]  # tenant and event


@dataclass(frozen=True, slots=True)
class Record:
    """One Kafka record as it came: neither body nor headers have been touched.

    `at` is the record's time: the broker's, where the topic says LogAppendTime.
    """

    topic: str
    partition: int
    offset: int
    at: datetime
    key: bytes | None
    value: bytes | None
    headers: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Aside:
    """A record that does not take effect now: `rejected` with its reason, or `parked` behind."""

    record: Record
    state: Literal["rejected", "parked"]
    reason: str


HELD_KEYS = """
SELECT DISTINCT record_key
FROM quarantine
WHERE record_key = ANY($1::bytea[])
LIMIT cardinality($1::bytea[])
"""


async def held_keys(conn: Connection, keys: Iterable[bytes | None]) -> set[bytes | None]:
    """Return those keys behind which something is set aside."""
    return {row["record_key"] for row in await conn.fetch(HELD_KEYS, list(keys))}


KNOWN = """
SELECT tenant_id, event_id
FROM unnest($1::text[], $2::uuid[]) AS given(tenant_id, event_id)
JOIN inbox USING (tenant_id, event_id)
"""

CLAIM = """
INSERT INTO inbox (tenant_id, event_id)
SELECT DISTINCT tenant_id, event_id
FROM unnest($1::text[], $2::uuid[]) AS given(tenant_id, event_id)
ORDER BY tenant_id, event_id
ON CONFLICT DO NOTHING
RETURNING tenant_id, event_id
"""


async def match(conn: Connection, which: str, events: Sequence[EventKey]) -> set[EventKey]:
    """Return those events that are in the inbox (KNOWN), or enter those that were not (CLAIM)."""
    if not events:
        return set()
    return {tuple(row) for row in await conn.fetch(which, *zip(*events, strict=True))}


SET_ASIDE = """
INSERT INTO quarantine (topic, partition, record_offset, at, record_key, headers, body, state, reason)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT DO NOTHING
"""  # noqa: E501


async def set_aside(conn: Connection, asides: Sequence[Aside]) -> None:
    """Keep records with their reason; one that is kept already stays as it is."""
    for aside in asides:  # rare, or the consumer halts
        one = aside.record
        headers = {plain(name): b64encode(one.headers[name]).decode() for name in one.headers}
        place = (one.topic, one.partition, one.offset, one.at, one.key)
        await conn.execute(SET_ASIDE, *place, headers, one.value, aside.state, plain(aside.reason))


def plain(text: str) -> str:
    """Return text as PostgreSQL can hold it: no NUL, no half of a surrogate pair, no novel."""
    return text[:500].replace("\0", "\ufffd").encode(errors="replace").decode()


MARK_PROCESSED = """
INSERT INTO processed_offset AS kept (topic, partition, next_offset)
SELECT topic, partition, max(record_offset) + 1
FROM unnest($1::text[], $2::integer[], $3::bigint[]) AS given(topic, partition, record_offset)
GROUP BY topic, partition
ORDER BY topic, partition
ON CONFLICT (topic, partition) DO UPDATE
SET next_offset = GREATEST(kept.next_offset, excluded.next_offset)
"""


async def mark_processed(conn: Connection, records: Iterable[Record]) -> None:
    """Note how far each partition has been read, in the transaction of the effect."""
    places = ((record.topic, record.partition, record.offset) for record in records)
    await conn.execute(MARK_PROCESSED, *zip(*places, strict=True))


PROCESSED = """
SELECT partition, next_offset
FROM processed_offset
WHERE topic = $1
LIMIT 10000
"""


async def processed(pool: Pool | Connection, topic: str) -> dict[int, int]:
    """Return the next offset to be read of each partition that anything was read of."""
    return {row["partition"]: row["next_offset"] for row in await pool.fetch(PROCESSED, topic)}
