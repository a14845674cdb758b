"""Servers that freeze, stop and come back: nobody is restarted, nothing lost, order kept.

These tests start servers of their own: the shared ones are never frozen or stopped.
"""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from contracts.events import Event
from deploy.local.kafka import KafkaServer
from deploy.local.ports import unused_ports
from deploy.local.postgres import PostgresServer
from deploy.local.process import Supervisor
from services.chassis.batch import Heard
from services.chassis.outbox import Relay
from services.chassis.postgres import Connection, open_pool
from services.chassis.settings import ServiceSettings
from tests import factories
from tests.component.chassis import notes, real
from tests.component.chassis.service import tell
from tests.conftest import Database as Databases
from tests.servers import START_TIMEOUT_S

SUBJECTS = [f"s{n}" for n in range(7)]


@asynccontextmanager
async def own_kafka(place: Path) -> AsyncIterator[tuple[str, int]]:
    """A broker of this test's own: its address and its process."""
    port, controller_port = unused_ports(2)
    server = KafkaServer(place / "kafka", port, controller_port=controller_port)
    server.prepare(lambda _: None)
    async with Supervisor() as supervisor:
        await supervisor.start(server.command(), server.ready, START_TIMEOUT_S)
        yield server.bootstrap, supervisor.pids()["kafka"]


@asynccontextmanager
async def frozen(pid: int) -> AsyncIterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


class Relaying(notes.Handler):
    """Tells what it was told: an effect and an outbox row for each note."""

    def __init__(self, told: str) -> None:
        super().__init__()
        self._told = told

    async def apply(self, conn: Connection, heard: list[Heard[Event]]) -> None:  # type: ignore[override]
        await super().apply(conn, heard)
        for one in heard:
            await tell(conn, self._told, one.message)


async def freeze_and_thaw(
    dsn: str, place: Path, frozen_s: float, capsys: pytest.CaptureFixture[str]
) -> None:
    async with own_kafka(place) as (bootstrap, pid):
        taken = await real.make_topic(bootstrap, "taken", 4)
        told = await real.make_topic(bootstrap, "told", 4)
        keys = factories.secrets(place)
        settings = factories.settings(
            ServiceSettings,
            keys,
            dsn=dsn,
            kafka=bootstrap,
            outage_wait_s_max=0.5,
            replica=0,
            relay_deadline_s=2,  # several rounds fail while it is frozen
        )
        stopping = asyncio.Event()
        async with (
            open_pool(settings, "test") as pool,
            real.started(settings) as broker,
            real.producer(bootstrap) as to,
            real.looking_into(dsn) as looked,
        ):
            relay = Relay(settings, pool, broker)
            relaying = asyncio.create_task(relay.run(stopping))
            await real.reading(broker, settings, pool, taken, "g", Relaying(told))
            await real.send(to, taken, real.about(SUBJECTS, 0, 50))

            async def some() -> bool:
                return await looked.count() >= 20

            await real.until(some)
            async with frozen(pid):
                # Rows that come while nobody answers, by a subject that was told of before.
                async with pool.acquire() as conn:
                    for n in range(50, 60):
                        async with conn.transaction():
                            await tell(conn, told, notes.note("s0", 1_000 + n))
                await asyncio.sleep(frozen_s)
            thawed = time.monotonic()
            await real.send(to, taken, real.about(SUBJECTS, 60, 120))

            async def done() -> bool:
                return await looked.count() == 110 and await looked.count("outbox") == 0

            await real.until(done, 60)
            seconds = time.monotonic() - thawed
            stopping.set()
            await relaying
            texts = await looked.texts()
            for name in SUBJECTS:
                mine = [int(t.partition("-")[2]) for t in texts if t.startswith(f"{name}-")]
                assert mine == sorted(mine)
        records = await real.lying_on(bootstrap, told)
        assert sum(real.without_gap(records).values()) == 120
    with capsys.disabled():
        print(
            f"\nfrozen {frozen_s:.0f} s; all told {seconds:.1f} s after, {len(records) - 120} twice"
        )


async def test_a_broker_that_froze_for_ten_seconds_is_taken_up_again_without_a_restart(
    database: Databases, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dsn = await database("notes")
    await real.prepare(dsn)
    await freeze_and_thaw(dsn, tmp_path, 10, capsys)


@pytest.mark.long
@pytest.mark.timeout(240)
async def test_a_broker_that_froze_for_longer_than_every_timeout_is_taken_up_again(
    database: Databases, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dsn = await database("notes")
    await real.prepare(dsn)
    await freeze_and_thaw(dsn, tmp_path, 60, capsys)


async def test_a_database_that_was_stopped_is_taken_up_again_and_each_note_once(
    kafka: str, topic_prefix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from deploy.local.migrate import migrate  # noqa: PLC0415 - a server of its own

    server = PostgresServer(tmp_path / "postgres", unused_ports(1)[0], durable=False)
    server.prepare(lambda _: None)
    taken = await real.make_topic(kafka, f"{topic_prefix}taken", 4)
    told = await real.make_topic(kafka, f"{topic_prefix}told", 4)
    try:
        async with Supervisor() as supervisor:
            await supervisor.start(server.command(), server.ready, START_TIMEOUT_S)
            await server.ensure_databases(["notes"])
            dsn = server.dsn("notes")
            await migrate("notes", dsn)
            await real.prepare(dsn)
            keys = factories.secrets(tmp_path)
            settings = factories.settings(
                ServiceSettings, keys, dsn=dsn, kafka=kafka, outage_wait_s_max=0.5
            )
            stopping = asyncio.Event()
            async with (
                open_pool(settings, "test") as pool,
                real.started(settings) as broker,
                real.producer(kafka) as to,
            ):
                relaying = asyncio.create_task(Relay(settings, pool, broker).run(stopping))
                await real.reading(broker, settings, pool, taken, topic_prefix, Relaying(told))
                await real.send(to, taken, real.about(SUBJECTS, 0, 100))

                async def some() -> bool:
                    return bool(await pool.fetchval("SELECT count(*) > 10 FROM effect"))

                await real.until(some)
                await supervisor.stop("postgres")
                await real.send(to, taken, real.about(SUBJECTS, 100, 200))
                await asyncio.sleep(1.5)
                await supervisor.start(server.command(), server.ready, START_TIMEOUT_S)
                back = time.monotonic()
                async with real.looking_into(dsn) as looked:

                    async def done() -> bool:
                        return await looked.count() == 200 and await looked.count("outbox") == 0

                    await real.until(done)
                    seconds = time.monotonic() - back
                    assert len(await looked.texts()) == 200
                    assert await looked.count("quarantine") == 0
                stopping.set()
                await relaying
    finally:
        server.erase()
    assert sum(real.without_gap(await real.lying_on(kafka, told)).values()) == 200
    with capsys.disabled():
        print(f"\nall read and told {seconds:.1f} s after the database was back")
