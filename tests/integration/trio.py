"""Intake, routing and ledger as processes of their own, on a broker that nobody else writes to."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import httpx
from aiokafka import TopicPartition
from aiokafka.structs import ConsumerRecord

from contracts.topics import LEDGER_REGISTRY, TOPICS, registry_partition
from deploy.local.kafka import KafkaServer
from deploy.local.lying import lying_on
from deploy.local.migrate import ROOT, migrate
from deploy.local.ports import unused_ports
from deploy.local.process import Command, Supervisor
from deploy.local.secrets import Secrets
from deploy.local.topics import apply_topics, registered_topics
from services.chassis.seal import KeyRing
from tests import factories
from tests.servers import Postgres, as_service
from tests.waiting import taken, until

SERVICES = ("intake", "routing", "ledger")
TOWNS = (
    "yihe",
    "second",
    "third",
    "virtual",
    "crowd",
    "calm",
    "counted",
    "offices",
    "readers",
    "letters",
)
API_KEY = "demo-key"
START_S = 60.0


@dataclass
class Trio:
    """The three services, and what stands around them."""

    supervisor: Supervisor
    kafka: str
    dsns: Mapping[str, str]
    secrets: Secrets
    logs: Path
    http: httpx.AsyncClient
    urls: dict[str, str] = field(default_factory=dict)
    before_topics: dict[str, Any] = field(default_factory=dict)
    before_towns: list[httpx.Response] = field(default_factory=list)

    @property
    def attachments(self) -> Path:
        """Where all intakes of these tests keep attachments."""
        return self.logs.absolute() / "attachments"

    @property
    def of_intake(self) -> dict[str, str]:
        """Settings of intake alone: tests that ask until a report is known are no flood."""
        looks = {"TRACK_PER_MINUTE": "6000", "TRACK_BURST": "6000"}
        return {"ATTACHMENT_URL": self.attachments.as_uri(), **looks}

    # --- processes -----------------------------------------------------------------------------

    async def start(self, service: str, name: str = "", **more: str) -> None:
        """Start a service, or another one of its kind by another name; `live` is enough here."""
        name, (port,) = name or service, unused_ports(1)
        settings = {
            "MODE": "development",
            "PORT": str(port),
            "KAFKA_BOOTSTRAP": self.kafka,
            "POSTGRES_DSN": as_service(self.dsns[service], service),
            "KEY_FILE": str(self.secrets.key_file),
            "TOKEN_KEY_FILE": str(self.secrets.token_public),
            **(self.of_intake if service == "intake" else {}),
            **more,
        }
        env = {f"{service.upper()}_{key}": value for key, value in settings.items()}
        argv = (sys.executable, "-m", f"services.{service}")
        command = Command(name, argv, env, self.logs / f"{name}.log", cwd=ROOT)
        url = self.urls[name] = f"http://127.0.0.1:{port}"
        await self.supervisor.start(command, lambda: self.answers(f"{url}/live"), START_S)

    async def stop(self, name: str) -> None:
        await self.supervisor.stop(name)

    async def answers(self, url: str) -> bool:
        try:
            return (await self.http.get(url)).is_success
        except httpx.HTTPError:
            return False

    async def ready(self, *names: str) -> None:
        for name in names:
            await until(partial(self.answers, f"{self.urls[name]}/ready"), f"{name} is ready")

    def signal(self, name: str, number: int) -> None:
        os.kill(self.supervisor.pids()[name], number)

    # --- doors ---------------------------------------------------------------------------------

    def headers(self, tenant: str, role: str, *units: str, staff: str = "dev") -> dict[str, str]:
        token = factories.token(self.secrets, role, tenant=tenant, units=units, staff=staff)
        return {"Authorization": f"Bearer {token}"}

    async def post_set(self, tenant: str, name: str, lines: Iterable[Mapping[str, Any]]) -> None:
        answer = await self.http.post(
            f"{self.urls['ledger']}/v1/registry/change-sets/{name}",
            content=b"\n".join(json.dumps(line, ensure_ascii=False).encode() for line in lines),
            headers=self.headers(tenant, "operator"),
        )
        assert answer.status_code == 200, answer.text

    async def report(
        self, tenant: str, key: str, *, intake: str = "intake", api_key: str = API_KEY, **more: Any
    ) -> httpx.Response:
        body = {"tenant": tenant, "summary": "路灯不亮", **more}
        headers = {"X-Api-Key": api_key, "Idempotency-Key": key}
        return await self.http.post(f"{self.urls[intake]}/v1/cases", json=body, headers=headers)

    async def accepted(self, tenant: str, key: str, **more: Any) -> UUID:
        answer = await taken(lambda: self.report(tenant, key, **more))
        return UUID(answer.json()["case_id"])

    async def case(self, tenant: str, case_id: UUID) -> dict[str, Any]:
        """Wait until routing has a case, and read it as the town's clerk does."""
        url = f"{self.urls['routing']}/v1/cases/{case_id}"
        headers = self.headers(tenant, "center_clerk", "town")

        async def there() -> bool:
            return (await self.http.get(url, headers=headers)).status_code == 200

        await until(there, f"{case_id} is there")
        found: dict[str, Any] = (await self.http.get(url, headers=headers)).json()
        return found

    async def step(
        self, tenant: str, case_id: UUID, step: str, by: tuple[str, str, str], **given: Any
    ) -> dict[str, Any]:
        seq = (await self.case(tenant, case_id))["seq"]
        role, unit, staff = by
        answer = await self.http.post(
            f"{self.urls['routing']}/v1/cases/{case_id}/steps",
            json={"step": step, "expected_seq": seq, **given},
            headers=self.headers(tenant, role, unit, staff=staff),
        )
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    # --- looking behind ------------------------------------------------------------------------

    async def rows(self, service: str, query: str, *given: Any) -> list[asyncpg.Record]:
        conn = await asyncpg.connect(self.dsns[service])
        try:
            return list(await conn.fetch(query, *given))
        finally:
            await conn.close()

    async def records(self, topic: str) -> list[ConsumerRecord]:
        """Read a topic from its beginning to its present end."""
        every = (*TOPICS, *await registered_topics(self.kafka))
        (known,) = [one for one in every if one.name == topic]
        return [record async for record in lying_on(self.kafka, known)]


def town(ring: KeyRing) -> list[dict[str, Any]]:
    """Return a small town and the front end that reports for it; nobody lives there."""
    lines = [dict(line) for line in factories.town_lines() if line["kind"] != "person"]
    lines = [line for line in lines if line["kind"] != "tenant"]
    for line in lines:
        line["body"] = {name: value for name, value in line["body"].items() if name != "head"}
    return [*lines, factories.demo_front_end(ring, API_KEY)]


def tenant_line(tenant: str) -> dict[str, Any]:
    return {"kind": "tenant", "id": tenant, "body": {"zh": "某镇", "en": "Town", "aliases": []}}


@asynccontextmanager
async def open_trio(place: Path, postgres: Postgres) -> AsyncIterator[Trio]:
    secrets = factories.secrets(place, *TOWNS)
    ring = KeyRing(secrets.key_file)
    admin = await asyncpg.connect(postgres.dsn("postgres"))
    dsns = {}
    for service in SERVICES:
        await admin.execute(f"CREATE DATABASE trio_{service}")
        dsns[service] = postgres.dsn(f"trio_{service}")
    port, controller_port = unused_ports(2)
    kafka = KafkaServer(place / "kafka", port, controller_port=controller_port)  # it is frozen
    try:
        async with Supervisor() as supervisor, httpx.AsyncClient(timeout=30) as http:
            kafka.prepare(lambda _: None)
            await supervisor.start(kafka.command(), kafka.ready, START_S)
            await asyncio.gather(*(migrate(service, dsns[service]) for service in SERVICES))
            trio = Trio(supervisor, kafka.bootstrap, dsns, secrets, place / "logs", http)
            await _begin(trio)
            for tenant in TOWNS:
                await trio.post_set(tenant, "seed", [tenant_line(tenant), *town(ring)])
            await trio.ready(*SERVICES)
            yield trio
            await supervisor.stop_all(grace_s=0)  # nothing of it is kept
    finally:
        kafka.erase()
        for service in SERVICES:
            await admin.execute(f"DROP DATABASE trio_{service} WITH (FORCE)")
        await admin.close()


async def _begin(trio: Trio) -> None:
    """Start the services before there is a topic, then the topics before there is a town."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(trio.start("intake", BODY_DEADLINE_S="1"))
        tasks.create_task(trio.start("routing", TIMER_MARGIN_S="0.5"))
        tasks.create_task(trio.start("ledger"))
    for service in SERVICES:

        async def says_so(service: str = service) -> bool:
            answer = await trio.http.get(f"{trio.urls[service]}/ready")
            trio.before_topics[service] = answer.json()["waiting"].get("work", "")
            return "missing topics" in trio.before_topics[service]

        await until(says_so, f"{service} misses its topics")
    trio.before_towns.append(await trio.report("yihe", "too-early"))
    await apply_topics(trio.kafka)
    await trio.ready("ledger")
    for api_key in (API_KEY, "unknown"):
        trio.before_towns.append(await trio.report("yihe", "too-early", api_key=api_key))


def local(moment: str) -> datetime:
    return datetime.fromisoformat(f"{moment}+08:00")


def registry_place(tenant: str) -> TopicPartition:
    return TopicPartition(LEDGER_REGISTRY.name, registry_partition(tenant))
