"""`chuishao demo`: a town at work, told as a story, and checked."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer

from contracts.profile import Flow, Profile
from deploy.cli.morning import go_to_morning
from deploy.cli.replay import Replayed, send_all, wait_opened
from deploy.cli.screen import DATA_DIR, DataDir, in_ci, out, progress, run
from deploy.cli.told import Story, Town
from deploy.cli.up import (
    Durable,
    Fresh,
    Grids,
    People,
    PortBase,
    Seed,
    Towns,
    Villages,
    VirtualClock,
    options,
    show,
    stack,
    until_stopped,
)
from deploy.cli.whistle_story import (
    BLOWER,
    RESOLVED,
    departments_of,
    report_urgent,
    tell_consultation,
    tell_whistle,
)
from deploy.local.errors import LocalStackError
from deploy.local.layout import PORT_BASE
from deploy.local.quiet import Watch
from deploy.local.seeding import Size, profile_of
from deploy.local.state import StackState, read_state
from deploy.local.whole import OPERATOR, Running
from deploy.seed.reports import reports

REPORTS = 60
QUIET_TIMEOUT_S = 120.0
PACE_S = 0.25
# The story's steps, from the start of a flow to its end: a profile without them cannot tell it.
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


async def tell(running: Running, state: StackState, profile: Profile, *, fast: bool) -> Story:
    """Tell the story of one town's morning."""
    tenant, flow = running.tenants[0], story_flow(profile)
    story, town = Story(), Town(state, tenant)
    given = list(reports(running.towns[tenant], seed=1, count=REPORTS))
    replayed = await _report(state, tenant, given, fast=fast)
    story.tell(
        len(replayed.case_ids) == len(given),
        f"居民和网格员上报 {len(given)} 件，全部收下",
        f"{len(given)} reports came in, all accepted",
    )
    _tell_owners(story, replayed)
    await _tell_one_case(story, town, replayed, flow, fast=fast)
    await _tell_whistle(story, town, replayed, flow, profile, fast=fast)
    async with Watch(state) as watch:
        await watch.until_quiet(QUIET_TIMEOUT_S)
    await _tell_ledger(story, town, replayed)
    return story


async def _tell_whistle(
    story: Story, town: Town, replayed: Replayed, flow: Flow, profile: Profile, *, fast: bool
) -> None:
    """Tell of a dispute that the village cannot settle, where the town blows a whistle."""
    called = departments_of(profile)
    if not called:
        return
    grid = choose(replayed.opened, flow)["grid"]
    code = (await report_urgent(town.state, town.tenant, grid))["case_id"]
    case = await town.opened(code)
    where = (case["owner"]["role"], case["owner"]["unit"], case["owner"]["staff"])
    for body in WORK[:-1]:
        case = await town.step(case, body, *where)
    case = await tell_whistle(story, town, case, called, fast=fast)
    if profile.whistle.joint_consult:
        case = await tell_consultation(story, town, case, called, profile.whistle.joint_consult)
    case = await town.step(case, {**WORK[-1], **RESOLVED}, *where)
    case = await town.step(case, VISIT, BLOWER, "town", "demo-clerk")
    story.tell(
        case["state"] == "closed",
        "回访满意，结案",
        "visited and closed",
    )


async def _report(
    state: StackState, tenant: str, given: Sequence[dict[str, Any]], *, fast: bool
) -> Replayed:
    """Send the reports, at a pace that the eye can follow unless it has to be fast."""
    keyed = [(f"demo-{n}", {**body, "tenant": tenant}) for n, body in enumerate(given)]
    replayed = Replayed()
    with progress() as bar:
        task = bar.add_task("上报 · reporting", total=len(keyed))
        for start in range(0, len(keyed), 4):
            part = await send_all(state, keyed[start : start + 4], lambda: bar.advance(task))
            replayed.codes |= part.codes
            replayed.refused += part.refused
            if not fast:
                await asyncio.sleep(4 * PACE_S)
        await wait_opened(state, tenant, replayed, lambda _: None)
    for one in replayed.refused:
        told = f"{one.problem.get('title')} · {one.problem.get('detail')}（{one.status}）"
        out.print(told, markup=False)
    return replayed


def _tell_owners(story: Story, replayed: Replayed) -> None:
    placed = [one for one in replayed.opened if one["grid"]]
    rest = [one for one in replayed.opened if not one["grid"]]
    grids = len({one["grid"] for one in placed})
    story.tell(
        len(replayed.opened) == len(replayed.case_ids),
        f"{len(placed)} 件各归其格（{grids} 个网格），{len(rest)} 件地点不清，交给兜底的人",
        f"{len(placed)} found their grid, {len(rest)} without a clear place have an owner too",
    )


async def _tell_one_case(
    story: Story, town: Town, replayed: Replayed, flow: Flow, *, fast: bool
) -> None:
    """Follow one case from the worker's phone to its close."""
    chosen = choose(replayed.opened, flow)
    path = f"/v1/cases/{chosen['case_id']}"
    case = await town.ask("routing", path, "grid_worker", units=[chosen["grid"]])
    owner = case["owner"]
    where = (owner["role"], owner["unit"], owner["staff"])
    phone = await _phone_of(town, case)
    story.tell(
        phone is not None,
        f"{case['number']}：短信到了承办网格员的手机：{phone}",
        "the worker's phone shows the message",
    )
    for body in WORK:
        if not fast:
            await asyncio.sleep(4 * PACE_S)
        case = await town.step(case, body, *where)
    story.tell(case["state"] == "resolved", "首问、化解、办结，各走一步", "accepted and settled")
    case = await town.step(case, VISIT, "center_clerk", "town", "demo-clerk")
    story.tell(case["state"] == "closed", "中心回访，群众满意，结案", "visited and closed")
    await _tell_tracking(story, town, replayed.codes[chosen["case_id"]])


def choose(opened: Sequence[dict[str, Any]], flow: Flow) -> dict[str, Any]:
    """Return the first case that stands at the flow's start: earlier demos have closed theirs.

    Raises:
        LocalStackError: none is left.
    """
    for one in opened:
        if one["grid"] and (one["flow"], one["state"]) == (flow.id, flow.start):
            return one
    raise LocalStackError(
        "演示用的件都已办过。请用 --fresh 清空数据再演示（会删去这个数据目录里的一切）。",
        "Earlier demos have settled every case of the story. Tell it anew with --fresh, which "
        "erases all data of this directory.",
    )


async def _phone_of(town: Town, case: dict[str, Any]) -> str | None:
    """Wait until the owner's phone has shown the message; return its text."""
    sandbox = town.state.url("sandbox")
    named = {"words": case["number"], "limit": 1}
    async with httpx.AsyncClient(timeout=10) as client:
        for _ in range(100):
            answer = await client.get(f"{sandbox}/sandbox/messages", params=named)
            for message in answer.json()["messages"]:
                return str(message["text"])
            await asyncio.sleep(0.2)
    return None


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
        f"the reporter sees it by the tracking code: {town.state.url('intake')}/v1/track/{code}",
    )


async def _tell_ledger(story: Story, town: Town, replayed: Replayed) -> None:
    counts = await town.ask("ledger", "/v1/counts", OPERATOR)
    story.tell(
        counts["cases"] >= len(replayed.case_ids),
        f"台账记着 {counts['cases']} 件的每一步",
        "the ledger holds every fact",
    )


def demo(  # noqa: PLR0913, PLR0917 - each is an option of the command
    tenant: Towns = None,
    data_dir: DataDir = Path(DATA_DIR),
    port_base: PortBase = PORT_BASE,
    virtual_clock: VirtualClock = None,
    fresh: Fresh = False,
    durable: Durable = False,
    fast: Annotated[bool, typer.Option("--fast", help="不等人看 · no pauses")] = False,
    villages: Villages = None,
    grids: Grids = None,
    people: People = None,
    seed: Seed = None,
) -> None:
    """启动并演示一个镇的上午 · Start everything and tell the story of a town's morning.

    在 CI 里讲完即止：都应验则以 0 退出。With CI=true it ends by itself, with 0 if all came true.
    """

    async def work() -> bool:
        wanted = options(
            tenant,
            data_dir,
            port_base,
            virtual_clock,
            fresh=fresh,
            durable=durable,
            size=Size(villages=villages, grids=grids, people=people),
            seed=seed,
        )
        profile = profile_of(wanted.towns[0])
        story_flow(profile)
        async with stack(wanted) as running:
            await show(running)
            out.print()
            state = read_state(wanted.data_dir)
            await go_to_morning(state, running.tenants[0])
            story = await tell(running, state, profile, fast=fast or in_ci())
            out.print()
            if in_ci():
                print(json.dumps({"came_true": story.came_true}), flush=True)
                return story.came_true
            out.print(f"请打开 · open   {running.url('console')}   （Ctrl-C 停止 · stops）")
            await until_stopped()
            return True

    if not run(work):
        raise typer.Exit(1)
