"""The police of a town of their own, with a topic and with software that has a key."""

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID

import httpx
from aiokafka.structs import ConsumerRecord

from contracts.topics import Topic, department_topic
from deploy.local.migrate import ROOT
from deploy.local.topics import apply_topics, registered_topics
from services.chassis.seal import KeyRing
from tests import factories
from tests.component.chassis import real
from tests.integration.trio import Trio
from tests.waiting import PATIENCE_S, until

CONSUMER = ROOT / "docs" / "consumers" / "department.py"


class Reader:
    """A consumer as a process: what it prints is what it tells its department."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        self._out = process.stdout

    async def next(self, count: int) -> list[dict[str, Any]]:
        async with asyncio.timeout(PATIENCE_S):
            return [json.loads(await self._out.readline()) for _ in range(count)]


@dataclass(frozen=True, slots=True)
class Office:
    """The police of one town: nobody else calls them, so what stands on their topic is told here.

    The court is called beside them and has no topic.
    """

    trio: Trio
    tenant: str
    department: ClassVar[str] = "police"

    @property
    def key(self) -> str:
        return f"{self.tenant}-police-key"

    @property
    def topic(self) -> Topic:
        return department_topic(self.tenant, self.department)

    async def furnish(self) -> None:
        """Give the police a topic, the court none, and the police's software a key."""
        trio = self.trio
        topics = {one.name: one for one in await registered_topics(trio.kafka)}
        assert f"dept.{self.tenant}.court" in topics
        await apply_topics(trio.kafka, [topics[self.topic.name]])
        ring = KeyRing(trio.secrets.key_file)
        front_end = factories.demo_front_end(ring, self.key, departments=[self.department])
        await trio.post_set(self.tenant, "police-system", [{**front_end, "id": "police_system"}])

        async def known() -> bool:
            answer = await self.post_act(UUID(int=1), UUID(int=1), "known")
            return answer.status_code == 202

        await until(known, "intake knows the key")

    async def post_act(self, case_id: UUID, whistle_id: UUID, key: str) -> httpx.Response:
        body = {
            "case_id": str(case_id),
            "act": "report_in",
            "whistle_id": str(whistle_id),
            "department": self.department,
            "means": "remote",
        }
        headers = {"X-Api-Key": self.key, "Idempotency-Key": key}
        url = f"{self.trio.urls['intake']}/v1/acts"
        return await self.trio.http.post(url, json=body, headers=headers)

    async def called(self, key: str) -> tuple[UUID, UUID]:
        """Open a case and call the police and the court to it; return both ids."""
        trio = self.trio
        case_id = await trio.accepted(
            self.tenant, key, location={"grid": "g01"}, **{"class": "urgent"}
        )
        seq = (await trio.case(self.tenant, case_id))["seq"]
        answer = await trio.http.post(
            f"{trio.urls['routing']}/v1/cases/{case_id}/whistles",
            json={
                "departments": [self.department, "court"],
                "reason": "劝不开",
                "expected_seq": seq,
            },
            headers=trio.headers(self.tenant, "center_clerk", "town", staff="s-cc-01"),
        )
        assert answer.status_code == 201, answer.text
        return case_id, UUID(answer.json()["whistle_id"])

    def token(self) -> str:
        return factories.token(
            self.trio.secrets,
            "department_officer",
            tenant=self.tenant,
            department=self.department,
        )

    async def records(self) -> list[ConsumerRecord]:
        return await self.trio.records(self.topic.name)

    async def send_again(self, record: ConsumerRecord) -> None:
        """Send a record once more, as a relay that died before it could note the first time."""
        async with real.producer(self.trio.kafka) as producer:
            await producer.send_and_wait(
                record.topic, record.value, key=record.key, headers=list(record.headers)
            )

    def reads(self, file: Path) -> tuple[str, str, str]:
        """Return what the documented consumers are started with."""
        return self.trio.kafka, self.topic.name, str(file)
