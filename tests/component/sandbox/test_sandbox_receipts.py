"""Receipts as the product's callback sees them."""

import pytest

from deploy.sandbox.receipts import confirms
from tests.component.sandbox.caller import LI, TAKEN, WANG, Callback, Caller
from tests.component.sandbox.conftest import Start


async def test_a_receipt_is_pushed_in_the_providers_words(
    sandbox: Caller, callback: Callback
) -> None:
    biz_id = (await sandbox.send(OutId="case-1")).json()["BizId"]
    assert await callback.until(1) == [
        {
            "phone_number": WANG,
            "send_time": "2026-03-03 09:30:00",
            "report_time": "2026-03-03 09:30:00",
            "success": True,
            "err_code": "DELIVERED",
            "err_msg": "用户接收成功",
            "sms_size": "1",
            "biz_id": biz_id,
            "out_id": "case-1",
        }
    ]
    await sandbox.until_confirmed(1)


async def test_receipts_of_one_request_come_in_a_batch(sandbox: Caller, callback: Callback) -> None:
    await sandbox.send(PhoneNumbers=f"{WANG},{LI}")
    await callback.until(2)
    assert [len(batch) for batch in callback.batches] == [2]


async def test_a_batch_has_a_bound(start: Start, callback: Callback) -> None:
    receipts = {"callback_url": callback.url, "delay_s": 0, "batch_max": 2}
    async with start(receipts=receipts) as caller:
        await caller.send(PhoneNumbers=",".join([WANG] * 5))
        await callback.until(5)
        assert [len(batch) for batch in callback.batches] == [2, 2, 1]


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param((500, TAKEN), id="error"),
        pytest.param((200, b"<html>"), id="no-json"),
        pytest.param((200, b'{"code":1}'), id="other-code"),
        pytest.param((200, b'{"success":true}'), id="no-code"),
    ],
)
async def test_a_receipt_is_told_again_until_it_is_taken(
    sandbox: Caller, callback: Callback, answer: tuple[int, bytes]
) -> None:
    callback.answers += [answer, answer]
    await sandbox.send()
    receipts = await callback.until(3)
    assert receipts[0] == receipts[1] == receipts[2]
    await sandbox.until_confirmed(1)
    assert len(callback.batches) == 3


@pytest.mark.parametrize(
    ("verdict", "taken"),
    [
        ({"code": 0}, True),
        ({"code": 0, "msg": "接收成功"}, True),
        ({"code": "0"}, False),
        ({"code": False}, False),
        ({"code": 0.0}, False),
        ({}, False),
        ([], False),
        (None, False),
    ],
)
def test_only_the_number_zero_confirms(verdict: object, taken: bool) -> None:
    assert confirms(verdict) is taken


async def test_telling_ends_after_the_last_attempt(start: Start, callback: Callback) -> None:
    receipts = {
        "callback_url": callback.url,
        "delay_s": 0,
        "attempts_max": 2,
        "retry_first_s": 0.01,
        "retry_longest_s": 0.01,
    }
    async with start(receipts=receipts) as caller:
        callback.answers += [(500, b""), (500, b"")]
        await caller.send(OutId="given-up")
        await callback.until(2)
        await caller.send(OutId="next")
        await caller.until_confirmed(1)
        assert [receipt["out_id"] for receipt in callback.receipts()] == [
            "given-up",
            "given-up",
            "next",
        ]


async def test_a_dead_callback_does_not_hold_up_the_lamps(start: Start) -> None:
    receipts = {"callback_url": "http://127.0.0.1:9/receipts", "delay_s": 0}
    async with start(receipts=receipts) as caller:
        for _ in range(3):
            await caller.send()
        await caller.until_reported(3)


async def test_a_receipt_can_come_double(sandbox: Caller, callback: Callback) -> None:
    await sandbox.fault(kind="receipt_duplicated", times=3, next=1)
    await sandbox.send()
    receipts = await callback.until(3)
    assert receipts[0] == receipts[1] == receipts[2]
    await sandbox.until_confirmed(1)
    assert len(await sandbox.reached()) == 1


@pytest.mark.parametrize(("when", "reached"), [("before", 0), ("after", 1)])
async def test_a_receipt_can_say_that_it_failed_rightly_or_wrongly(
    sandbox: Caller, callback: Callback, when: str, reached: int
) -> None:
    await sandbox.fault(kind="receipt_failed", when=when, err_code="MK:0001", next=1)
    assert (await sandbox.send(OutId="case-2")).json()["Code"] == "OK"
    [receipt] = await callback.until(1)
    assert (receipt["success"], receipt["err_code"]) == (False, "MK:0001")
    assert len(await sandbox.reached()) == reached
    answer = await sandbox.http.get("/sandbox/messages", params={"reached": False})
    assert answer.json()["total"] == 1 - reached
    [detail] = (await sandbox.details())["SmsSendDetailDTOs"]["SmsSendDetailDTO"]
    assert (detail["SendStatus"], detail["ErrCode"]) == (2, "MK:0001")


async def test_a_receipt_can_come_before_the_answer(sandbox: Caller, callback: Callback) -> None:
    await sandbox.fault(kind="receipt_before_answer", next=1)
    biz_id = (await sandbox.send()).json()["BizId"]
    assert [receipt["biz_id"] for receipt in callback.receipts()] == [biz_id]


async def test_a_receipt_can_come_behind_a_later_one(sandbox: Caller, callback: Callback) -> None:
    await sandbox.fault(kind="receipt_out_of_order", seconds=60, next=1)
    await sandbox.send(OutId="first")
    await sandbox.until_reported(1)
    await sandbox.send(OutId="second")
    receipts = await callback.until(2)
    assert [receipt["out_id"] for receipt in receipts] == ["second", "first"]
    await sandbox.until_confirmed(2)


async def test_a_receipt_held_back_alone_comes_after_its_time(
    sandbox: Caller, callback: Callback
) -> None:
    await sandbox.fault(kind="receipt_out_of_order", seconds=0.05, next=1)
    await sandbox.send()
    await callback.until(1)
    await sandbox.until_confirmed(1)
    assert len(callback.receipts()) == 1


async def test_a_late_receipt_is_overtaken_and_a_lost_one_never_comes(
    sandbox: Caller, callback: Callback
) -> None:
    await sandbox.fault(kind="receipt_delayed", seconds=0.6, next=1)
    await sandbox.send(OutId="late")
    await sandbox.fault(kind="receipt_lost", next=1)
    await sandbox.send(OutId="lost")
    await sandbox.send(OutId="in-time")
    receipts = await callback.until(2)
    assert [receipt["out_id"] for receipt in receipts] == ["in-time", "late"]


async def test_what_is_forgotten_is_not_told(sandbox: Caller, callback: Callback) -> None:
    await sandbox.fault(kind="receipt_delayed", seconds=0.4, next=1)
    await sandbox.send(OutId="forgotten")
    await sandbox.http.delete("/sandbox/messages")
    await sandbox.fault(kind="receipt_delayed", seconds=0.5, next=1)
    await sandbox.send(OutId="told")
    assert [receipt["out_id"] for receipt in await callback.until(1)] == ["told"]
