"""The clock jumps past a minute of deadlines: each fires once, in order, soon; the board lives."""

import asyncio
import itertools
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import asyncpg
import httpx

from deploy.bench.timers import firing_per_s
from deploy.cli.clock import move
from deploy.local.load import Load
from deploy.local.quiet import Watch
from tests.faults.check import Verdict, check, show
from tests.faults.ground import TENANT, bodies, ground, state_of

FIRED_S_MAX, PER_S_MIN = 10.0, 100.0
REST_S_MAX = 3_600
JUMP_S = 3_600  # past the first act's deadline, and no other
PER_S_WANTED = 2_000  # on an idle machine
BOARD_PAUSE_S, BOARD_S_MAX = 1.0, 5.0

WAITING = """
SELECT count(*)
FROM timer
WHERE deadline = 'first_action' AND outcome IS NULL
"""
FIRED = """
SELECT outcome, decided_at, fires_at, timer_id
FROM timer
WHERE deadline = 'first_action'
ORDER BY fires_at, timer_id
"""


async def board_answers(url: str, done: asyncio.Event) -> list[float]:
    """Ask for the board again and again until done; return how many seconds each answer took."""
    took: list[float] = []
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        while not done.is_set():
            asked = time.monotonic()
            (await client.get(f"/board/{TENANT}")).raise_for_status()
            took.append(time.monotonic() - asked)
            await asyncio.sleep(BOARD_PAUSE_S)
    return took


async def run(place: Path, deadlines: int, rate: float) -> Verdict:
    """Open as many urgent cases, whose first act is due in half an hour, and jump a whole one."""
    async with ground(place) as running:
        urgent = ({**body, "class": "urgent"} for body in bodies(running))
        given = itertools.islice(urgent, deadlines)
        load = Load(running.url("intake"), running.secrets.api_key, given)
        log = await load.run(rate, asyncio.Event())
        state = state_of(running)
        async with Watch(state) as watch:
            await watch.until_quiet(300)
        done = asyncio.Event()
        asking = asyncio.create_task(board_answers(running.url("console"), done))
        started = time.monotonic()
        jumped = asyncio.create_task(move(state, None, {"advance_s": JUMP_S}, REST_S_MAX))
        conn = await asyncpg.connect(state.dsns["routing"])
        while await conn.fetchval(WAITING):
            await asyncio.sleep(0.1)
        fired_s = time.monotonic() - started
        await jumped  # thousands of messages follow
        returned_s = time.monotonic() - started
        done.set()
        board_s = await asking
        rows = await conn.fetch(FIRED)
        await conn.close()
        verdict = await check(state, log)
        fired = [row for row in rows if row["outcome"] == "fired"]
        decided = [row["decided_at"] for row in rows]
        due_s = (rows[-1]["fires_at"] - rows[0]["fires_at"]).total_seconds()
        verdict.expect(len(fired) == len(rows) == deadlines, f"{len(fired)} of {len(rows)} fired")
        verdict.expect(decided == sorted(decided), "deadlines fired out of order")
        fired_s_max = max(FIRED_S_MAX, deadlines / PER_S_MIN)
        verdict.expect(fired_s <= fired_s_max, f"it took {fired_s:.1f} s to fire them")
        verdict.expect(max(board_s) <= BOARD_S_MAX, f"the board took {max(board_s):.1f} s")
        show(
            verdict,
            **{
                "deadlines fired": len(fired),
                "due within seconds": round(due_s, 1),
                "seconds from the jump until fired": round(fired_s, 1),
                "deadlines per second from the jump": round(len(fired) / fired_s),
                "deadlines per second of firing": firing_per_s(decided),
                "wanted per second": PER_S_WANTED,
                "the board was asked": len(board_s),
                "ms until the board answered, most": round(max(board_s) * 1_000),
                "seconds until the command returned": round(returned_s, 1),
            },
        )
        return verdict


def main(deadlines: int, rate: float) -> int:
    with TemporaryDirectory(prefix="faults-") as place:
        return 1 if asyncio.run(run(Path(place), deadlines, rate)).wrong else 0
