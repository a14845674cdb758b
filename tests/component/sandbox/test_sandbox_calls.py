"""IvrCall as strictly as the provider takes it, and what becomes of a call."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.component.sandbox.caller import WANG, Callback, Caller
from tests.component.sandbox.conftest import Start

SHOWN = "057112345678"
TEMPLATES = [
    {"code": "TTS_1", "name": "吹哨", "content": "请报到：${matter}", "variables": {"matter": 10}},
    {"code": "TTS_2", "name": "再见", "content": "再见。"},
]


def call(**changes: str) -> dict[str, str]:
    fields = {
        "CalledShowNumber": SHOWN,
        "CalledNumber": WANG,
        "StartCode": "TTS_1",
        "StartTtsParams": '{"matter":"路灯不亮"}',
        "PlayTimes": "2",
        "MenuKeyMap.1.Key": "1",
        "MenuKeyMap.1.Code": "TTS_2",
        "ByeCode": "TTS_2",
        "OutId": "0123456789abcde",
    }
    return {name: text for name, text in {**fields, **changes}.items() if text != "-"}


@pytest.fixture
async def desk(start: Start, callback: Callback) -> AsyncIterator[Caller]:
    receipts = {"calls_url": callback.url, "retry_first_s": 0.01, "retry_longest_s": 0.02}
    calls = {"show_numbers": [SHOWN], "ring_s": 30}
    async with start(receipts=receipts, calls=calls, call_templates=TEMPLATES) as caller:
        yield caller


async def place(caller: Caller, **changes: str) -> dict[str, Any]:
    answer = await caller.call(call(**changes), action="IvrCall")
    body: dict[str, Any] = answer.json()
    return body


async def end(caller: Caller, key: str) -> int:
    (ringing,) = [one for one in await caller.reached() if one["call"]]
    path = f"/sandbox/calls/{ringing['message_id']}"
    return (await caller.http.post(path, json={"key": key})).status_code


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"CalledShowNumber": "-"}, "MissingCalledShowNumber"),
        ({"CalledNumber": "-"}, "MissingCalledNumber"),
        ({"StartCode": "-"}, "MissingStartCode"),
        ({"MenuKeyMap.1.Key": "-"}, "MissingMenuKeyMap.1.Key"),
        ({"CalledShowNumber": "057100000001"}, "isv.DISPLAY_NUMBER_ILLEGAL"),
        ({"CalledNumber": "12345"}, "isv.MOBILE_NUMBER_ILLEGAL"),
        ({"CalledNumber": f"{WANG},{WANG}"}, "isv.MOBILE_NUMBER_ILLEGAL"),
        ({"StartCode": "SMS_1"}, "isv.TTS_TEMPLATE_ILLEGAL"),
        ({"ByeCode": "TTS_9"}, "isv.TTS_TEMPLATE_ILLEGAL"),
        ({"StartTtsParams": "{}"}, "isv.TEMPLATE_MISSING_PARAMETERS"),
        ({"StartTtsParams": "["}, "isv.INVALID_JSON_PARAM"),
        ({"StartTtsParams": '{"matter":"一二三四五六七八九十一"}'}, "isv.PARAM_LENGTH_LIMIT"),
        ({"PlayTimes": "4"}, "isv.INVALID_PARAMETERS"),
        ({"OutId": "0123456789abcdef"}, "isv.INVALID_PARAMETERS"),
    ],
)
async def test_what_is_no_call_is_refused(desk: Caller, changes: dict[str, str], code: str) -> None:
    assert (await place(desk, **changes))["Code"] == code
    assert await desk.reached() == []


async def test_a_wrong_signature_rings_nowhere(desk: Caller) -> None:
    answer = await desk.call(call(), action="IvrCall", secret="wrong")
    assert answer.json()["Code"] == "SignatureDoesNotMatch"
    assert await desk.reached() == []


async def test_a_number_is_called_once_a_minute(desk: Caller) -> None:
    assert (await place(desk))["Code"] == "OK"
    assert (await place(desk))["Code"] == "isv.BUSINESS_LIMIT_CONTROL"
    desk.clock.advance(seconds=61)
    assert (await place(desk))["Code"] == "OK"


@pytest.mark.parametrize(("key", "status"), [("1", "200000"), ("", "200001")])
async def test_what_is_pressed_is_reported(
    desk: Caller, callback: Callback, key: str, status: str
) -> None:
    placed = await place(desk)
    assert await end(desk, key) == 204
    (report,) = await callback.until(1)
    told = {name: report[name] for name in ("call_id", "out_id", "callee", "status_code", "dtmf")}
    assert told == {
        "call_id": placed["CallId"],
        "out_id": "0123456789abcde",
        "callee": WANG,
        "status_code": status,
        "dtmf": key,
    }
    assert await end(desk, "1") == 409


async def test_the_page_shows_a_call_with_its_keys_until_it_ends(desk: Caller) -> None:
    await place(desk)
    ringing = (await desk.http.get("/phones")).text
    assert "来电响铃中" in ringing
    assert "1 接听并确认" in ringing
    assert f"来电 {SHOWN}" in ringing
    assert "请报到：路灯不亮" in ringing
    assert ringing.index("</ol>") < ringing.index('class="keys"')  # in sight, whatever scrolls
    await end(desk, "1")
    over = (await desk.http.get("/phones")).text
    assert "已接听并确认" in over
    assert 'class="keys"' not in over


async def test_a_call_is_no_text(desk: Caller) -> None:
    await place(desk)
    assert (await desk.details())["TotalCount"] == 0


async def test_a_call_that_is_not_there_cannot_be_answered(desk: Caller) -> None:
    assert (await desk.http.post("/sandbox/calls/none", json={"key": "1"})).status_code == 404
    assert (await desk.http.post("/sandbox/calls/none", json={"key": "x"})).status_code == 422
