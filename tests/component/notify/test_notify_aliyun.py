from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from services.notify.channels.acs3 import AccessKey
from services.notify.channels.aliyun_rpc import lines, utc_now
from services.notify.channels.aliyun_sms import Account, AliyunSms
from services.notify.channels.port import OutMessage, Question
from services.notify.compiled import templates_from
from services.notify.domain.progress import (
    Accepted,
    Missing,
    Outcome,
    Permanent,
    RateLimited,
    Unknown,
)
from tests.component.notify import world as worlds
from tests.component.notify.world import KEY_ID, SECRET, SIGN, Gateway

PHONE = "16000000001"
MIDNIGHT = datetime(2026, 3, 3, 16, 0, tzinfo=UTC)  # in China
TEMPLATE = templates_from()["case_assigned"]


@asynccontextmanager
async def channel(
    gateway: Gateway,
    *,
    secret: str = SECRET,
    sign: str = SIGN,
    codes: dict[str, str] | None = None,
    now: Callable[[], datetime] = utc_now,
) -> AsyncIterator[AliyunSms]:
    account = Account(gateway.url, AccessKey(KEY_ID, secret), sign, codes or {})
    async with lines(2, 5, 5) as http:
        yield AliyunSms(account, http, now)


def message(reference: UUID, **values: str) -> OutMessage:
    said = {"number": "250303-0001", "category": "路灯", "place": "槐荫新村", **values}
    return OutMessage(reference, PHONE, "case_assigned", said, TEMPLATE.text(said))


async def test_the_provider_s_own_id_and_what_is_charged_come_back(gateway: Gateway) -> None:
    async with channel(gateway) as sms:
        accepted = await sms.send(message(uuid4()))
    (sent,) = await gateway.messages()
    assert accepted == Accepted(sent["biz_id"], 1)
    assert sent["text"] == f"【{SIGN}】250303-0001号件（路灯，槐荫新村）已派给您，请及时受理。"


@pytest.mark.parametrize(
    ("given", "values", "expected"),
    [
        ({"secret": "wrong"}, {}, RateLimited("SignatureDoesNotMatch", "account", 300)),
        ({"sign": "别处"}, {}, Permanent("isv.SMS_SIGNATURE_ILLEGAL")),
        ({"codes": {"case_assigned": "SMS_1"}}, {}, Permanent("isv.SMS_TEMPLATE_ILLEGAL")),
        ({}, {"place": "网" * 21}, Permanent("isv.PARAM_LENGTH_LIMIT")),
        ({}, {"place": "http://a.cn"}, Permanent("isv.PARAM_NOT_SUPPORT_URL")),
        ({}, {"place": ""}, Permanent("isv.TEMPLATE_MISSING_PARAMETERS")),
    ],
)
async def test_what_the_provider_refuses(
    gateway: Gateway, given: dict[str, str], values: dict[str, str], expected: Outcome
) -> None:
    async with channel(gateway, **given) as sms:  # type: ignore[arg-type]  # by the table
        assert await sms.send(message(uuid4(), **values)) == expected
    assert await gateway.messages() == []


async def test_an_old_message_is_found_behind_many_others(gateway: Gateway) -> None:
    first = uuid4()
    async with channel(gateway) as sms:
        for reference in (first, *(uuid4() for _ in range(120))):
            await sms.send(message(reference))
        question = Question(first, PHONE, utc_now())
        assert await sms.look_up(question) == Accepted(None, 1)
        assert await sms.look_up(Question(uuid4(), PHONE, utc_now())) == Missing()


@pytest.mark.parametrize("sent_at", [MIDNIGHT - timedelta(seconds=2), MIDNIGHT])
@pytest.mark.parametrize("begun_at", [MIDNIGHT - timedelta(seconds=1), MIDNIGHT])
async def test_a_message_is_found_on_either_side_of_midnight(
    sent_at: datetime, begun_at: datetime
) -> None:
    later = max(sent_at, begun_at) + timedelta(seconds=5)
    clock = [sent_at]
    async with (
        worlds.gateway(clock=lambda: clock[0]) as gateway,
        channel(gateway, now=lambda: clock[0]) as sms,
    ):
        reference = uuid4()
        await sms.send(message(reference))
        clock[0] = later
        assert await sms.look_up(Question(reference, PHONE, begun_at)) == Accepted(None, 1)


async def test_a_look_up_that_is_refused_tells_nothing(gateway: Gateway) -> None:
    async with channel(gateway) as sms:
        month_ago = utc_now() - timedelta(days=40)
        answer = await sms.look_up(Question(uuid4(), PHONE, month_ago))
    assert answer == Unknown("isv.INVALID_PARAMETERS")
