"""A department's own software: it reads its topic with the documented consumer, and reports in."""

import asyncio
import os
import signal
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from uuid import UUID

import pytest
from confluent_kafka import Consumer

from tests.integration.offices import CONSUMER, Office, Reader
from tests.integration.trio import Trio
from tests.waiting import PATIENCE_S, until


@asynccontextmanager
async def reading(office: Office, file: Path, *since: str) -> AsyncIterator[Reader]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(CONSUMER), *office.reads(file), *since),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # else `… &` ignores it
    )
    try:
        yield Reader(process)
    finally:
        process.send_signal(signal.SIGINT)  # so that it leaves its group at once
        await process.wait()


@pytest.fixture(scope="module")
async def police(trio: Trio) -> Office:
    office = Office(trio, "offices")
    await office.furnish()
    return office


async def test_a_department_reads_each_record_once_in_order_and_from_a_time(
    police: Office, tmp_path: Path
) -> None:
    case_id, whistle_id = await police.called("first")
    async with reading(police, tmp_path / "known") as reader:
        (given,) = await reader.next(1)
        assert (given["gap"], given["case"], given["task_seq"]) == (False, str(case_id), 1)
        assert (await police.post_act(case_id, whistle_id, "come")).status_code == 202
        (came,) = await reader.next(1)
        assert (came["gap"], came["task_seq"], came["change"]) == (False, 2, "reported_in")
        for record in await police.records():
            await police.send_again(record)
        between = datetime.now(UTC)
        later, _ = await police.called("later")
        (next_given,) = await reader.next(1)
        assert (next_given["case"], next_given["gap"]) == (str(later), False), "no repeat"
    async with reading(police, tmp_path / "known") as reader:
        await police.post_act(later, UUID(next_given["whistle_id"]), "come-later")
        (only_new,) = await reader.next(1)
        assert (only_new["case"], only_new["task_seq"]) == (str(later), 2)
    async with reading(police, tmp_path / "fresh", between.isoformat()) as reader:
        told = await reader.next(2)
        assert {one["case"] for one in told} == {str(later)}
        assert [(one["task_seq"], one["gap"]) for one in told] == [(1, False), (2, False)]


def read_foreign(office: Office, count: int) -> list[Mapping[str, str]]:
    """Read the police's topic as other people's software does; return each record's headers."""
    settings = {
        "bootstrap.servers": office.trio.kafka,
        "group.id": "foreign",
        "auto.offset.reset": "earliest",
    }
    consumer, found = Consumer(settings), list[Mapping[str, str]]()
    consumer.subscribe([office.topic.name])
    try:
        while len(found) < count and (record := consumer.poll(30)):
            assert record.error() is None, record.error()
            headers = dict(record.headers() or ())
            found.append({k: v.decode() for k, v in headers.items() if isinstance(v, bytes)})
    finally:
        consumer.close()
    return found


async def test_a_foreign_client_reads_the_topic_in_order_without_a_gap(police: Office) -> None:
    for n in range(6):
        case_id, whistle_id = await police.called(f"foreign-{n}")
        assert (await police.post_act(case_id, whistle_id, f"foreign-{n}")).status_code == 202

    async def all_told() -> bool:
        theirs = "tenant_id = $1 AND department = $2"
        waiting = f"SELECT FROM task WHERE {theirs} AND NOT sent"
        open_slots = f"SELECT FROM slot WHERE {theirs} AND outcome IS NULL"
        query = f"({waiting}) UNION ALL ({open_slots}) LIMIT 1"
        return not await police.trio.rows("routing", query, police.tenant, police.department)

    await until(all_told, "the police have been told of every report-in")
    lying = await police.records()
    found = await asyncio.to_thread(read_foreign, police, len(lying))
    assert len(found) == len(lying)
    known: dict[str, list[int]] = defaultdict(list)
    for headers in {one["ce_id"]: one for one in found}.values():  # repeats bear the same id
        known[headers["ce_subject"]].append(int(headers["ce_sequence"]))
    assert len(known) >= 6
    assert all(numbers == [*range(1, len(numbers) + 1)] for numbers in known.values())


async def test_a_department_without_a_topic_holds_nobody_up(trio: Trio, police: Office) -> None:
    await police.called("both")

    async def relayed() -> bool:
        return not await trio.rows("routing", "SELECT FROM outbox LIMIT 1")

    await until(relayed, "the outbox is empty")
    held = await trio.rows(
        "routing", "SELECT department FROM task WHERE NOT sent AND tenant_id = $1", police.tenant
    )
    assert {row["department"] for row in held} == {"court"}
    assert (await trio.http.get(f"{trio.urls['routing']}/ready")).status_code == 200


async def test_an_act_is_accepted_while_routing_stands_still(trio: Trio, police: Office) -> None:
    case_id, whistle_id = await police.called("standstill")
    trio.signal("routing", signal.SIGSTOP)
    try:
        answer = await police.post_act(case_id, whistle_id, "standstill")
    finally:
        trio.signal("routing", signal.SIGCONT)
    assert answer.status_code == 202

    async def came() -> bool:
        (whistle,) = (await trio.case(police.tenant, case_id))["whistles"]
        slots = {slot["department"]: slot for slot in whistle["slots"]}
        return bool(slots["police"]["outcome"] == "reported")

    await until(came, "the police have reported in")
    repeat = await police.post_act(case_id, whistle_id, "standstill")
    assert repeat.json()["act_id"] == answer.json()["act_id"]


async def test_a_stream_over_http_is_told_at_once_and_ends_with_its_service(
    trio: Trio, police: Office
) -> None:
    await trio.start("routing", "streaming")
    await trio.ready("streaming")
    url = f"{trio.urls['streaming']}/v1/departments/police/stream"
    headers = {"Authorization": f"Bearer {police.token()}"}
    async with asyncio.timeout(PATIENCE_S), trio.http.stream("GET", url, headers=headers) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = answer.aiter_lines()
        assert (await anext(lines)).startswith("id: ")
        case_id, _ = await police.called("streamed")
        assert str(case_id) in await anext(one async for one in lines if one.startswith("data: "))
        await trio.stop("streaming")
        # A stream that the server cuts off does not end: reading it fails.
        assert [line async for line in lines if line] == []
