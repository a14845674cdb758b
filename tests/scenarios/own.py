"""What is not of one town: each stage of a department's part, and each way off its main road."""

from typing import Any

from tests.scenarios.stage import CLERK, LEADER, Person, Stage, is_about, officer
from tests.scenarios.told import scenario
from tests.scenarios.yihe import SETTLED, in_progress

MONDAY = "2025-03-03T09:00"  # 8 hours on duty from here are over on Tuesday at 09:00
DISTRICT = Person("district_clerk", "county", "s-district")


async def called(
    stage: Stage, *departments: str, **body: Any
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Report something, and call departments; return case and whistle."""
    case = await stage.report(location={"grid": "g01"}, **{"class": "general", **body})
    return case, await stage.whistle(case, departments)


async def act(
    stage: Stage, whistle: dict[str, Any], what: str, department: str, **more: Any
) -> dict[str, Any]:
    """Act for a department."""
    path = f"/v1/whistles/{whistle['whistle_id']}/{what}"
    return await stage.post(path, officer(department), department=department, **more)


async def rule(stage: Stage, whistle: dict[str, Any], department: str, ruling: str) -> None:
    """Decide on a refusal as the town's leader."""
    path = f"/v1/whistles/{whistle['whistle_id']}/rulings"
    await stage.post(path, LEADER, department=department, ruling=ruling)


async def rungs(stage: Stage, case: dict[str, Any], department: str) -> list[str]:
    """Return what was done about a department that did not come, in order."""
    told = await stage.facts(case, "case.escalated.v1")
    return [one["data"]["do"] for one in told if one["data"]["department"] == department]


async def kinds(stage: Stage, case: dict[str, Any], department: str) -> list[str]:
    """Return what is told of one department, in order, but for its ladder."""
    return [
        fact["type"]
        for fact in await stage.facts(case)
        if fact["data"].get("department") == department and "escalated" not in fact["type"]
    ]


@scenario("stages", "yihe", MONDAY)
async def a_part_goes_from_stage_to_stage(stage: Stage) -> None:
    case, whistle = await called(stage, "police")

    async def at_stage() -> str:
        return str((await stage.slots(case))["police"]["stage"])

    queue = "/v1/departments/police/tasks"
    (task,) = (await stage.get("routing", queue, officer("police")))["tasks"]
    assert (task["type"], task["task_seq"]) == ("task.given.v1", 1)
    lease = {"lease_id": task["lease_id"]}
    await stage.post(f"{queue}/{task['task_id']}/ack", officer("police"), **lease)
    assert await at_stage() == "called"
    path = f"/v1/whistles/{whistle['whistle_id']}/arrivals"
    early = await stage.refused(path, officer("police"), department="police")
    assert early["code"] == "not_reported_in"
    await stage.report_in(whistle, "police")
    assert await at_stage() == "reported_in"
    for _ in range(2):
        await act(stage, whistle, "arrivals", "police")
    assert await at_stage() == "arrived"
    release = f"/v1/whistles/{whistle['whistle_id']}/release"
    own = await stage.refused(release, officer("police"), departments=["police"])
    assert own["code"] == "role_not_allowed", "who blew the whistle lets go"
    await stage.post(release, CLERK, departments=["police"])
    assert await at_stage() == "released"
    assert await kinds(stage, case, "police") == [
        "whistle.reported_in.v1",
        "whistle.arrived.v1",
        "whistle.released.v1",
    ]


@scenario("refusal", "yihe", MONDAY)
async def a_refusal_is_decided_above(stage: Stage) -> None:
    arbiter = stage.person("town_leader", "town")
    case = await in_progress(stage, "g01", **{"class": "general"})
    other = await in_progress(stage, "g01", **{"class": "general"})
    whistle, second = [await stage.whistle(one, ["police"]) for one in (case, other)]
    why = {"basis": "不属我所职责", "proposed": "justice"}
    for one in (whistle, second):
        await act(stage, one, "refusals", "police", **why)
    assert (await stage.told(case, "whistle_refused")).keys() == {arbiter.staff}
    worker = stage.person("grid_worker", "g01")
    held = await stage.step_refused(case, "resolve", worker, **SETTLED)
    assert held["code"] == "whistle_open", "nobody has decided yet"

    await rule(stage, whistle, "police", "accept")
    slots = await stage.slots(case)
    assert (slots["police"]["outcome"], slots["police"]["ruling"]) == ("refused", "accept")
    assert (slots["justice"]["outcome"], slots["justice"]["lead"]) == (None, True)
    assert is_about(slots["justice"]["due_at"], "2025-03-04T09:00")
    await stage.settled()
    assert stage.serving("department_officer", "justice").staff in await stage.told(
        case, "whistle_blown"
    )

    await stage.at("2025-03-03T11:00")
    await rule(stage, second, "police", "reject")
    again = (await stage.slots(other))["police"]
    assert (again["outcome"], again["ruling"]) == (None, "reject")
    assert is_about(again["due_at"], "2025-03-04T11:00"), "its whole time runs anew"
    path = f"/v1/whistles/{second['whistle_id']}/refusals"
    more = await stage.refused(path, officer("police"), department="police", **why)
    assert more["code"] == "refusal_rejected"
    await stage.past(again["due_at"])
    missed = await stage.facts(case, "whistle.missed.v1")
    assert [fact["data"]["department"] for fact in missed] == ["justice"]
    assert (await stage.slots(other))["police"]["outcome"] == "missed"


@scenario("second-clock", "arrival.yaml", MONDAY)
async def who_has_reported_in_must_arrive(stage: Stage) -> None:
    case, whistle = await called(stage, "police", "justice")
    for department in ("police", "justice"):
        await stage.report_in(whistle, department)
    due = (await stage.slots(case))["police"]["arrive_due_at"]
    assert is_about(due, "2025-03-03T10:00")
    await act(stage, whistle, "arrivals", "justice")
    await stage.past(due)
    missed = [fact["data"] for fact in await stage.facts(case, "whistle.stage_missed.v1")]
    assert [(one["department"], one["stage"]) for one in missed] == [("police", "arrive")]
    assert await rungs(stage, case, "police") == ["remind", "score"]
    told = await stage.told(case, "whistle_arrival_missed")
    assert told.keys() == {stage.serving("department_officer", "police").staff}
    await stage.at("2025-03-03T11:05")
    assert await rungs(stage, case, "police") == ["remind", "score", "notify_head"]
    await act(stage, whistle, "arrivals", "police")
    await stage.at("2025-03-03T15:00")
    assert await rungs(stage, case, "police") == ["remind", "score", "notify_head"]
    assert await rungs(stage, case, "justice") == []
    (arrived,) = [
        fact["data"]
        for fact in await stage.facts(case, "whistle.arrived.v1")
        if fact["data"]["department"] == "police"
    ]
    assert arrived["late"] is True
    assert await stage.facts(case, "whistle.missed.v1") == []


@scenario("call-upward", "yihe", MONDAY)
async def the_town_calls_the_district(stage: Stage) -> None:
    clerk = stage.person("center_clerk", "town")
    cases = [await in_progress(stage, "g01") for _ in range(2)]
    owners = [(await stage.case(one))["owner"] for one in cases]
    calls = []
    for case in cases:
        seq = (await stage.case(case))["seq"]
        path = f"/v1/cases/{case['case_id']}/calls-upward"
        done = await stage.post(path, clerk, expected_seq=seq, reason="需区里协调")
        calls += done["calls_upward"]
    assert all(is_about(one["due_at"], "2025-03-04T09:00") for one in calls)

    queue = await stage.get("routing", "/v1/queues/county", DISTRICT)
    assert {one["case_id"] for one in queue["cases"]} == {one["case_id"] for one in cases}
    answer = f"/v1/whistles/{calls[0]['whistle_id']}/answers"
    stranger = await stage.refused(answer, CLERK, answer="请再等等")
    assert stranger["code"] == "unit_not_allowed"
    await stage.post(answer, DISTRICT, answer="已派区自然资源局")
    queue = await stage.get("routing", "/v1/queues/county", DISTRICT)
    assert [one["case_id"] for one in queue["cases"]] == [cases[1]["case_id"]]

    await stage.past(calls[1]["due_at"])
    answered, unanswered = [await stage.case(one) for one in cases]
    assert [one["outcome"] for one in answered["calls_upward"]] == ["answered"]
    assert [one["outcome"] for one in unanswered["calls_upward"]] == ["missed"]
    told = [await stage.facts(one, "whistle.unanswered.v1") for one in cases]
    assert [len(one) for one in told] == [0, 1]
    assert clerk.staff in await stage.told(cases[1], "whistle_unanswered")
    assert [answered["owner"], unanswered["owner"]] == owners, "the town stays owner"


@scenario("merging", "yihe", MONDAY)
async def a_second_whistle_merges(stage: Stage) -> None:
    case, _ = await called(stage, "police")
    before = (await stage.slots(case))["police"]
    await stage.at("2025-03-03T10:00")
    again = await stage.whistle(case, ["police", "justice", "court"])
    assert (await stage.slots(case))["police"] == before, "who is called already keeps his clock"
    assert {slot["department"] for slot in again["slots"]} == {"police", "justice", "court"}
    blown = [fact["data"] for fact in await stage.facts(case, "whistle.blown.v1")]
    assert [one["merged"] for one in blown] == [[], ["police"]]

    release = f"/v1/whistles/{again['whistle_id']}/release"
    await stage.post(release, CLERK, departments=["court"])
    await stage.past((await stage.slots(case))["justice"]["due_at"])
    outcomes = {name: slot["outcome"] for name, slot in (await stage.slots(case)).items()}
    assert outcomes == {"police": "missed", "justice": "missed", "court": "withdrawn"}
    assert await rungs(stage, case, "court") == []
    path = f"/v1/whistles/{again['whistle_id']}/report-ins"
    come = {"department": "court", "means": "remote"}
    late = await stage.refused(path, officer("court"), **come)
    assert late["code"] == "slot_ended"
    asked = await stage.messages(case, "whistle_blown")
    police = stage.serving("department_officer", "police").staff
    assert [one["recipient"] for one in asked].count(police) == 1


@scenario("quorum", "quorum.yaml", MONDAY)
async def so_many_must_have_come(stage: Stage) -> None:
    await settled_after(stage, ("justice", "court"))


@scenario("gate-all", "gate-all.yaml", MONDAY)
async def all_must_have_come(stage: Stage) -> None:
    await settled_after(stage, ("justice", "court", "police"))


async def settled_after(stage: Stage, coming: tuple[str, ...]) -> None:
    """Call police, justice and court; the case can be settled once these have come, not before."""
    worker = stage.person("grid_worker", "g01")
    case = await in_progress(stage, "g01", **{"class": "general"})
    whistle = await stage.whistle(case, ("police", "justice", "court"))
    for department in coming:
        held = await stage.step_refused(case, "resolve", worker, **SETTLED)
        assert held["code"] == "whistle_open"
        await stage.report_in(whistle, department)
    assert (await stage.step(case, "resolve", worker, **SETTLED))["state"] == "resolved"


@scenario("nobody-on-duty", "yihe", MONDAY)
async def a_rung_with_nobody_is_passed_at_once(stage: Stage) -> None:
    head = stage.serving("department_head", "court").staff
    await stage.change("the-head-has-left", [{"kind": "staff", "id": head, "body": None}])
    case, _ = await called(stage, "court", "police")
    due = (await stage.slots(case))["court"]["due_at"]
    await stage.past(due)
    assert await rungs(stage, case, "court") == ["remind", "score"]
    await stage.at("2025-03-04T10:05")
    assert await rungs(stage, case, "police") == ["remind", "score", "notify_head"]
    escalated = await stage.facts(case, "case.escalated.v1")
    of_court = [one for one in escalated if one["data"]["department"] == "court"]
    head_rung, leader_rung = of_court[2:]
    assert (head_rung["data"]["do"], head_rung["data"]["nobody"]) == ("notify_head", True)
    assert (leader_rung["data"]["do"], leader_rung["data"]["nobody"]) == ("escalate", False)
    assert head_rung["occurred_at"] == leader_rung["occurred_at"]

    told = await stage.told(case, "whistle_escalated")
    alarm = told["role:superior/court"]
    assert (alarm["state"], alarm["code"]) == ("failed", "no_contact")
    assert told[stage.person("town_leader", "town").staff]["state"] == "delivered"


@scenario("one-never-silences-another", "yihe", MONDAY)
async def each_department_has_its_own_ladder(stage: Stage) -> None:
    case, whistle = await called(stage, "police", "justice", "court")
    due = {name: slot["due_at"] for name, slot in (await stage.slots(case)).items()}
    await stage.report_in(whistle, "police")
    await stage.past(due["court"])
    for name in ("justice", "court"):
        assert await rungs(stage, case, name) == ["remind", "score"]
    await stage.report_in(whistle, "justice")
    assert (await stage.slots(case))["justice"]["outcome"] == "reported_late"
    await stage.at("2025-03-04T13:05")
    assert await rungs(stage, case, "police") == []
    assert await rungs(stage, case, "justice") == ["remind", "score"]
    assert await rungs(stage, case, "court") == ["remind", "score", "notify_head", "escalate"]
    missed = await stage.facts(case, "whistle.missed.v1")
    assert sorted(fact["data"]["department"] for fact in missed) == ["court", "justice"]
    told = await stage.told(case, "whistle_escalated")
    assert told.keys() == {
        stage.serving("department_head", "court").staff,
        stage.person("town_leader", "town").staff,
    }
