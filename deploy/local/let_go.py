"""What operators do with what is set aside: correct, replay, drop. Each act is kept for good.

A replay is left to the running service (services/quarantine); here it is only allowed, and looked
after. An act waits for replays under way and holds off others, so it never meets one half-way.
"""

import asyncio
import contextlib
import time
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import asyncpg

from deploy.local.corrections import Correction, corrected
from deploy.local.errors import LocalStackError
from deploy.local.set_aside import Conn, Kept, Place, one, opened
from services.chassis.outbox import LOCK

_POLL_S = 0.2

KEEP_CORRECTION = """
UPDATE quarantine
SET corrected_headers = $4, corrected_body = $5
WHERE (topic, partition, record_offset) = ($1, $2, $3)
"""
NOTE = """
INSERT INTO quarantine_act (
    act, done_by, why, topic, partition, record_offset, record_key, headers, body,
    corrected_headers, corrected_body
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
"""


def _kept_headers(headers: Mapping[str, bytes]) -> dict[str, str]:
    return {name: b64encode(value).decode() for name, value in headers.items()}


async def _note(
    conn: Conn,
    act: str,
    who: str,
    why: str,
    kept: Kept,
    better: tuple[Mapping[str, bytes], bytes] | None = None,
) -> None:
    after = (None, None) if better is None else (_kept_headers(better[0]), better[1])
    original = (kept.key, _kept_headers(kept.headers), kept.body)
    await conn.execute(NOTE, act, who, why, *kept.place.row, *original, *after)


async def _turn(conn: Conn, place: Place) -> None:
    """Wait until no replay, or no relay of that lane, is under way; none begins meanwhile."""
    if place.unsent:
        await conn.execute("SELECT pg_advisory_xact_lock($1, $2)", LOCK, place.partition)
    else:
        await conn.execute("LOCK TABLE quarantine_release IN EXCLUSIVE MODE")


async def fix(dsn: str, place: Place, wanted: Correction, who: str, why: str) -> Kept:
    """Keep a correction beside the original; return the record as it is then.

    Raises:
        LocalStackError: nothing lies there, or the correction breaks the contract.
    """
    if place.unsent:
        raise LocalStackError(
            f"{place}：发件箱里的行不能改，它是别的服务知道此事的唯一途径。",
            f"{place}: rows of the outbox are not corrected; they tell what has happened.",
        )
    async with opened(dsn) as conn, conn.transaction():
        await _turn(conn, place)
        kept = await one(conn, place)
        better = corrected(kept, wanted)
        await conn.execute(KEEP_CORRECTION, *place.row, _kept_headers(better[0]), better[1])
        await _note(conn, "fixed", who, why, kept, better)
        return await one(conn, place)


RELEASE = """
INSERT INTO quarantine_release (record_key, released_by)
VALUES ($1, $2)
ON CONFLICT (record_key) DO UPDATE
SET next_at = now(), released_by = excluded.released_by
"""
RELEASE_PLACE = """
INSERT INTO quarantine_release (topic, partition, record_offset, released_by)
VALUES ($1, $2, $3, $4)
ON CONFLICT (topic, partition, record_offset) DO UPDATE
SET next_at = now(), released_by = excluded.released_by
"""
BACK = """
WITH back AS (
    DELETE FROM outbox_parked
    WHERE topic = $1 AND record_key = $2
    RETURNING *
)
INSERT INTO outbox (lane, id, topic, partition, record_key, headers, body, created_at)
OVERRIDING SYSTEM VALUE
SELECT lane, id, topic, partition, record_key, headers, body, created_at
FROM back
ORDER BY id
"""


async def release(dsn: str, place: Place, who: str) -> Kept:
    """Let a record's subject be read again, or an unsent row's key be sent again.

    Raises:
        LocalStackError: nothing lies there.
    """
    async with opened(dsn) as conn:
        return await _let_go(conn, place, who)


async def release_all(dsn: str, places: Sequence[Place], who: str) -> list[Kept]:
    """Let many of one service go; those that have been dealt with meanwhile are passed over."""
    freed: list[Kept] = []
    async with opened(dsn) as conn:
        for place in places:
            with contextlib.suppress(LocalStackError):
                freed.append(await _let_go(conn, place, who))
    return freed


async def _let_go(conn: Conn, place: Place, who: str) -> Kept:
    async with conn.transaction():
        await _turn(conn, place)
        kept = await one(conn, place)
        if place.unsent:
            await conn.execute(BACK, kept.topic, kept.key)
            await _note(conn, "resent", who, kept.reason, replace(kept, body=None))
        else:
            await _release(conn, kept, who)
        return kept


async def _release(conn: Conn, kept: Kept, who: str) -> None:
    if kept.key is None:
        await conn.execute(RELEASE_PLACE, *kept.place.row, who)
    else:
        await conn.execute(RELEASE, kept.key, who)


DROP = "DELETE FROM quarantine WHERE (topic, partition, record_offset) = ($1, $2, $3)"
DROP_UNSENT = "DELETE FROM outbox_parked WHERE (lane, id) = ($1, $2)"
NEVER_AGAIN = """
INSERT INTO inbox (tenant_id, event_id)
VALUES ($1, $2)
ON CONFLICT DO NOTHING
"""


async def drop(dsn: str, place: Place, who: str, why: str) -> Kept:
    """Let a record go without effect, for ever; those behind it are read again by themselves.

    Raises:
        LocalStackError: nothing lies there.
    """
    async with opened(dsn) as conn, conn.transaction():
        await _turn(conn, place)
        kept = await one(conn, place)
        await _note(conn, "dropped", who, why, kept)
        if place.unsent:
            await conn.execute(DROP_UNSENT, *place.row[1:])
            await conn.execute(BACK, kept.topic, kept.key)
            return kept
        await conn.execute(DROP, *place.row)
        event = _event(kept)
        if event is not None:  # read once more from its topic, it must not take effect either
            await conn.execute(NEVER_AGAIN, *event)
        if kept.key is not None:
            await _release(conn, kept, who)
        return kept


def _event(kept: Kept) -> tuple[str, UUID] | None:
    try:
        tenant = kept.headers["ce_tenant"].decode()
        return (tenant, UUID(kept.headers["ce_id"].decode())) if "\0" not in tenant else None
    except (KeyError, ValueError):
        return None


# Those that were let go: how many records wait for it still, and what holds one again.
WAITING = """
SELECT count(*) FILTER (WHERE released) AS waiting,
    count(*) FILTER (WHERE NOT released) AS held
FROM (
    SELECT EXISTS (
        SELECT
        FROM quarantine_release AS release
        WHERE release.record_key = q.record_key
            OR (
                q.record_key IS NULL
                AND (release.topic, release.partition, release.record_offset)
                    = (q.topic, q.partition, q.record_offset)
            )
    ) AS released
    FROM quarantine AS q
    WHERE q.record_key = ANY($1::bytea[])
        OR (q.topic, q.partition, q.record_offset) IN (
            SELECT topic, partition, record_offset
            FROM unnest($2::text[], $3::integer[], $4::bigint[])
                AS given(topic, partition, record_offset)
        )
) AS mine
"""
SENDING = """
SELECT (SELECT count(*) FROM outbox JOIN unnest($1::smallint[], $2::bigint[])
        AS given(lane, id) USING (lane, id)) AS waiting,
    (SELECT count(*) FROM outbox_parked JOIN unnest($1::smallint[], $2::bigint[])
        AS given(lane, id) USING (lane, id)) AS held
"""


@dataclass(frozen=True, slots=True)
class Left:
    """What is left of what was let go: `waiting` to be read, or `held` again."""

    waiting: int
    held: int


async def left(dsn: str, freed: Sequence[Kept]) -> Left:
    """Count what is left of records that were let go in one service."""
    kept = [one for one in freed if not one.place.unsent]
    lanes = [one.place.row[1:] for one in freed if one.place.unsent]
    keys = [one.key for one in kept if one.key is not None]
    places: list[Any] = [[one.place.row[n] for one in kept] for n in range(3)]
    async with opened(dsn) as conn:
        rows: list[asyncpg.Record | None] = [await conn.fetchrow(WAITING, keys, *places)]
        rows.append(
            await conn.fetchrow(SENDING, [lane for lane, _ in lanes], [row for _, row in lanes])
        )
    counted = [Left(*row) for row in rows if row is not None]
    return Left(sum(one.waiting for one in counted), sum(one.held for one in counted))


async def until_taken(
    dsns: Mapping[str, str],
    freed: Sequence[Kept],
    timeout_s: float,
    tell: Callable[[Left], None] = lambda _: None,
) -> Left:
    """Wait until the services have taken up all that was let go; return what is left.

    Raises:
        TimeoutError: something waits still; it will be taken up once its service runs.
    """
    ends_at = time.monotonic() + timeout_s
    while True:
        by_service = {
            name: [one for one in freed if one.place.service == name]
            for name in {one.place.service for one in freed}
        }
        counted = [await left(dsns[name], mine) for name, mine in by_service.items()]
        now = Left(sum(one.waiting for one in counted), sum(one.held for one in counted))
        tell(now)
        if not now.waiting:
            return now
        if time.monotonic() > ends_at:
            raise TimeoutError(
                f"还有 {now.waiting} 条没有生效：服务在运行吗？它一运行就会自己办 · {now.waiting} "
                "records wait still: does the service run? It takes them up by itself"
            )
        await asyncio.sleep(_POLL_S)
