"""Clocks: many armed, many due at once, routing alone."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

import asyncpg

from deploy.bench.rows import Row
from deploy.cli.clock import ask_clock
from deploy.local.state import StackState
from deploy.local.whole import Running

PART = "时钟 · clocks, routing alone"
JUMP = timedelta(hours=1)
PATIENCE_S = 120.0

ARM = """
INSERT INTO timer (tenant_id, case_id, deadline, kind, fires_at, due_at, gate_partition)
SELECT $1, gen_random_uuid(), 'class', 'miss', at, at, n % 24
FROM generate_series(1, $2::integer) AS n
CROSS JOIN LATERAL (SELECT now() + interval '10 years' + n * interval '1 s' AS at) AS far
"""
OPEN = "SELECT count(*) FROM timer WHERE outcome IS NULL"
LEFT = "SELECT count(*) FROM timer WHERE outcome IS NULL AND fires_at <= $1"
DECIDED = """
SELECT decided_at
FROM timer
WHERE decided_at >= $1
ORDER BY decided_at
"""


def firing_per_s(decided: Sequence[datetime]) -> int | None:
    """Return the rate of all but the last batch, from the first one's moment to the last one's.

    The moments are in order; None: there was one batch, or none.
    """
    before = sum(at < decided[-1] for at in decided)
    return round(before / (decided[-1] - decided[0]).total_seconds()) if before else None


async def timers(running: Running, armed: int) -> list[Row]:
    """Arm so many, jump an hour, and see what is due fire."""
    tenant = running.tenants[0]
    state = StackState(running.layout.data_dir, running.facts())
    for name in ("console", "notify", "intake"):
        await running.stop(name)
    conn = await asyncpg.connect(running.dsn("routing"))
    missing = armed - await conn.fetchval(OPEN)
    if missing > 0:
        await conn.execute(ARM, tenant, missing)
        await conn.execute("ANALYZE timer")
    there, began = await conn.fetchval(OPEN), await conn.fetchval("SELECT clock_timestamp()")
    clock = await ask_clock(state, tenant, {"advance_s": JUMP.total_seconds()})
    reached = datetime.fromisoformat(clock["now"])
    async with asyncio.timeout(PATIENCE_S):
        while await conn.fetchval(LEFT, reached):
            await asyncio.sleep(0.1)
    fired = [row["decided_at"] for row in await conn.fetch(DECIDED, began)]
    await conn.close()
    return [
        Row(PART, "待发 · armed", there, ""),
        Row(PART, "同时到期 · due at once", len(fired), ""),
        Row(PART, "每秒到点 · fired", firing_per_s(fired), "/s", None, "5,000/s", "20,000/s"),
    ]
