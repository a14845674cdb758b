"""Intake's other doors on a real broker: many at once, CloudEvents by both SDKs, follow-ups."""

import asyncio
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from aiokafka.structs import ConsumerRecord
from cloudevents.core.bindings.http import to_binary_event, to_structured_event
from cloudevents.core.bindings.kafka import KafkaMessage, from_kafka_event
from cloudevents.core.v1.event import CloudEvent

from contracts.topics import INTAKE_EVENTS, ROUTING_EVENTS
from tests.integration.trio import API_KEY, Trio
from tests.waiting import PATIENCE_S, until

REPORT = {"tenant": "yihe", "summary": "路灯不亮", "location": {"grid": "g01"}}
NPM_SDK = "cloudevents@10.0.0"
POST = Path(__file__).parent / "cloudevents_js" / "post.cjs"


async def post(trio: Trio, path: str, content: bytes | str, **headers: str) -> httpx.Response:
    given = {"X-Api-Key": API_KEY, **headers}
    return await trio.http.post(f"{trio.urls['intake']}{path}", content=content, headers=given)


async def batch(trio: Trio, *lines: dict[str, Any]) -> list[dict[str, Any]]:
    content = "\n".join(json.dumps({**REPORT, **line}, ensure_ascii=False) for line in lines)
    answer = await post(trio, "/v1/cases:batch", content)
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.text.splitlines()]


async def test_each_good_line_of_a_batch_becomes_its_case(trio: Trio) -> None:
    lines = [
        {"idempotency_key": "line-1"},
        {"idempotency_key": "line-2", "summary": ""},
        {"idempotency_key": "line-3"},
        {"idempotency_key": "line-1"},
        {"idempotency_key": "line-3", "summary": "另一件"},
    ]
    results = await batch(trio, *lines)
    assert [one["status"] for one in results] == [202, 422, 202, 202, 202]
    single = (await trio.report("yihe", "line-1", location={"grid": "g01"})).json()
    assert results[0]["case_id"] == results[3]["case_id"] == single["case_id"]
    assert results[0]["tracking_code"] == single["tracking_code"]
    case = await trio.case("yihe", UUID(results[2]["case_id"]))
    assert case["text"] == {"summary": "路灯不亮"}

    async def kept() -> bool:
        return bool((await trio.case("yihe", UUID(case["case_id"])))["follow_ups"])

    await until(kept, "the second body of one key is shown beside the first")
    first = await trio.case("yihe", UUID(results[0]["case_id"]))
    assert first["follow_ups"] == []


def sdk_event(id_: str) -> CloudEvent:
    attributes = {
        "id": id_,
        "specversion": "1.0",
        "type": "case.reported.v1",
        "source": "https://hotline.example/tickets",
        "datacontenttype": "application/json",
    }
    return CloudEvent(attributes, REPORT)


async def test_one_event_in_every_mode_is_one_case(trio: Trio) -> None:
    accepted = []
    for write in (to_binary_event, to_structured_event):
        message = write(sdk_event("ticket-1"))
        answer = await post(trio, "/v1/events", message.body, **message.headers)
        assert answer.status_code == 202, answer.text
        accepted.append(answer.json()["case_id"])
    many = [json.loads(to_structured_event(sdk_event(f"ticket-{n}")).body) for n in (1, 2)]
    media = "application/cloudevents-batch+json"
    answer = await post(trio, "/v1/events", json.dumps(many), **{"Content-Type": media})
    results = answer.json()
    assert [one["status"] for one in results] == [202, 202]
    assert {*accepted, results[0]["case_id"]} == {accepted[0]}
    assert results[1]["case_id"] != accepted[0]
    await trio.case("yihe", UUID(results[1]["case_id"]))


def told(records: Sequence[ConsumerRecord]) -> list[dict[str, Any]]:
    return [
        {
            "key": one.key.decode(),
            "headers": {name: value.decode() for name, value in one.headers},
            "value": one.value.decode(),
        }
        for one in records
    ]


async def read_back(trio: Trio) -> list[dict[str, Any]]:
    """Return what stands about one case on both topics of its way, once its deadline is there."""
    case_id = await trio.accepted("yihe", "read-back", location={"grid": "g01"})

    async def there() -> list[dict[str, Any]]:
        topics = [told(await trio.records(one.name)) for one in (INTAKE_EVENTS, ROUTING_EVENTS)]
        about = [
            one
            for records in topics
            for one in records
            if one["headers"].get("ce_subject") == str(case_id)
        ]
        kinds = {one["headers"]["ce_type"] for one in about}
        return about if "case.deadline_set.v1" in kinds else []

    found: list[dict[str, Any]] = await until(there, "a deadline is told")
    return found


async def test_the_python_sdk_reads_what_stands_on_the_topics(trio: Trio) -> None:
    records = await read_back(trio)
    kinds = set()
    for one in records:
        headers = {name: value.encode() for name, value in one["headers"].items()}
        event = from_kafka_event(KafkaMessage(headers, one["key"], one["value"].encode()))
        assert event.get_subject() == one["headers"]["ce_subject"]
        assert event.get_data() == json.loads(one["value"])
        kinds.add(event.get_type())
    assert {"case.reported.v1", "case.opened.v1", "case.deadline_set.v1"} <= kinds


async def run(*argv: str, given: bytes = b"", cwd: Path | None = None) -> bytes:
    process = await asyncio.create_subprocess_exec(
        *argv, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, cwd=cwd
    )
    async with asyncio.timeout(PATIENCE_S):
        out, _ = await process.communicate(given)
    assert process.returncode == 0
    return out


@pytest.mark.long
@pytest.mark.skipif(
    not shutil.which("npm"), reason="npm is not here: the SDK for JavaScript comes by it"
)
async def test_the_javascript_sdk_posts_in_every_mode_and_reads_the_topics(
    trio: Trio, pytestconfig: pytest.Config
) -> None:
    place = pytestconfig.cache.mkdir("npm-cloudevents")
    if not (place / "node_modules" / "cloudevents").is_dir():
        quiet = ("--no-audit", "--no-fund", "--ignore-scripts", "--prefix", ".")
        await run("npm", "install", *quiet, NPM_SDK, cwd=place)
    records = await read_back(trio)
    url = f"{trio.urls['intake']}/v1/events"
    given = {"url": url, "api_key": API_KEY, "report": REPORT, "records": records}
    out = await run("node", str(POST), f"{place}/", given=json.dumps(given).encode())
    said = json.loads(out)
    posted = said["posted"]
    one = posted["binary"]["body"]["case_id"]
    assert [posted[mode]["status"] for mode in ("binary", "structured")] == [202, 202]
    assert posted["structured"]["body"]["case_id"] == one
    assert [end["status"] for end in posted["batched"]["body"]] == [202, 202]
    assert posted["batched"]["body"][0]["case_id"] == one
    await trio.case("yihe", UUID(one))
    assert [(event["id"], event["type"], event["data"]) for event in said["read"]] == [
        (r["headers"]["ce_id"], r["headers"]["ce_type"], json.loads(r["value"])) for r in records
    ]


async def test_what_a_reporter_adds_and_takes_back_reaches_his_case(trio: Trio) -> None:
    accepted = (await trio.report("yihe", "followed", location={"grid": "g01"})).json()
    case_id, code = UUID(accepted["case_id"]), accepted["tracking_code"]
    at_once = await post(
        trio,
        f"/v1/cases/{case_id}/follow-ups",
        json.dumps({"tenant": "yihe", "description": "金丝雀一", "tracking_code": code}),
        **{"Idempotency-Key": "f1"},
    )
    assert at_once.status_code == 202, at_once.text
    tracked = f"/v1/track/{code}"

    async def followed() -> bool:
        return (await trio.http.get(f"{trio.urls['intake']}{tracked}")).is_success

    await until(followed, "the case is followed")
    more = json.dumps({"description": "金丝雀二"})
    for _ in range(2):
        answer = await post(trio, f"{tracked}/follow-ups", more, **{"Idempotency-Key": "f2"})
        assert answer.status_code == 202, answer.text
    back = json.dumps({"reason": "已自己修好"})
    answer = await post(trio, f"{tracked}/withdrawal", back, **{"Idempotency-Key": "w1"})
    assert answer.status_code == 202, answer.text
    assert answer.json().keys() == {"event_id", "received_at"}

    async def ended() -> bool:
        return bool((await trio.case("yihe", case_id))["state"] == "cancelled")

    await until(ended, "the case is taken back")
    case = await trio.case("yihe", case_id)
    said = [one["text"]["description"] for one in case["follow_ups"]]
    assert said == ["金丝雀一", "金丝雀二"]
    for topic in (INTAKE_EVENTS.name, ROUTING_EVENTS.name):
        assert not [one for one in await trio.records(topic) if "金丝雀".encode() in one.value]
