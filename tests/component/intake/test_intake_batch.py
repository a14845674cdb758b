"""Many reports in one request: a result per line, and a bad line costs no good one."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from functools import partial
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from starlette.requests import Request

from contracts.registry import FrontEnd
from deploy.local.secrets import Secrets
from services.chassis.http import Problem
from services.chassis.seal import KeyRing
from services.intake.accept import Acceptor, Ready
from services.intake.batch import Batches, parted
from services.intake.contents import Contents
from services.intake.registry import Registry, TownKnown
from services.intake.settings import IntakeSettings
from tests import factories
from tests.component.intake.window import REPORT, RIGHT, Window, open_window, small_town, told

LINES_MAX = 1_000


def line(key: str = "k1", **more: Any) -> bytes:
    said = {**REPORT, "idempotency_key": key, **more}
    return json.dumps({name: value for name, value in said.items() if value is not None}).encode()


async def post(window: Window, *lines: bytes, api_key: str = "demo-key") -> httpx.Response:
    headers = {"X-Api-Key": api_key, "Content-Type": "application/x-ndjson"}
    return await window.http.post("/v1/cases:batch", content=b"\n".join(lines), headers=headers)


def results(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    return [json.loads(one) for one in answer.text.splitlines()]


def ends(answer: httpx.Response) -> list[tuple[int, int, str]]:
    """Return for each line its number, its status and its problem's code."""
    return [
        (one["line"], one["status"], one.get("problem", {}).get("code", ""))
        for one in results(answer)
    ]


async def test_bad_lines_cost_no_good_one_and_each_has_its_result(window: Window) -> None:
    bad = {
        b"{": (400, "json_malformed"),
        b'"text"': (422, "invalid_fields"),
        line(None): (400, "idempotency_key_missing"),  # type: ignore[arg-type]  # left out
        line("two words"): (400, "idempotency_key_invalid"),
        line("k2", idempotency_key=7): (400, "idempotency_key_invalid"),
        line("k3", summary=" "): (422, "invalid_fields"),
        line("k4", category="none"): (422, "category_unknown"),
        line("k5", tenant="nowhere"): (404, "tenant_unknown"),
        line("k6", description="x" * 300_000): (413, "body_too_large"),
        b'{"a":1,"a":2}': (400, "json_duplicate_key"),
        b"\xff": (400, "json_not_utf8"),
    }
    answer = await post(window, line("a"), *bad, line("b"))
    expected = [RIGHT, *bad.values(), RIGHT]
    assert ends(answer) == [(n, *end) for n, end in enumerate(expected, 1)]
    problem = results(answer)[3]["problem"]
    assert problem["field"] == "idempotency_key"
    assert "缺少" in problem["title"]


async def test_blank_lines_are_passed_over_and_counted(window: Window) -> None:
    answer = await post(window, b"", line("a"), b"  ", line("b"), b"")
    assert ends(answer) == [(2, *RIGHT), (4, *RIGHT)]


@pytest.mark.parametrize("content", [b"", b"\n", b" \n\n "])
async def test_an_empty_batch_is_refused(window: Window, content: bytes) -> None:
    assert told(await post(window, content)) == (400, "batch_empty")


async def test_a_batch_that_is_too_long_is_told_the_limit_and_nothing_is_taken(
    window: Window,
) -> None:
    answer = await post(window, *(line(f"k{n}") for n in range(10_000)))
    assert told(answer) == (413, "batch_too_long")
    assert answer.json()["limit"] == LINES_MAX
    assert str(LINES_MAX) in answer.json()["title"]


async def test_a_batch_that_is_too_large_is_told_the_limit(
    intake_dsn: str, intake_secrets: Secrets
) -> None:
    async with open_window(intake_dsn, intake_secrets, batch_bytes_max=1_024) as window:
        answer = await post(window, *(line(f"k{n}") for n in range(50)))
        assert told(answer) == (413, "body_too_large")
        assert answer.json()["limit"] == 1_024


async def test_a_batch_as_long_as_may_be_is_taken(window: Window) -> None:
    window.front_end("many", "many", burst=LINES_MAX)
    answer = await post(window, *(line(f"k{n}") for n in range(LINES_MAX)), api_key="many")
    assert ends(answer) == [(n, *RIGHT) for n in range(1, LINES_MAX + 1)]


async def test_each_line_costs_its_share_of_the_quota_and_the_good_ones_come_first(
    window: Window,
) -> None:
    window.front_end("few", "few", quota_per_s=0.001, burst=3)
    bad = [b"{" for _ in range(5)]
    answer = await post(window, *bad, *(line(f"k{n}") for n in range(4)), api_key="few")
    over = (429, "quota_exceeded")
    assert [end[1:] for end in ends(answer)] == [*[over] * 5, *[RIGHT] * 3, over]
    assert results(answer)[-1]["retry_after_s"] > 1
    assert told(await window.post(api_key="few")) == over


async def test_others_have_their_turn_after_each_line_that_takes_long() -> None:
    turns: list[int] = []
    others = 0

    def slow() -> Ready:
        time.sleep(0.02)
        turns.append(others)
        raise Problem(400, "bad", "坏", "bad")

    async def other() -> None:
        nonlocal others
        while True:
            others += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(other())
    _, bad = await parted(dict.fromkeys(range(5), slow))
    beside.cancel()
    assert len(bad) == 5
    assert turns == sorted(set(turns))


class SlowBroker:
    """Answers each record, half a second and more after it came."""

    async def publish(self, *_: object, **__: object) -> asyncio.Future[Any]:
        loop = asyncio.get_running_loop()
        answer = loop.create_future()
        loop.call_later(0.55, answer.set_result, SimpleNamespace(timestamp_type=1, timestamp=0))
        return answer


async def test_many_that_come_together_do_not_close_the_gate_for_others(
    intake_secrets: Secrets,
) -> None:
    settings = factories.settings(IntakeSettings, intake_secrets)
    ring, broker = KeyRing(settings.key_file), SlowBroker()
    contents = Contents(settings, ring)
    acceptor = Acceptor(settings, broker, Registry(), ring, contents, lambda _: None)  # type: ignore[arg-type]  # a stub
    ready = [Ready(factories.report_event(ring, f"k{n}"), "", TownKnown()) for n in range(50)]
    request = Request({"type": "http", "headers": [(b"x-api-key", b"demo-key")]})
    line = factories.demo_front_end(ring, "demo-key", quota_per_s=100, burst=100)
    granted = {"yihe": ("demo", FrontEnd.model_validate(line["body"]))}
    made = {n: partial(lambda one: one, one) for n, one in enumerate(ready, 1)}
    taken = await Batches(acceptor, settings).take(request, granted, made)
    assert {one["status"] for one in taken} == {202}
    assert acceptor.gate.places == settings.in_flight_max
    await acceptor.take(ready[0])
    assert acceptor.gate.places < settings.in_flight_max


async def test_who_may_not_post_one_may_not_post_many(window: Window) -> None:
    assert told(await post(window, line(), api_key="wrong")) == (401, "api_key_unknown")


async def test_another_towns_line_looks_like_one_of_no_town(window: Window) -> None:
    window.know(*small_town("gucheng"), change_set="seed", tenant="gucheng")
    window.front_end("theirs", "app", tenant="gucheng")
    none, theirs = results(
        await post(window, line(tenant="nowhere"), line(tenant="gucheng", key="k2"))
    )
    assert none["status"] == theirs["status"] == 404
    assert none["problem"] == theirs["problem"]


async def test_more_batches_than_have_room_are_told_to_come_again(
    intake_dsn: str, intake_secrets: Secrets
) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield line("a")
        begun.set()
        await go_on.wait()

    async with open_window(intake_dsn, intake_secrets, batches_max=1) as window:
        headers = {"X-Api-Key": "demo-key"}
        url = "/v1/cases:batch"
        first = asyncio.create_task(window.http.post(url, content=slowly(), headers=headers))
        await begun.wait()
        second = await post(window, line("b"))
        go_on.set()
        assert told(second) == (429, "overloaded")
        assert ends(await first) == [(1, *RIGHT)]
        assert ends(await post(window, line("b"))) == [(1, *RIGHT)]
