import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from deploy.local.errors import LocalStackError
from deploy.local.kafka import KafkaServer
from deploy.local.ports import unused_ports
from deploy.local.process import Supervisor
from deploy.local.stack import Servers, servers
from tests.waiting import PATIENCE_S


@asynccontextmanager
async def running(server: KafkaServer) -> AsyncIterator[Supervisor]:
    await asyncio.to_thread(server.prepare, lambda _: None)
    async with Supervisor() as supervisor:
        await supervisor.start(server.command(), server.ready, 60)
        yield supervisor


async def is_back(server: KafkaServer, supervisor: Supervisor, old_pid: int) -> bool:
    return supervisor.pids().get("kafka", old_pid) != old_pid and await server.ready()


async def back(server: KafkaServer, supervisor: Supervisor, old_pid: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not await is_back(server, supervisor, old_pid):
            await asyncio.sleep(0.05)


async def make_topic(server: KafkaServer, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=server.bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1)])
    finally:
        await admin.close()


async def topics(server: KafkaServer) -> list[str]:
    admin = AIOKafkaAdminClient(bootstrap_servers=server.bootstrap)
    await admin.start()
    try:
        return list(await admin.list_topics())
    finally:
        await admin.close()


async def send(server: KafkaServer, topic: str, value: bytes) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=server.bootstrap, acks="all")
    await producer.start()
    try:
        await producer.send_and_wait(topic, value)
    finally:
        await producer.stop()


async def read_one(server: KafkaServer, topic: str) -> bytes:
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=server.bootstrap,
        group_id="reader",
        session_timeout_ms=6000,
        auto_offset_reset="earliest",
    )
    await consumer.start()
    try:
        async with asyncio.timeout(PATIENCE_S):
            record = await consumer.getone()
    finally:
        await consumer.stop()
    return bytes(record.value)


async def test_a_record_outlives_the_killed_broker(tmp_path: Path) -> None:
    server = KafkaServer(tmp_path / "kafka", unused_ports(2)[0], durable=True)
    async with running(server) as supervisor:
        await make_topic(server, "bells")
        await send(server, "bells", b"rung")
        assert await topics(server) == ["bells"]
        pid = supervisor.pids()["kafka"]
        os.kill(pid, signal.SIGKILL)
        await back(server, supervisor, pid)
        assert await read_one(server, "bells") == b"rung"
    log = (tmp_path / "kafka" / "kafka.log").read_text()
    assert "log.flush.interval.messages = 1" in log
    assert "shut down completed" in log


async def test_both_servers_run_side_by_side_and_again_on_other_ports(tmp_path: Path) -> None:
    @asynccontextmanager
    async def both(*, erase: bool = False) -> AsyncIterator[Servers]:
        kafka_port, _, postgres_port = unused_ports(3)
        async with servers(
            tmp_path, kafka_port, postgres_port, durable=False, report=print, erase=erase
        ) as running:
            yield running

    async with both() as first:
        assert set(first.supervisor.pids()) == {"kafka", "postgres"}
        await make_topic(first.kafka, "bells")
        await first.postgres.ensure_databases(["routing"])
        with pytest.raises(LocalStackError, match="already running"):
            await both().__aenter__()

    async with both(erase=True) as second:
        assert await topics(second.kafka) == ["bells"]
        assert await second.postgres.ready()
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]  # noqa: ASYNC240
