"""Groups on a real Kafka: poison as it really lies there, readers that come and go, registries."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaTimeoutError
from aiokafka.partitioner import DefaultPartitioner

from contracts.events import Event
from services.chassis import kafka as chassis_kafka
from services.chassis.http import Work
from services.chassis.inbox import Record, processed
from services.chassis.postgres import Pool, open_pool
from services.chassis.settings import ServiceSettings
from tests import factories
from tests.component.chassis import notes, real
from tests.conftest import Database as Databases
from tests.waiting import PATIENCE_S

SUBJECTS = [f"s{n}" for n in range(7)]


@dataclass
class Ground:
    settings: ServiceSettings
    pool: Pool
    bootstrap: str
    topic: str
    group: str

    async def texts(self) -> list[str]:
        rows = await self.pool.fetch(notes.EFFECTS)
        assert len({row["event_id"] for row in rows}) == len(rows), "an effect came twice"
        return [row["text"] for row in rows]

    async def until_read(self, amount: int) -> float:
        """Wait until so many records have been processed."""

        async def read() -> bool:
            return sum((await processed(self.pool, self.topic)).values()) >= amount

        return await real.until(read)

    async def committed(self) -> int:
        async with real.admin(self.bootstrap) as client:
            found = await client.list_consumer_group_offsets(self.group)
        return sum(end.offset for place, end in found.items() if place.topic == self.topic)


@pytest.fixture
async def ground(
    kafka: str, database: Databases, topic_prefix: str, tmp_path: Path
) -> AsyncIterator[Ground]:
    dsn = await database("notes")
    await real.prepare(dsn)
    topic = await real.make_topic(kafka, f"{topic_prefix}notes", 4)
    keys = factories.secrets(tmp_path)
    settings = factories.settings(
        ServiceSettings, keys, dsn=dsn, kafka=kafka, outage_wait_s_max=0.3
    )
    async with open_pool(settings, "test") as pool:
        yield Ground(settings, pool, kafka, topic, f"{topic_prefix}g")


@asynccontextmanager
async def reader(
    ground: Ground, handler: notes.Handler | None = None, **more: Any
) -> AsyncIterator[real.Reader]:
    settings = ground.settings.model_copy(update=more)
    async with real.started(settings) as broker:
        yield await real.reading(broker, settings, ground.pool, ground.topic, ground.group, handler)


async def put(
    to: AIOKafkaProducer, topic: str, one: Event, partition: int = 0, **more: Any
) -> None:
    headers = [(name, value.encode()) for name, value in one.headers.items()]
    given = {"value": one.body, "key": one.key, "headers": headers, **more}
    await to.send_and_wait(topic, partition=partition, **given)


async def test_poison_as_it_really_lies_on_a_topic_costs_its_own_subject_alone(
    ground: Ground,
) -> None:
    good = [notes.note(f"good{n}") for n in range(8)]
    async with real.producer(ground.bootstrap) as to:
        bad: list[dict[str, Any]] = [
            {"value": b"{"},
            {"value": None},
            {"headers": []},
            {"headers": [("ce_id", None), ("ce_tenant", b"yihe")]},
            {"headers": [("ce_type", b"\xff\xfe")]},
            {"headers": [("a\0b", b"1")]},
            {"value": b'{"text": "a\\u0000b"}'},
            {"value": b"\xff" * 900_000},
        ]
        for n, parts in enumerate(bad):
            await put(to, ground.topic, notes.note(f"bad{n}"), **parts)
            await put(to, ground.topic, good[n])
        await put(to, ground.topic, notes.note("bad0", 1))
    async with reader(ground):
        await ground.until_read(17)
    assert await ground.texts() == [f"good{n}-0" for n in range(8)]
    rows = await ground.pool.fetch(notes.QUARANTINE)
    assert [row["state"] for row in rows] == ["rejected"] * 8 + ["parked"]
    assert [row["record_offset"] for row in rows] == [0, 2, 4, 6, 8, 10, 12, 14, 16]
    assert rows[7]["body"] == b"\xff" * 900_000
    assert await ground.committed() == 17


@pytest.mark.parametrize("timestamp", [0, 2**52])
async def test_a_time_that_a_producer_made_up_stops_nobody(
    ground: Ground, timestamp: int, topic_prefix: str
) -> None:
    ground.topic = await real.make_topic(
        ground.bootstrap,
        f"{topic_prefix}times",
        1,
        message_timestamp_type="CreateTime",
        message_timestamp_after_max_ms=str(2**62),
    )
    async with real.producer(ground.bootstrap) as to:
        await put(to, ground.topic, notes.note(), timestamp_ms=timestamp)
    async with reader(ground):
        await ground.until_read(1)
    assert await ground.texts() == ["s0-0"]


async def test_the_same_batch_after_a_lost_commit_is_known(ground: Ground) -> None:
    async with real.producer(ground.bootstrap) as to:
        await real.send(to, ground.topic, real.about(SUBJECTS, 0, 100))
    async with reader(ground):
        await ground.until_read(100)
    first = await ground.texts()
    async with real.started(ground.settings) as broker:
        again = await real.reading(
            broker, ground.settings, ground.pool, ground.topic, f"{ground.group}2"
        )
        consumer = again.subscriber.consumer

        async def read_again() -> bool:
            places = consumer.assignment()
            ends = [await consumer.committed(place) or 0 for place in places]
            return sum(ends) == 100

        await real.until(read_again)
    assert await ground.texts() == first


async def test_an_outage_of_the_handler_loses_nothing_and_keeps_the_order(ground: Ground) -> None:
    handler = notes.Handler({"s3-31": TimeoutError})
    async with real.producer(ground.bootstrap) as to:
        await real.send(to, ground.topic, real.about(SUBJECTS, 0, 140))
    async with reader(ground, handler):

        async def three_times() -> bool:
            return sum("s3-31" in batch for batch in handler.batches) >= 3

        await real.until(three_times)
        assert await ground.committed() <= 140 - 20
        handler.faults = {}
        await ground.until_read(140)
    texts = await ground.texts()
    assert len(texts) == 140
    for name in SUBJECTS:
        mine = [int(text.partition("-")[2]) for text in texts if text.startswith(f"{name}-")]
        assert mine == sorted(mine)
    assert await ground.committed() == 140


async def test_a_halted_reader_is_stopped_and_makes_the_service_unready(ground: Ground) -> None:
    async with real.producer(ground.bootstrap) as to:
        for n in range(12):
            await put(to, ground.topic, notes.note(f"b{n}"), n % 4, value=b"{")
    work = Work()
    work.waiting_for = "the registry"  # which this reader may be the one to bring
    more: dict[str, Any] = {
        "reject_window_records": 100,
        "reject_share_max": 0.05,
        "consume_batch_max": 1,
    }
    async with reader(ground, **more) as halting:
        running = asyncio.create_task(chassis_kafka.consume_until_stopped(work, [halting]))

        async def told() -> bool:
            return "halted" in (await work.check() or "")

        await real.until(told)
        assert len(await ground.pool.fetch(notes.QUARANTINE)) == 5
        work.stopping.set()
        await running
    assert await ground.committed() == 5
    async with real.admin(ground.bootstrap) as client:
        assert not (await client.describe_consumer_groups([ground.group]))[0].groups[0][5]


async def test_readers_that_come_and_go_under_load_keep_each_effect_once(ground: Ground) -> None:
    total = 0
    stop = asyncio.Event()

    async def load() -> None:
        nonlocal total
        async with real.producer(ground.bootstrap) as to:
            while not stop.is_set():
                await real.send(to, ground.topic, real.about(SUBJECTS, total, total + 10))
                total += 10
                await asyncio.sleep(0.01)

    async with asyncio.TaskGroup() as tasks, reader(ground) as first:
        loading = tasks.create_task(load())
        await ground.until_read(50)
        for _ in range(2):
            async with reader(ground) as second:

                async def shared() -> bool:
                    theirs = second.subscriber.consumer.assignment()
                    return bool(theirs) and not theirs & first.subscriber.consumer.assignment()

                await real.until(shared)
                await ground.until_read(total + 50)

            async def alone() -> bool:
                return len(first.subscriber.consumer.assignment()) == 4

            await real.until(alone)
        stop.set()
        await loading  # what is being sent is counted too
        await ground.until_read(total)
    texts = await ground.texts()
    assert sorted(texts) == sorted(f"{SUBJECTS[n % 7]}-{n}" for n in range(total))
    for name in SUBJECTS:
        mine = [int(text.partition("-")[2]) for text in texts if text.startswith(f"{name}-")]
        assert mine == sorted(mine)


async def test_an_outage_amid_a_rebalance_ends_nobody(ground: Ground) -> None:
    """Pausing and seeking must not touch what has just been taken away."""
    handler = notes.Handler({f"s{n % 7}-{n}": TimeoutError for n in range(70)})
    async with real.producer(ground.bootstrap) as to:
        await real.send(to, ground.topic, real.about(SUBJECTS, 0, 70))
    async with reader(ground, handler):
        for _ in range(2):
            async with reader(ground, handler):
                failed = len(handler.batches)

                async def both_fail() -> bool:
                    return len(handler.batches) > failed + 4  # noqa: B023 - of this round

                await real.until(both_fail)
        handler.faults = {}
        await ground.until_read(70)
    assert len(await ground.texts()) == 70


async def test_a_topic_is_followed_from_its_beginning_and_what_cannot_be_read_is_skipped(
    ground: Ground,
) -> None:
    taken: list[Record] = []

    def take(record: Record) -> None:
        if record.value == b"bad":
            raise ValueError
        if record.value == b"worse":
            raise TypeError
        taken.append(record)

    async with real.producer(ground.bootstrap) as to:
        for n in range(200):
            value = {50: b"bad", 51: b"worse"}.get(n, str(n).encode())
            await to.send_and_wait(ground.topic, value, b"k", n % 4)
        async with real.started(ground.settings) as broker:
            caught_up = await chassis_kafka.follow(broker, ground.settings, ground.topic, 4, take)
            async with asyncio.timeout(PATIENCE_S):
                await caught_up.wait()
            assert len(taken) == 198
            await to.send_and_wait(ground.topic, b"later", b"k", 0)

            async def later() -> bool:
                return taken[-1].value == b"later"

            await real.until(later)
    for partition in range(4):
        mine = [one.offset for one in taken if one.partition == partition]
        assert mine == sorted(mine)


async def test_an_empty_topic_is_followed_at_once(ground: Ground) -> None:
    async with real.started(ground.settings) as broker:
        caught_up = await chassis_kafka.follow(
            broker, ground.settings, ground.topic, 4, lambda _: None
        )
        assert caught_up.is_set()


async def test_a_copy_is_whole_once_the_database_holds_what_the_topic_holds(
    ground: Ground,
) -> None:
    async with real.producer(ground.bootstrap) as to:
        await real.send(to, ground.topic, real.about(SUBJECTS, 0, 300))
    async with reader(ground) as one:

        async def whole() -> bool:
            return await chassis_kafka.is_processed(one, 4, ground.pool)

        await real.until(whole)
        assert len(await ground.texts()) == 300
        away = replace(one, subscriber=SimpleNamespace(consumer=Away()))
        assert not await chassis_kafka.is_processed(away, 4, ground.pool)


class Away:
    """A consumer whose broker does not answer."""

    async def end_offsets(self, _places: object) -> dict[TopicPartition, int]:
        raise KafkaTimeoutError


async def test_a_key_lands_where_the_broker_would_put_it(ground: Ground) -> None:
    partitioner = DefaultPartitioner()
    for n in range(500):
        key = f"yihe|{notes.subject(str(n))}".encode() * (n % 3 + 1)
        places = list(range(24))
        assert chassis_kafka.partition_of(key, 24) == partitioner(key, places, places)
    async with real.producer(ground.bootstrap) as to:
        for n in range(60):
            key = f"镇{n}|{n}".encode()
            sent = await to.send_and_wait(ground.topic, b"x", key)
            assert sent.partition == chassis_kafka.partition_of(key, 4)


async def test_a_missing_topic_is_named_until_it_is_there(
    ground: Ground, topic_prefix: str
) -> None:
    work, missing = Work(), f"{topic_prefix}missing"
    broker = chassis_kafka.make_broker(ground.settings, "test")
    starting = asyncio.create_task(
        chassis_kafka.start_broker(broker, ground.settings, [ground.topic, missing], work)
    )

    async def named() -> bool:
        return missing in (await work.check() or "")

    await real.until(named)
    assert ground.topic not in (await work.check() or "")
    await real.make_topic(ground.bootstrap, missing)
    async with asyncio.timeout(PATIENCE_S):
        await starting
    await broker.stop()


async def test_after_a_kill_a_member_with_a_seat_reads_on_at_once(
    ground: Ground, tmp_path: Path, topic_prefix: str
) -> None:
    told = await real.make_topic(ground.bootstrap, f"{topic_prefix}told", 4)
    async with (
        real.process(
            ground.settings, tmp_path, ground.topic, told, ground.group, REPLICA="0"
        ) as one,
        real.producer(ground.bootstrap) as to,
    ):
        await one.start()
        await real.send(to, ground.topic, real.about(SUBJECTS, 0, 50))
        await ground.until_read(50)
        one.signal(signal.SIGKILL)
        await one.ends()
        await real.send(to, ground.topic, real.about(SUBJECTS, 50, 100))
        await one.start()
        await ground.until_read(100)
        since_start_s = time.monotonic() - one.born
        subscribed = [line for line in one.lines() if line["event"] == "batch_applied"]
    print(f"\nfirst batch after kill -9: {since_start_s:.2f} s after the new process was started")
    assert len(await ground.texts()) == 100
    assert subscribed
    assert since_start_s < 14, "the broker drops a silent member after 15 s"


async def test_offsets_lie_where_the_database_has_got_to(ground: Ground) -> None:
    async with real.producer(ground.bootstrap) as to:
        await real.send(to, ground.topic, real.about(SUBJECTS, 0, 500))
    async with reader(ground, consume_batch_max=7):
        await ground.until_read(500)
    ends = await processed(ground.pool, ground.topic)
    async with real.admin(ground.bootstrap) as client:
        found = await client.list_consumer_group_offsets(ground.group)
    for partition, end in ends.items():
        assert found[TopicPartition(ground.topic, partition)].offset == end
