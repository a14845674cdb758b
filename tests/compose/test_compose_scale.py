"""In containers: three of routing decide like one, and no restart loses or doubles."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from deploy.local.load import Load, Log
from tests.compose.box import Box, box
from tests.faults.check import Verdict, check, show, until_rest
from tests.waiting import until

pytestmark = pytest.mark.timeout(3000)
REPORTS, RATE = 300, 15.0
RESTARTED = (
    "intake",
    "routing",
    "notify",
    "ledger",
    "console",
    "sandbox",
    "gate",
    "postgres",
    "kafka",
)
PATIENCE_S = 300.0
# What became of each case, its kinds of facts in their order.
OUTCOMES = """
SELECT c.case_id::text, c.grid, c.owner_staff, c.owner_role, c.owner_unit, c.state,
    array_agg(f.type ORDER BY f.seq) AS facts
FROM cases c JOIN case_fact f USING (tenant_id, case_id)
GROUP BY 1, 2, 3, 4, 5, 6
"""


async def outcomes(made: Box) -> dict[str, tuple[str, ...]]:
    conn = await asyncpg.connect(made.state.dsns["routing"])
    rows = await conn.fetch(OUTCOMES)
    await conn.close()
    return {row["case_id"]: tuple(map(str, list(row)[1:])) for row in rows}


def load(made: Box, name: str, count: int | None = None) -> Load:
    given = itertools.islice(made.bodies(), count)
    return Load(made.facts["intake"], made.state.api_key, given, name=name)


@asynccontextmanager
async def loaded(made: Box, name: str, log: Log) -> AsyncIterator[None]:
    """Send reports while the block lasts, then until all are confirmed; add them to the log."""
    stop = asyncio.Event()
    sending = asyncio.create_task(load(made, name).run(RATE, stop, PATIENCE_S))
    try:
        yield
    finally:
        stop.set()
        log.sent += (await sending).sent


async def counted(made: Box, log: Log, what: str) -> Verdict:
    await until_rest(made.state)
    await made.fetch_truth()
    verdict = await check(made.state, log)
    show(verdict, what=what)
    return verdict


async def replayed(made: Box) -> Log:
    return await load(made, "same", REPORTS).run(RATE, asyncio.Event(), PATIENCE_S)


async def scale(made: Box) -> None:
    await made.compose("up", "--detach", "--wait", "--scale", "routing=3", "--scale", "notify=2")
    assert len(await made.containers("routing")) == 3


async def test_three_decide_like_one(tmp_path: Path) -> None:
    async with box(tmp_path / "one") as made:
        assert not (await counted(made, await replayed(made), "one of each")).wrong
        alone = await outcomes(made)
    async with box(tmp_path / "many") as made:
        await scale(made)
        log = await replayed(made)
        assert not (await counted(made, log, "three of routing, two of notify")).wrong
        assert await outcomes(made) == alone


async def test_no_restart_under_load_loses_or_doubles(tmp_path: Path) -> None:
    log = Log()
    async with box(tmp_path) as made:
        await scale(made)
        for service in RESTARTED:
            async with loaded(made, service, log):
                await asyncio.sleep(2)
                await made.compose("restart", service)
                await asyncio.sleep(4)
        verdict = await counted(made, log, "each container restarted under load")
        assert not verdict.wrong


async def test_a_service_that_dies_amid_its_batches_is_started_again(tmp_path: Path) -> None:
    log = Log()
    async with box(tmp_path) as made:
        dying = {"ROUTING_CRASH_AT": "before_commit:5"}
        await made.compose("up", "--detach", "--no-deps", "routing", more_env=dying)
        (container,) = await made.containers("routing")

        async def died() -> bool:
            return bool((await made.inspect(container))["RestartCount"] >= 2)

        async with loaded(made, "dying", log):
            await until(died, "Docker has started routing again twice", PATIENCE_S)
            await made.compose("up", "--detach", "--no-deps", "routing")
        assert not (await counted(made, log, "routing died amid its batches")).wrong
