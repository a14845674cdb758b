"""Each fault over a real connection: what the caller sees, and what the phone shows."""

import asyncio
from typing import Any

import httpx
import pytest

from deploy.sandbox.faults import FaultBoard, Faults
from tests.component.sandbox.caller import LI, WANG, Caller
from tests.component.sandbox.conftest import Start
from tests.waiting import PATIENCE_S


@pytest.mark.parametrize(("when", "reached"), [("before", 0), ("after", 1)])
async def test_an_error_500_may_come_before_or_after_the_message(
    sandbox: Caller, when: str, reached: int
) -> None:
    await sandbox.fault(kind="error_500", when=when, next=1)
    answer = await sandbox.send()
    assert (answer.status_code, answer.json()["Code"]) == (500, "InternalError")
    assert len(await sandbox.reached()) == reached
    assert (await sandbox.send()).json()["Code"] == "OK"


@pytest.mark.parametrize(("when", "reached"), [("before", 0), ("after", 1)])
async def test_a_connection_may_be_reset_before_or_after_the_message(
    sandbox: Caller, when: str, reached: int
) -> None:
    await sandbox.fault(kind="reset", when=when, next=1)
    with pytest.raises(httpx.ReadError):
        await sandbox.send()
    assert len(await sandbox.reached()) == reached


@pytest.mark.parametrize(("when", "reached"), [("before", 0), ("after", 1)])
async def test_garbage_may_come_before_or_after_the_message(
    sandbox: Caller, when: str, reached: int
) -> None:
    await sandbox.fault(kind="garbage", when=when, next=1)
    answer = await sandbox.send()
    assert answer.status_code == 200
    with pytest.raises(ValueError, match="decode"):
        answer.json()
    assert len(await sandbox.reached()) == reached


async def test_a_throttle_says_when_to_come_again(sandbox: Caller) -> None:
    await sandbox.fault(kind="throttle", next=1, retry_after_ms=250)
    answer = await sandbox.send()
    assert (answer.status_code, answer.json()["Code"]) == (429, "Throttling.User")
    assert answer.headers["x-acs-retry-after"] == "250"
    assert await sandbox.reached() == []


async def test_any_code_can_be_answered(sandbox: Caller) -> None:
    await sandbox.fault(kind="refuse", next=1, code="isv.AMOUNT_NOT_ENOUGH", message="余额不足")
    answer = await sandbox.send()
    assert (answer.status_code, answer.json()["Code"]) == (200, "isv.AMOUNT_NOT_ENOUGH")
    assert await sandbox.reached() == []


async def test_whoever_hangs_up_on_a_hanging_answer_has_sent_all_the_same(sandbox: Caller) -> None:
    await sandbox.fault(kind="hang", when="after", seconds=30, next=1)
    hanging = asyncio.create_task(sandbox.send())
    await sandbox.until_reported(1)
    hanging.cancel()
    assert len(await sandbox.reached()) == 1


async def test_a_hanging_send_goes_out_later_though_nobody_waits(sandbox: Caller) -> None:
    await sandbox.fault(kind="hang", seconds=0.6, next=1)
    with pytest.raises(httpx.ReadTimeout):
        await asyncio.wait_for(give_up_soon(sandbox), PATIENCE_S)
    assert await sandbox.reached() == []
    await sandbox.until_reported(1)
    assert len(await sandbox.reached()) == 1


async def give_up_soon(sandbox: Caller) -> None:
    sandbox.http.timeout = httpx.Timeout(10, read=0.05)
    try:
        await sandbox.send()
    finally:
        sandbox.http.timeout = httpx.Timeout(10)


@pytest.mark.parametrize(("when", "reached"), [("before", 0), ("after", 1)])
async def test_a_hang_can_end_in_a_reset(sandbox: Caller, when: str, reached: int) -> None:
    await sandbox.fault(kind="hang", when=when, seconds=0.01, then="reset", next=1)
    with pytest.raises(httpx.ReadError):
        await sandbox.send()
    assert len(await sandbox.reached()) == reached


async def test_a_stop_does_not_wait_for_a_hang_and_nothing_is_sent_then(start: Start) -> None:
    async with start() as caller:
        await caller.fault(kind="hang", seconds=600, next=1)
        caller.provider.closing.set()
        answer = await caller.send()
        assert (answer.status_code, answer.json()["Code"]) == (503, "ServiceUnavailable")
        assert await caller.reached() == []


async def test_a_fault_after_the_message_waits_for_one_that_is_accepted(sandbox: Caller) -> None:
    await sandbox.fault(kind="error_500", when="after", next=1)
    assert (await sandbox.send(SignName="x")).json()["Code"] == "isv.SMS_SIGNATURE_ILLEGAL"
    assert (await sandbox.send()).status_code == 500


async def test_an_unsigned_request_uses_up_no_fault(sandbox: Caller) -> None:
    await sandbox.fault(kind="error_500", next=1)
    await sandbox.call({"PhoneNumbers": WANG}, secret="forged")
    assert (await sandbox.send()).status_code == 500


async def test_a_fault_can_be_kept_to_one_phone(sandbox: Caller) -> None:
    await sandbox.fault(kind="error_500", next=1, phone=LI)
    assert (await sandbox.send(PhoneNumbers=WANG)).status_code == 200
    assert (await sandbox.send(PhoneNumbers=f"{WANG},{LI}")).status_code == 500


async def test_faults_strike_one_after_the_other_and_can_be_listed_and_cleared(
    sandbox: Caller,
) -> None:
    await sandbox.fault(kind="error_500", next=1)
    await sandbox.fault(kind="throttle", next=2)
    assert [(await sandbox.send()).status_code for _ in range(2)] == [500, 429]
    [left] = (await sandbox.http.get("/sandbox/faults")).json()["faults"]
    assert (left["kind"], left["seen"], left["struck"]) == ("throttle", 1, 1)
    assert (await sandbox.http.delete("/sandbox/faults")).status_code == 204
    assert (await sandbox.send()).status_code == 200


def struck(seed: int, share: float, sends: int) -> list[bool]:
    board = FaultBoard(faults_max=10)
    fault = {"kind": "error_500", "share": share, "seed": seed}
    board.add(Faults.model_validate({"faults": [fault]}))
    return [board.answer_fault(frozenset({WANG}), "before") is not None for _ in range(sends)]


def test_a_share_strikes_the_same_sends_for_the_same_seed() -> None:
    assert struck(7, 0.3, 1_000) == struck(7, 0.3, 1_000)
    assert struck(7, 0.3, 1_000) != struck(8, 0.3, 1_000)
    assert 250 < sum(struck(7, 0.3, 1_000)) < 350
    assert all(struck(7, 1.0, 100))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"faults": [{"kind": "hang", "next": 1, "sconds": 1}]}, "hang.sconds: Extra inputs"),
        ({"faults": [{"kind": "hang", "next": 1}]}, "hang.seconds: Field required"),
        ({"faults": [{"kind": "explode", "next": 1}]}, "explode"),
        ({"faults": [{"kind": "reset"}]}, "give either next or share"),
        ({"faults": [{"kind": "reset", "next": 1, "share": 0.5}]}, "give either next or share"),
        ({"faults": [{"kind": "reset", "share": 1.5}]}, "less than or equal to 1"),
        ({"faults": [{"kind": "throttle", "next": 1, "when": "after"}]}, "throttle.when: Extra"),
        ({"faults": [{"kind": "hang", "next": 1, "seconds": 601}]}, "less than or equal to 600"),
        ({"faults": []}, "at least 1"),
        ({"faults": [], "clear": True}, "clear: Extra inputs"),
        ([], "body"),
    ],
)
async def test_a_fault_that_is_not_understood_is_refused_in_a_sentence(
    sandbox: Caller, body: Any, words: str
) -> None:
    answer = await sandbox.http.post("/sandbox/faults", json=body)
    problem = answer.json()
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["code"] == "request_invalid"
    assert words in problem["detail"]
    assert (await sandbox.http.get("/sandbox/faults")).json()["faults"] == []


async def test_there_is_an_end_to_faults(sandbox: Caller) -> None:
    many = {"faults": [{"kind": "reset", "next": 1}] * 100}
    assert (await sandbox.http.post("/sandbox/faults", json=many)).status_code == 201
    answer = await sandbox.http.post("/sandbox/faults", json={"faults": many["faults"][:1]})
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
