"""Two routing replicas come and go during a replay: per case the outcome is that of one."""

import asyncio
import itertools
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import asyncpg

from deploy.local.load import Load
from deploy.local.quiet import Watch
from tests.faults.check import Verdict, check, show
from tests.faults.ground import bodies, ground, state_of

Outcome = dict[str, tuple[Any, ...]]


async def outcomes(
    place: Path, reports: int, rate: float, *, changing: bool
) -> tuple[Outcome, Verdict]:
    """Send reports, with replicas that come and go or with one; return each case's outcome."""
    async with ground(place) as running:
        given = itertools.islice(bodies(running), reports)
        load = Load(running.url("intake"), running.secrets.api_key, given, name="replica")
        sending = asyncio.create_task(load.run(rate, asyncio.Event()))
        if changing:
            await _come_and_go(running, sending)
        log = await sending
        state = state_of(running)
        async with Watch(state) as watch:
            await watch.until_quiet(180)
        verdict = await check(state, log)
        conn = await asyncpg.connect(state.dsns["routing"])
        rows = await conn.fetch(
            """
            SELECT c.case_id::text, c.grid, c.owner_staff, c.owner_role, c.owner_unit, c.state,
                array_agg(f.type ORDER BY f.seq) AS facts
            FROM cases c JOIN case_fact f USING (tenant_id, case_id)
            GROUP BY 1, 2, 3, 4, 5, 6
            """
        )
        await conn.close()
        return {row["case_id"]: tuple(map(str, list(row)[1:])) for row in rows}, verdict


async def _come_and_go(running: Any, sending: "asyncio.Task[Any]") -> None:
    """Start and stop the second replica, then the first, while reports come in."""
    while not sending.done():
        await running.start("routing", 1)
        await asyncio.sleep(1)
        await running.stop("routing", 0)
        await asyncio.sleep(1)
        await running.start("routing", 0)
        await running.stop("routing", 1)


async def run(place: Path, reports: int, rate: float) -> Verdict:
    one, calm = await outcomes(place / "one", reports, rate, changing=False)
    two, verdict = await outcomes(place / "two", reports, rate, changing=True)
    differing = sum(one[case] != two.get(case) for case in one)
    verdict.wrong += calm.wrong
    verdict.expect(set(one) == set(two), "the runs opened different cases")
    verdict.expect(differing == 0, f"{differing} cases differ")
    show(verdict, **{"cases compared": len(one), "cases that differ": differing})
    return verdict


def main(reports: int, rate: float) -> int:
    with TemporaryDirectory(prefix="faults-") as place:
        return 1 if asyncio.run(run(Path(place), reports, rate)).wrong else 0
