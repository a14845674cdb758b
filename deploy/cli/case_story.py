"""The first half of the demo: a town's reports find their owners, and one goes to its close."""

import asyncio
from collections.abc import Coroutine, Iterable, Sequence
from itertools import cycle
from typing import Any, TypeVar

import httpx

from contracts.profile import Flow, Profile
from deploy.cli.replay import Replayed
from deploy.cli.told import Story, Town
from deploy.local.errors import LocalStackError

T = TypeVar("T")

WORKER, CLERK = "grid_worker", "center_clerk"
TOGETHER = 8  # who act at the same moment
LEFT = 3  # cases that the workers leave for the next time that the story is told
# The story's steps, from the start of a flow to its end: a profile without them cannot tell it.
# A proof stands here by its picture's name, and is posted when the step is taken.
WORK: Sequence[dict[str, Any]] = (
    {"step": "first_ask"},
    {"step": "grid_settle"},
    {"step": "resolve", "result": "已上门处理，问题解决。", "proof": ["photo-1"]},
)
VISIT: dict[str, Any] = {"step": "return_visit", "satisfied": True}


def story_flow(profile: Profile) -> Flow:
    """Return the flow that the story follows.

    Raises:
        LocalStackError: the profile has none with the story's steps.
    """
    steps = [body["step"] for body in (*WORK, VISIT)]
    for flow in profile.flows:
        if flow.subject == "case" and _leads(flow, steps):
            return flow
    named = " → ".join(steps)
    raise LocalStackError(
        f"演示讲的是 {named} 这几步，镇配置 {profile.town.id} 里没有这样的流程。什么都没有启动；"
        "请去掉 --tenant，或用 chuishao up --tenant 启动这个镇。",
        f"The demo tells of {named}, and no flow of the profile {profile.town.id} goes that way. "
        "Nothing was started; leave --tenant out, or start that town with `chuishao up --tenant`.",
    )


def _leads(flow: Flow, steps: Sequence[str]) -> bool:
    """Whether these steps, one after the other, lead from the start to an end."""
    at = flow.start
    for step_id in steps:
        step = flow.steps_by_id.get(step_id)
        if step is None or at not in step.from_states:
            return False
        at = step.to
    return at in flow.end


async def tell_owners(
    story: Story, town: Town, replayed: Replayed, flow: Flow, profile: Profile
) -> None:
    """Tell who has got the reports, and let the workers take them on, all but a few."""
    placed = [one for one in replayed.opened if one["grid"]]
    rest = [one for one in replayed.opened if not one["grid"]]
    grids = len({one["grid"] for one in placed})
    story.tell(
        len(replayed.opened) == len(replayed.case_ids),
        f"{len(placed)} 件各归其格（{grids} 个网格），{len(rest)} 件地点不清，交给兜底的人",
        f"{len(placed)} found their grid, {len(rest)} without a clear place have an owner too",
    )
    await story.pause()
    cases = await _together(_seen(town, one) for one in untouched(replayed.opened, flow)[:-LEFT])
    theirs = [one for one in cases if one["owner"]["role"] == WORKER]
    taken = await _together(_take_on(town, one, one["owner"]) for one in theirs)
    if taken:
        story.tell(
            all(one["state"] != flow.start for one in taken),
            f"网格员接了 {len(taken)} 件，件件有名有姓",
            f"the workers take on {len(taken)} of them, each by name",
        )
    unclear = [one for one in rest if (one["flow"], one["state"]) == (flow.id, flow.start)]
    if taken and unclear and profile.cases.first_asked.enabled:
        await story.pause()
        cases = await _together(_seen(town, one) for one in unclear)
        asked = zip(cases, cycle(one["owner"] for one in taken), strict=False)
        found = await _together(_take_on(town, one, owner) for one, owner in asked)
        story.tell(
            all(one["state"] != flow.start for one in found),
            f"地点不清的 {len(found)} 件，问到谁谁负责（首问负责），也都有人接了",
            f"the {len(found)} without a clear place go to whoever was asked first",
        )


async def _together(works: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Do much at once, but not so much that nothing else would be answered."""
    all_at_once = asyncio.Semaphore(TOGETHER)

    async def bounded(work: Coroutine[Any, Any, T]) -> T:
        async with all_at_once:
            return await work

    return await asyncio.gather(*(bounded(work) for work in works))


async def _seen(town: Town, one: dict[str, Any]) -> dict[str, Any]:
    return await town.ask("routing", f"/v1/cases/{one['case_id']}", CLERK, units=["town"])


async def _take_on(town: Town, case: dict[str, Any], owner: dict[str, Any]) -> dict[str, Any]:
    return await town.step(case, WORK[0], owner["role"], owner["unit"], owner["staff"])


async def tell_one_case(story: Story, town: Town, replayed: Replayed, flow: Flow) -> None:
    """Follow one case from the worker's phone to its close."""
    chosen = choose(replayed.opened, flow)
    path = f"/v1/cases/{chosen['case_id']}"
    case = await town.ask("routing", path, WORKER, units=[chosen["grid"]])
    owner = case["owner"]
    where = (owner["role"], owner["unit"], owner["staff"])
    phone = await town.first_text(case)
    story.tell(
        phone is not None,
        f"{case['number']}：短信到了承办网格员的手机：{phone}",
        "the worker's phone shows the message",
    )
    for body in WORK:
        await story.pause()
        case = await town.step(case, body, *where)
    story.tell(case["state"] == "resolved", "首问、化解、办结，各走一步", "accepted and settled")
    await story.pause()
    case = await town.step(case, VISIT, CLERK, "town", "demo-clerk")
    story.tell(case["state"] == "closed", "中心回访，群众满意，结案", "visited and closed")
    await _tell_tracking(story, town, replayed.codes[chosen["case_id"]])


def choose(opened: Sequence[dict[str, Any]], flow: Flow) -> dict[str, Any]:
    """Return the first case that stands at the flow's start: earlier demos have closed theirs.

    Raises:
        LocalStackError: none is left.
    """
    if found := untouched(opened, flow):
        return found[-LEFT:][0]
    raise LocalStackError(
        "演示用的件都已办过。请用 --fresh 清空数据再演示（会删去这个数据目录里的一切）。",
        "Earlier demos have settled every case of the story. Tell it anew with --fresh, which "
        "erases all data of this directory.",
    )


def untouched(opened: Sequence[dict[str, Any]], flow: Flow) -> list[dict[str, Any]]:
    """Return the cases of a grid that stand at the flow's start."""
    at_start = (flow.id, flow.start)
    return [one for one in opened if one["grid"] and (one["flow"], one["state"]) == at_start]


async def _tell_tracking(story: Story, town: Town, code: str) -> None:
    """Follow the case as its reporter does, by the code of the 202."""
    stage: dict[str, Any] = {}
    async with httpx.AsyncClient(base_url=town.state.url("intake"), timeout=10) as client:
        for _ in range(100):
            answer = await client.get(f"/v1/track/{code}")
            stage = answer.json() if answer.is_success else {}
            if stage.get("stage", {}).get("state") == "closed":
                break
            await asyncio.sleep(0.1)
    words = stage.get("stage", {}).get("zh", "—")
    story.tell(
        stage.get("stage", {}).get("state") == "closed",
        f"群众凭查询码看到：{words}，共 {len(stage.get('steps', []))} 步",
        f"the reporter sees it by the tracking code: {town.state.shown('intake')}/v1/track/{code}",
    )
