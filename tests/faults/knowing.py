"""How soon notify knows of a report-in, while reports keep coming: p99 from commit to knowledge.

Knowledge is the commit that ends the slot in notify's database, which is asked every 10 ms. The
report-in's commit is taken to be its 200, which comes a millisecond or so later.
"""

import asyncio
import itertools
import time
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID

import asyncpg

from deploy.cli.told import Town
from deploy.local.load import Load
from deploy.local.quiet import Watch
from tests.faults.check import Verdict, show
from tests.faults.ground import TENANT, bodies, ground, state_of

P99_S_MAX = 0.5
_POLL_S, _PATIENCE_S = 0.01, 30.0
IS_OVER = "SELECT state = 'over' FROM slot WHERE tenant_id = $1 AND whistle_id = $2"


async def run(place: Path, report_ins: int, rate: float) -> Verdict:
    """Blow so many whistles; then let each department come, one after another, under load."""
    async with ground(place) as running:
        given = bodies(running)
        whistled = itertools.islice(given, report_ins)
        load = Load(running.url("intake"), running.secrets.api_key, whistled, "whistled")
        log = await load.run(rate, asyncio.Event())
        state = state_of(running)
        async with Watch(state) as watch:
            await watch.until_quiet(120)
        town = Town(state, TENANT)
        blown = [await _blow(town, str(one.case_id)) for one in log.accepted]
        async with Watch(state) as watch:
            await watch.until_quiet(120)
        stop = asyncio.Event()
        more = Load(running.url("intake"), running.secrets.api_key, given, "beside")
        loading = asyncio.create_task(more.run(rate, stop))
        conn = await asyncpg.connect(state.dsns["notify"])
        took = [await _come(town, conn, whistle_id) for whistle_id in blown]
        stop.set()
        await loading
        await conn.close()
        return _verdict(took, rate)


async def _blow(town: Town, case_id: str) -> UUID:
    case = await town.ask("routing", f"/v1/cases/{case_id}", "center_clerk", units=["town"])
    body = {"departments": ["police"], "reason": "测量", "expected_seq": case["seq"]}
    path = f"/v1/cases/{case_id}/whistles"
    answer: dict[str, Any] = await town.post(path, body, "center_clerk", units=["town"])
    return UUID(answer["whistle_id"])


async def _come(town: Town, conn: "asyncpg.Connection[Any]", whistle_id: UUID) -> float:
    """Report in, and return the seconds until notify's database knows."""
    body = {"department": "police", "means": "remote"}
    path = f"/v1/whistles/{whistle_id}/report-ins"
    await town.post(path, body, "department_officer", department="police")
    committed = time.monotonic()
    async with asyncio.timeout(_PATIENCE_S):
        while not await conn.fetchval(IS_OVER, TENANT, whistle_id):
            await asyncio.sleep(_POLL_S)
    return time.monotonic() - committed


def _verdict(took: list[float], rate: float) -> Verdict:
    verdict, hundredths = Verdict(), quantiles(took, n=100)
    p99_ms = round(hundredths[98] * 1_000)
    verdict.expect(p99_ms <= P99_S_MAX * 1_000, f"p99 is {p99_ms} ms")
    show(
        verdict,
        **{
            "report-ins": len(took),
            "reports per second beside them": rate,
            "ms until notify knows, p50": round(hundredths[49] * 1_000),
            "ms until notify knows, p99": p99_ms,
            "ms until notify knows, most": round(max(took) * 1_000),
        },
    )
    return verdict


def main(report_ins: int, rate: float) -> int:
    with TemporaryDirectory(prefix="faults-") as place:
        verdict = asyncio.run(run(Path(place), report_ins, rate))
    return 1 if verdict.wrong else 0
