import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import uvicorn

from services.notify.app import open_channels
from tests.component.notify import world as worlds
from tests.component.notify.world import CALLBACK, Gateway, SilentServer, World, serve

TAKEN = {"code": 0, "msg": "接收成功"}
DELIVERED = "DELIVERED"


@dataclass
class Told:
    """A world whose gateway tells it of receipts, over HTTP."""

    world: World
    gateway: Gateway
    http: httpx.AsyncClient

    async def push(self, *receipts: object, path: str = CALLBACK) -> httpx.Response:
        return await self.http.post(path, content=json.dumps(receipts).encode())

    async def receipt(self, success: bool = True, **more: Any) -> dict[str, Any]:
        """Return the receipt of the only attempt by SMS, as the provider would tell it."""
        query = "SELECT attempt_id FROM attempt WHERE channel = 'sms' ORDER BY number DESC"
        reference = await self.world.pool.fetchval(query)
        return {
            "phone_number": "16023413103",
            "send_time": "2025-03-05 10:00:00",
            "report_time": "2025-03-05 10:00:05",
            "success": success,
            "err_code": DELIVERED if success else "UNDELIV",
            "err_msg": "用户接收成功",
            "sms_size": "1",
            "biz_id": f"{reference.int % 10**18}^0",
            "out_id": str(reference),
            **more,
        }

    async def kinds(self) -> list[str]:
        return [kind for kind, _ in await self.world.facts()]


@pytest.fixture
async def told(world: World) -> AsyncIterator[Told]:
    config = uvicorn.Config(world.app(), log_level="warning", ws="none")
    async with (
        serve(SilentServer(config)) as url,
        worlds.gateway(f"{url}{CALLBACK}") as gateway,
        httpx.AsyncClient(base_url=url, trust_env=False) as http,
    ):
        settings = world.settings.model_copy(update={"gateway_url": gateway.url})
        world.settings = settings
        yield Told(world, gateway, http)


ACCEPTED_THEN_DELIVERED = ["message.accepted.v1", "message.delivered.v1"]


@pytest.mark.parametrize(
    "fault",
    [
        None,
        {"kind": "receipt_before_answer"},
        {"kind": "receipt_duplicated", "times": 5},
        {"kind": "receipt_delayed", "seconds": 0.3},
    ],
    ids=str,
)
async def test_a_delivered_message_is_announced_once(
    told: Told, fault: dict[str, Any] | None
) -> None:
    if fault:
        await told.gateway.fault(**fault)
    await told.world.assign()
    async with told.world.sending():
        await told.world.until("delivered")
        await asyncio.sleep(0.1)
    assert await told.kinds() == ACCEPTED_THEN_DELIVERED
    assert await told.world.sms() == [("delivered", None)]
    row = await told.world.pool.fetchrow(
        "SELECT provider_id, segments FROM attempt ORDER BY number DESC"
    )
    assert row is not None
    assert row["provider_id"].endswith("^0")
    assert row["segments"] == 1


async def test_receipts_come_out_of_order(told: Told) -> None:
    await told.gateway.fault("receipt_out_of_order", seconds=5, next=2)
    for _ in range(6):
        await told.world.assign()
    async with told.world.sending():
        await told.world.until("delivered", 6)
    assert sorted(await told.kinds()) == sorted(ACCEPTED_THEN_DELIVERED * 6)


@pytest.mark.parametrize("before_answer", [False, True])
async def test_an_undelivered_message_is_tried_again(told: Told, before_answer: bool) -> None:
    await told.gateway.fault("receipt_failed")
    if before_answer:
        await told.gateway.fault("receipt_before_answer")
    await told.world.assign()
    async with told.world.sending():
        await told.world.until("delivered")
    assert await told.world.sms() == [("undelivered", "UNDELIV"), ("delivered", None)]
    assert len(await told.gateway.texts()) == 1


async def test_a_message_that_never_arrives_fails_with_the_operator_s_word(told: Told) -> None:
    await told.gateway.fault("receipt_failed", next=3, err_code="MK:0010")
    await told.world.assign()
    async with told.world.sending():
        await told.world.until("failed")
    assert await told.world.sms() == [("undelivered", "MK:0010")] * 3
    kind, body = (await told.world.facts())[-1]
    assert (kind, body["code"]) == ("message.failed.v1", "MK:0010")


async def test_a_receipt_settles_what_got_no_answer(told: Told) -> None:
    await told.gateway.fault("error_500", when="after")
    await told.world.assign()
    async with told.world.sending(lookup_wait_s=60):
        await told.world.until("delivered")
    assert await told.kinds() == ACCEPTED_THEN_DELIVERED
    assert len(await told.gateway.texts()) == 1


async def test_a_receipt_settles_what_a_dead_process_left(told: Told) -> None:
    world = told.world
    await world.assign()
    async with open_channels(world.settings, world.pool) as channels:
        await world.claims(world.settings, channels).take(10)
    assert (await told.push(await told.receipt())).json() == TAKEN
    assert await world.sms() == [("delivered", None)]
    async with world.sending():
        await asyncio.sleep(world.settings.send_lease_s)
    assert await told.gateway.texts() == []


async def test_the_same_receipt_in_one_batch_and_in_many_counts_once(told: Told) -> None:
    await told.gateway.fault("receipt_lost")
    async with told.world.sending():
        await told.world.assign()
        await told.world.until("accepted")
    receipt = await told.receipt()
    answers = [await told.push(receipt, receipt, receipt) for _ in range(3)]
    together = await asyncio.gather(*(told.push(receipt) for _ in range(10)))
    assert {answer.status_code for answer in (*answers, *together)} == {200}
    assert (await told.kinds()).count("message.delivered.v1") == 1


async def test_the_first_receipt_stands(told: Told) -> None:
    await told.gateway.fault("receipt_lost")
    await told.world.assign()
    async with told.world.sending():
        await told.world.until("accepted")
    await told.push(await told.receipt())
    await told.push(await told.receipt(success=False))
    assert await told.world.sms() == [("delivered", None)]


@pytest.mark.parametrize(
    "odd",
    [
        {"out_id": "not ours"},
        {"out_id": "d7587a25-e13f-4103-b9d0-1e91ca0290fb"},
        {"out_id": ""},
        {"out_id": "\0", "biz_id": "\0"},
    ],
    ids=str,
)
async def test_a_receipt_of_nothing_we_know_is_taken(told: Told, odd: dict[str, str]) -> None:
    await told.world.assign()
    async with open_channels(told.world.settings, told.world.pool) as channels:
        await told.world.claims(told.world.settings, channels).take(10)
    answer = await told.push({**await told.receipt(), **odd})
    assert (answer.status_code, answer.json()) == (200, TAKEN)
    assert await told.world.sms() == [("sending", None)]


BAD: list[object] = [
    1,
    "x",
    None,
    [],
    {},
    {"phone_number": "16023413103"},
    {"phone_number": "1", "biz_id": "1", "out_id": 7, "success": True},
    {"phone_number": "1", "biz_id": "1" * 65, "out_id": "", "success": True},
    {"phone_number": "1", "biz_id": "1", "success": "perhaps"},
]


async def test_a_bad_receipt_does_not_hold_up_its_batch(told: Told) -> None:
    await told.world.assign()
    async with open_channels(told.world.settings, told.world.pool) as channels:
        await told.world.claims(told.world.settings, channels).take(10)
    answer = await told.push(*BAD, await told.receipt())
    assert (answer.status_code, answer.json()) == (200, TAKEN)
    assert await told.world.sms() == [("delivered", None)]


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/v1/receipts/aliyun?token=wrong", b"[]", 401, "token_invalid"),
        ("/v1/receipts/aliyun?token=%E9%9D%9E", b"[]", 401, "token_invalid"),
        ("/v1/receipts/aliyun", b"[]", 401, "token_invalid"),
        (CALLBACK.replace("aliyun", "tencent"), b"[]", 404, "provider_unknown"),
        (CALLBACK, b"{}", 400, "receipts_malformed"),
        (CALLBACK, b"[" + b"1," * 1_000 + b"1]", 400, "receipts_malformed"),
        (CALLBACK, b"not json", 400, "json_malformed"),
        (CALLBACK, b"\xff", 400, "json_not_utf8"),
        (CALLBACK, b"[" * 100_000, 400, "json_too_deep"),
        (CALLBACK, b" " * (1024 * 1024 + 1), 413, "body_too_large"),
    ],
)  # fmt: skip
async def test_what_is_no_batch_of_receipts_is_refused(
    told: Told, path: str, body: bytes, status: int, code: str
) -> None:
    answer = await told.http.post(path, content=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_an_empty_batch_is_taken(told: Told) -> None:
    assert (await told.push()).json() == TAKEN


async def test_a_receipt_keeps_no_number(told: Told) -> None:
    await told.push(
        {"phone_number": "16023413103", "biz_id": "1^0", "out_id": "x", "success": True}
    )
    kept = await told.world.pool.fetchrow("SELECT * FROM receipt")
    assert kept is not None
    assert "3413103" not in str(dict(kept))


async def test_while_the_database_is_away_receipts_are_to_come_again(told: Told) -> None:
    await told.world.pool.execute(
        "CREATE FUNCTION away() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'away' USING ERRCODE = '57P01'; END $$"
    )
    await told.world.pool.execute(
        "CREATE TRIGGER away BEFORE INSERT ON receipt EXECUTE FUNCTION away()"
    )
    receipt = {"phone_number": "1", "biz_id": "1^0", "out_id": "x", "success": True}
    answer = await told.push(receipt)
    assert (answer.status_code, answer.json()["code"]) == (503, "not_now")
    await told.world.pool.execute("DROP TRIGGER away ON receipt")
    assert (await told.push(receipt)).json() == TAKEN
