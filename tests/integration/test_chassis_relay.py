"""Relays on a real Kafka: several at once, one that freezes, topics that are missing."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiokafka.errors import OutOfOrderSequenceNumber

from services.chassis import outbox
from services.chassis.outbox import Outgoing, Relay
from services.chassis.postgres import Pool, open_pool
from services.chassis.settings import ServiceSettings
from tests import factories
from tests.component.chassis import real
from tests.conftest import Database as Databases
from tests.waiting import PATIENCE_S

# Rows as a service would have written them, numbered within their subject.
FILL = """
INSERT INTO outbox (lane, topic, record_key, headers, body)
SELECT n % 60, $1, convert_to('s' || n % 60, 'UTF8'), '{}',
    convert_to('{"seq": ' || n / 60 + 1 || '}', 'UTF8')
FROM generate_series(0, $2 - 1) AS n
"""
LANES_HELD = """
SELECT count(*)
FROM pg_locks
JOIN pg_stat_activity USING (pid)
WHERE classid = 4711 AND locktype = 'advisory' AND state = 'idle in transaction'
    AND datname = current_database()
"""


@dataclass
class Ground:
    settings: ServiceSettings
    pool: Pool
    told: str

    async def write(self, *rows: Outgoing) -> None:
        async with self.pool.acquire() as conn, conn.transaction():
            await outbox.write(conn, rows)

    async def left(self) -> int:
        found: int = await self.pool.fetchval("SELECT count(*) FROM outbox")
        return found

    async def empty(self) -> bool:
        return await self.left() == 0


@pytest.fixture
async def ground(
    kafka: str, database: Databases, topic_prefix: str, tmp_path: Path
) -> AsyncIterator[Ground]:
    dsn = await database("notes")
    await real.prepare(dsn)
    told = await real.make_topic(kafka, f"{topic_prefix}told", 6)
    settings = factories.settings(
        ServiceSettings, factories.secrets(tmp_path), dsn=dsn, kafka=kafka
    )
    async with open_pool(settings, "test") as pool:
        yield Ground(settings, pool, told)


@asynccontextmanager
async def relaying(ground: Ground) -> AsyncIterator[Relay]:
    """A relay with a producer of its own, as another process would have."""
    stopping = asyncio.Event()
    async with real.started(ground.settings) as broker:
        relay = Relay(ground.settings, ground.pool, broker)
        running = asyncio.create_task(relay.run(stopping))
        try:
            yield relay
        finally:
            stopping.set()
            await running


async def test_several_relays_at_once_keep_each_keys_order_and_lose_nothing(
    ground: Ground,
) -> None:
    async with relaying(ground), relaying(ground), relaying(ground):
        await ground.pool.execute(FILL, ground.told, 6_000)
        await real.until(ground.empty)
    records = await real.lying_on(ground.settings.kafka_bootstrap, ground.told)
    assert len(records) == 6_000
    assert set(real.without_gap(records).values()) == {100}


async def freeze_a_relay(
    ground: Ground, place: Path, idle_s: int, capsys: pytest.CaptureFixture[str]
) -> None:
    async with real.process(
        ground.settings,
        place,
        ground.told,
        ground.told,
        f"{ground.told}g",
        IDLE_IN_TRANSACTION_S=str(idle_s),
        RELAY_DEADLINE_S=str(idle_s / 2),
    ) as process:
        await process.start()
        await real.until(process.is_ready)
        await ground.pool.execute(FILL, ground.told, 9_000)
        held = 0
        while not held:  # until it is caught with lanes in hand, some way through
            await asyncio.sleep(0.003)
            if await ground.left() < 8_500:
                process.signal(signal.SIGSTOP)
                await asyncio.sleep(0.05)
                held = await ground.pool.fetchval(LANES_HELD)
            if not held:
                process.signal(signal.SIGCONT)
        left, started = await ground.left(), time.monotonic()
        assert left
        async with relaying(ground):
            await real.until(ground.empty)
            seconds = time.monotonic() - started
            process.signal(signal.SIGCONT)
            await real.until(process.is_ready)
        assert process.running is not None
        assert process.running.returncode is None
    records = await real.lying_on(ground.settings.kafka_bootstrap, ground.told)
    assert set(real.without_gap(records).values()) == {150}
    with capsys.disabled():
        print(
            f"\nfrozen with {held} lanes and {left} rows left: taken over after {seconds:.1f} s,"
            f" {len(records) - 9_000} rows told twice"
        )


async def test_a_relay_that_freezes_while_it_holds_lanes_is_taken_over(
    ground: Ground, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await freeze_a_relay(ground, tmp_path, 2, capsys)


@pytest.mark.long
async def test_a_relay_that_freezes_is_taken_over_within_the_shipped_limit(
    ground: Ground, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await freeze_a_relay(ground, tmp_path, 15, capsys)


def row(topic: str, key: str, seq: int, **more: bytes) -> Outgoing:
    given: dict[str, Any] = {"body": f'{{"seq": {seq}}}'.encode(), **more}
    return Outgoing(topic, key.encode(), {"ce_id": "1"}, lane_key=key.encode(), **given)


async def test_rows_for_a_missing_topic_wait_for_it_alone(
    ground: Ground, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "_STALLED_WAIT_S", 1.0)
    missing = f"{topic_prefix}missing"
    bootstrap = ground.settings.kafka_bootstrap
    await ground.write(*(row(missing, "a", n + 1) for n in range(700)))
    await ground.write(*(row(ground.told, "a", n + 1) for n in range(50)))
    async with relaying(ground):

        async def others_gone() -> bool:
            return await ground.left() == 700

        await real.until(others_gone)
        await real.make_topic(bootstrap, missing, 1)
        await real.until(ground.empty)
    assert real.without_gap(await real.lying_on(bootstrap, ground.told)) == {b"a": 50}
    assert real.without_gap(await real.lying_on(bootstrap, missing)) == {b"a": 700}


async def test_a_row_that_no_topic_takes_is_parked_and_the_largest_that_one_takes_goes_out(
    ground: Ground,
) -> None:
    def sized(size: int) -> bytes:
        return b'{"seq": 2, "x": "' + b"x" * size + b'"}'

    await ground.write(
        row(ground.told, "a", 1),
        row(ground.told, "a", 2, body=sized(999_960)),
        row(ground.told, "a", 3),
        row(ground.told, "b", 1),
        row(ground.told, "b", 2, body=sized(999_700)),
        row(ground.told, "b", 3),
    )
    async with relaying(ground):
        await real.until(ground.empty)
    records = await real.lying_on(ground.settings.kafka_bootstrap, ground.told)
    assert real.without_gap(records) == {b"a": 1, b"b": 3}
    parked = await ground.pool.fetch("SELECT record_key FROM outbox_parked ORDER BY id")
    assert [one["record_key"] for one in parked] == [b"a", b"a"]


async def test_a_row_that_its_topic_alone_finds_too_large_costs_one_producer_and_no_more(
    ground: Ground, topic_prefix: str
) -> None:
    bootstrap = ground.settings.kafka_bootstrap
    small = await real.make_topic(bootstrap, f"{topic_prefix}small", 1, max_message_bytes="2000")
    await ground.write(row(small, "a", 1), row(small, "a", 2, body=b"x" * 400_000))
    await ground.write(row(small, "b", 1), row(small, "b", 2), row(ground.told, "c", 1))
    lives = 0
    while not await ground.empty():
        lives += 1
        async with real.started(ground.settings) as broker, asyncio.timeout(PATIENCE_S):
            relay = Relay(ground.settings, ground.pool, broker)
            with suppress(OutOfOrderSequenceNumber):
                while not await ground.empty():
                    await relay.round()
    assert lives <= 2
    assert await ground.pool.fetchval("SELECT count(*) FROM outbox_parked") == 1
    assert real.without_gap(await real.lying_on(bootstrap, small)) == {b"a": 1, b"b": 2}
    assert real.without_gap(await real.lying_on(bootstrap, ground.told)) == {b"c": 1}


async def test_what_goes_out_is_what_was_written(ground: Ground) -> None:
    tombstone = Outgoing(ground.told, b"k", {"ce_id": "2"}, None, b"k", 5)
    written = Outgoing(ground.told, b"k", {"ce_id": "1", "ce_x": "镇"}, b"\x00\xff", b"k", 5)
    await ground.write(written, tombstone, Outgoing(ground.told, b"", {}, b"no key", b""))
    async with relaying(ground):
        await real.until(ground.empty)
    found = await real.lying_on(ground.settings.kafka_bootstrap, ground.told)
    kept = {one.value: one for one in found}
    first = kept[b"\x00\xff"]
    assert (first.key, first.partition, dict(first.headers)["ce_x"]) == (b"k", 5, "镇".encode())
    assert kept[None].partition == 5
    assert kept[b"no key"].key == b""
