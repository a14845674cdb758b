"""The second half of the demo: a village cannot settle it, and the departments report in."""

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx

from contracts.profile import Profile
from deploy.cli.clock import move
from deploy.cli.told import Story, Town
from deploy.local.state import StackState

CALLED_MAX = 3
HOUR_S = 3_600
PACE_S = 1.0
BLOWER = "center_clerk"
OFFICER = "department_officer"
RESOLVED: Mapping[str, Any] = {"result": "三方会商，双方签了协议。", "proof": ["agreement-1"]}
REASON = "两户因宅基地起争执，村里三次调解未果，需部门会商。"


def departments_of(profile: Profile) -> dict[str, str]:
    """Return whom the story calls, by id; nobody where the town blows no whistle."""
    whistle, names = profile.whistle, {one.id: one.zh for one in profile.departments}
    able = whistle.enabled and BLOWER in whistle.blowers
    return {one: names[one] for one in list(whistle.targets)[:CALLED_MAX]} if able else {}


async def tell_whistle(
    story: Story, town: Town, case: dict[str, Any], called: Mapping[str, str], *, fast: bool
) -> dict[str, Any]:
    """Call departments to an urgent case; all come but the last, which is chased up the ladder."""
    case_id = case["case_id"]

    async def pause() -> None:
        if not fast:
            await asyncio.sleep(4 * PACE_S)

    body = {"departments": list(called), "reason": REASON, "expected_seq": case["seq"]}
    blown = await town.post(f"/v1/cases/{case_id}/whistles", body, BLOWER, units=["town"])
    whistle = f"/v1/whistles/{blown['whistle_id']}"
    story.tell(
        len(blown["slots"]) == len(called),
        f"吹哨：{case['number']}，点名{'、'.join(called.values())}，各有各的时限",
        f"the whistle is blown: {len(called)} departments, each with a clock of its own",
    )
    *punctual, last = called
    for department in punctual:
        await pause()
        answer = await _comes(town, whistle, department)
        story.tell(
            _outcome(answer, department) == "reported",
            f"{called[department]}报到",
            f"{department} reports in",
        )
    await pause()
    await move(town.state, town.tenant, {"advance_s": HOUR_S // 2})
    story.tell(
        await _slot(town, case_id, last) == "missed",
        f"半小时到，{called[last]}未报到；别的部门不受牵连",
        f"half an hour is over and {last} has not come; nobody else is touched",
    )
    await pause()
    await move(town.state, town.tenant, {"advance_s": 4 * HOUR_S})
    rungs = await _rungs(town, case_id, last)
    story.tell(
        rungs[-1:] == ["escalate"],
        "催办、报部门负责人、报镇领导，依次各一次",
        f"the ladder, in order, once: {', '.join(rungs)}",
    )
    await pause()
    answer = await _comes(town, whistle, last)
    story.tell(
        _outcome(answer, last) == "reported_late",
        f"{called[last]}来了，记为迟到；后面的催办一概取消",
        f"{last} comes, late; what was still to climb is cancelled",
    )
    return await town.ask("routing", f"/v1/cases/{case_id}", BLOWER, units=["town"])


async def tell_consultation(
    story: Story, town: Town, case: dict[str, Any], called: Mapping[str, str], name: str
) -> dict[str, Any]:
    """Let the departments, which have all come, agree on one result."""
    path = f"/v1/cases/{case['case_id']}"
    agreed = {"departments": list(called), "result": RESOLVED["result"]}
    body = {**agreed, "expected_seq": case["seq"]}
    await town.post(f"{path}/consultations", body, BLOWER, units=["town"])
    case = await town.ask("routing", path, BLOWER, units=["town"])
    story.tell(
        case["said"][-1]["words"] == {"result": RESOLVED["result"]},
        f"{name}：{'、'.join(called.values())}到齐，一个结果",
        "the departments, all there, agree on one result",
    )
    return case


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


async def report_urgent(state: StackState, tenant: str, grid: str) -> dict[str, Any]:
    """Report an urgent dispute in a grid; return what the reporter was told."""
    async with httpx.AsyncClient(base_url=state.url("intake"), timeout=10) as client:
        answer = await client.post(
            "/v1/cases",
            json={
                "tenant": tenant,
                "summary": "两户争执，有人受伤",
                "description": "宅基地边界之争，已动手。",
                "class": "urgent",
                "location": {"grid": grid},
            },
            headers={"X-Api-Key": state.api_key, "Idempotency-Key": f"whistle-{grid}"},
        )
    accepted: dict[str, Any] = answer.json()
    return accepted
