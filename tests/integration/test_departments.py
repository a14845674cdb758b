"""A department's own software: it reads its topic with the documented consumer, and reports in."""

import asyncio
import json
import os
import signal
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from aiokafka.structs import ConsumerRecord
from confluent_kafka import Consumer

from contracts.topics import department_topic
from deploy.local.migrate import ROOT
from deploy.local.topics import apply_topics, registered_topics
from services.chassis.seal import KeyRing
from tests import factories
from tests.component.chassis import real
from tests.integration.trio import Trio
from tests.waiting import until

TENANT = "offices"
TOPIC = department_topic(TENANT, "police")
KEY = "police-key"
pytestmark = pytest.mark.usefixtures("police")
CONSUMER = ROOT / "docs" / "consumers" / "department.py"


class Reader:
    """The documented consumer as a process; what it prints is what it tells its department."""

    wait_s = 30

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        self._out = process.stdout

    async def next(self, count: int) -> list[dict[str, Any]]:
        async with asyncio.timeout(self.wait_s):
            return [json.loads(await self._out.readline()) for _ in range(count)]


@asynccontextmanager
async def reading(trio: Trio, file: Path, *since: str) -> AsyncIterator[Reader]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(CONSUMER), trio.kafka, TOPIC.name, str(file), *since),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        yield Reader(process)
    finally:
        process.send_signal(signal.SIGINT)  # so that it leaves its group at once
        await process.wait()


@pytest.fixture(scope="module")
async def police(trio: Trio) -> None:
    """Give the police a topic, the court none, and the police's software a key."""
    topics = {one.name: one for one in await registered_topics(trio.kafka)}
    assert f"dept.{TENANT}.court" in topics
    await apply_topics(trio.kafka, [topics[TOPIC.name]])
    ring = KeyRing(trio.secrets.key_file)
    front_end = factories.demo_front_end(ring, KEY, departments=["police"])
    await trio.post_set(TENANT, "police-system", [{**front_end, "id": "police_system"}])

    async def known() -> bool:
        answer = await post_act(trio, UUID(int=1), UUID(int=1), "known")
        return answer.status_code == 202

    await until(known, "intake knows the key")


async def post_act(trio: Trio, case_id: UUID, whistle_id: UUID, key: str) -> httpx.Response:
    body = {
        "case_id": str(case_id),
        "act": "report_in",
        "whistle_id": str(whistle_id),
        "department": "police",
        "means": "remote",
    }
    headers = {"X-Api-Key": KEY, "Idempotency-Key": key}
    return await trio.http.post(f"{trio.urls['intake']}/v1/acts", json=body, headers=headers)


async def called(trio: Trio, key: str) -> tuple[UUID, UUID]:
    """Open a case and call the police and the court to it; return both ids."""
    case_id = await trio.accepted(TENANT, key, location={"grid": "g01"}, **{"class": "urgent"})
    seq = (await trio.case(TENANT, case_id))["seq"]
    answer = await trio.http.post(
        f"{trio.urls['routing']}/v1/cases/{case_id}/whistles",
        json={"departments": ["police", "court"], "reason": "劝不开", "expected_seq": seq},
        headers=trio.headers(TENANT, "center_clerk", "town", staff="s-cc-01"),
    )
    assert answer.status_code == 201, answer.text
    return case_id, UUID(answer.json()["whistle_id"])


async def send_again(trio: Trio, record: ConsumerRecord) -> None:
    """Send a record once more, as a relay does that died before it could note the first time."""
    async with real.producer(trio.kafka) as producer:
        await producer.send_and_wait(
            record.topic, record.value, key=record.key, headers=list(record.headers)
        )


async def test_a_department_reads_each_record_once_in_order_and_from_a_time(
    trio: Trio, tmp_path: Path
) -> None:
    case_id, whistle_id = await called(trio, "first")
    async with reading(trio, tmp_path / "known") as reader:
        (given,) = await reader.next(1)
        assert (given["gap"], given["case"], given["task_seq"]) == (False, str(case_id), 1)
        assert (await post_act(trio, case_id, whistle_id, "come")).status_code == 202
        (came,) = await reader.next(1)
        assert (came["gap"], came["task_seq"], came["change"]) == (False, 2, "reported_in")
        for record in await trio.records(TOPIC.name):
            await send_again(trio, record)
        between = datetime.now(UTC)
        later, _ = await called(trio, "later")
        (next_given,) = await reader.next(1)
        assert (next_given["case"], next_given["gap"]) == (str(later), False), "no repeat"
    async with reading(trio, tmp_path / "known") as reader:
        await post_act(trio, later, UUID(next_given["whistle_id"]), "come-later")
        (only_new,) = await reader.next(1)
        assert (only_new["case"], only_new["task_seq"]) == (str(later), 2)
    async with reading(trio, tmp_path / "fresh", between.isoformat()) as reader:
        told = await reader.next(2)
        assert {one["case"] for one in told} == {str(later)}
        assert [(one["task_seq"], one["gap"]) for one in told] == [(1, False), (2, False)]


def read_foreign(bootstrap: str, count: int) -> list[Mapping[str, str]]:
    """Read the police's topic as other people's software does; return each record's headers."""
    settings = {
        "bootstrap.servers": bootstrap,
        "group.id": "foreign",
        "auto.offset.reset": "earliest",
    }
    consumer, found = Consumer(settings), list[Mapping[str, str]]()
    consumer.subscribe([TOPIC.name])
    try:
        while len(found) < count and (record := consumer.poll(30)):
            assert record.error() is None, record.error()
            headers = dict(record.headers() or ())
            found.append({k: v.decode() for k, v in headers.items() if isinstance(v, bytes)})
    finally:
        consumer.close()
    return found


async def test_a_foreign_client_reads_the_topic_in_order_without_a_gap(trio: Trio) -> None:
    for n in range(6):
        case_id, whistle_id = await called(trio, f"foreign-{n}")
        assert (await post_act(trio, case_id, whistle_id, f"foreign-{n}")).status_code == 202

    async def all_told() -> bool:
        waiting = "SELECT FROM task WHERE department = 'police' AND NOT sent"
        open_slots = "SELECT FROM slot WHERE department = 'police' AND outcome IS NULL"
        return not await trio.rows("routing", f"({waiting}) UNION ALL ({open_slots}) LIMIT 1")

    await until(all_told, "the police have been told of every report-in")
    lying = await trio.records(TOPIC.name)
    found = await asyncio.to_thread(read_foreign, trio.kafka, len(lying))
    assert len(found) == len(lying)
    known: dict[str, list[int]] = defaultdict(list)
    for headers in {one["ce_id"]: one for one in found}.values():  # repeats bear the same id
        known[headers["ce_subject"]].append(int(headers["ce_sequence"]))
    assert len(known) >= 6
    assert all(numbers == [*range(1, len(numbers) + 1)] for numbers in known.values())


async def test_a_department_without_a_topic_holds_nobody_up(trio: Trio) -> None:
    await called(trio, "both")

    async def relayed() -> bool:
        return not await trio.rows("routing", "SELECT FROM outbox LIMIT 1")

    await until(relayed, "the outbox is empty")
    held = await trio.rows(
        "routing", "SELECT department FROM task WHERE NOT sent AND tenant_id = $1", TENANT
    )
    assert {row["department"] for row in held} == {"court"}
    assert (await trio.http.get(f"{trio.urls['routing']}/ready")).status_code == 200


async def test_an_act_is_accepted_while_routing_stands_still(trio: Trio) -> None:
    case_id, whistle_id = await called(trio, "standstill")
    trio.signal("routing", signal.SIGSTOP)
    try:
        answer = await post_act(trio, case_id, whistle_id, "standstill")
    finally:
        trio.signal("routing", signal.SIGCONT)
    assert answer.status_code == 202

    async def came() -> bool:
        (whistle,) = (await trio.case(TENANT, case_id))["whistles"]
        slots = {slot["department"]: slot for slot in whistle["slots"]}
        return bool(slots["police"]["outcome"] == "reported")

    await until(came, "the police have reported in")
    repeat = await post_act(trio, case_id, whistle_id, "standstill")
    assert repeat.json()["act_id"] == answer.json()["act_id"]


async def test_a_stream_over_http_is_told_at_once_and_ends_with_its_service(trio: Trio) -> None:
    await trio.start("routing", "streaming")
    await trio.ready("streaming")
    token = factories.token(trio.secrets, "department_officer", tenant=TENANT, department="police")
    url = f"{trio.urls['streaming']}/v1/departments/police/stream"
    headers = {"Authorization": f"Bearer {token}"}
    async with asyncio.timeout(60), trio.http.stream("GET", url, headers=headers) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = answer.aiter_lines()
        assert (await anext(lines)).startswith("id: ")
        case_id, _ = await called(trio, "streamed")
        assert str(case_id) in await anext(one async for one in lines if one.startswith("data: "))
        await trio.stop("streaming")
        # A stream that the server cuts off does not end: reading it fails.
        assert [line async for line in lines if line] == []
