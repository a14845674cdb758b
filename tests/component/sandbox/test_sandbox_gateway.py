"""The provider's one address, over real HTTP."""

import json
from typing import Any

import httpx
import pytest

from tests.component.sandbox.caller import LI, SECRET, WANG, Caller, Clock, notice
from tests.component.sandbox.conftest import Start


async def test_a_send_is_answered_and_reaches_the_phone(sandbox: Caller) -> None:
    answer = await sandbox.send(OutId="case-1")
    body = answer.json()
    assert answer.status_code == 200
    assert set(body) == {"Code", "Message", "BizId", "RequestId"}
    assert (body["Code"], body["Message"]) == ("OK", "OK")
    assert body["BizId"].endswith("^0")
    assert answer.headers["x-acs-request-id"] == body["RequestId"]
    [message] = await sandbox.reached(phone=WANG, out_id="case-1")
    assert message["text"] == "【吹哨】已受理：路灯不亮"
    assert (message["biz_id"], message["segments"]) == (body["BizId"], 1)
    assert message["accepted_at"] == message["reached_at"] == "2026-03-03T01:30:00Z"


async def test_one_request_to_several_phones_has_one_number(sandbox: Caller) -> None:
    body = (await sandbox.send(PhoneNumbers=f"{WANG},+86{LI}")).json()
    messages = await sandbox.reached()
    assert [message["phone"] for message in messages] == [WANG, LI]
    assert {message["biz_id"] for message in messages} == {body["BizId"]}


@pytest.mark.parametrize(
    ("changes", "code", "status"),
    [
        ({"PhoneNumbers": "12345"}, "isv.MOBILE_NUMBER_ILLEGAL", 200),
        ({"SignName": "吹号"}, "isv.SMS_SIGNATURE_ILLEGAL", 200),
        ({"TemplateCode": "SMS_4"}, "isv.SMS_SIGNATURE_ILLEGAL", 200),
        ({"TemplateCode": "SMS_9"}, "isv.SMS_TEMPLATE_ILLEGAL", 200),
        ({"TemplateParam": "{}"}, "isv.TEMPLATE_MISSING_PARAMETERS", 200),
        ({"TemplateParam": '{"matter":1}'}, "isv.INVALID_JSON_PARAM", 200),
        ({"TemplateParam": '{"matter":"a.com"}'}, "isv.PARAM_NOT_SUPPORT_URL", 200),
        ({"TemplateParam": json.dumps({"matter": "字" * 481})}, "isv.PARAM_LENGTH_LIMIT", 200),
        ({"PhoneNumbers": ""}, "MissingPhoneNumbers", 400),
    ],
)
async def test_the_business_refuses_with_its_code_and_nothing_is_sent(
    sandbox: Caller, changes: dict[str, str], code: str, status: int
) -> None:
    answer = await sandbox.send(**changes)
    assert (answer.json()["Code"], answer.status_code) == (code, status)
    assert "BizId" not in answer.json()
    assert await sandbox.reached() == []


@pytest.mark.parametrize(
    ("how", "code", "status"),
    [
        ({"secret": "other"}, "SignatureDoesNotMatch", 400),
        ({"key": "LTAIother"}, "InvalidAccessKeyId.NotFound", 404),
        ({"action": "SendCards"}, "InvalidAction.NotFound", 404),
        ({"version": "2018-05-01"}, "InvalidVersion", 400),
    ],
)
async def test_the_gateway_refuses_with_4xx_and_nothing_is_sent(
    sandbox: Caller, how: dict[str, str], code: str, status: int
) -> None:
    answer = await sandbox.call(notice(), **how)
    assert (answer.json()["Code"], answer.status_code) == (code, status)
    assert answer.json()["RequestId"]
    assert await sandbox.reached() == []


async def test_a_request_with_a_body_is_signed_with_its_hash(sandbox: Caller) -> None:
    answer = await sandbox.call(notice(), body=b"{}")
    assert answer.json()["Code"] == "OK"


async def test_the_same_request_a_second_time_is_refused(sandbox: Caller) -> None:
    first = await sandbox.call(notice(), nonce="replayed")
    second = await sandbox.call(notice(), nonce="replayed")
    assert [first.json()["Code"], second.json()["Code"]] == ["OK", "SignatureNonceUsed"]
    assert second.status_code == 400
    assert len(await sandbox.reached()) == 1


async def test_a_forged_request_does_not_use_up_a_nonce(sandbox: Caller) -> None:
    await sandbox.call(notice(), nonce="kept", secret="forged")
    answer = await sandbox.call(notice(), nonce="kept")
    assert answer.json()["Code"] == "OK"


async def test_a_date_from_another_hour_is_refused(sandbox: Caller) -> None:
    an_hour_ago = Caller(sandbox.http, Clock(), sandbox.provider)
    an_hour_ago.clock.advance(hours=-1)
    assert (await an_hour_ago.send()).json()["Code"] == "InvalidTimeStamp.Expired"
    assert await sandbox.reached() == []


async def test_a_field_that_stands_twice_is_refused_even_when_signed(sandbox: Caller) -> None:
    answer = await sandbox.call_with([*notice().items(), ("SignName", "吹哨")])
    assert (answer.status_code, answer.json()["Code"]) == (400, "InvalidParameter")
    assert await sandbox.reached() == []


async def test_requests_out_of_bounds_are_refused(sandbox: Caller) -> None:
    long_query = await sandbox.call(notice(OutId="o" * 40_000))
    assert (long_query.status_code, long_query.json()["Code"]) == (400, "InvalidParameter")
    long_body = await sandbox.call(notice(), body=b"x" * 70_000)
    assert long_body.status_code == 413
    assert await sandbox.reached() == []


async def test_somebody_who_has_had_enough_today_gets_no_more(start: Start) -> None:
    async with start(limits={"per_minute_max": 1, "per_day_max": 2}) as caller:
        codes = []
        for seconds in (0, 59, 1, 60):
            caller.clock.advance(seconds=seconds)
            codes.append(await told(caller.send()))
        assert codes == [
            ("OK", "OK", 200),
            ("isv.BUSINESS_LIMIT_CONTROL", "触发分钟级流控Permits:1", 200),
            ("OK", "OK", 200),
            ("isv.BUSINESS_LIMIT_CONTROL", "触发天级流控Permits:2", 200),
        ]
        assert len(await caller.reached()) == 2


async def told(call: Any) -> tuple[str, str, int]:
    answer: httpx.Response = await call
    return answer.json()["Code"], answer.json()["Message"], answer.status_code


async def test_an_account_in_a_hurry_is_throttled(start: Start) -> None:
    async with start(limits={"account_per_s_max": 2}) as caller:
        answers = [await caller.send() for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert answers[2].json()["Code"] == "Throttling.User"
        assert answers[2].headers["x-acs-retry-after"] == "1000"
        caller.clock.advance(seconds=1)
        assert (await caller.send()).status_code == 200
        assert len(await caller.reached()) == 3


async def test_a_send_can_be_looked_up_by_number_day_and_out_id(sandbox: Caller) -> None:
    biz_id = (await sandbox.send(OutId="case-7")).json()["BizId"]
    await sandbox.until_reported(1)
    body = await sandbox.details()
    assert (body["Code"], body["TotalCount"]) == ("OK", 1)
    assert body["SmsSendDetailDTOs"]["SmsSendDetailDTO"] == [
        {
            "PhoneNum": WANG,
            "SendStatus": 3,
            "SendDate": "2026-03-03 09:30:00",
            "ReceiveDate": "2026-03-03 09:30:00",
            "ErrCode": "DELIVERED",
            "TemplateCode": "SMS_1",
            "Content": "【吹哨】已受理：路灯不亮",
            "OutId": "case-7",
        }
    ]
    assert (await sandbox.details(BizId=biz_id))["TotalCount"] == 1
    assert (await sandbox.details(BizId="other^0"))["TotalCount"] == 0
    assert (await sandbox.details(PhoneNumber=LI))["TotalCount"] == 0
    assert (await sandbox.details(SendDate="20260302"))["TotalCount"] == 0


async def test_before_the_receipt_the_status_is_waiting(sandbox: Caller) -> None:
    await sandbox.fault(kind="receipt_lost", next=1)
    await sandbox.send()
    [detail] = (await sandbox.details())["SmsSendDetailDTOs"]["SmsSendDetailDTO"]
    assert detail["SendStatus"] == 1
    assert "ReceiveDate" not in detail


async def test_the_day_of_a_send_is_chinas(sandbox: Caller) -> None:
    sandbox.clock.advance(hours=14.75)  # 00:15 of the next day there, 16:15 in Greenwich
    await sandbox.send()
    assert (await sandbox.details(SendDate="20260304"))["TotalCount"] == 1
    assert (await sandbox.details(SendDate="20260303"))["TotalCount"] == 0


async def test_details_come_in_pages_newest_first(sandbox: Caller) -> None:
    for number in range(5):
        await sandbox.send(OutId=f"p-{number}")
    pages = [await sandbox.details(PageSize="2", CurrentPage=str(n)) for n in (1, 2, 3, 4)]
    listed = [
        [detail["OutId"] for detail in page["SmsSendDetailDTOs"]["SmsSendDetailDTO"]]
        for page in pages
    ]
    assert listed == [["p-4", "p-3"], ["p-2", "p-1"], ["p-0"], []]
    assert {page["TotalCount"] for page in pages} == {5}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"PhoneNumber": "1"}, "isv.MOBILE_NUMBER_ILLEGAL"),
        ({"PhoneNumber": ""}, "MissingPhoneNumber"),
        ({"PageSize": ""}, "MissingPageSize"),
        ({"PageSize": "51"}, "isv.INVALID_PARAMETERS"),
        ({"PageSize": "0"}, "isv.INVALID_PARAMETERS"),
        ({"PageSize": "ten"}, "isv.INVALID_PARAMETERS"),
        ({"CurrentPage": "0"}, "isv.INVALID_PARAMETERS"),
        ({"CurrentPage": "-1"}, "isv.INVALID_PARAMETERS"),
        ({"SendDate": "2026-03-03"}, "isv.INVALID_PARAMETERS"),
        ({"SendDate": "20260304"}, "isv.INVALID_PARAMETERS"),
        ({"SendDate": "20260131"}, "isv.INVALID_PARAMETERS"),
        ({"SendDate": "20260201"}, "OK"),
    ],
)
async def test_a_question_must_be_in_order(
    sandbox: Caller, changes: dict[str, str], code: str
) -> None:
    assert (await sandbox.details(**changes))["Code"] == code


async def test_the_truth_can_be_asked_for_and_forgotten(sandbox: Caller) -> None:
    for phone in (WANG, LI, WANG):
        await sandbox.send(PhoneNumbers=phone)
    answer = await sandbox.http.get("/sandbox/messages", params={"phone": WANG, "limit": 1})
    assert answer.json()["total"] == 2
    assert len(answer.json()["messages"]) == 1
    assert (await sandbox.http.delete("/sandbox/messages")).status_code == 204
    assert await sandbox.reached() == []
    assert (await sandbox.details())["TotalCount"] == 0


async def test_the_truth_can_be_searched_for_words(sandbox: Caller) -> None:
    for matter in ("路灯不亮", "井盖没了", "路灯又不亮"):
        await sandbox.send(TemplateParam=f'{{"matter":"{matter}"}}')
    texts = [message["text"] for message in await sandbox.reached(words="路灯又")]
    assert texts == ["【吹哨】已受理：路灯又不亮"]


async def test_live_ready_and_no_documents_from_elsewhere(sandbox: Caller) -> None:
    assert (await sandbox.http.get("/live")).json() == {"live": True}
    assert (await sandbox.http.get("/ready")).json()["ready"] is True
    assert (await sandbox.http.get("/docs")).status_code == 404
    assert (await sandbox.http.get("/")).headers["location"] == "/phones"
    assert SECRET not in (await sandbox.http.get("/openapi.json")).text
