"""Real topics, real databases and real processes for tests of the chassis."""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import httpx
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from faststream.kafka import KafkaBroker

from contracts.events import Event
from deploy.local.ports import unused_ports
from services.chassis import kafka
from services.chassis.batch import Subscription
from services.chassis.settings import ServiceSettings
from tests import waiting
from tests.component.chassis import notes
from tests.component.chassis.service import SUBJECT_TABLE
from tests.waiting import PATIENCE_S

ROOT = Path(__file__).parents[3]


async def until(condition: Callable[[], Awaitable[object]], seconds: float = PATIENCE_S) -> float:
    """Wait for a condition; return how long it took."""
    started = time.monotonic()
    await waiting.until(condition, getattr(condition, "__name__", repr(condition)), seconds)
    return time.monotonic() - started


@asynccontextmanager
async def admin(bootstrap: str) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await client.start()
    try:
        yield client
    finally:
        await client.close()


async def make_topic(bootstrap: str, name: str, partitions: int = 3, **config: str) -> str:
    """Make a topic; underscores in its settings' names stand for dots."""
    named = {key.replace("_", "."): value for key, value in config.items()}
    async with admin(bootstrap) as client:
        await client.create_topics([NewTopic(name, partitions, 1, topic_configs=named)])
    return name


@asynccontextmanager
async def producer(bootstrap: str) -> AsyncIterator[AIOKafkaProducer]:
    made = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all")
    await made.start()
    try:
        yield made
    finally:
        await made.stop()


async def send(to: AIOKafkaProducer, topic: str, events: Iterable[Event]) -> None:
    """Put events on a topic and wait until they are there."""
    sent = [
        await to.send(
            topic,
            event.body,
            event.key,
            headers=[(name, value.encode()) for name, value in event.headers.items()],
        )
        for event in events
    ]
    await asyncio.gather(*sent)


async def lying_on(bootstrap: str, topic: str) -> list[Any]:
    """Return all records of a topic, each partition in order."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, auto_offset_reset="earliest", enable_auto_commit=False
    )
    await consumer.start()
    try:
        partitions = (await consumer._client.fetch_all_metadata()).partitions_for_topic(topic)  # noqa: SLF001
        places = [TopicPartition(topic, n) for n in sorted(partitions or ())]
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        found: list[Any] = []
        async with asyncio.timeout(PATIENCE_S):
            while any([await consumer.position(place) < ends[place] for place in places]):
                for records in (await consumer.getmany(timeout_ms=100)).values():
                    found += records
        return found
    finally:
        await consumer.stop()


def numbered(records: Sequence[Any]) -> dict[bytes, list[int]]:
    """Return for each key the numbers of its records, repeats left out, as they lie."""
    found: dict[bytes, list[int]] = {}
    for record in records:
        numbers = found.setdefault(record.key, [])
        seq = json.loads(record.value)["seq"]
        if seq not in numbers:
            numbers.append(seq)
    return found


def without_gap(records: Sequence[Any]) -> dict[bytes, int]:
    """Return how many numbers each key has; each in order from 1, or the test fails."""
    found = numbered(records)
    for key, numbers in found.items():
        assert numbers == list(range(1, len(numbers) + 1)), (key, numbers)
    return {key: len(numbers) for key, numbers in found.items()}


async def prepare(dsn: str) -> None:
    """Add the tables of the smallest service."""
    conn = await asyncpg.connect(dsn)
    await conn.execute(notes.EFFECT_TABLE)
    await conn.execute(SUBJECT_TABLE)
    await conn.close()


@dataclass
class Database:
    """Looks into a service's database from outside."""

    conn: "asyncpg.Connection[asyncpg.Record]"

    async def texts(self) -> list[str]:
        rows = await self.conn.fetch(notes.EFFECTS)
        assert len({row["event_id"] for row in rows}) == len(rows), "an effect came twice"
        return [row["text"] for row in rows]

    async def count(self, table: str = "effect") -> int:
        found: int = await self.conn.fetchval(f"SELECT count(*) FROM {table}")  # noqa: S608
        return found


@asynccontextmanager
async def looking_into(dsn: str) -> AsyncIterator[Database]:
    conn = await asyncpg.connect(dsn)
    try:
        yield Database(conn)
    finally:
        await conn.close()


@asynccontextmanager
async def started(settings: ServiceSettings) -> AsyncIterator[KafkaBroker]:
    """A broker of the chassis's making, connected while the block lasts."""
    broker = kafka.make_broker(settings, "test")
    await broker.start()
    try:
        yield broker
    finally:
        await broker.stop()


Reader = Subscription[Event]


async def reading(
    broker: KafkaBroker,
    settings: ServiceSettings,
    pool: Any,
    topic: str,
    group: str,
    handler: notes.Handler | None = None,
) -> Reader:
    return await kafka.subscribe(
        broker,
        settings,
        pool,
        topics=[topic],
        group=group,
        parse=notes.parse,
        apply=(handler or notes.Handler()).apply,
    )


@dataclass
class Process:
    """One life after another of the smallest service."""

    env: Mapping[str, str]
    log_path: Path
    port: int = field(default_factory=lambda: unused_ports(1)[0])
    running: asyncio.subprocess.Process | None = None
    born: float = 0.0

    async def start(self, **more: str) -> None:
        env = {**os.environ, **self.env, "NOTES_PORT": str(self.port), **more}
        with self.log_path.open("ab") as log:
            self.running = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.component.chassis.service"),
                env=env,
                cwd=ROOT,
                stdout=log,
                stderr=log,
            )
        self.born = time.monotonic()

    async def ends(self, seconds: float = PATIENCE_S) -> int:
        """Wait for its end; return its exit code, negative for a signal."""
        assert self.running is not None
        async with asyncio.timeout(seconds):
            return await self.running.wait()

    async def kill(self) -> None:
        self.signal(signal.SIGKILL)
        await self.ends()

    def signal(self, number: signal.Signals) -> None:
        assert self.running is not None
        self.running.send_signal(number)

    async def waiting(self) -> dict[str, str] | None:
        """Return what it says that it waits for; nothing while it does not answer."""
        async with httpx.AsyncClient(trust_env=False) as http:
            try:
                answer = await http.get(f"http://127.0.0.1:{self.port}/ready", timeout=5)
            except httpx.HTTPError:
                return None
        found: dict[str, str] = answer.json()["waiting"]
        return found

    async def is_ready(self) -> bool:
        return await self.waiting() == {}

    def lines(self) -> list[dict[str, Any]]:
        return [
            json.loads(line)
            for line in self.log_path.read_text().splitlines()
            if line.startswith("{")
        ]


@asynccontextmanager
async def process(
    settings: ServiceSettings, place: Path, taken: str, told: str, group: str, **more: str
) -> AsyncIterator[Process]:
    """A service that is not started yet; whatever lives at the end is killed."""
    given = {
        "MODE": "development",
        "TAKEN": taken,
        "TOLD": told,
        "GROUP": group,
        "KAFKA_BOOTSTRAP": settings.kafka_bootstrap,
        "POSTGRES_DSN": str(settings.postgres_dsn),
        "KEY_FILE": str(settings.key_file),
        "TOKEN_KEY_FILE": str(settings.token_key_file),
        "OUTAGE_WAIT_S_MAX": "0.5",
        **more,
    }
    one = Process({f"NOTES_{key}": value for key, value in given.items()}, place / "notes.log")
    try:
        yield one
    finally:
        if one.running is not None and one.running.returncode is None:
            one.running.kill()
            await one.running.wait()


def about(names: Sequence[str], start: int, end: int) -> list[Event]:
    """Notes on subjects in turn, numbered from `start`."""
    return [notes.note(names[n % len(names)], n) for n in range(start, end)]


def keys(names: Sequence[str]) -> set[UUID]:
    return {notes.subject(name) for name in names}
