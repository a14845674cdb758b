"""Yihe: the centre whistles, departments report in, and a miss climbs."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from tests.scenarios.stage import CLERK, Stage, is_about, officer
from tests.scenarios.told import scenario

CALLED = ("police", "justice", "court")
SETTLED = {"result": "达成协议", "proof": ["photo-1"]}


async def in_progress(stage: Stage, grid: str, **body: Any) -> dict[str, Any]:
    """Report something in a grid, and let its worker begin."""
    case = await stage.report(location={"grid": grid}, **body)
    for step in ("first_ask", "grid_settle"):
        case = {**case, **await stage.step(case, step, stage.person("grid_worker", grid))}
    return case


@scenario("YH-S01", "yihe", "2025-03-03T09:00")
async def the_centre_whistles(stage: Stage) -> None:
    worker = stage.person("grid_worker", "g01")
    case, other = [await in_progress(stage, "g01", **{"class": "complex"}) for _ in range(2)]
    whistle, led = [await stage.whistle(one, CALLED) for one in (case, other)]
    assert {slot["department"] for slot in whistle["slots"]} == set(CALLED)
    # 16 hours on duty: Monday 7.5, Tuesday 8, Wednesday 0.5.
    assert all(is_about(slot["due_at"], "2025-03-05T09:00") for slot in whistle["slots"])

    await stage.report_in(whistle, "justice")
    await stage.report_in(whistle, "court")
    refused = await stage.step_refused(case, "resolve", worker, **SETTLED)
    assert refused["code"] == "whistle_open", "the first named leads, and has not come"
    consult = f"/v1/cases/{case['case_id']}/consultations"
    agreed = {"departments": list(CALLED), "result": "各让一步"}
    seq = (await stage.case(case))["seq"]
    refused = await stage.refused(consult, CLERK, expected_seq=seq, **agreed)
    assert refused["code"] == "still_awaited"
    await stage.report_in(whistle, "police")
    seq = (await stage.case(case))["seq"]
    await stage.post(consult, CLERK, expected_seq=seq, **agreed)
    said = (await stage.case(case))["said"]
    assert [one["words"] for one in said if "result" in one["words"]] == [{"result": "各让一步"}]

    await stage.report_in(led, "police")
    for one in (case, other):
        assert (await stage.step(one, "resolve", worker, **SETTLED))["state"] == "resolved"


# --- a miss climbs -------------------------------------------------------------------------------


async def rungs(stage: Stage, case: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what followed a miss, and of whom."""
    facts = await stage.facts(case, "case.escalated.v1")
    return [(fact["data"]["department"], fact["data"]["do"]) for fact in facts]


async def court_alone_is_missed(stage: Stage, case: Mapping[str, Any]) -> None:
    """See one miss, wherever it is kept."""
    missed = await stage.facts(case, "whistle.missed.v1")
    assert [fact["data"]["department"] for fact in missed] == ["court"]
    kept = await stage.get("ledger", f"/v1/cases/{case['case_id']}/facts")
    assert [fact["type"] for fact in kept["facts"]].count("whistle.missed.v1") == 1


async def sheets(stage: Stage) -> dict[str, dict[str, int]]:
    """Return what is on each department's sheet, as the centre sees them side by side."""
    names = ("reported", "reported_late", "missed", "corrected", "refused", "withdrawn", "awaited")
    shown = (await stage.get("ledger", "/v1/departments"))["departments"]
    return {one["department"]: {name: one[name] for name in names if one[name]} for one in shown}


async def listed_for(stage: Stage, department: str) -> dict[str, str]:
    """Return what became of each case's call, as a department sees its own sheet."""
    path = f"/v1/departments/{department}/sheet"
    sheet = await stage.get("ledger", path, officer(department))
    return {slot["number"]: slot["outcome"] for slot in sheet["slots"]}


async def by_sms(stage: Stage, case: Mapping[str, Any], notice: str) -> dict[str, str]:
    """Return to whom something was told by SMS, once each, and when."""
    told = await stage.told(case, notice)
    assert {(one["state"], one["channel"]) for one in told.values()} <= {("delivered", "sms")}
    return {person: one["attempts"][-1]["started_at"] for person, one in told.items()}


@scenario("YH-S02", "yihe", "2025-03-03T09:00")
async def a_miss_climbs(stage: Stage) -> None:
    court, head = (stage.serving(f"department_{one}", "court").staff for one in ("officer", "head"))
    leader = stage.person("town_leader", "town").staff
    cases = [await in_progress(stage, "g01", **{"class": "complex"}) for _ in range(2)]
    whistles = [await stage.whistle(case, CALLED) for case in cases]
    for whistle in whistles:
        for department in ("police", "justice"):
            await stage.report_in(whistle, department)
    never, late = cases
    clean = {one: {"reported": 2} for one in ("police", "justice")}
    due_at = max([(await stage.slots(case))["court"]["due_at"] for case in cases])
    assert is_about(due_at, "2025-03-05T09:00")

    await stage.past(due_at)
    for case in cases:
        assert (await stage.slots(case))["court"]["outcome"] == "missed"
        reminded = await by_sms(stage, case, "whistle_missed")
        assert reminded.keys() == {court}
        assert is_about(reminded[court], "2025-03-05T09:00"), "at once"
        await court_alone_is_missed(stage, case)
        assert await rungs(stage, case) == [("court", "remind"), ("court", "score")]
        assert await stage.messages(case, "whistle_escalated") == []

    assert await sheets(stage) == {**clean, "court": {"missed": 2}}

    await stage.past(later(due_at, hours=1))
    for case in cases:
        told = await by_sms(stage, case, "whistle_escalated")
        assert told.keys() == {head}
        assert is_about(told[head], "2025-03-05T10:00")

    await stage.past(later(due_at, hours=2))
    await stage.report_in(whistles[1], "court")
    slot = (await stage.slots(late))["court"]
    assert (slot["outcome"], slot["stage"]) == ("reported_late", "reported_in")

    await stage.past(later(due_at, hours=4))
    told = await by_sms(stage, never, "whistle_escalated")
    assert told.keys() == {head, leader}
    assert is_about(told[leader], "2025-03-05T13:00")
    climbed = [("court", do) for do in ("remind", "score", "notify_head", "escalate")]
    assert await rungs(stage, never) == climbed
    assert await rungs(stage, late) == climbed[:3], "the later steps are cancelled"
    assert (await by_sms(stage, late, "whistle_escalated")).keys() == {head}
    for case in cases:
        assert len(await stage.messages(case, "whistle_missed")) == 1
        await court_alone_is_missed(stage, case)
    changes = await changes_told(stage, "court")
    assert changes[never["case_id"]].count("missed") == 1
    assert [one for one in changes[late["case_id"]] if one in ("missed", "reported_in")] == [
        "missed",
        "reported_in",
    ]
    assert await sheets(stage) == {**clean, "court": {"missed": 1, "reported_late": 1}}
    listed = await listed_for(stage, "court")
    assert listed == {never["number"]: "missed", late["number"]: "reported_late"}


def later(shown: str, **length: float) -> str:
    return (datetime.fromisoformat(shown) + timedelta(**length)).isoformat()


async def changes_told(stage: Stage, department: str) -> dict[str, list[str]]:
    """Work off a department's queue; return what it was told of each case's part, in order."""
    path, by = f"/v1/departments/{department}/tasks", officer(department)
    told: dict[str, list[str]] = {}
    while tasks := (await stage.get("routing", path, by))["tasks"]:
        for task in tasks:
            told.setdefault(task["case_id"], []).append(task["data"].get("change", "given"))
            await stage.post(f"{path}/{task['task_id']}/ack", by, lease_id=task["lease_id"])
    return told
