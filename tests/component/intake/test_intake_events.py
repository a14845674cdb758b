"""CloudEvents at intake's door, in all modes, as the official SDK for Python writes them."""

import asyncio
import json
import re
import threading
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import httpx
import pytest
from cloudevents.core.bindings.http import (
    HTTPMessage,
    to_binary_event,
    to_structured_event,
)
from cloudevents.core.v1.event import CloudEvent

from tests.component.intake.window import REPORT, RIGHT, Window, small_town, told
from tests.waiting import PATIENCE_S

ATTRIBUTES = {
    "specversion": "1.0",
    "id": "r-1",
    "source": "https://hotline.example/tickets",
    "type": "case.reported.v1",
    "datacontenttype": "application/json",
}
STRUCTURED, BATCHED = "application/cloudevents+json", "application/cloudevents-batch+json"


def sdk_event(data: object = None, **more: Any) -> CloudEvent:
    given = {**ATTRIBUTES, **more}
    kept = {name: value for name, value in given.items() if value is not None}
    return CloudEvent(kept, REPORT if data is None else data)  # type: ignore[arg-type]  # any JSON


async def send(window: Window, message: HTTPMessage, api_key: str = "demo-key") -> httpx.Response:
    headers = {**message.headers, "X-Api-Key": api_key}
    return await window.http.post("/v1/events", content=message.body, headers=headers)


async def structured(window: Window, said: object, media: str = STRUCTURED) -> httpx.Response:
    headers = {"X-Api-Key": "demo-key", "Content-Type": media}
    content = said if isinstance(said, bytes) else json.dumps(said).encode()
    return await window.http.post("/v1/events", content=content, headers=headers)


def said(**more: Any) -> dict[str, Any]:
    event = {**ATTRIBUTES, "data": REPORT, **more}
    return {name: value for name, value in event.items() if value is not None}


@pytest.mark.parametrize("write", [to_binary_event, to_structured_event])
@pytest.mark.parametrize(
    "more",
    [
        pytest.param({}, id="plain"),
        pytest.param({"subject": "灯", "partitionkey": "v1"}, id="more-attributes"),
        pytest.param({"id": "编号 1%"}, id="id-in-chinese"),
        pytest.param({"datacontenttype": None}, id="no-content-type"),
    ],
)
async def test_what_the_official_sdk_writes_gets_as_far_as_the_broker(
    window: Window, write: Any, more: dict[str, Any]
) -> None:
    assert told(await send(window, write(sdk_event(**more)))) == RIGHT


async def test_a_batch_has_a_result_for_each(window: Window) -> None:
    answer = await structured(
        window, [said(), said(id=None), said(id="r-2"), 7, said(type="x")], BATCHED
    )
    assert answer.status_code == 200
    ends = [(one["line"], one["status"], one["problem"]["code"]) for one in answer.json()]
    assert ends == [
        (1, *RIGHT),
        (2, 400, "event_attribute_missing"),
        (3, *RIGHT),
        (4, 400, "event_not_an_object"),
        (5, 422, "event_type_unknown"),
    ]


OVER = (429, "quota_exceeded")


async def test_each_event_of_a_batch_costs_its_share_of_the_quota(window: Window) -> None:
    window.front_end("demo-key", "demo", quota_per_s=0.001, burst=3)
    batch = [said(id=None), *(said(id=f"r-{n}") for n in range(4))]
    answer = await structured(window, batch, BATCHED)
    ends = [(one["status"], one["problem"]["code"]) for one in answer.json()]
    assert ends == [OVER, RIGHT, RIGHT, RIGHT, OVER]
    assert answer.json()[-1]["retry_after_s"] > 1
    assert told(await structured(window, [], BATCHED)) == OVER


async def test_a_large_batch_pays_for_its_size_before_it_is_read(window: Window) -> None:
    window.front_end("demo-key", "demo", quota_per_s=0.001, burst=4)
    large = [said(data={**REPORT, "description": "x" * 200_000}, id=f"r-{n}") for n in range(3)]
    answer = await structured(window, large, BATCHED)  # three for its size, and for its events
    ends = [(one["status"], one["problem"]["code"]) for one in answer.json()]
    assert ends == [(422, "invalid_fields")] * 3
    answer = await structured(window, b"[" * 600_000, BATCHED)
    assert told(answer) == OVER
    assert int(answer.headers["retry-after"]) > 1


async def test_a_batch_larger_than_any_quota_comes_through_when_it_is_full(window: Window) -> None:
    window.front_end("demo-key", "demo", quota_per_s=0.001, burst=2)
    answer = await structured(window, b"[" * 3_000_000, BATCHED)
    assert told(answer) == (400, "json_too_deep")
    assert told(await structured(window, [], BATCHED)) == OVER


async def test_an_event_of_a_batch_is_no_larger_than_it_may_be_alone(window: Window) -> None:
    large = said(data={**REPORT, "description": "x" * 300_000}, id="r-2")
    answer = await structured(window, [said(), large, said(id="r-3")], BATCHED)
    ends = [(one["status"], one["problem"]["code"]) for one in answer.json()]
    assert ends == [RIGHT, (413, "body_too_large"), RIGHT]


@pytest.mark.parametrize("mode", ["case", "structured", "binary", "batched", "follow-up", "act"])
async def test_a_large_body_is_read_beside_the_loop_and_a_small_one_is_not(
    window: Window, mode: str
) -> None:
    go_on, loop, beside = threading.Event(), asyncio.get_running_loop(), ThreadPoolExecutor(1)
    loop.set_default_executor(beside)
    beside.submit(go_on.wait)
    large = asyncio.create_task(read_by(window, mode, "x" * 70_000))
    try:
        async with asyncio.timeout(PATIENCE_S):
            await read_by(window, mode, "x")
        for _ in range(1_000):
            await asyncio.sleep(0)
        assert not large.done()
    finally:
        go_on.set()
        assert (await large).status_code in (200, 422)
        loop.set_default_executor(ThreadPoolExecutor())
        beside.shutdown()


async def read_by(window: Window, mode: str, text: str) -> httpx.Response:
    data = {**REPORT, "description": text}
    match mode:
        case "case":
            return await window.post(data)
        case "structured":
            return await structured(window, said(data=data))
        case "batched":
            return await structured(window, [said(data=data)], BATCHED)
        case "binary":
            return await send(window, to_binary_event(sdk_event(data)))
    door = f"cases/{uuid4()}/follow-ups" if mode == "follow-up" else "acts"
    headers = {"X-Api-Key": "demo-key", "Idempotency-Key": "k1"}
    return await window.http.post(f"/v1/{door}", json={"description": text}, headers=headers)


async def test_an_empty_batch_is_a_batch(window: Window) -> None:
    answer = await structured(window, [], BATCHED)
    assert (answer.status_code, answer.json()) == (200, [])


async def test_a_batch_of_ten_thousand_is_told_the_limit(window: Window) -> None:
    answer = await structured(window, [{}] * 10_000, BATCHED)
    assert told(answer) == (413, "batch_too_long")
    assert answer.json()["limit"] == 1_000


@pytest.mark.parametrize(
    ("more", "end", "field"),
    [
        ({"id": None}, (400, "event_attribute_missing"), "id"),
        ({"id": ""}, (400, "event_attribute_missing"), "id"),
        ({"id": 7}, (400, "event_attribute_invalid"), "id"),
        ({"id": "x" * 257}, (400, "event_attribute_invalid"), "id"),
        ({"source": None}, (400, "event_attribute_missing"), "source"),
        ({"source": "two words"}, (400, "event_attribute_invalid"), "source"),
        ({"type": None}, (400, "event_attribute_missing"), "type"),
        ({"type": "case.opened.v1"}, (422, "event_type_unknown"), "type"),
        ({"specversion": None}, (400, "specversion_unsupported"), "specversion"),
        ({"specversion": "0.3"}, (400, "specversion_unsupported"), "specversion"),
        ({"specversion": 1.0}, (400, "specversion_unsupported"), "specversion"),
        ({"time": "yesterday"}, (400, "event_attribute_invalid"), "time"),
        ({"time": 7}, (400, "event_attribute_invalid"), "time"),
        ({"datacontenttype": "text/xml"}, (415, "datacontenttype_unsupported"), "datacontenttype"),
        ({"datacontenttype": 1}, (415, "datacontenttype_unsupported"), "datacontenttype"),
        ({"data": None}, (400, "event_data_missing"), "data"),
        ({"data_base64": "e30="}, (400, "event_attribute_invalid"), "data_base64"),
        ({"data": None, "data_base64": "%%%"}, (400, "data_base64_invalid"), "data_base64"),
        ({"data": None, "data_base64": "编"}, (400, "data_base64_invalid"), "data_base64"),
        ({"data": None, "data_base64": 7}, (400, "data_base64_invalid"), "data_base64"),
        ({"data": None, "data_base64": ""}, (400, "event_data_missing"), "data"),
    ],
)
async def test_what_is_wrong_with_an_event_is_named(
    window: Window, more: dict[str, Any], end: tuple[int, str], field: str
) -> None:
    answer = await structured(window, said(**more))
    assert (told(answer), answer.json()["field"]) == (end, field)
    assert answer.headers["content-type"] == "application/problem+json"
    assert re.search("[\u4e00-\u9fff]", answer.json()["title"])
    assert field in answer.json()["detail"]


async def test_a_source_with_a_blank_is_told_of_the_blank_not_of_its_length(window: Window) -> None:
    answer = (await structured(window, said(source="two words"))).json()
    assert "不含空格" in answer["title"]
    assert "visible ASCII" in answer["detail"]
    assert "控制字符" in (await structured(window, said(id="a\nb"))).json()["title"]


async def test_data_in_base64_are_read(window: Window) -> None:
    data = b64encode(json.dumps(REPORT).encode()).decode()
    assert told(await structured(window, said(data=None, data_base64=data))) == RIGHT
    bad = b64encode(b"{").decode()
    answer = await structured(window, said(data=None, data_base64=bad))
    assert told(answer) == (400, "json_malformed")


async def test_data_are_a_report_like_any_other(window: Window) -> None:
    answer = await structured(window, said(data={**REPORT, "summary": " ", "x": 1}))
    assert told(answer) == (422, "invalid_fields")
    assert [one["field"] for one in answer.json()["errors"]] == ["summary", "x"]


@pytest.mark.parametrize(
    ("headers", "end"),
    [
        ({"ce-id": ""}, (400, "event_attribute_missing")),
        ({"ce-specversion": "1.1"}, (400, "specversion_unsupported")),
        ({"ce-source": "%ff"}, (400, "event_attribute_invalid")),
        ({"content-type": "text/plain"}, (415, "datacontenttype_unsupported")),
        ({"content-type": "application/vnd.report+json; charset=utf-8"}, RIGHT),
        ({"ce-id": '"quoted \\"id\\""'}, RIGHT),
    ],
)
async def test_binary_mode_is_checked_alike(
    window: Window, headers: dict[str, str], end: tuple[int, str]
) -> None:
    message = to_binary_event(sdk_event())
    given = {name.lower(): value for name, value in message.headers.items()} | headers
    assert told(await send(window, HTTPMessage(given, message.body))) == end


async def test_an_attribute_that_stands_twice_is_refused(window: Window) -> None:
    message = to_binary_event(sdk_event())
    headers = [*message.headers.items(), ("X-Api-Key", "demo-key"), ("ce-id", "r-2")]
    answer = await window.http.post("/v1/events", content=message.body, headers=headers)
    assert (told(answer), answer.json()["field"]) == ((400, "event_attribute_invalid"), "id")


@pytest.mark.parametrize("media", ["application/json", "application/cloudevents+avro", ""])
async def test_what_is_no_event_is_told_how_to_be_one(window: Window, media: str) -> None:
    answer = await structured(window, REPORT, media)
    assert told(answer) == (415, "not_an_event")
    assert STRUCTURED in answer.json()["title"]


@pytest.mark.parametrize("content", [b"[]", b'"x"', b"{", b""])
async def test_a_body_that_is_no_event_is_named(window: Window, content: bytes) -> None:
    answer = await structured(window, content)
    assert answer.status_code == 400
    answer = await structured(window, b"{}", BATCHED)
    assert told(answer) == (400, "event_not_a_list")


async def test_another_towns_event_looks_like_one_of_no_town(window: Window) -> None:
    window.know(*small_town("gucheng"), change_set="seed", tenant="gucheng")
    window.front_end("theirs", "app", tenant="gucheng")
    none, theirs = [
        await structured(window, said(data={**REPORT, "tenant": tenant}))
        for tenant in ("nowhere", "gucheng")
    ]
    assert told(none) == told(theirs) == (404, "tenant_unknown")
    assert none.content == theirs.content


async def test_who_may_not_post_may_post_no_event(window: Window) -> None:
    message = to_binary_event(sdk_event())
    assert told(await send(window, message, api_key="wrong")) == (401, "api_key_unknown")


async def test_the_new_doors_are_documented(window: Window) -> None:
    paths = (await window.http.get("/openapi.json")).json()["paths"]
    assert paths["/v1/events"]["post"]["operationId"] == "post_event"
    assert paths["/v1/cases:batch"]["post"]["operationId"] == "post_cases"
