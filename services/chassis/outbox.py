"""Rows that must become records: written with the state, published in order, deleted after.

A subject's rows all lie in one lane, in id order, because whoever writes them holds the subject's
lock. A relay takes each free lane under a transaction-level lock, so any number of processes may
run one. At least once: a relay that dies between publishing and deleting publishes again.
"""

import asyncio
import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from zlib import crc32

import asyncpg
import structlog
from aiokafka.errors import MessageSizeTooLargeError
from faststream.kafka import KafkaBroker

from services.chassis.batch import is_passing, told
from services.chassis.crash import crash_point
from services.chassis.postgres import Connection, Pool
from services.chassis.settings import ServiceSettings
from services.telemetry import traces
from services.telemetry.looks import at_each_scrape
from services.telemetry.metrics import count, gauge

log = structlog.get_logger()

LANES = 64
LOCK = 4711  # the first half of the advisory lock; the lane is the second
_BUSY_WAIT_S, _IDLE_WAIT_S, _OUTAGE_WAIT_S, _LAG_S_MAX = 0.03, 0.2, 1.0, 30.0
# A missing topic must not hold up the others, nor be waited for in every round.
_PUBLISH_WAIT_S, _STALLED_WAIT_S = 2.0, 10.0
_TOPIC = itemgetter("topic")


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
    names = ("topic", "partition", "key", "body")
    topics, *places, bodies = ([getattr(row, name) for row in rows] for name in names)
    headers = [traces.joined(row.headers) for row in rows]
    lanes = [crc32(row.lane_key) % LANES for row in rows]
    await conn.execute(WRITE, lanes, topics, *places, headers, bodies)


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

# Each lane gets its share of the round, or a busy lane would starve the others; rows of a topic
# that could not be written to just now are passed over, or they would fill that share.
ROWS = """
SELECT o.lane, o.id, o.topic, o.partition, o.record_key, o.headers, o.body,
    EXISTS (
        SELECT
        FROM outbox_parked p
        WHERE p.record_key = o.record_key AND p.topic = o.topic
    ) AS behind_parked
FROM unnest($1::smallint[]) AS free(lane)
CROSS JOIN LATERAL (
    SELECT *
    FROM outbox
    WHERE outbox.lane = free.lane AND outbox.topic <> ALL($3::text[])
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


WAITING = """
SELECT
    count(*) AS waiting,
    coalesce(extract(epoch FROM clock_timestamp() - min(created_at)), 0)::float8 AS age_s
FROM outbox
LIMIT 1
"""


@dataclass(slots=True)
class _Round:
    """What became of a round's rows; `lost` is an error after which this producer is no use."""

    under_way: list[tuple[asyncpg.Record, "asyncio.Future[object]"]] = field(default_factory=list)
    sent: list[asyncpg.Record] = field(default_factory=list)
    unsendable: list[asyncpg.Record] = field(default_factory=list)
    lost: BaseException | None = None


class Relay:
    """Publishes the outbox until told to stop. `wake` saves it the wait after a local commit."""

    def __init__(self, settings: ServiceSettings, pool: Pool, broker: KafkaBroker) -> None:
        self._pool, self._broker = pool, broker
        self._rows_max, self._deadline_s = settings.relay_rows_max, settings.relay_deadline_s
        self._woken = asyncio.Event()
        self._stalled: dict[str, float] = {}  # topics, and when to try them again
        at_each_scrape("outbox", self.look)

    def wake(self) -> None:
        self._woken.set()

    async def look(self) -> float:
        """Tell how many rows wait, and return for how many seconds the oldest has."""
        (row,) = await self._pool.fetch(WAITING)
        gauge("chuishao_outbox_rows", row["waiting"])
        gauge("chuishao_outbox_age_seconds", row["age_s"])
        return float(row["age_s"])

    async def check(self) -> str | None:
        """Tell, for readiness, whether the oldest row has waited too long."""
        lag_s = await self.look()
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
                log.warning("relay_round_failed", error=told(error))
                wait_s = _OUTAGE_WAIT_S
            await asyncio.sleep(_BUSY_WAIT_S)  # what follows closely goes out together
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), wait_s)

    async def round(self) -> int:
        """Publish what waits in every free lane; return how many rows went out."""
        deadline = asyncio.timeout(self._deadline_s + _PUBLISH_WAIT_S)
        async with deadline, self._pool.acquire() as conn, conn.transaction():
            lanes = [row["lane"] for row in await conn.fetch(FREE_LANES, LOCK)]
            if not lanes:
                return 0
            stalled = [topic for topic, until in self._stalled.items() if until > time.monotonic()]
            rows = await conn.fetch(ROWS, lanes, -(-self._rows_max // len(lanes)), stalled)
            done = await self._publish(rows)
            crash_point("after_publish")
            if done.unsendable:
                log.error("outbox_rows_parked", count=len(done.unsendable))
                count("chuishao_outbox_parked_total", len(done.unsendable))
                await conn.execute(PARK, *_places(done.unsendable))
            await conn.execute(DELETE, *_places([*done.sent, *done.unsendable]))
        crash_point("after_relay")
        count("chuishao_relay_sent_total", len(done.sent))
        if done.lost is not None:
            raise done.lost
        return len(done.sent)

    async def _publish(self, rows: Sequence[asyncpg.Record]) -> _Round:
        """Send each topic's rows in order, and wait for the broker's answers."""
        done, by_topic = _Round(), groupby(sorted(rows, key=_TOPIC), _TOPIC)
        await asyncio.gather(*(self._send(topic, list(mine), done) for topic, mine in by_topic))
        if done.under_way:
            await asyncio.wait([future for _, future in done.under_way], timeout=self._deadline_s)
            _settle(done)
        return done

    async def _send(self, topic: str, rows: Sequence[asyncpg.Record], done: _Round) -> None:
        """Hand over a topic's rows; one that is too large takes its key's later rows with it."""
        publish = self._broker.publish
        parked: set[bytes] = {row["record_key"] for row in rows if row["behind_parked"]}
        try:
            async with asyncio.timeout(_PUBLISH_WAIT_S):
                for row in rows:
                    key, how = row["record_key"], {"partition": row["partition"]}
                    try:
                        if key not in parked:
                            span = traces.sending(topic, row["headers"])
                            how |= {"key": key, "headers": span.carried(row["headers"])}
                            future = await publish(row["body"], topic, no_confirm=True, **how)
                            span.until(future)
                            done.under_way.append((row, future))
                            continue
                    except MessageSizeTooLargeError:
                        parked.add(key)
                    done.unsendable.append(row)
        except (TimeoutError, AssertionError):  # there is no such topic, or no such partition
            log.error("topic_not_reached", topic=topic)  # noqa: TRY400 - the topic says it all
            self._stalled[topic] = time.monotonic() + _STALLED_WAIT_S


def _settle(done: _Round) -> None:
    """Sort what was handed over: sent are the rows before the first failure of their key."""
    failed: set[tuple[str, bytes]] = set()
    for row, future in done.under_way:
        place = row["topic"], row["record_key"]
        error = future.exception() if future.done() else TimeoutError()
        if isinstance(error, MessageSizeTooLargeError):
            done.unsendable.append(row)
        elif error is not None:
            failed.add(place)
            done.lost = done.lost if is_passing(error) else error
        elif place not in failed:
            done.sent.append(row)
    if failed:
        log.warning("rows_kept", waiting=len(done.under_way) - len(done.sent))


def _places(rows: Sequence[asyncpg.Record]) -> tuple[list[int], list[int]]:
    return [row["lane"] for row in rows], [row["id"] for row in rows]
