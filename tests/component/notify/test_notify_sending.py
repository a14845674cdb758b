import asyncio
import logging
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from contracts.facts import CaseAcceptedV1, Owner
from services.chassis.postgres import open_pool
from services.notify.app import open_channels
from services.notify.domain.progress import RetryLater
from services.notify.towns import Towns
from tests import factories
from tests.component.notify import world as worlds
from tests.component.notify.world import (
    DUE,
    REPORTER_PHONE,
    Gateway,
    World,
    closed,
    event,
    missed,
    warned,
)

BY = {"staff": "s-gw-01", "role": "grid_worker"}
WORKER_PHONE = "16023413103"


async def test_an_assigned_case_is_told_to_its_owner_by_the_first_channel_there_is(
    world: World, gateway: Gateway
) -> None:
    await world.assign()
    async with world.sending():
        await world.until("accepted")
    assert await gateway.texts() == [
        "【吹哨】250303-0001号件（邻里纠纷，柿红新村菊黄洼网格）已派给您，请及时受理。"
    ]
    assert await world.attempts() == [
        ("app", "skipped", "no_adapter"),
        ("wechat", "skipped", "no_adapter"),
        ("sms", "accepted", None),
    ]
    assert await world.pool.fetchval("SELECT contact FROM attempt WHERE channel = 'sms'") == (
        "160****3103"
    )


async def test_a_reporter_is_told_by_his_sealed_number(world: World, gateway: Gateway) -> None:
    opened = world.opened()
    accepted = CaseAcceptedV1.model_validate({"by": BY})
    await world.hear(opened, event(opened.subject_id, accepted))
    async with world.sending():
        await world.until("accepted")
    (message,) = await gateway.messages()
    assert message["phone"] == REPORTER_PHONE
    assert message["text"] == (
        "【吹哨】您反映的事项已受理（邻里纠纷），编号250303-0001，可凭查询码查看进展。"
    )


@pytest.mark.parametrize(
    ("now", "due"), [("2025-03-05T09:00", "今天 16:30"), ("2025-03-04T23:59", "3月5日 16:30")]
)
async def test_a_deadline_is_told_on_the_tenant_s_own_clock(
    world: World, gateway: Gateway, now: str, due: str
) -> None:
    real = datetime.now(UTC)
    ahead = (datetime.fromisoformat(f"{now}+08:00") - real).total_seconds()
    clock = {"offsets": [{"from_at": "2020-01-01T00:00:00Z", "seconds": ahead}]}
    await world.town({"kind": "clock", "id": "clock", "body": clock})
    opened = world.opened()
    await world.hear(opened, warned(opened.subject_id, DUE))
    async with world.sending():
        await world.until("accepted")
    (text,) = await gateway.texts()
    assert f"将于{due}到期" in text
    announced = await world.pool.fetchval("SELECT headers ->> 'ce_time' FROM outbox")
    told_at = datetime.fromisoformat(announced)
    assert abs(told_at - real - timedelta(seconds=ahead)) < timedelta(seconds=10)


async def test_an_accepted_message_is_announced_without_any_contact(world: World) -> None:
    case_id = await world.assign()
    async with world.sending():
        await world.until("accepted")
    ((kind, body),) = await world.facts()
    intent_id = await world.pool.fetchval("SELECT intent_id FROM intent")
    assert kind == "message.accepted.v1"
    assert body == {
        "message": {
            "message_id": str(intent_id),
            "rule": "case_assigned",
            "recipient": "s-gw-01",
            "channel": "sms",
        }
    }
    key = await world.pool.fetchval("SELECT record_key FROM outbox")
    assert key == f"{factories.TENANT}|{case_id}".encode()


async def test_two_replicas_send_each_message_once(world: World, gateway: Gateway) -> None:
    for _ in range(3):
        opened = [world.opened() for _ in range(40)]
        await world.hear(*opened, *(worlds.assigned(one.subject_id) for one in opened))
    async with open_pool(world.settings, "notify-2") as pool:
        other = worlds.World(pool, world.keys, world.ring, world.settings)
        async with world.sending(send_concurrency=7), other.sending(send_concurrency=5):
            await world.until("accepted", 120)
    sent = Counter(message["out_id"] for message in await gateway.messages())
    assert (len(sent), set(sent.values())) == (120, {1})
    assert Counter(state for _, state, _ in await world.attempts()) == {
        "skipped": 240,
        "accepted": 120,
    }


AFTER: list[dict[str, Any]] = [
    {"kind": "error_500", "when": "after"},
    {"kind": "garbage", "when": "after"},
    {"kind": "reset", "when": "after"},
    {"kind": "hang", "when": "after", "seconds": 1.4},
    {"kind": "hang", "when": "before", "seconds": 1.4},  # and then it goes on
    {"kind": "hang", "when": "after", "seconds": 1.4, "then": "reset"},
]


@pytest.mark.parametrize("fault", AFTER, ids=str)
async def test_what_was_sent_without_an_answer_is_found_and_not_sent_again(
    world: World, gateway: Gateway, fault: dict[str, Any]
) -> None:
    await gateway.fault(**fault)
    await world.assign()
    async with world.sending():
        await world.until("accepted")
    assert len(await gateway.texts()) == 1
    assert await world.sms() == [("accepted", None)]


BEFORE: list[dict[str, Any]] = [
    {"kind": "error_500"},
    {"kind": "garbage"},
    {"kind": "reset"},
    {"kind": "hang", "seconds": 1.4, "then": "reset"},
]


@pytest.mark.parametrize("fault", BEFORE, ids=str)
async def test_what_was_lost_on_the_way_is_sent_once_more(
    world: World, gateway: Gateway, fault: dict[str, Any]
) -> None:
    await gateway.fault(**fault)
    await world.assign()
    async with world.sending():
        await world.until("accepted")
    assert len(await gateway.texts()) == 1
    assert [state for state, _ in await world.sms()] == ["lost", "accepted"]


async def test_a_process_that_dies_after_the_call_leaves_one_message(
    world: World, gateway: Gateway
) -> None:
    await world.assign()
    async with open_channels(world.settings, world.pool) as channels:
        sender = world.sender(world.settings, channels)
        (job,) = await world.claims(world.settings, channels).take(10)
        await sender._deliverer.call(job)  # type: ignore[arg-type]  # noqa: SLF001 - and here it dies
    assert await world.sms() == [("sending", None)]
    async with world.sending():
        await world.until("accepted")
    assert len(await gateway.texts()) == 1
    assert await world.sms() == [("accepted", None)]


async def test_a_process_that_dies_before_the_call_leaves_one_message(
    world: World, gateway: Gateway
) -> None:
    await world.assign()
    async with open_channels(world.settings, world.pool) as channels:
        await world.claims(world.settings, channels).take(10)
    async with world.sending():
        await world.until("accepted")
    assert len(await gateway.texts()) == 1
    assert [state for state, _ in await world.sms()] == ["lost", "accepted"]


async def test_a_process_that_slept_after_its_claim_does_not_send_any_more(
    world: World, gateway: Gateway
) -> None:
    await world.assign()
    async with open_channels(world.settings, world.pool) as channels:
        sender = world.sender(world.settings, channels)
        (job,) = await world.claims(world.settings, channels).take(10)
        await asyncio.sleep(world.settings.send_lease_s / 2)
        told = await sender._deliverer.call(job)  # type: ignore[arg-type]  # noqa: SLF001
    assert told.news == RetryLater("late")
    assert await gateway.texts() == []


async def test_a_town_whose_registry_is_broken_does_not_stop_the_others(
    world: World, gateway: Gateway
) -> None:
    await world.assign()
    await world.pool.execute(
        "UPDATE registry_copy SET body = body || '{\"body\": {}}' WHERE kind = 'profile'"
    )
    world.towns = Towns()
    async with world.sending():
        await world.until("accepted")
    assert len(await gateway.texts()) == 1


async def test_a_leased_message_is_left_alone(world: World, gateway: Gateway) -> None:
    await world.assign()
    async with open_channels(world.settings, world.pool) as channels:
        claims = world.claims(world.settings.model_copy(update={"send_lease_s": 60}), channels)
        assert len(await claims.take(10)) == 1
        assert await claims.take(10) == []
    async with world.sending():
        await asyncio.sleep(0.2)
    assert (await gateway.texts(), await world.sms()) == ([], [("sending", None)])


async def test_a_message_that_cannot_be_looked_up_is_never_sent_again(
    world: World, gateway: Gateway
) -> None:
    await gateway.fault("error_500", when="after")
    await world.assign()
    async with world.sending(lookup_wait_s=60):
        await world.eventually("SELECT 1 FROM attempt WHERE state = 'unknown'")
    await world.pool.execute("UPDATE intent SET next_at = now()")
    async with world.sending(gateway_url="http://127.0.0.1:9", unresolved_after_s=0.3):
        await world.until("failed")
    assert len(await gateway.texts()) == 1
    assert await world.sms() == [("unresolved", "not_connected")]


async def test_a_throttled_account_pauses_the_channel_and_costs_no_try(
    world: World, gateway: Gateway
) -> None:
    await gateway.fault("throttle", retry_after_ms=400, next=3)
    for _ in range(3):
        await world.assign()
    async with world.sending(send_concurrency=1):
        await world.until("accepted", 3)
    states = Counter(state for state, _ in await world.sms())
    assert states == {"paused": 3, "accepted": 3}
    assert len(await gateway.texts()) == 3


async def test_nothing_is_sent_while_the_channel_is_paused(world: World, gateway: Gateway) -> None:
    await gateway.fault("refuse", code="isv.AMOUNT_NOT_ENOUGH")
    await world.assign()
    with capture_logs() as logs:
        async with world.sending():
            await world.eventually("SELECT 1 FROM channel_pause")
            await world.assign()
            await asyncio.sleep(0.3)
    assert await gateway.texts() == []
    assert await world.sms() == [("paused", "isv.AMOUNT_NOT_ENOUGH")]
    assert {"event": "gateway_refused_account", "code": "isv.AMOUNT_NOT_ENOUGH",
            "log_level": "error"} in logs  # fmt: skip
    left = await world.pool.fetchval("SELECT until - now() FROM channel_pause")
    assert timedelta(minutes=4) < left < timedelta(minutes=5)


async def test_one_recipient_s_limit_parks_his_message_alone(
    world: World, gateway: Gateway
) -> None:
    words = "触发分钟级流控Permits:1"
    await gateway.fault("refuse", code="isv.BUSINESS_LIMIT_CONTROL", message=words)
    await world.assign()
    async with world.sending():
        await world.eventually("SELECT 1 FROM attempt WHERE state = 'retry'")
        await world.assign()
        await world.until("accepted")
    parked = await world.pool.fetchval("SELECT next_at - now() FROM intent WHERE state = 'open'")
    assert timedelta(seconds=50) < parked < timedelta(seconds=61)


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ({"code": "isv.MOBILE_NUMBER_ILLEGAL"}, "isv.MOBILE_NUMBER_ILLEGAL"),
        ({"code": "isv.NEVER_HEARD_OF"}, "isv.NEVER_HEARD_OF"),
        ({"code": "isv.BUSINESS_LIMIT_CONTROL", "message": "触发天级流控Permits:50"},
         "isv.BUSINESS_LIMIT_CONTROL"),
    ],
)  # fmt: skip
async def test_what_will_never_be_sent_fails_with_its_code(
    world: World, gateway: Gateway, fault: dict[str, str], code: str
) -> None:
    await gateway.fault("refuse", **fault)
    await world.assign()
    async with world.sending():
        await world.until("failed")
    assert await world.sms() == [("refused", code)]
    ((kind, body),) = await world.facts()
    assert (kind, body["code"], body["message"]["channel"]) == ("message.failed.v1", code, "sms")


async def test_what_is_refused_for_now_is_tried_as_often_as_the_profile_says(
    world: World, gateway: Gateway
) -> None:
    await gateway.fault("refuse", code="isp.SYSTEM_ERROR", share=1)
    await world.assign()
    async with world.sending():
        await world.until("failed")
    assert await world.sms() == [("retry", "isp.SYSTEM_ERROR")] * 3


async def test_a_gateway_that_is_down_costs_tries_and_no_message(world: World) -> None:
    await world.assign()
    async with world.sending(gateway_url="http://127.0.0.1:9"):
        await world.until("failed")
    assert await world.sms() == [("retry", "not_connected")] * 3


async def test_the_gateway_s_own_daily_limit(world: World) -> None:
    async with worlds.gateway(limits={"per_day_max": 1}) as strict:
        for _ in range(2):
            await world.assign()
        async with world.sending(gateway_url=strict.url, send_concurrency=1):
            await world.until("accepted")
            await world.until("failed")
        assert len(await strict.texts()) == 1
    assert await world.pool.fetchval("SELECT code FROM intent WHERE state = 'failed'") == (
        "isv.BUSINESS_LIMIT_CONTROL"
    )


def staff(phone: str) -> dict[str, Any]:
    posts = [{"unit": "g01", "role": "grid_worker", "rank": 1}]
    return {"posts": posts, **({"phone": phone} if phone else {"name": "无电话"})}


@pytest.mark.parametrize(
    ("phone", "code"), [("0546-1234567", "contact_malformed"), ("", "no_contact")]
)
async def test_a_person_without_a_mobile_is_a_failure_with_its_reason(
    world: World, gateway: Gateway, phone: str, code: str
) -> None:
    await world.town({"kind": "staff", "id": "s-x-1", "body": staff(phone)})
    await world.assign(Owner(unit="g01", role="grid_worker", staff="s-x-1"))
    await world.assign()
    async with world.sending():
        await world.until("failed")
        await world.until("accepted")
    assert await world.pool.fetchval("SELECT code FROM intent WHERE state = 'failed'") == code
    assert [m["phone"] for m in await gateway.messages()] == [WORKER_PHONE]


@pytest.mark.parametrize(
    "owner",
    [
        Owner(unit="g01", role="grid_worker", staff="s-gone-9"),
        Owner(unit="town", role="unheard_of"),
    ],
)
async def test_a_handler_who_is_nobody_is_a_failure_that_is_seen(
    world: World, owner: Owner
) -> None:
    await world.assign(owner)
    async with world.sending():
        await world.until("failed")
    assert await world.pool.fetchval("SELECT code FROM intent") == "no_contact"
    ((kind, body),) = await world.facts()
    assert (kind, body["code"]) == ("message.failed.v1", "no_contact")


async def test_an_anonymous_reporter_is_a_failure_without_a_contact(world: World) -> None:
    opened = world.opened(contacts=None)
    accepted = CaseAcceptedV1.model_validate({"by": BY})
    await world.hear(opened, event(opened.subject_id, accepted))
    async with world.sending():
        await world.until("failed")
    assert await world.pool.fetchval("SELECT code FROM intent") == "no_contact"


async def test_a_contact_that_does_not_open_fails_alone(world: World, gateway: Gateway) -> None:
    await world.town({"kind": "staff", "id": "s-x-1", "body": staff("16000000001")})
    await world.pool.execute(
        "UPDATE registry_copy SET record_id = 's-x-2' WHERE record_id = 's-x-1'"
    )
    await world.assign(Owner(unit="g01", role="grid_worker", staff="s-x-2"))
    await world.assign()
    async with world.sending():
        await world.until("failed")
        await world.until("accepted")
    assert await world.pool.fetchval("SELECT code FROM intent WHERE state = 'failed'") == (
        "cannot_open"
    )
    assert len(await gateway.texts()) == 1


async def test_a_warning_is_void_once_its_case_is_closed(world: World, gateway: Gateway) -> None:
    opened = world.opened()
    case_id = opened.subject_id
    await world.hear(opened, warned(case_id), missed(case_id))
    await world.hear(closed(case_id))
    async with world.sending():
        await world.until("void")
        await world.until("accepted", 3)
    assert {text.partition("已过")[1] for text in await gateway.texts()} == {"已过"}
    assert await world.pool.fetchval("SELECT notice FROM intent WHERE state = 'void'") == (
        "deadline_warning"
    )


async def test_a_message_that_is_too_old_is_not_sent(world: World, gateway: Gateway) -> None:
    await world.assign()
    async with world.sending(message_age_s_max=0.000_001):
        await world.until("failed")
    assert await gateway.texts() == []
    assert await world.pool.fetchval("SELECT code FROM intent") == "expired"


async def test_without_any_adapter_a_message_fails_and_says_so(world: World) -> None:
    await world.assign()
    async with world.sending(gateway_url=None):
        await world.until("failed")
    assert await world.attempts() == [
        ("app", "skipped", "no_adapter"),
        ("wechat", "skipped", "no_adapter"),
        ("sms", "skipped", "no_adapter"),
    ]


async def test_no_log_names_a_number(
    world: World, gateway: Gateway, caplog: pytest.LogCaptureFixture
) -> None:
    for kind in ("error_500", "garbage"):
        await gateway.fault(kind)
    await gateway.fault(
        "refuse", code="SignatureDoesNotMatch", message=f"PhoneNumbers={WORKER_PHONE}"
    )
    await world.assign()
    with caplog.at_level(logging.DEBUG), capture_logs() as logs:
        async with world.sending(lost_after_s=0):
            await world.eventually("SELECT 1 FROM channel_pause")
    said = f"{logs}{caplog.text}"
    assert WORKER_PHONE not in said
    assert "PhoneNumbers" not in said


async def test_a_stop_lets_calls_under_way_end_and_be_recorded(
    world: World, gateway: Gateway
) -> None:
    await gateway.fault("hang", when="after", seconds=0.25)
    await world.assign()
    async with world.sending():
        while not await gateway.texts():
            await asyncio.sleep(0.01)
    assert await world.sms() == [("accepted", None)]
