"""Calls: whoever presses the key has heard; whoever does not is told by the next channel."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import uvicorn

from tests import factories
from tests.component.notify import world as worlds
from tests.component.notify.blown import Blown, first, phone
from tests.component.notify.test_notify_calls import LEADER, TEAM, called
from tests.component.notify.world import (
    CALLBACK,
    RECEIPTS_TOKEN,
    SHOW_NUMBER,
    Gateway,
    SilentServer,
    World,
    serve,
)

VOICE_CALLBACK = f"/v1/receipts/aliyun_voice?token={RECEIPTS_TOKEN}"
OFFICER = first("department_officer", "police")


@dataclass
class Line:
    """A world whose gateway calls and tells it what came of the calls."""

    world: World
    gateway: Gateway
    http: httpx.AsyncClient

    async def blow(self) -> Blown:
        one = Blown(self.world, "police", profile_version=2)
        await self.world.hear(one.opened, one.blown)
        return one

    async def call_to_a_case(self) -> None:
        """Let the grid's head be called to an urgent case, of which the team is told."""
        opened = self.world.opened(profile_version=2)
        call = called(opened.subject_id, "urgent_after_hours", LEADER, told=TEAM, via=["voice"])
        await self.world.hear(opened, call)

    async def acknowledged(self) -> list[dict[str, Any]]:
        """Return what was told of keys pressed by those who are to answer."""
        facts = await self.world.facts()
        return [body for kind, body in facts if kind == "message.acknowledged.v1"]

    async def push(self, *reports: object) -> httpx.Response:
        return await self.http.post(VOICE_CALLBACK, content=json.dumps(reports).encode())


@pytest.fixture(params=[30.0], ids=["rings-long"])
async def line(world: World, request: pytest.FixtureRequest) -> AsyncIterator[Line]:
    """A town that calls first and tries once by each channel; `param`: how long it rings."""
    body = factories.town_lines()[1]["body"]["body"]
    told = {
        **body["notifications"],
        "rules": [{"when": "whistle_blown", "to": ["department_officer"], "via": ["voice"]}],
        "retry": {"times": 1, "wait": "PT1M", "then": "sms"},
    }
    other = {**body, "notifications": told}
    lines = [{"kind": "profile", "id": "2", "body": {"version": 2, "body": other}}]
    await world.registry(factories.registry_changes(world.ring, lines, change_set="v2"))
    calls: dict[str, Any] = {
        "show_numbers": [SHOW_NUMBER],
        "ring_s": request.param,
        "per_minute_max": None,
        "per_hour_max": None,
        "per_day_max": None,
    }
    config = uvicorn.Config(world.app(), log_level="warning", ws="none")
    async with (
        serve(SilentServer(config)) as url,
        worlds.gateway(f"{url}{CALLBACK}", calls=calls) as gateway,
        httpx.AsyncClient(base_url=url, trust_env=False) as http,
    ):
        world.settings = world.settings.model_copy(
            update={
                "gateway_url": gateway.url,
                "voice_url": gateway.url,
                "voice_show_number": SHOW_NUMBER,
            }
        )
        yield Line(world, gateway, http)


async def test_a_call_is_delivered_once_the_key_is_pressed(line: Line) -> None:
    await line.blow()
    async with line.world.sending():
        (call,) = await line.gateway.calls(1)
        await line.world.until("accepted")
        assert await line.gateway.press(call, "1") == 204
        await line.world.until("delivered")
    assert call["phone"] == phone(OFFICER)
    assert call["text"] == (
        "您好，250303-0001号件（邻里纠纷，柿红新村菊黄洼网格）吹哨，"
        "请于3月5日 16:30前报到。听清请按1。"
    )
    assert await line.world.attempts() == [("voice", "delivered", None)]
    assert await line.gateway.texts() == []
    assert await line.gateway.press(call, "1") == 409
    assert await line.acknowledged() == []


async def test_the_key_pressed_on_a_call_to_a_case_is_told_once_for_who_is_to_answer(
    line: Line,
) -> None:
    await line.call_to_a_case()
    async with line.world.sending():
        for call in await line.gateway.calls(2):
            await line.gateway.press(call, "1")
        await line.world.until("delivered", 2)
    (told,) = await line.acknowledged()
    assert told["by"] == {"staff": "s-gl-01", "role": "grid_leader", "unit": "g01"}
    assert (told["message"]["recipient"], told["message"]["channel"]) == ("s-gl-01", "voice")
    for call in await line.gateway.calls(2):
        report = {"out_id": call["out_id"], "callee": call["phone"], "dtmf": "1"}
        for call_id in (call["biz_id"], "1^2"):
            again = {**report, "call_id": call_id, "status_code": "200000"}
            assert (await line.push(again)).status_code == 200
    assert await line.acknowledged() == [told]


@pytest.mark.parametrize("key", ["", "2"])
async def test_who_hangs_up_on_a_call_to_a_case_has_not_answered(line: Line, key: str) -> None:
    await line.call_to_a_case()
    async with line.world.sending():
        for call in await line.gateway.calls(2):
            await line.gateway.press(call, key)
        await line.world.until("failed", 2)
    assert await line.acknowledged() == []


async def test_whoever_hangs_up_is_told_by_the_next_channel(line: Line) -> None:
    await line.blow()
    async with line.world.sending():
        (call,) = await line.gateway.calls(1)
        await line.gateway.press(call, "")
        await line.world.until("delivered")
    assert await line.world.attempts() == [
        ("voice", "undelivered", "call.no_key"),
        ("sms", "delivered", None),
    ]
    assert len(await line.gateway.texts()) == 1


@pytest.mark.parametrize("line", [0.2], indirect=True, ids=["rings-shortly"])
async def test_whoever_does_not_answer_is_told_by_the_next_channel(line: Line) -> None:
    await line.blow()
    async with line.world.sending():
        await line.world.until("delivered")
    assert await line.world.attempts() == [
        ("voice", "undelivered", "call.200003"),
        ("sms", "delivered", None),
    ]


async def test_another_key_confirms_nothing(line: Line) -> None:
    await line.blow()
    async with line.world.sending():
        (call,) = await line.gateway.calls(1)
        await line.gateway.press(call, "2")
        await line.world.until("delivered")
    assert (await line.world.attempts())[0] == ("voice", "undelivered", "call.no_key")


async def test_a_call_whose_answer_was_lost_is_known_by_its_receipt(line: Line) -> None:
    await line.gateway.fault("reset", when="after")
    await line.blow()
    async with line.world.sending(lookup_wait_s=60):
        (call,) = await line.gateway.calls(1)
        await line.world.eventually("SELECT count(*) = 1 FROM attempt WHERE state = 'unknown'")
        await line.gateway.press(call, "1")
        await line.world.until("delivered")
    assert await line.world.attempts() == [("voice", "delivered", None)]


async def test_who_came_is_not_called(line: Line) -> None:
    one = await line.blow()
    await line.world.hear(one.reported_in("police"))
    async with line.world.sending():
        await line.world.until("void")
    assert await line.gateway.messages() == []


async def test_without_a_number_to_call_from_the_next_channel_is_taken(line: Line) -> None:
    await line.blow()
    async with line.world.sending(voice_show_number=None):
        await line.world.until("delivered")
    assert await line.world.attempts() == [
        ("voice", "skipped", "no_adapter"),
        ("sms", "delivered", None),
    ]


async def test_reports_that_are_none_of_ours_change_nothing(line: Line) -> None:
    await line.blow()
    stranger = {"call_id": "1^2", "callee": "13900001111", "status_code": "200000", "dtmf": "1"}
    bad = [{}, 7, {**stranger, "status_code": "x"}, {**stranger, "out_id": "0" * 15}, stranger]
    answer = await line.push(*bad)
    assert (answer.status_code, answer.json()["code"]) == (200, 0)
    assert await line.world.attempts() == []
