"""What is set aside in the services' databases: subjects that are held, and single records.

A record's place is `service:topic/partition@offset`, such as `routing:intake.events/3@17`; a row
that could not be sent is `service:outbox/lane@id`.
"""

import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

import asyncpg

from deploy.local.errors import LocalStackError
from services.quarantine.store import as_came

Conn: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
Dsns: TypeAlias = Mapping[str, str]  # by service

OUTBOX = "outbox"
_PLACE = re.compile(r"([a-z]+):([\w.-]+)/(\d{1,9})@(\d{1,18})")
_CONNECT_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where a record lies; of a row of the outbox `partition` is its lane, `offset` its id."""

    service: str
    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.service}:{self.topic}/{self.partition}@{self.offset}"

    @property
    def row(self) -> tuple[str, int, int]:
        return self.topic, self.partition, self.offset

    @property
    def unsent(self) -> bool:
        return self.topic == OUTBOX


def place_of(text: str, dsns: Dsns) -> Place:
    """Read a place as `ls` prints it.

    Raises:
        LocalStackError: it is none, or of a service that is not here.
    """
    match = _PLACE.fullmatch(text)
    if match is None or match[1] not in dsns:
        raise LocalStackError(
            f"{text}：不是记录的位置。照 chuishao dlq ls 列出的写，如 routing:intake.events/3@17；"
            f"有的服务：{'、'.join(dsns)}。",
            f"{text}: no place of a record. Write it as `chuishao dlq ls` lists it, such as "
            f"routing:intake.events/3@17; services here: {', '.join(dsns)}.",
        )
    return Place(match[1], match[2], int(match[3]), int(match[4]))


@asynccontextmanager
async def opened(dsn: str) -> AsyncIterator[Conn]:
    """Connect as services do: `jsonb` is read and written as JSON."""
    conn = await asyncpg.connect(dsn, timeout=_CONNECT_TIMEOUT_S)
    try:
        await conn.set_type_codec(
            "jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog"
        )
        yield conn
    finally:
        await conn.close(timeout=_CONNECT_TIMEOUT_S)


@dataclass(frozen=True, slots=True)
class Subject:
    """What holds a subject, and how many records wait behind; a record without a key is alone."""

    place: Place
    key: bytes | None
    type: str
    state: str
    reason: str
    at: datetime
    age_s: float
    behind: int
    corrected: bool
    released: bool


# The rejected one comes first: it is the cause, whatever the broker's times say.
SUBJECTS = """
WITH every AS (
    SELECT q.*,
        row_number() OVER subject AS n,
        count(*) OVER (PARTITION BY record_key, single) - 1 AS behind
    FROM (
        SELECT *,
            CASE WHEN record_key IS NULL THEN (topic, partition, record_offset)::text END AS single
        FROM quarantine
    ) AS q
    WINDOW subject AS (
        PARTITION BY record_key, single
        ORDER BY state DESC, at, topic, partition, record_offset
    )
)
SELECT topic, partition, record_offset, record_key, headers, state, reason, at, behind,
    extract(epoch FROM clock_timestamp() - at)::float8 AS age_s,
    corrected_headers IS NOT NULL AS corrected,
    EXISTS (
        SELECT
        FROM quarantine_release AS release
        WHERE release.record_key = every.record_key
            OR (
                every.record_key IS NULL
                AND (release.topic, release.partition, release.record_offset)
                    = (every.topic, every.partition, every.record_offset)
            )
    ) AS released
FROM every
WHERE n = 1
    AND at <= clock_timestamp() - $1::float8 * interval '1 s'
    AND strpos(lower(reason), lower($2)) > 0
ORDER BY at, topic, partition, record_offset
LIMIT $3
"""
_WHY_UNSENT = "cannot be sent to %s: %s bytes"
UNSENT = """
WITH every AS (
    SELECT *,
        format($4::text, topic, coalesce(octet_length(body), 0)) AS reason,
        row_number() OVER (PARTITION BY topic, record_key ORDER BY id) AS n,
        count(*) OVER (PARTITION BY topic, record_key) - 1 AS behind
    FROM outbox_parked
)
SELECT lane, id, record_key, headers ->> 'ce_type' AS type, topic, created_at, behind, reason,
    extract(epoch FROM clock_timestamp() - created_at)::float8 AS age_s
FROM every
WHERE n = 1
    AND created_at <= clock_timestamp() - $1::float8 * interval '1 s'
    AND strpos(lower(reason), lower($2)) > 0
ORDER BY created_at, lane, id
LIMIT $3
"""


async def subjects(
    service: str, dsn: str, *, older_s: float = 0, reason: str = "", limit: int = 200
) -> list[Subject]:
    """Return what holds each subject of a service, the oldest first."""
    async with opened(dsn) as conn:
        kept = await conn.fetch(SUBJECTS, older_s, reason, limit)
        unsent = await conn.fetch(UNSENT, older_s, reason, limit, _WHY_UNSENT)
    return [_subject(service, row) for row in kept] + [_unsent(service, row) for row in unsent]


def _subject(service: str, row: asyncpg.Record) -> Subject:
    return Subject(
        place=Place(service, row["topic"], row["partition"], row["record_offset"]),
        key=row["record_key"],
        type=as_came(row["headers"]).get("ce_type", b"").decode(errors="replace"),
        **{name: row[name] for name in ("state", "reason", "at", "age_s")},
        **{name: row[name] for name in ("behind", "corrected", "released")},
    )


def _unsent(service: str, row: asyncpg.Record) -> Subject:
    return Subject(
        place=Place(service, OUTBOX, row["lane"], row["id"]),
        key=row["record_key"],
        type=row["type"] or "",
        state="unsent",
        reason=row["reason"],
        at=row["created_at"],
        age_s=row["age_s"],
        behind=row["behind"],
        corrected=False,
        released=False,
    )


@dataclass(frozen=True, slots=True)
class Kept:
    """One record as it lies there; a correction stands beside it, not in its place."""

    place: Place
    topic: str
    key: bytes | None
    state: str
    reason: str
    at: datetime
    headers: Mapping[str, bytes]
    body: bytes | None
    corrected_headers: Mapping[str, bytes] | None = None
    corrected_body: bytes | None = None

    @property
    def now(self) -> tuple[Mapping[str, bytes], bytes | None]:
        """Headers and body as they would be read."""
        if self.corrected_headers is None:
            return self.headers, self.body
        return self.corrected_headers, self.corrected_body


ONE = """
SELECT *
FROM quarantine
WHERE (topic, partition, record_offset) = ($1, $2, $3)
FOR UPDATE
"""
# A lane is a small number; a place may be written with any.
ONE_UNSENT = """
SELECT *, format($3::text, topic, coalesce(octet_length(body), 0)) AS reason
FROM outbox_parked
WHERE (lane, id) = ($1::integer, $2::bigint)
FOR UPDATE
"""


async def one(conn: Conn, place: Place) -> Kept:
    """Return a record, locked: a replay that is under way has ended.

    Raises:
        LocalStackError: it does not lie there (any more).
    """
    if place.unsent:
        row = await conn.fetchrow(ONE_UNSENT, *place.row[1:], _WHY_UNSENT)
    else:
        row = await conn.fetchrow(ONE, *place.row)
    if row is None:
        raise LocalStackError(
            f"{place}：那里没有被搁置的记录，可能已经重放或舍弃。现有的见 chuishao dlq ls。",
            f"{place}: nothing is set aside there; it may have been replayed or dropped. See "
            "`chuishao dlq ls`.",
        )
    if place.unsent:
        headers = {name: str(value).encode() for name, value in row["headers"].items()}
        about = ("unsent", row["reason"], row["created_at"])
        return Kept(place, row["topic"], row["record_key"], *about, headers, row["body"])
    corrected = row["corrected_headers"]
    return Kept(
        place=place,
        key=row["record_key"],
        headers=as_came(row["headers"]),
        corrected_headers=None if corrected is None else as_came(corrected),
        corrected_body=row["corrected_body"],
        **{name: row[name] for name in ("topic", "state", "reason", "at", "body")},
    )


BEHIND = """
SELECT topic, partition, record_offset
FROM quarantine
WHERE record_key = $1 AND (topic, partition, record_offset) <> ($2, $3, $4)
ORDER BY at, topic, partition, record_offset
LIMIT 20
"""
ACTS = """
SELECT at, act, done_by, why
FROM quarantine_act
WHERE (topic, partition, record_offset) = ($1, $2, $3)
ORDER BY act_id
LIMIT 200
"""


async def behind(conn: Conn, kept: Kept) -> list[Place]:
    """Return the first of those that are held together with a record."""
    rows: list[Any] = await conn.fetch(BEHIND, kept.key, *kept.place.row)
    return [Place(kept.place.service, *row) for row in rows]


async def acts(conn: Conn, place: Place) -> list[asyncpg.Record]:
    """Return what operators have done with a record."""
    return list(await conn.fetch(ACTS, *place.row))
