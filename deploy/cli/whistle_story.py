"""The second half of the demo: a village cannot settle it, and the departments report in."""

from collections.abc import Mapping
from itertools import groupby
from typing import Any

import httpx

from contracts.profile import Department, Profile
from deploy.cli.case_story import VISIT, WORK
from deploy.cli.clock import advance_quietly
from deploy.cli.told import Story, Town
from deploy.local.state import StackState

CALLED_MAX = 3
MINUTE_S, HOUR_S = 60, 3_600
BLOWER = "center_clerk"
OFFICER = "department_officer"
RESOLVED: Mapping[str, Any] = {"result": "三方会商，双方签了协议。", "proof": ["agreement-1"]}
REASON = "两户因宅基地起争执，村里三次调解未果，需部门会商。"
CLASS, SEVERITY = "urgent", "major"
CATEGORIES = ("dispute_neighbour", "dispute_land")
# What a rung of the ladder does, as it is told; a score is told of by nobody's phone.
RUNGS: Mapping[str, tuple[str, str]] = {
    "remind": ("催了一次", "it is reminded"),
    "score": ("记了一笔", "it is scored"),
    "notify_head": ("告诉了部门负责人", "its head is told"),
    "escalate": ("报给了镇领导", "the town's leader is told"),
}
ON_TIME = ("到时没有报到", "has not come in time")

Called = Mapping[str, Department]


def departments_of(profile: Profile) -> dict[str, Department]:
    """Return whom the story calls, by id; nobody where the town blows no whistle."""
    whistle = profile.whistle
    able = whistle.enabled and BLOWER in whistle.blowers
    called = list(whistle.targets)[:CALLED_MAX] if able else []
    return {one: profile.departments_by_id[one] for one in called}


def rungs_of(profile: Profile) -> list[tuple[int, list[str]]]:
    """Return what is done after a miss, by how many seconds after it, as far as the town's leader.

    What only a calendar could tell the length of ends the story's ladder.
    """
    steps = [one for one in profile.whistle.on_miss if one.do in RUNGS]
    told = [(one.after.seconds, one.do) for one in steps if one.after.has_clock_time_only]
    told.sort(key=lambda one: one[0])
    return [(at, [do for _, do in same]) for at, same in groupby(told, key=lambda one: one[0])]


async def tell_dispute(story: Story, town: Town, like: Mapping[str, Any], profile: Profile) -> None:
    """Tell of a dispute that the village cannot settle, where the town blows a whistle."""
    called = departments_of(profile)
    case = await town.opened((await _report(town.state, town.tenant, like, profile))["case_id"])
    where = (case["owner"]["role"], case["owner"]["unit"], case["owner"]["staff"])
    for body in WORK[:-1]:
        case = await town.step(case, body, *where)
    story.tell(
        case["state"] != like["state"],
        f"{case['number']}：两户为宅基地动了手，网格员接了，劝不下来",
        "two households came to blows over a boundary; the grid worker cannot settle it",
    )
    await story.pause()
    case = await tell_whistle(story, town, case, called, profile)
    if profile.whistle.joint_consult:
        await story.pause()
        case = await tell_consultation(story, town, case, called, profile.whistle.joint_consult)
    await story.pause()
    case = await town.step(case, {**WORK[-1], **RESOLVED}, *where)
    story.tell(case["state"] == "resolved", f"办结：{RESOLVED['result'][:-1]}", "settled, signed")
    await story.pause()
    case = await town.step(case, VISIT, BLOWER, "town", "demo-clerk")
    story.tell(case["state"] == "closed", "回访满意，结案", "visited, satisfied, and closed")


async def tell_whistle(
    story: Story, town: Town, case: dict[str, Any], called: Called, profile: Profile
) -> dict[str, Any]:
    """Call departments to an urgent case; all come but the last, which is chased up the ladder."""
    body = {"departments": list(called), "reason": REASON, "expected_seq": case["seq"]}
    path = f"/v1/cases/{case['case_id']}"
    blown = await town.post(f"{path}/whistles", body, BLOWER, units=["town"])
    whistle = f"/v1/whistles/{blown['whistle_id']}"
    story.tell(
        len(blown["slots"]) == len(called),
        f"吹哨：点名{_listed(called)}，各有各的时限，各收一条短信",
        f"the whistle is blown: {len(called)} departments, each with a clock and a text of its own",
    )
    *punctual, last = called
    for department in punctual:
        await story.pause()
        answer = await _comes(town, whistle, department)
        story.tell(
            _outcome(answer, department) == "reported",
            f"{called[department].zh}报到",
            f"{_en(called[department])} reports in",
        )
    await story.pause()
    await _tell_ladder(story, town, case, called[last], profile)
    await story.pause()
    answer = await _comes(town, whistle, last)
    story.tell(
        _outcome(answer, last) == "reported_late",
        f"{called[last].zh}来了，记为迟到；后面的催办一概取消",
        f"{_en(called[last])} comes, late; what was still to climb is cancelled",
    )
    return await town.ask("routing", path, BLOWER, units=["town"])


async def _tell_ladder(
    story: Story, town: Town, case: dict[str, Any], late: Department, profile: Profile
) -> None:
    """Let the time run out for a department, and go up the ladder, one rung after the other."""
    within = profile.whistle.report_in[CLASS].within.seconds
    gone, climbed = 0, list[str]()
    for at, done in rungs_of(profile):
        if gone:
            await story.pause()
        passed = within + at - gone
        story.aside(
            f"镇上的钟往前拨{_span(passed)[0]}{'' if at else '（沙箱手机上仍是真实时间）'}",
            f"the town's clock goes forward by {_span(passed)[1]}"
            + ("" if at else "; the phones keep the real time"),
        )
        texts = await town.texts(case)
        await advance_quietly(town.state, town.tenant, passed)
        gone += passed
        climbed += done
        said = [RUNGS[do] for do in done]
        zh, en = (f"过了{_span(at)[0]}还没来", f"is {_span(at)[1]} late") if at else ON_TIME
        alone = ("", "") if at else ("；别的部门不受牵连", "; nobody else is touched")
        story.tell(
            await _slot(town, case["case_id"], late.id) == "missed"
            and await _rungs(town, case["case_id"], late.id) == climbed,
            f"{late.zh}{zh}：{'，'.join(one for one, _ in said)}{alone[0]}",
            f"{_en(late)} {en}: {', '.join(one for _, one in said)}{alone[1]}",
        )
        for text in (await town.texts(case))[len(texts) :]:
            story.aside(f"手机上：{text}", "on a phone")


async def tell_consultation(
    story: Story, town: Town, case: dict[str, Any], called: Called, name: str
) -> dict[str, Any]:
    """Let the departments, which have all come, agree on one result."""
    path = f"/v1/cases/{case['case_id']}"
    agreed = {"departments": list(called), "result": RESOLVED["result"]}
    body = {**agreed, "expected_seq": case["seq"]}
    await town.post(f"{path}/consultations", body, BLOWER, units=["town"])
    case = await town.ask("routing", path, BLOWER, units=["town"])
    story.tell(
        case["said"][-1]["words"] == {"result": RESOLVED["result"]},
        f"{name}：{_listed(called)}到齐，一个结果",
        "the departments, all there, agree on one result",
    )
    return case


def _en(department: Department) -> str:
    return department.en or department.zh


def _listed(called: Called) -> str:
    return "、".join(one.zh for one in called.values())


def _span(seconds: int) -> tuple[str, str]:
    """Say a length of time in whole hours and minutes."""
    hours, minutes = divmod(seconds // MINUTE_S, HOUR_S // MINUTE_S)
    zh = (f" {hours} 小时" if hours else "") + (f" {minutes} 分钟" if minutes else "")
    en = [f"{hours} h"] * bool(hours) + [f"{minutes} min"] * bool(minutes)
    return zh, " ".join(en)


async def _comes(town: Town, whistle: str, department: str) -> dict[str, Any]:
    body = {"department": department, "means": "on_site"}
    return await town.post(f"{whistle}/report-ins", body, OFFICER, department=department)


async def _slot(town: Town, case_id: str, department: str) -> str | None:
    case = await town.ask("routing", f"/v1/cases/{case_id}", BLOWER, units=["town"])
    return next((_outcome(one, department) for one in case["whistles"]), None)


def _outcome(whistle: Mapping[str, Any], department: str) -> str | None:
    found = [one["outcome"] for one in whistle["slots"] if one["department"] == department]
    return found[0] if found else None


async def _rungs(town: Town, case_id: str, department: str) -> list[str]:
    told = await town.ask("routing", f"/v1/cases/{case_id}/history", BLOWER, units=["town"])
    return [
        fact["data"]["do"]
        for fact in told["facts"]
        if fact["type"] == "case.escalated.v1" and fact["data"]["department"] == department
    ]


async def _report(
    state: StackState, tenant: str, like: Mapping[str, Any], profile: Profile
) -> dict[str, Any]:
    """Report an urgent dispute in another case's grid; return what the reporter was told."""
    kind = {
        "category": next((one for one in CATEGORIES if one in profile.categories_by_id), None),
        "severity": SEVERITY if SEVERITY in profile.severities_by_id else None,
    }
    async with httpx.AsyncClient(base_url=state.url("intake"), timeout=10) as client:
        answer = await client.post(
            "/v1/cases",
            json={
                "tenant": tenant,
                "summary": "两户争执，有人受伤",
                "description": "宅基地边界之争，已动手。",
                "class": CLASS,
                "location": {"grid": like["grid"]},
                **kind,
            },
            headers={"X-Api-Key": state.api_key, "Idempotency-Key": f"whistle-{like['case_id']}"},
        )
    accepted: dict[str, Any] = answer.json()
    return accepted
