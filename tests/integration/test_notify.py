"""The whole service in a process of its own: Kafka in, a gateway called, Kafka out."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import httpx
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from contracts.events import Event
from contracts.registry import Change
from contracts.topics import LEDGER_REGISTRY, NOTIFY_EVENTS, ROUTING_EVENTS, registry_partition
from deploy.local.migrate import migrate
from deploy.local.ports import unused_ports
from deploy.local.secrets import Secrets, ensure_secrets
from deploy.local.topics import apply_topics
from services.chassis.seal import KeyRing
from tests import factories, servers
from tests.component.notify import world as worlds
from tests.component.notify.world import CALLBACK, Gateway, assigned
from tests.servers import Postgres
from tests.waiting import PATIENCE_S

ROOT = Path(__file__).parents[2]
KILLED = -signal.SIGKILL


@dataclass(frozen=True)
class Ground:
    """A broker and a database that belong together: the group's offsets are of this database."""

    kafka: str
    dsn: str
    keys: Secrets
    tenants: Iterator[str]


@pytest.fixture(scope="module")
async def ground(
    postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Ground]:
    place = tmp_path_factory.mktemp("notify")
    tenants = [f"town{n}" for n in range(20)]
    async with servers.kafka(place) as bootstrap:
        await apply_topics(bootstrap)
        admin = await asyncpg.connect(postgres.dsn("postgres"))
        await admin.execute("CREATE DATABASE notify_integration")
        dsn = postgres.dsn("notify_integration")
        await migrate("notify", dsn)
        yield Ground(bootstrap, dsn, ensure_secrets(place / "secrets", tenants), iter(tenants))
        await admin.execute("DROP DATABASE notify_integration WITH (FORCE)")
        await admin.close()


@dataclass
class Stage:
    """Everything around the service, and how to start it."""

    kafka: str
    dsn: str
    env: dict[str, str]
    url: str
    gateway: Gateway
    ring: KeyRing
    tenant: str

    @asynccontextmanager
    async def running(self, **more: str) -> AsyncIterator[asyncio.subprocess.Process]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "services.notify"),
            env={**os.environ, **self.env, **more},
            cwd=ROOT,
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.terminate()
                assert await asyncio.wait_for(process.wait(), PATIENCE_S) == 0

    async def ready(self) -> tuple[int, str]:
        async with httpx.AsyncClient(base_url=self.url, trust_env=False) as http:
            try:
                answer = await http.get("/ready")
            except httpx.TransportError:
                return 0, ""
        return answer.status_code, answer.text

    async def until_ready(self) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while (await self.ready())[0] != httpx.codes.OK:
                await asyncio.sleep(0.05)

    async def publish_registry(self) -> None:
        changes = factories.registry_changes(
            self.ring, factories.town_lines(tenant=self.tenant), tenant=self.tenant
        )
        await self._publish([(LEDGER_REGISTRY.name, change) for change in changes])

    async def publish(self, *events: Event) -> None:
        await self._publish([(ROUTING_EVENTS.name, event) for event in events])

    async def _publish(self, given: Sequence[tuple[str, Event | Change]]) -> None:
        producer = AIOKafkaProducer(bootstrap_servers=self.kafka, acks="all")
        await producer.start()
        try:
            for topic, one in given:
                partition = registry_partition(self.tenant) if isinstance(one, Change) else None
                await producer.send(
                    topic,
                    one.body,
                    key=one.key,
                    partition=partition,
                    headers=list(encoded(one.headers).items()),
                )
            await producer.flush()
        finally:
            await producer.stop()

    async def announced(self, count: int, quiet_s: float = 1) -> list[str]:
        """Return the kinds of this tenant's facts: so many, and then silence."""
        consumer = AIOKafkaConsumer(
            NOTIFY_EVENTS.name, bootstrap_servers=self.kafka, auto_offset_reset="earliest"
        )
        await consumer.start()
        found: dict[bytes, str] = {}
        try:
            while True:
                wait_s = quiet_s if len(found) >= count else PATIENCE_S
                try:
                    record = await asyncio.wait_for(consumer.getone(), wait_s)
                except TimeoutError:
                    return list(found.values())
                headers = dict(record.headers)
                if headers["ce_tenant"] == self.tenant.encode():
                    found[headers["ce_id"]] = headers["ce_type"].decode()
        finally:
            await consumer.stop()


def encoded(headers: Mapping[str, str]) -> dict[str, bytes]:
    return {name: value.encode() for name, value in headers.items()}


@pytest.fixture
async def stage(ground: Ground, tmp_path: Path) -> AsyncIterator[Stage]:
    keys, port = ground.keys, unused_ports(1)[0]
    secret, token = tmp_path / "gateway-secret", tmp_path / "receipts-token"
    secret.write_text(worlds.SECRET)
    token.write_text(worlds.RECEIPTS_TOKEN)
    url = f"http://127.0.0.1:{port}"
    async with worlds.gateway(f"{url}{CALLBACK}") as gateway:
        given = {
            "mode": "development",
            "port": port,
            "replica": 0,  # a fixed seat: nobody waits for the one who died
            "kafka_bootstrap": ground.kafka,
            "postgres_dsn": ground.dsn,
            "key_file": keys.key_file,
            "token_key_file": keys.token_public,
            "gateway_url": gateway.url,
            "gateway_key_id": worlds.KEY_ID,
            "gateway_secret_file": secret,
            "gateway_sign_name": worlds.SIGN,
            "receipts_token_file": token,
            "app_inbox": False,  # by SMS
            **worlds.QUICK,
        }
        env = {f"NOTIFY_{name.upper()}": str(value) for name, value in given.items()}
        ring, tenant = KeyRing(keys.key_file), next(ground.tenants)
        yield Stage(ground.kafka, ground.dsn, env, url, gateway, ring, tenant)


def a_case(stage: Stage) -> tuple[Event, Event]:
    """A case and its assignment: one message to the first grid worker."""
    opened = worlds.opened(stage.ring, stage.tenant)
    return opened, assigned(opened.subject_id, tenant=stage.tenant)


async def test_it_is_not_ready_before_it_knows_a_town(stage: Stage) -> None:
    """The first one here: the others leave a town behind."""
    async with stage.running():
        async with asyncio.timeout(PATIENCE_S):
            while "registry" not in (await stage.ready())[1]:
                await asyncio.sleep(0.05)
        await stage.publish_registry()
        await stage.until_ready()


async def test_a_fact_becomes_a_message_a_receipt_and_two_facts(stage: Stage) -> None:
    await stage.publish_registry()
    await stage.publish(*a_case(stage))
    async with stage.running():
        kinds = await stage.announced(2)
    assert kinds == ["message.accepted.v1", "message.delivered.v1"]
    assert len(await stage.gateway.texts()) == 1


async def test_a_service_told_to_stop_lets_its_work_end(stage: Stage) -> None:
    await stage.gateway.fault("hang", when="after", seconds=0.3)
    await stage.publish_registry()
    await stage.publish(*a_case(stage))
    async with stage.running() as process:
        async with asyncio.timeout(PATIENCE_S):
            while not await stage.gateway.texts():
                await asyncio.sleep(0.01)
        process.terminate()
        assert await asyncio.wait_for(process.wait(), PATIENCE_S) == 0
    conn = await asyncpg.connect(stage.dsn)
    query = "SELECT state FROM attempt WHERE tenant_id = $1 AND channel = 'sms'"
    assert await conn.fetchval(query, stage.tenant) in ("accepted", "delivered")
    await conn.close()


@pytest.mark.parametrize(
    "point",
    [
        "before_commit:2",
        "after_commit:2",
        "before_offsets:2",
        "after_claim",
        "after_call",
        "after_publish",
        "after_relay",
    ],
)
async def test_a_killed_process_leaves_one_message(stage: Stage, point: str) -> None:
    await stage.publish_registry()
    await stage.publish(*a_case(stage))
    async with stage.running(CHUISHAO_CRASH_AT=point) as process:
        assert await asyncio.wait_for(process.wait(), PATIENCE_S) == KILLED
    async with stage.running():
        await stage.until_ready()  # both facts may have been announced before the kill
        kinds = await stage.announced(2)
    assert kinds == ["message.accepted.v1", "message.delivered.v1"]
    assert len(await stage.gateway.texts()) == 1
    conn = await asyncpg.connect(stage.dsn)
    assert await conn.fetchval("SELECT count(*) FROM quarantine") == 0
    await conn.close()
