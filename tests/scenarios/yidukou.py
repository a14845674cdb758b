"""Yidukou: three ways of clearing (三清), each by a clock of its own, and the village's whistle."""

from typing import Any

from tests.scenarios.stage import Person, Stage, is_about
from tests.scenarios.told import scenario

GRID, VILLAGE = "g01", "v1"


async def accepted(stage: Stage, case_class: str) -> dict[str, Any]:
    """Report something in a grid, and let its worker accept it."""
    case = await stage.report(location={"grid": GRID}, **{"class": case_class})
    return {**case, **await stage.step(case, "accept", stage.person("grid_worker", GRID))}


async def clock(stage: Stage, case: dict[str, Any], deadline: str = "class") -> dict[str, Any]:
    """Return how a clock was set, once."""
    (found,) = [
        fact["data"]
        for fact in await stage.facts(case, "case.deadline_set.v1")
        if fact["data"]["deadline"] == deadline
    ]
    return dict(found)


async def misses(stage: Stage, case: dict[str, Any]) -> list[str]:
    """Return which clocks were missed, as often as it was told."""
    told = await stage.facts(case, "case.deadline_missed.v1")
    return [fact["data"]["deadline"] for fact in told]


def above(stage: Stage) -> list[Person]:
    """Return those who stand above the grid's worker."""
    return [stage.person("grid_leader", GRID), stage.person("village_cadre", VILLAGE)]


@scenario("YDK-S01", "yidukou", "2025-03-03T23:10")
async def urgent_clears_promptly(stage: Stage) -> None:
    case = await stage.report(location={"grid": GRID}, **{"class": "urgent"})
    ordinary = await stage.report(location={"grid": GRID}, **{"class": "general"})
    assert is_about(case["due_at"], "2025-03-04T23:10")
    first = await clock(stage, case, "first_action")
    assert is_about(first["due_at"], "2025-03-03T23:40")

    await stage.at("2025-03-03T23:35")
    assert await misses(stage, case) == []
    await stage.past(first["due_at"])
    assert await misses(stage, case) == ["first_action"]
    told = await stage.told(case, "deadline_missed")
    for superior in above(stage):
        message = told[superior.staff]
        (attempt,) = message["attempts"]
        assert (message["state"], attempt["channel"]) == ("delivered", "sms")
        assert is_about(attempt["started_at"], "2025-03-03T23:40")
    # These are quiet hours: what is not urgent waits for the morning.
    (waiting,) = await stage.messages(ordinary, "case_assigned")
    assert (waiting["state"], waiting["attempts"]) == ("open", [])
    assert is_about(waiting["quiet_until"], "2025-03-04T07:00")


@scenario("YDK-S02", "yidukou", "2025-03-03T10:00")
async def ordinary_has_one_week(stage: Stage) -> None:
    case = await accepted(stage, "general")
    handler = (await stage.case(case))["owner"]["staff"]
    week = await clock(stage, case)
    assert is_about(week["due_at"], "2025-03-10T10:00")
    assert is_about(week["warn_at"], "2025-03-08T07:36")

    await stage.at("2025-03-08T07:30")
    assert await stage.facts(case, "case.deadline_warned.v1") == []
    await stage.past(week["warn_at"])
    assert len(await stage.facts(case, "case.deadline_warned.v1")) == 1
    warned = await stage.told(case, "deadline_warning")
    assert {person: one["state"] for person, one in warned.items()} == {handler: "delivered"}
    assert is_about(warned[handler]["decided_at"], "2025-03-08T07:36")

    await stage.at("2025-03-10T09:55")
    assert await misses(stage, case) == []
    await stage.past(week["due_at"])
    assert await misses(stage, case) == ["class"]
    await stage.at("2025-03-17T10:00")
    assert await misses(stage, case) == ["class"]
    assert handler in await stage.told(case, "deadline_missed")
    (counted,) = (await stage.get("ledger", "/v1/counts"))["counts"]
    assert (counted["cases"], counted["late"], counted["closed"]) == (1, True, False)


@scenario("YDK-S03", "yidukou", "2025-01-31T09:00")
async def complex_has_one_month_and_february_is_short(stage: Stage) -> None:
    case = await accepted(stage, "complex")
    month = await clock(stage, case)
    assert is_about(month["due_at"], "2025-02-28T09:00")
    await stage.at("2025-02-28T08:55")
    assert await misses(stage, case) == []
    await stage.past(month["due_at"])
    assert await misses(stage, case) == ["class"]


@scenario("YDK-S14", "yidukou", "2025-03-07T16:00")
async def the_village_whistles(stage: Stage) -> None:
    village = stage.person("village_cadre", VILLAGE)
    case = await stage.report(location={"grid": GRID}, **{"class": "general"})
    whistle = await stage.whistle(case, ("police", "civil_affairs"), village)
    due = {slot["department"]: slot["due_at"] for slot in whistle["slots"]}
    assert due.keys() == {"police", "civil_affairs"}
    # 8 hours on duty: Friday 2, Monday 6.
    assert all(is_about(one, "2025-03-10T16:00") for one in due.values())

    await stage.report_in(whistle, "police")
    await stage.at("2025-03-10T15:55")
    assert await stage.facts(case, "whistle.missed.v1") == []
    await stage.past(due["civil_affairs"])
    missed = await stage.facts(case, "whistle.missed.v1")
    assert [fact["data"]["department"] for fact in missed] == ["civil_affairs"]
    slots = await stage.slots(case)
    outcomes = {name: slot["outcome"] for name, slot in slots.items()}
    assert outcomes == {"police": "reported", "civil_affairs": "missed"}
    reminded = await stage.told(case, "whistle_missed")
    assert reminded.keys() == {stage.serving("department_officer", "civil_affairs").staff}
