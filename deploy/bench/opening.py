"""Opening cases from a backlog, routing alone, beside the floor."""

import asyncio
import json
import sys
import time

import asyncpg

from deploy.bench.accepting import FLOOR_TOPIC
from deploy.bench.rows import Row
from deploy.local.errors import LocalStackError
from deploy.local.migrate import migrate
from deploy.local.usage import usage
from deploy.local.whole import Running

PART = "立案 · opening, routing alone"
FLOOR_DATABASE = "routing_floor"
PATIENCE_S = 600.0
OPENED = "SELECT count(*) FROM cases"
RESTS = "SELECT count(*) = $1 AND NOT EXISTS (SELECT FROM outbox) FROM cases"


async def opening(running: Running, cases: int) -> list[Row]:
    """Start routing on a backlog of so many reports; then let the floor do the same."""
    conn = await asyncpg.connect(running.dsn("routing"))
    starting = asyncio.create_task(running.start("routing"))
    async with asyncio.timeout(PATIENCE_S):
        while not (first := await conn.fetchval(OPENED)):
            await asyncio.sleep(0.01)
        began, before = time.monotonic(), usage(running.servers.supervisor)
        while not await conn.fetchval(RESTS, cases):
            await asyncio.sleep(0.02)
    took, spent = time.monotonic() - began, usage(running.servers.supervisor).since(before)
    await starting
    await conn.close()
    floor = await _floor(running)
    per_s = round((cases - first) / took, 1)
    bare_per_s = round(floor["cases"] / floor["seconds"], 1)
    cpu = round(spent["routing"] * 1_000 / (cases - first), 2)
    bare_cpu = round(floor["cpu_seconds"] * 1_000 / floor["cases"], 2)
    return [
        Row(PART, "每秒件数 · cases/s", per_s, "/s", bare_per_s, "0.35 ×", "0.6 ×"),
        Row(PART, "每件处理器 · CPU per case, this process", cpu, "ms", bare_cpu),
    ]


async def _floor(running: Running) -> dict[str, float]:
    """Run the floor on a database of its own."""
    postgres, bootstrap = running.servers.postgres, running.servers.kafka.bootstrap
    await postgres.ensure_databases([FLOOR_DATABASE])
    target = running.dsn(FLOOR_DATABASE)
    await migrate("routing", target)
    argv = [sys.executable, "-m", "deploy.bench.bare_routing", "--bootstrap", bootstrap]
    argv += ["--source", running.dsn("routing"), "--target", target, "--topic", FLOOR_TOPIC.name]
    process = await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.PIPE)
    try:
        async with asyncio.timeout(PATIENCE_S):
            printed, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    if process.returncode:
        raise LocalStackError("下限没有跑成，见上。", "The floor did not run; see above.")
    measured: dict[str, float] = json.loads(printed)
    return measured
