"""Texts that can be answered: what an answer does, and what it leaves alone."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import httpx
import pytest

from tests import factories
from tests.component.notify.blown import Blown, first, phone
from tests.component.notify.world import RECEIPTS_TOKEN, Gateway, World

PATH = f"/v1/replies/aliyun?token={RECEIPTS_TOKEN}"


@dataclass
class Line:
    """Notify's door for replies, as the provider knows it."""

    world: World
    http: httpx.AsyncClient
    numbers: "count[int]" = field(default_factory=lambda: count(1))

    def reply(self, staff: str, content: str, **more: Any) -> dict[str, Any]:
        return {
            "phone_number": phone(staff),
            "send_time": "2025-03-05 10:00:00",
            "content": content,
            "sign_name": "吹哨",
            "dest_code": "10690000",
            "sequence_id": next(self.numbers),
            **more,
        }

    async def push(self, *replies: object, path: str = PATH) -> httpx.Response:
        return await self.http.post(path, content=json.dumps(replies).encode())

    async def say(self, staff: str, content: str, **more: Any) -> None:
        answer = await self.push(self.reply(staff, content, **more))
        assert answer.json() == {"code": 0, "msg": "接收成功"}, answer.text

    async def blow(self, *departments: str) -> Blown:
        """Blow a whistle; return once each officer's phone has shown it."""
        one = Blown(self.world, *departments)
        await self.world.hear(one.opened, one.blown)
        async with self.world.sending():
            open_ = "SELECT count(*) = 0 FROM intent WHERE state = 'open'"
            await self.world.eventually(open_)
        return one

    async def code(self, one: Blown, department: str = "police") -> str:
        query = "SELECT code FROM slot WHERE whistle_id = $1 AND department = $2"
        return str(await self.world.pool.fetchval(query, one.whistle_id, department))

    async def replied(self) -> list[dict[str, Any]]:
        facts = await self.world.facts()
        return [body for kind, body in facts if kind == "message.replied.v1"]

    async def answers(self, gateway: Gateway) -> list[str]:
        """Send what is to be answered; return the texts that are no whistle's."""
        async with self.world.sending():
            await self.world.eventually("SELECT count(*) = 0 FROM intent WHERE state = 'open'")
        return [text for text in await gateway.texts() if "回复" in text]


@pytest.fixture
async def line(world: World) -> AsyncIterator[Line]:
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(world.app()), base_url="http://notify"
    ) as http:
        yield Line(world, http)


OFFICER = first("department_officer", "police")


async def test_a_text_to_a_department_carries_its_slot_s_code(line: Line, gateway: Gateway) -> None:
    one = await line.blow("police", "justice")
    codes = {name: await line.code(one, name) for name in ("police", "justice")}
    assert len(set(codes.values())) == 2
    texts = {message["phone"]: message["text"] for message in await gateway.messages()}
    for name, code in codes.items():
        assert f"前回{code}报到" in texts[phone(first("department_officer", name))]


@pytest.mark.parametrize("form", ["{}", "1{}", "1 {}", "{} 1", "wide"])
async def test_the_code_reports_in(line: Line, form: str) -> None:
    one = await line.blow("police", "justice")
    code = await line.code(one)
    wide = code.translate({ord(digit): ord(digit) + 0xFEE0 for digit in "0123456789"})
    await line.say(OFFICER, wide if form == "wide" else form.format(code))
    (body,) = await line.replied()
    assert body == {
        "whistle_id": str(one.whistle_id),
        "department": "police",
        "means": "app_ack",
        "by": {"staff": OFFICER, "role": "department_officer"},
        "channel": "sms",
        "replied_at": "2025-03-05T10:00:00+08:00",
    }
    key = await line.world.pool.fetchval("SELECT DISTINCT record_key FROM outbox")
    assert key.decode().endswith(str(one.case_id))


@pytest.mark.parametrize("text", ["1", "１", " 1。"])
async def test_a_bare_1_reports_in_for_the_only_open_slot(
    line: Line, gateway: Gateway, text: str
) -> None:
    one = await line.blow("police")
    await line.say(OFFICER, text)
    assert [body["whistle_id"] for body in await line.replied()] == [str(one.whistle_id)]
    assert await line.answers(gateway) == []


async def test_two_bare_1_with_two_open_slots_report_nothing_in_and_are_answered_once(
    line: Line, gateway: Gateway
) -> None:
    both = [await line.blow("police") for _ in range(2)]
    await line.say(OFFICER, "1")
    await line.say(OFFICER, "1")
    assert await line.replied() == []
    (answer,) = await line.answers(gateway)
    assert all([await line.code(one) in answer for one in both])


async def test_a_bare_1_counts_again_once_the_other_slot_is_over(line: Line) -> None:
    gone, there = await line.blow("police"), await line.blow("police")
    await line.world.hear(gone.reported_in("police"))
    await line.say(OFFICER, "1")
    assert [body["whistle_id"] for body in await line.replied()] == [str(there.whistle_id)]


@pytest.mark.parametrize("how", ["reported", "refused", "released", "withdrawn"])
async def test_a_stale_code_changes_nothing_and_names_the_open_one(
    line: Line, gateway: Gateway, how: str
) -> None:
    over, there = await line.blow("police"), await line.blow("police")
    await line.world.hear(over.ending(how, "police"))
    await line.say(OFFICER, await line.code(over))
    assert await line.replied() == []
    (answer,) = await line.answers(gateway)
    assert await line.code(there) in answer
    assert await line.code(over) not in answer


async def test_who_has_nothing_open_is_told_so(line: Line, gateway: Gateway) -> None:
    over = await line.blow("police")
    await line.world.hear(over.reported_in("police"))
    await line.say(OFFICER, await line.code(over))
    (answer,) = await line.answers(gateway)
    assert "没有待报到" in answer


async def test_a_missed_slot_is_still_awaited(line: Line) -> None:
    one = await line.blow("police")
    await line.world.hear(one.missed("police"))
    await line.say(OFFICER, await line.code(one))
    assert len(await line.replied()) == 1


async def test_another_department_s_code_is_not_his(line: Line) -> None:
    one = await line.blow("police", "justice")
    await line.say(OFFICER, await line.code(one, "justice"))
    assert await line.replied() == []


async def test_a_reply_from_an_unknown_phone_does_nothing(line: Line, gateway: Gateway) -> None:
    one = await line.blow("police")
    await line.say(OFFICER, await line.code(one), phone_number="13900001111")
    assert await line.replied() == []
    assert await line.answers(gateway) == []


async def test_small_talk_of_one_who_has_nothing_open_is_let_be(
    line: Line, gateway: Gateway
) -> None:
    over = await line.blow("police")
    await line.world.hear(over.reported_in("police"))
    await line.say(OFFICER, "谢谢")
    assert await line.answers(gateway) == []


async def test_a_reply_that_is_pushed_again_takes_effect_once(line: Line) -> None:
    one = await line.blow("police")
    reply = line.reply(OFFICER, await line.code(one))
    await line.push(reply, reply)
    await line.push(reply)
    assert len(await line.replied()) == 1


async def test_whoever_has_left_the_department_reports_nothing_in(line: Line) -> None:
    one = await line.blow("police")
    body = {"posts": [{"unit": "town", "role": "center_clerk", "rank": 9}], "phone": phone(OFFICER)}
    moved = [{"kind": "staff", "id": OFFICER, "body": body}]
    await line.world.registry(
        factories.registry_changes(line.world.ring, moved, change_set="moved")
    )
    await line.say(OFFICER, await line.code(one))
    assert await line.replied() == []


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/replies/aliyun?token=wrong", 401),
        ("/v1/replies/aliyun", 401),
        (f"/v1/replies/elsewhere?token={RECEIPTS_TOKEN}", 404),
    ],
)
async def test_only_the_provider_may_push(line: Line, path: str, status: int) -> None:
    assert (await line.push(path=path)).status_code == status


@pytest.mark.parametrize("body", [b"{}", b"[", b"1", b"[" * 5000, b"null"])
async def test_what_is_no_list_is_refused(line: Line, body: bytes) -> None:
    assert (await line.http.post(PATH, content=body)).status_code == 400


async def test_a_bad_reply_among_good_ones_is_left_out(line: Line) -> None:
    one = await line.blow("police")
    good = line.reply(OFFICER, await line.code(one))
    bad = [
        {},
        7,
        None,
        {**good, "content": None},
        {**good, "phone_number": ""},
        {**good, "content": "9" * 3_000},
    ]
    answer = await line.push(*bad, good)
    assert (answer.status_code, len(await line.replied())) == (200, 1)


async def test_what_was_said_is_not_kept(line: Line) -> None:
    await line.blow("police")
    await line.say(OFFICER, "我在路上，家住东街9号")
    rows = [dict(row) for row in await line.world.pool.fetch("SELECT * FROM reply")]
    assert len(rows) == 1
    assert not {"我在路上", phone(OFFICER)} & set(map(str, rows[0].values()))
