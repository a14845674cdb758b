import asyncio
import re
from collections import Counter
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from prometheus_client import REGISTRY

from contracts.facts import (
    WhistleBlownV1,
    WhistleCalledUpwardV1,
    WhistleDeadlineMovedV1,
    WhistleMissedV1,
    WhistleRefusedV1,
    WhistleRuledV1,
    WhistleUnruledV1,
)
from services.notify.app import open_channels
from services.notify.claims import Ending, Job
from tests import factories
from tests.component.notify.blown import BY, Blown, first, phone
from tests.component.notify.world import DUE, Gateway, World

THREE = ("police", "justice", "court")
HOUR = timedelta(hours=1)


def coded(text: str) -> str:
    """Return a text with CODE in place of its slot's code."""
    return re.sub(r"回[2-9][0-9]{3}报到", "回CODE报到", text)


async def intents(world: World) -> Counter[tuple[str, str, str | None]]:
    rows = await world.pool.fetch("SELECT notice, recipient, department FROM intent")
    return Counter((row["notice"], row["recipient"], row["department"]) for row in rows)


async def states(world: World) -> Counter[tuple[str, str]]:
    rows = await world.pool.fetch("SELECT notice, state FROM intent")
    return Counter((row["notice"], row["state"]) for row in rows)


async def listed(world: World, case_id: UUID) -> dict[str, dict[str, Any]]:
    """Return a case's messages as the API shows them, by notice."""
    token = factories.token(world.keys, "center_clerk", units=["town"])
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(world.app()),
        base_url="http://notify",
        headers={"Authorization": f"Bearer {token}"},
    ) as http:
        answer = await http.get("/v1/messages", params={"case_id": str(case_id)})
    return {message["notice"]: message for message in answer.json()["messages"]}


def crossings() -> float:
    return REGISTRY.get_sample_value("chuishao_messages_total", {"state": "crossed"}) or 0


async def test_a_whistle_reaches_the_first_officer_of_each_department_it_names(
    world: World, gateway: Gateway
) -> None:
    one = Blown(world, *THREE)
    await world.hear(one.opened, one.blown)
    async with world.sending():
        await world.until("accepted", 3)
    officers = {name: first("department_officer", name) for name in THREE}
    assert len(set(officers.values())) == 3
    assert await intents(world) == {
        ("whistle_blown", officer, name): 1 for name, officer in officers.items()
    }
    sent = {message["phone"]: message["text"] for message in await gateway.messages()}
    assert set(sent) == {phone(officer) for officer in officers.values()}
    assert {coded(text) for text in sent.values()} == {
        "【吹哨】吹哨250303-0001（邻里纠纷，柿红新村菊黄洼网格），3月5日 16:30前回CODE报到。"
    }


async def test_a_clock_that_cannot_be_told_yet_is_named_as_such(
    world: World, gateway: Gateway
) -> None:
    one = Blown(world, "police")
    called = [{"department": "police", "lead": True}]
    await world.hear(one.opened, one.fact(WhistleBlownV1, departments=called, by=BY))
    async with world.sending():
        await world.until("accepted")
    (text,) = await gateway.texts()
    assert "规定时限前回CODE报到" in coded(text)


async def test_whatever_a_whistle_tells_is_told_once(world: World) -> None:
    one = Blown(world, *THREE)
    facts = [one.opened, one.blown, one.warned("court"), one.missed("court")]
    for _ in range(5):
        await world.hear(*facts)
    await world.hear(*facts * 5)
    assert sum((await intents(world)).values()) == 5


@pytest.mark.parametrize(
    "how", ["reported", "late", "corrected", "refused", "released", "withdrawn"]
)
async def test_what_was_not_begun_is_void_once_a_department_is_not_awaited(
    world: World, gateway: Gateway, how: str
) -> None:
    one, before = Blown(world, *THREE), crossings()
    await world.hear(one.opened, one.blown, one.missed("police"))
    await world.hear(one.ending(how, "police"))
    told = {("whistle_refused", "accepted"): 1} if how == "refused" else {}  # its arbiter
    async with world.sending():
        await world.until("void", 2)
        await world.until("accepted", 2 + len(told))
    assert await states(world) == {
        ("whistle_blown", "void"): 1,
        ("whistle_missed", "void"): 1,
        ("whistle_blown", "accepted"): 2,
        **told,
    }
    assert (len(await gateway.texts()), crossings()) == (2 + len(told), before)


async def test_one_whose_refusal_is_rejected_is_called_again_and_told_of_its_new_deadline(
    world: World, gateway: Gateway
) -> None:
    one, later = Blown(world, "police"), DUE + HOUR
    await world.hear(one.opened, one.blown, one.ending("refused", "police"))
    ruled = {"department": "police", "ruling": "reject", "due_at": later, "by": BY}
    await world.hear(one.fact(WhistleRuledV1, **ruled))
    await world.hear(one.fact(WhistleMissedV1, later, department="police", due_at=later))
    async with world.sending():
        await world.until("accepted", 3)
    assert "3月5日 17:30前回CODE报到" in coded("".join(await gateway.texts()))


async def test_of_a_refusal_that_is_accepted_nobody_is_told(world: World) -> None:
    one = Blown(world, "police", "court")
    refused = {"department": "police", "ruling": "accept", "call": "justice", "by": BY}
    await world.hear(one.opened, one.blown, one.ending("refused", "police"))
    before = await intents(world)
    await world.hear(one.fact(WhistleRuledV1, **refused), one.reported_in("court"))
    assert await intents(world) == before
    rows = await world.pool.fetch("SELECT DISTINCT state FROM slot")
    assert [row["state"] for row in rows] == ["over"]


async def test_a_miss_that_is_withdrawn_is_told_to_nobody_and_the_next_one_is(
    world: World,
) -> None:
    one, later = Blown(world, "police"), DUE + timedelta(days=1)
    moved = {"department": "police", "due_at": later, "miss_withdrawn": True}
    await world.hear(one.opened, one.blown, one.missed("police"))
    await world.hear(one.fact(WhistleDeadlineMovedV1, **moved))
    slot = await world.pool.fetchrow("SELECT state, due_at FROM slot")
    assert slot is not None
    assert (slot["state"], slot["due_at"]) == ("called", later)
    async with world.sending():
        await world.until("void")
        await world.until("accepted")
        await world.hear(one.missed("police", later))
        await world.until("accepted", 2)
    assert await states(world) == {
        ("whistle_blown", "accepted"): 1,
        ("whistle_missed", "void"): 1,
        ("whistle_missed", "accepted"): 1,
    }
    await world.hear(one.reported_in("police"), one.fact(WhistleDeadlineMovedV1, **moved))
    assert await world.pool.fetchval("SELECT state FROM slot") == "over"


async def test_a_reminder_is_void_once_the_deadline_has_passed(world: World) -> None:
    one = Blown(world, "police")
    await world.hear(one.opened, one.blown, one.warned("police"), one.missed("police"))
    async with world.sending():
        await world.until("void")
        await world.until("accepted", 2)
    assert await states(world) == {
        ("whistle_blown", "accepted"): 1,
        ("whistle_warned", "void"): 1,
        ("whistle_missed", "accepted"): 1,
    }


async def test_a_send_that_was_under_way_is_marked_counted_and_listed(
    world: World, gateway: Gateway
) -> None:
    one, before = Blown(world, "police"), crossings()
    await gateway.fault("hang", when="before", seconds=0.7)
    await world.hear(one.opened, one.blown)
    async with world.sending():
        await world.eventually(
            "SELECT EXISTS (SELECT FROM attempt WHERE channel = 'sms' AND state = 'sending')"
        )
        await world.hear(one.missed("police"), one.reported_in("police", late=True))
        await world.until("accepted")
        await world.until("void")
    found = await listed(world, one.case_id)
    blown, missed = found["whistle_blown"], found["whistle_missed"]
    tries = [(one["channel"], one["state"], one["crossed"]) for one in blown["attempts"]]
    assert tries == [("sms", "accepted", True)]
    assert (blown["whistle_id"], blown["department"]) == (str(one.whistle_id), "police")
    assert (missed["state"], missed["attempts"]) == ("void", [])
    assert (len(await gateway.texts()), crossings() - before) == (1, 1)


async def test_a_send_that_crossed_and_was_lost_is_not_made_again(
    world: World, gateway: Gateway
) -> None:
    one = Blown(world, "police")
    await gateway.fault("reset")
    await world.hear(one.opened, one.blown)
    async with world.sending():
        await world.eventually("SELECT EXISTS (SELECT FROM attempt WHERE state = 'unknown')")
        await world.hear(one.reported_in("police"))
        await world.until("void")
    assert [state for state, _ in await world.sms()] == ["lost"]
    assert await gateway.texts() == []


async def test_no_send_begins_unmarked_while_report_ins_become_known(world: World) -> None:
    many = [Blown(world, *THREE) for _ in range(40)]
    await world.hear(*(fact for one in many for fact in (one.opened, one.blown)))
    came = [one.reported_in(name) for one in many for name in THREE]
    async with open_channels(world.settings, world.pool) as channels:
        claims = world.claims(world.settings.model_copy(update={"send_lease_s": 60}), channels)
        hearing = [world.hear(*came[n : n + 12]) for n in range(0, len(came), 12)]
        taking = [claims.take(15) for _ in range(5)]
        taken, _ = await asyncio.gather(asyncio.gather(*taking), asyncio.gather(*hearing))
        taken.append(await claims.take(1_000))
    tasks = [one for some in taken for one in some]
    begun = {one.attempt_id for one in tasks if isinstance(one, Job)}
    crossed = await world.pool.fetch("SELECT attempt_id FROM attempt WHERE crossed")
    assert {row["attempt_id"] for row in crossed} == begun
    assert (len(tasks), len(begun) + sum(isinstance(one, Ending) for one in tasks)) == (120, 120)


async def test_whoever_begins_a_message_waits_for_a_report_in_that_is_being_written(
    world: World,
) -> None:
    one = Blown(world, "police")
    await world.hear(one.opened, one.blown)
    async with open_channels(world.settings, world.pool) as channels, world.pool.acquire() as conn:
        async with conn.transaction():
            await conn.execute("UPDATE slot SET state = 'over'")
            taking = asyncio.create_task(world.claims(world.settings, channels).take(10))
            await world.eventually("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")
        (taken,) = await taking
    assert isinstance(taken, Ending)


async def test_a_miss_climbs_from_the_officer_to_the_head_to_the_leader(
    world: World, gateway: Gateway
) -> None:
    one = Blown(world, "police", "justice")
    await world.hear(one.opened, one.blown)
    await world.hear(one.missed("police"), one.rung(0, "remind", DUE), one.rung(1, "score", DUE))
    await world.hear(one.rung(2, "notify_head", DUE + HOUR))
    await world.hear(one.rung(3, "remind", DUE + 2 * HOUR))
    await world.hear(one.rung(4, "escalate", DUE + 4 * HOUR, "town"))
    officer = first("department_officer", "police")
    assert await intents(world) == {
        ("whistle_blown", officer, "police"): 1,
        ("whistle_blown", first("department_officer", "justice"), "justice"): 1,
        ("whistle_missed", officer, "police"): 2,
        ("whistle_escalated", first("department_head", "police"), "police"): 1,
        ("whistle_escalated", first("town_leader"), "police"): 1,
    }
    async with world.sending():
        await world.until("accepted", 6)
    texts = Counter(coded(text) for text in await gateway.texts())
    assert texts["【吹哨】公安过3月5日 16:30未报到：250303-0001号件（邻里纠纷），请督促。"] == 2
    missed = "【吹哨】已过3月5日 16:30：250303-0001（邻里纠纷，柿红新村菊黄洼网格），回CODE报到。"
    assert texts[missed] == 2


async def test_rungs_that_come_together_after_an_outage_remind_once(world: World) -> None:
    one, at = Blown(world, "police"), DUE + 9 * HOUR
    await world.hear(one.opened, one.blown)
    await world.hear(one.missed("police", at), one.rung(0, "remind", at))
    await world.hear(one.rung(1, "remind", at), one.rung(2, "notify_head", at))
    assert await states(world) == {
        ("whistle_blown", "open"): 1,
        ("whistle_missed", "open"): 1,
        ("whistle_escalated", "open"): 1,
    }


async def test_a_late_report_in_cancels_what_is_left_of_the_ladder(
    world: World, gateway: Gateway
) -> None:
    one = Blown(world, "police")
    await world.hear(one.opened, one.blown, one.missed("police"))
    await world.hear(one.rung(2, "notify_head", DUE + HOUR))
    await world.hear(one.reported_in("police", late=True))
    async with world.sending():
        await world.until("void", 3)
    assert await gateway.texts() == []


async def test_one_department_never_silences_another(world: World, gateway: Gateway) -> None:
    one = Blown(world, *THREE)
    await world.hear(one.opened, one.blown, *(one.missed(name) for name in THREE))
    await world.hear(one.reported_in("police"), one.ending("refused", "justice"))
    async with world.sending():
        await world.until("void", 4)
        await world.until("accepted", 3)  # the arbiter of the refusal is one
    court = phone(first("department_officer", "court"))
    assert len(await gateway.messages(phone=court)) == 2


async def test_a_department_without_anybody_is_seen(world: World) -> None:
    one = Blown(world, "police", "fire_brigade")
    await world.hear(one.opened, one.blown)
    async with world.sending():
        await world.until("failed")
        await world.until("accepted")
    row = await world.pool.fetchrow("SELECT recipient, code FROM intent WHERE state = 'failed'")
    assert row is not None
    assert tuple(row) == ("role:department_officer/fire_brigade", "no_contact")


async def test_a_call_upward_is_told_to_whoever_stays_owner(world: World, gateway: Gateway) -> None:
    one = Blown(world, "police")
    up: dict[str, Any] = {"from_level": "town", "to_level": "county", "by": BY}
    await world.hear(one.opened, one.fact(WhistleCalledUpwardV1, **up))
    async with world.sending():
        await world.until("accepted")
    assert await intents(world) == {("whistle_called_upward", "s-gw-01", None): 1}
    assert await gateway.texts() == [
        "【吹哨】250303-0001号件（邻里纠纷，柿红新村菊黄洼网格）已呼叫上级，仍由您负责。"
    ]


async def test_a_refusal_is_told_to_its_arbiter(world: World, gateway: Gateway) -> None:
    one, leader = Blown(world, "police", "justice"), first("town_leader")
    await world.hear(one.opened, one.blown)
    await world.hear(one.ending("refused", "police"))
    async with world.sending():
        await world.until("void")
        await world.until("accepted", 2)
    assert (await intents(world))["whistle_refused", leader, "police"] == 1
    (text,) = await gateway.texts(phone=phone(leader))
    assert text == "【吹哨】公安拒绝报到：250303-0001号件（邻里纠纷），提议自然资源所承办，请裁定。"


@pytest.mark.parametrize("ruled", [False, True])
async def test_a_refusal_that_waits_too_long_is_told_to_who_stands_above_until_it_is_ruled_on(
    world: World, gateway: Gateway, *, ruled: bool
) -> None:
    one, clerk = Blown(world, "police"), first("center_clerk")
    gone: dict[str, Any] = {"department": "police", "due_at": one.opened.occurred_at}
    arbiter = {"unit": "town", "role": "town_leader"}
    above = {"unit": "town", "role": "center_clerk", "staff": clerk}
    await world.hear(one.opened, one.blown, one.ending("refused", "police"))
    unruled = one.fact(WhistleUnruledV1, **gone, arbiter=arbiter, superior=above)
    await world.hear(unruled)
    assert (await intents(world))["whistle_unruled", clerk, "police"] == 1
    if ruled:
        more = {"department": "police", "ruling": "accept", "call": "land", "by": BY}
        await world.hear(one.fact(WhistleRuledV1, **more))
    async with world.sending():
        await world.until("accepted", 1 if ruled else 2)
    told = await gateway.texts(phone=phone(clerk))
    assert ["未裁定" in text for text in told] == ([] if ruled else [True])


async def test_a_town_that_has_a_rule_of_its_own_for_refusals_is_obeyed(world: World) -> None:
    body = factories.town_lines()[1]["body"]["body"]
    rules = [{"when": "whistle_refused", "to": ["center_clerk"], "via": ["sms"]}]
    other = {**body, "notifications": {**body["notifications"], "rules": rules}}
    lines = [{"kind": "profile", "id": "2", "body": {"version": 2, "body": other}}]
    await world.registry(factories.registry_changes(world.ring, lines, change_set="v2"))
    one = Blown(world, "police", profile_version=2)
    await world.hear(one.opened, one.blown, one.ending("refused", "police"))
    clerk = first("center_clerk")
    assert await intents(world) == {("whistle_refused", clerk, "police"): 1}


async def test_an_arbiter_without_a_person_is_looked_for_by_his_role(world: World) -> None:
    one = Blown(world, "police")
    gone = {"department": "police", "by": BY, "proposed": "land"}
    arbiter = {"unit": "town", "role": "nobody_has_it"}
    await world.hear(one.opened, one.fact(WhistleRefusedV1, **gone, arbiter=arbiter))
    assert await intents(world) == {("whistle_refused", "role:nobody_has_it", "police"): 1}
