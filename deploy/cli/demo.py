"""`chuishao demo`: a town at work, told as a story, and checked."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from contracts.profile import Profile
from deploy.cli.case_story import choose, story_flow, tell_one_case, tell_owners
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
from deploy.cli.whistle_story import departments_of, tell_dispute
from deploy.local.errors import LocalStackError
from deploy.local.layout import PORT_BASE
from deploy.local.made import remembered
from deploy.local.quiet import Watch
from deploy.local.seeding import Size, entries_of, profile_of
from deploy.local.state import StackState, read_state
from deploy.local.whole import OPERATOR
from deploy.seed.reports import reports
from deploy.seed.town import Entry

REPORTS = 60
QUIET_TIMEOUT_S = 120.0
REPORT_PACE_S = 0.25
PACE_S = 5.0  # between two beats: long enough to find on the board what has changed


async def tell(
    state: StackState, entries: Sequence[Entry], profile: Profile, *, fast: bool
) -> Story:
    """Tell the story of one town's morning; `entries` are what the town was made up from."""
    tenant, flow = state.tenants[0], story_flow(profile)
    story, town = Story(0 if fast else PACE_S), Town(state, tenant)
    story.aside(
        f"请打开看板 {state.shown('console')} 和沙箱手机 {state.shown('sandbox')}/phones，边听边看",
        "open the board and the sandbox phones, and watch",
    )
    await story.pause()
    given = list(reports(entries, seed=1, count=REPORTS))
    replayed = await _report(state, tenant, given, fast=fast)
    story.tell(
        len(replayed.case_ids) == len(given),
        f"居民和网格员上报 {len(given)} 件，全部收下",
        f"{len(given)} reports came in, all accepted",
    )
    await tell_owners(story, town, replayed, flow, profile)
    await story.pause()
    await tell_one_case(story, town, replayed, flow)
    await story.pause()
    if departments_of(profile):
        await tell_dispute(story, town, choose(replayed.opened, flow), profile)
    async with Watch(state) as watch:
        await watch.until_quiet(QUIET_TIMEOUT_S)
    await _tell_ledger(story, town, replayed)
    return story


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
                await asyncio.sleep(4 * REPORT_PACE_S)
        await wait_opened(state, tenant, replayed, lambda _: None)
    for one in replayed.refused:
        told = f"{one.problem.get('title')} · {one.problem.get('detail')}（{one.status}）"
        out.print(told, markup=False)
    return replayed


async def _tell_ledger(story: Story, town: Town, replayed: Replayed) -> None:
    counts = await town.ask("ledger", "/v1/counts", OPERATOR)
    story.tell(
        counts["cases"] >= len(replayed.case_ids),
        f"台账记着 {counts['cases']} 件的每一步",
        "the ledger holds every fact",
    )


async def _tell_through(
    state: StackState, entries: Sequence[Entry], profile: Profile, *, fast: bool
) -> bool:
    await go_to_morning(state, state.tenants[0])
    story = await tell(state, entries, profile, fast=fast or in_ci())
    out.print()
    if in_ci():
        print(json.dumps({"came_true": story.came_true}), flush=True)
    return story.came_true


async def _tell_on_running(data_dir: Path, *, fast: bool) -> bool:
    """Tell the story of the first town of a stack that runs already, and leave it running."""
    state = read_state(data_dir)
    town = remembered(data_dir, state.tenants[0]) if state.tenants else None
    if town is None:
        raise LocalStackError(
            "运行中的系统上没有生成的镇，讲不了。请先运行 chuishao seed。",
            "The running stack holds no made-up town to tell of. Make one with `chuishao seed`.",
        )
    return await _tell_through(state, entries_of(town), profile_of(town), fast=fast)


def demo(  # noqa: PLR0913, PLR0917 - each is an option of the command
    tenant: Towns = None,
    data_dir: DataDir = Path(DATA_DIR),
    port_base: PortBase = PORT_BASE,
    virtual_clock: VirtualClock = None,
    fresh: Fresh = False,
    durable: Durable = False,
    fast: Annotated[bool, typer.Option("--fast", help="不等人看 · no pauses")] = False,
    on_running: Annotated[
        bool,
        typer.Option("--on-running", help="在运行中的系统上讲 · on the running stack"),
    ] = False,
    villages: Villages = None,
    grids: Grids = None,
    people: People = None,
    seed: Seed = None,
) -> None:
    """启动并演示一个镇的上午 · Start everything and tell the story of a town's morning.

    在 CI 里讲完即止：都应验则以 0 退出。With CI=true it ends by itself, with 0 if all came true.
    """

    async def work() -> bool:
        if on_running:
            return await _tell_on_running(data_dir, fast=fast)
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
            entries = running.towns[state.tenants[0]]
            came_true = await _tell_through(state, entries, profile, fast=fast)
            if in_ci():
                return came_true
            out.print(f"请打开 · open   {running.url('console')}   （Ctrl-C 停止 · stops）")
            await until_stopped()
            return True

    if not run(work):
        raise typer.Exit(1)
