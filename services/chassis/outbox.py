"""Rows that must become records: written with the state, published in order, deleted after.

A subject's rows all lie in one lane, in id order, because whoever writes them holds the subject's
lock. A relay takes each free lane under a transaction-level lock, so any number of processes may
run one. At least once: a relay that dies between publishing and deleting publishes again.
"""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import asyncpg
import structlog
from aiokafka.errors import MessageSizeTooLargeError
from faststream.kafka import KafkaBroker

from services.chassis.batch import is_passing
from services.chassis.crash import crash_point
from services.chassis.metrics import count
from services.chassis.postgres import Connection, Pool
from services.chassis.settings import ServiceSettings

log = structlog.get_logger()

LANES = 64
_LOCK = 4711  # the first half of the advisory lock; the lane is the second
_BUSY_WAIT_S, _IDLE_WAIT_S, _OUTAGE_WAIT_S = 0.005, 0.2, 1.0
_LAG_S_MAX = 30.0
_PUBLISH_WAIT_S = 2.0  # a missing topic must not hold up the others


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One record to be published. `lane_key` decides the lane, the key decides the partition."""

    topic: str
    key: bytes
    headers: Mapping[str, str]
    body: bytes | None
    lane_key: bytes
    partition: int | None = None


WRITE = """
INSERT INTO outbox (lane, topic, partition, record_key, headers, body)
SELECT lane, topic, partition, record_key, headers, body
FROM unnest($1::smallint[], $2::text[], $3::integer[], $4::bytea[], $5::jsonb[], $6::bytea[])
    WITH ORDINALITY AS given(lane, topic, partition, record_key, headers, body, n)
ORDER BY n
"""


async def write(conn: Connection, rows: Sequence[Outgoing]) -> None:
    """Write rows in order, in the transaction that holds their subjects' locks."""
    columns: list[list[Any]] = [
        [getattr(row, name) for row in rows]
        for name in ("topic", "partition", "key", "headers", "body")
    ]
    await conn.execute(WRITE, [crc32(row.lane_key) % LANES for row in rows], *columns)


# OFFSET 0 keeps the planner from locking lanes that have no rows.
FREE_LANES = """
SELECT lane
FROM (
    SELECT every.lane
    FROM generate_series(0, 63) AS every(lane)
    WHERE EXISTS (SELECT FROM outbox WHERE outbox.lane = every.lane)
    OFFSET 0
) AS waiting
WHERE pg_try_advisory_xact_lock($1, lane)
"""

# Each lane gets its share of the round, or a busy lane would starve the others.
ROWS = """
SELECT o.lane, o.id, o.topic, o.partition, o.record_key, o.headers, o.body,
    EXISTS (SELECT FROM outbox_parked p WHERE p.record_key = o.record_key) AS behind_parked
FROM unnest($1::smallint[]) AS free(lane)
CROSS JOIN LATERAL (
    SELECT *
    FROM outbox
    WHERE outbox.lane = free.lane
    ORDER BY id
    LIMIT $2
) AS o
ORDER BY o.lane, o.id
"""

DELETE = """
DELETE FROM outbox
USING unnest($1::smallint[], $2::bigint[]) AS done(lane, id)
WHERE outbox.lane = done.lane AND outbox.id = done.id
"""

PARK = """
INSERT INTO outbox_parked (lane, id, topic, partition, record_key, headers, body, created_at)
SELECT lane, id, topic, partition, record_key, headers, body, created_at
FROM outbox
JOIN unnest($1::smallint[], $2::bigint[]) AS given(lane, id) USING (lane, id)
"""


OLDEST = "SELECT extract(epoch FROM clock_timestamp() - min(created_at))::float8 FROM outbox"


class Relay:
    """Publishes the outbox until told to stop. `wake` saves it the wait after a local commit."""

    def __init__(self, settings: ServiceSettings, pool: Pool, broker: KafkaBroker) -> None:
        self._pool, self._broker = pool, broker
        self._rows_max, self._deadline_s = settings.relay_rows_max, settings.relay_deadline_s
        self._woken = asyncio.Event()

    def wake(self) -> None:
        self._woken.set()

    async def check(self) -> str | None:
        """Tell, for readiness, whether the oldest row has waited too long."""
        lag_s = await self._pool.fetchval(OLDEST) or 0.0
        return f"the outbox waits for {lag_s:.0f} s" if lag_s > _LAG_S_MAX else None

    async def run(self, stopping: asyncio.Event) -> None:
        """Relay until `stopping`; the round under way is ended first."""
        wait_s = _BUSY_WAIT_S
        while not stopping.is_set():
            self._woken.clear()
            try:
                sent = await self.round()
                wait_s = _BUSY_WAIT_S if sent else min(wait_s * 2, _IDLE_WAIT_S)
            except Exception as error:
                if not is_passing(error):
                    raise  # the producer is lost, or a statement is wrong: start anew
                count("chuishao_relay_failures_total")
                log.warning("relay_round_failed", error=repr(error))
                wait_s = _OUTAGE_WAIT_S
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), wait_s)

    async def round(self) -> int:
        """Publish what waits in every free lane; return how many rows went out."""
        async with (
            asyncio.timeout(self._deadline_s + _PUBLISH_WAIT_S),
            self._pool.acquire() as conn,
            conn.transaction(),
        ):
            lanes = [row["lane"] for row in await conn.fetch(FREE_LANES, _LOCK)]
            if not lanes:
                return 0
            rows = await conn.fetch(ROWS, lanes, -(-self._rows_max // len(lanes)))
            sent, unsendable = await self._publish(rows)
            crash_point("after_publish")
            if unsendable:
                log.error("outbox_rows_parked", count=len(unsendable))
                count("chuishao_outbox_parked_total", len(unsendable))
                await conn.execute(PARK, *_places(unsendable))
            await conn.execute(DELETE, *_places([*sent, *unsendable]))
        crash_point("after_relay")
        count("chuishao_relay_sent_total", len(sent))
        return len(sent)

    async def _publish(
        self, rows: Sequence[asyncpg.Record]
    ) -> tuple[list[asyncpg.Record], list[asyncpg.Record]]:
        """Send in order; a key stops at its first failure. Return the sent and the unsendable."""
        under_way: list[tuple[asyncpg.Record, asyncio.Future[object]]] = []
        unsendable: list[asyncpg.Record] = []
        stopped: set[object] = set()  # keys and topics
        parked: set[bytes] = {row["record_key"] for row in rows if row["behind_parked"]}
        for row in rows:
            key, topic = row["record_key"], row["topic"]
            try:
                if key in parked:
                    unsendable.append(row)
                elif key not in stopped and topic not in stopped:
                    under_way.append((row, await self._send(row)))
                else:
                    stopped.add(key)
            except MessageSizeTooLargeError:
                parked.add(key)
                unsendable.append(row)
            except TimeoutError:
                log.error("topic_not_writable", topic=topic)  # noqa: TRY400 - the topic says it all
                stopped |= {key, topic}
        return await self._settled(under_way), unsendable

    async def _send(self, row: asyncpg.Record) -> "asyncio.Future[object]":
        async with asyncio.timeout(_PUBLISH_WAIT_S):
            return await self._broker.publish(
                row["body"],
                row["topic"],
                key=row["record_key"],
                partition=row["partition"],
                headers=row["headers"],
                no_confirm=True,
            )

    async def _settled(
        self, under_way: list[tuple[asyncpg.Record, "asyncio.Future[object]"]]
    ) -> list[asyncpg.Record]:
        """Wait for the broker's answers; return the rows before the first failure of their key."""
        if under_way:
            await asyncio.wait([future for _, future in under_way], timeout=self._deadline_s)
        sent: list[asyncpg.Record] = []
        failed_keys: set[bytes] = set()
        for row, future in under_way:
            error = future.exception() if future.done() else TimeoutError()
            if error is not None and not is_passing(error):
                raise error
            if error is not None:
                failed_keys.add(row["record_key"])
            elif row["record_key"] not in failed_keys:
                sent.append(row)
        if failed_keys:
            log.warning("relay_incomplete", waiting=len(under_way) - len(sent))
        return sent


def _places(rows: Sequence[asyncpg.Record]) -> tuple[list[int], list[int]]:
    return [row["lane"] for row in rows], [row["id"] for row in rows]
