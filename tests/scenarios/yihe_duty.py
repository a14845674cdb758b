"""Yihe after hours, and in each other's stead: who has a case at a moment, who is called."""

from collections.abc import Iterable, Mapping
from typing import Any

from tests.scenarios.stage import Person, Stage, is_about
from tests.scenarios.told import scenario
from tests.scenarios.yihe import SETTLED
from tests.waiting import until

URGENT = {"class": "urgent"}


async def answer(stage: Stage, case: Mapping[str, Any], by: Person) -> dict[str, Any]:
    """Answer a call to a case."""
    return await stage.post(f"/v1/cases/{case['case_id']}/acks", by)


async def calls(stage: Stage, case: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return who was called to a case, in order."""
    return [fact["data"] for fact in await stage.facts(case, "case.called.v1")]


# --- after hours ---------------------------------------------------------------------------------


async def rung_up(stage: Stage, case: Mapping[str, Any], person: Person) -> list[dict[str, Any]]:
    """Return the calls and texts that somebody's phone has got of a case."""
    (phone,) = [
        one.body["phone"] for one in stage.entries("staff") if one.record_id == person.staff
    ]
    return [one for one in await stage.phones(case) if one["phone"] == phone]


async def let_it_ring(stage: Stage, case: Mapping[str, Any], person: Person) -> None:
    """Wait until somebody's phone rings."""

    async def rings() -> bool:
        return any(one["call"] for one in await rung_up(stage, case, person))

    await until(rings, f"a call to {person.staff}")


async def end(stage: Stage, rung: Iterable[Mapping[str, Any]], key: str) -> None:
    """Press a key on those calls that ring; without one, hang up."""
    async with stage.door("sandbox") as client:
        for one in rung:
            if one["call"] and one["receipt"] is None:
                await client.post(f"/sandbox/calls/{one['message_id']}", json={"key": key})


async def press_the_key(stage: Stage, case: Mapping[str, Any], person: Person) -> None:
    """Press the key once somebody is called, until that has answered the call."""

    async def answered() -> bool:
        await end(stage, await rung_up(stage, case, person), "1")
        return (await stage.case(case))["call"] is None

    await until(answered, f"the answer of {person.staff}")


async def hang_up_on(stage: Stage, case: Mapping[str, Any], person: Person) -> None:
    """Hang up whenever somebody is called, until a text comes instead."""

    async def texted() -> bool:
        got = await rung_up(stage, case, person)
        await end(stage, got, "")
        return any(not one["call"] for one in got)

    await until(texted, f"a text to {person.staff}")


@scenario("YH-S07", "yihe", "2025-03-03T20:15")
async def after_hours_urgent(stage: Stage) -> None:
    leader, team = (stage.person(role, "g02") for role in ("grid_leader", "village_team"))
    other = stage.person("grid_leader", "g05")
    case, answered = [
        await stage.report(location={"grid": one.unit}, **URGENT) for one in (leader, other)
    ]
    cadre = stage.person("village_cadre", case["village"])
    assert (case["owner"]["role"], case["owner"]["staff"]) == ("village_team", team.staff)
    assert [one["staff"] for one in case["call"]["called"]] == [leader.staff]
    assert is_about(case["call"]["ack_due_at"], "2025-03-03T20:30")
    await press_the_key(stage, answered, other)
    await let_it_ring(stage, case, leader)
    await hang_up_on(stage, case, leader)
    tries = [
        attempt
        for one in await stage.messages(case, "urgent_after_hours")
        if one["recipient"] == leader.staff
        for attempt in one["attempts"]
    ]
    assert {one["channel"] for one in tries} == {"voice", "sms"}
    assert all(is_about(one["started_at"], "2025-03-03T20:15") for one in tries)
    assert await rung_up(stage, case, cadre) == []
    (told,) = await stage.facts(answered, "case.call_answered.v1")
    assert told["data"]["by"]["staff"] == other.staff

    await stage.past(max(one["call"]["ack_due_at"] for one in (case, answered)))
    first, second = await calls(stage, case)
    assert [one["staff"] for one in first["called"]] == [leader.staff]
    assert [one["staff"] for one in second["called"]] == [cadre.staff]
    await let_it_ring(stage, case, cadre)
    assert (await stage.case(case))["owner"]["staff"] == team.staff, "it stays the team's"
    assert len(await calls(stage, answered)) == 1, "who has answered is enough"


async def sheet_at(stage: Stage, worker: Person, case: Mapping[str, Any]) -> dict[str, Any]:
    """Find a case's sheet among those that wait to be signed for."""
    queue = await stage.get("routing", f"/v1/queues/{worker.unit}", worker)
    (sheet,) = [one for one in queue["handovers"] if one["case_id"] == case["case_id"]]
    found: dict[str, Any] = sheet
    return found


async def sign(stage: Stage, sheet: Mapping[str, Any], by: Person) -> dict[str, Any]:
    return await stage.post(f"/v1/handovers/{sheet['handover_id']}/receipt", by)


async def sheets_missed(stage: Stage, case: Mapping[str, Any]) -> int:
    missed = await stage.facts(case, "case.deadline_missed.v1")
    return [fact["data"]["deadline"] for fact in missed].count("hand_over")


@scenario("YH-9", "yihe", "2025-03-03T22:30")
async def the_morning_signs(stage: Stage) -> None:
    worker, team = (stage.person(role, "g01") for role in ("grid_worker", "village_team"))
    signed, forgotten = [await stage.report(location={"grid": "g01"}) for _ in range(2)]
    for case in (signed, forgotten):
        sheet = await sheet_at(stage, worker, case)
        assert sheet["number"] == f"{case['number']}-Y"
        assert is_about(sheet["due_at"], "2025-03-04T08:30")
        assert case["owner"]["staff"] == team.staff
        assert case["call"] is None, "nobody is called out of bed"
    await stage.settled()
    held = await stage.messages(signed, "hand_over_ready")
    assert worker.staff in [one["recipient"] for one in held]
    assert {one["state"] for one in held} == {"open"}
    assert all(is_about(one["quiet_until"], "2025-03-04T07:00") for one in held)

    await stage.at("2025-03-04T08:10")
    for case in (signed, forgotten):
        told = (await stage.told(case, "hand_over_ready"))[worker.staff]
        assert (told["state"], told["channel"]) == ("delivered", "app")
    inbox = await stage.get("notify", "/v1/inbox", worker)
    ready = [one["case_id"] for one in inbox["messages"] if one["notice"] == "hand_over_ready"]
    assert sorted(ready) == sorted(one["case_id"] for one in (signed, forgotten))
    received = await sign(stage, await sheet_at(stage, worker, signed), worker)
    assert received["owner"]["staff"] == worker.staff
    assert received["handover"]["received_by"] == worker.staff

    await stage.at("2025-03-04T08:31")
    assert (await stage.told(forgotten, "deadline_missed")).keys() == {
        team.staff,
        stage.person("grid_leader", "g01").staff,
        stage.person("village_cadre", forgotten["village"]).staff,
    }
    await stage.at("2025-03-04T08:50")
    assert [await sheets_missed(stage, one) for one in (forgotten, signed)] == [1, 0]
    assert len(await stage.told(forgotten, "deadline_missed")) == 3
    assert await stage.messages(signed, "deadline_missed") == []
    late = await sign(stage, await sheet_at(stage, worker, forgotten), worker)
    assert late["owner"]["staff"] == worker.staff
    (fact,) = await stage.facts(forgotten, "handover.received.v1")
    assert fact["data"]["late"]


# --- in each other's stead -----------------------------------------------------------------------


def pair(stage: Stage) -> tuple[Person, Person]:
    """Return the workers of two grids that back each other."""
    for one in stage.entries("backup_pair"):
        own, partner = (stage.person("grid_worker", grid) for grid in one.body["grids"][:2])
        if own.staff != partner.staff:
            return own, partner
    raise AssertionError("no pair of two workers")


async def absent_pair(stage: Stage) -> tuple[Person, Person, dict[str, Any]]:
    """Let a worker be away; return him, who backs him, and an urgent case in his grid."""
    own, partner = pair(stage)
    away = {"staff": own.staff, "begin": "2025-03-04T08:00+08:00", "end": "2025-03-04T18:00+08:00"}
    await stage.change("away", [{"kind": "absence", "id": "a-1", "body": away}])
    case = await stage.report(location={"grid": own.unit}, **URGENT)
    await stage.settled()
    assert case["owner"]["staff"] == partner.staff
    assert (case["call"]["reason"], case["joint"]) == ("backup_called", [])
    assert [one["staff"] for one in case["call"]["called"]] == [partner.staff]
    assert is_about(case["call"]["ack_due_at"], "2025-03-04T10:15")
    return own, partner, case


@scenario("YH-S09a", "yihe", "2025-03-04T10:05")
async def the_partner_is_called(stage: Stage) -> None:
    _, partner, case = await absent_pair(stage)
    cadre = stage.person("village_cadre", case["village"])
    told = await stage.told(case, "backup_called")
    assert told.keys() == {partner.staff, cadre.staff}, "he is called, and the new village told"
    assert {(one["state"], one["channel"]) for one in told.values()} == {("delivered", "app")}
    inbox = await stage.get("notify", "/v1/inbox", partner)
    assert case["case_id"] in [one["case_id"] for one in inbox["messages"]]
    assert (await answer(stage, case, partner))["call"] is None
    await stage.past(case["call"]["ack_due_at"])
    assert (await stage.case(case))["owner"]["staff"] == partner.staff
    assert len(await calls(stage, case)) == 1


async def having(stage: Stage, person: Person, case: Mapping[str, Any]) -> list[str]:
    """Return in which parts of somebody's queue a case is."""
    queue = await stage.get("routing", f"/v1/queues/{person.unit}", person)
    parts = ("cases", "joint")
    return [one for one in parts if case["case_id"] in [entry["case_id"] for entry in queue[one]]]


@scenario("YH-S09b", "yihe", "2025-03-04T10:05")
async def both_on_duty_have_it(stage: Stage) -> None:
    own, partner = pair(stage)
    for settling in (partner, own):
        case = await stage.report(location={"grid": own.unit}, **URGENT)
        assert case["owner"]["staff"] == own.staff, "he leads"
        assert [one["staff"] for one in case["joint"]] == [partner.staff]
        await stage.settled()
        told = await stage.told(case, "case_assigned")
        assert told.keys() == {own.staff, partner.staff}
        assert await having(stage, own, case) == ["cases"]
        assert await having(stage, partner, case) == ["joint"]
        for step in ("first_ask", "grid_settle"):
            assert (await stage.step(case, step, settling))["owner"]["staff"] == own.staff
        resolved = await stage.step(case, "resolve", settling, **SETTLED)
        assert (resolved["state"], resolved["joint"]) == ("resolved", [])
        assert [await having(stage, one, case) for one in (own, partner)] == [[], []]


@scenario("YH-S09c", "yihe", "2025-03-04T10:05")
async def the_partner_does_not_answer(stage: Stage) -> None:
    _, partner, case = await absent_pair(stage)
    cadre = stage.person("village_cadre", case["village"])
    await stage.past(case["call"]["ack_due_at"])
    given = await stage.case(case)
    assert (given["owner"]["staff"], given["call"]) == (cadre.staff, None)
    (fact,) = [
        fact
        for fact in await stage.facts(case, "case.assigned.v1")
        if fact["data"]["rule"] == "backup.unanswered"
    ]
    assert is_about(fact["occurred_at"], "2025-03-04T10:15")
    assert cadre.staff in await stage.told(case, "case_assigned")
    refused = await stage.refused(f"/v1/cases/{case['case_id']}/acks", partner)
    assert refused["code"] in ("nobody_called", "unit_not_allowed")
