"""A workbook of persons into the registry by the command, beside a bare COPY of as many rows."""

import asyncio
import json
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from tempfile import TemporaryDirectory
from typing import Any

import asyncpg

from deploy.bench.rows import Row
from deploy.exchange.books import write_registry
from deploy.exchange.town import Key, Town
from deploy.local.errors import LocalStackError
from deploy.local.seeding import Size, TownWish, entries_of
from deploy.local.state import GIVEN
from deploy.local.usage import usage
from deploy.local.whole import Running

PART = "登记导入 · registry import, ledger alone"
AWAY = ("intake", "routing", "notify", "console")
FLOOR_DATABASE = "import_floor"
PATIENCE_S = 600.0
_COMMAND = (sys.executable, "-c", "from deploy.cli.main import main; main()")
_FRESH = "import-"  # before ids, so that nobody is in the town already

FLOOR = "CREATE TABLE bare (kind text, record_id text, body text)"


async def registry_import(running: Running, size: Size) -> list[Row]:
    """Import a workbook of so many people into a town that has its grids; then let the floor."""
    for name in AWAY:
        await running.stop(name)
    records = newcomers(running.wanted.towns[0], size)
    with TemporaryDirectory(prefix="import-") as place:
        folder = Path(place)
        town = Town(running.tenants[0], {}, records, {})
        await asyncio.to_thread(write_registry, folder / "town.xlsx", town, lambda _: None)
        began, before = time.monotonic(), usage(running.servers.supervisor)
        told, client_s = await _import(running, folder)
    took, spent = time.monotonic() - began, usage(running.servers.supervisor).since(before)
    persons = told["rows"]["person"]
    cost = {"命令 · the command": client_s, **{one: spent[one] for one in ("ledger", "postgres")}}
    floor = round(len(records) / await _floor(running, records))
    return [
        Row(
            PART,
            "每秒行数，户和人员 · rows/s, households too",
            round(len(records) / took),
            "/s",
            floor,
        ),
        Row(PART, "每秒人员 · persons/s", round(persons / took), "/s", None, "2,000/s", "5,000/s"),
        *(
            Row(PART, f"  每人处理器 · CPU per person, {one}", round(s * 1e6 / persons), "µs")
            for one, s in cost.items()
        ),
    ]


def newcomers(town: TownWish, size: Size) -> Mapping[Key, dict[str, Any]]:
    """Make up households and people who are not in a town yet, on its grids."""
    made = TownWish(town.profile, f"{_FRESH}{town.tenant_id}", size, town.seed)
    found: dict[Key, dict[str, Any]] = {}
    for one in entries_of(made):
        if one.kind not in ("household", "person"):
            continue
        body = {name: value for name, value in one.body.items() if name != "head"}
        if one.kind == "person":
            body["household"] = f"{_FRESH}{body['household']}"
        found[one.kind, f"{_FRESH}{one.record_id}"] = body
    return found


async def _import(running: Running, folder: Path) -> tuple[dict[str, Any], float]:
    """Run the command; return what it printed and the processor seconds that it used."""
    stack = folder / "stack.json"
    await asyncio.to_thread(stack.write_text, json.dumps(running.facts()), "utf-8")
    before = getrusage(RUSAGE_CHILDREN)
    data_dir = str(running.layout.data_dir)
    process = await asyncio.create_subprocess_exec(
        *(*_COMMAND, "registry", "import", str(folder / "town.xlsx")),
        *("--json", "--data-dir", data_dir, "--tenant", running.tenants[0]),
        env={**os.environ, GIVEN: str(stack)},
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(PATIENCE_S):
            printed, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    told: dict[str, Any] = json.loads(printed) if printed else {}
    if told.get("state") != "recorded":
        raise LocalStackError("导入没有成，见上。", f"Not imported: {told.get('faults')}")
    after = getrusage(RUSAGE_CHILDREN)
    return told, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


async def _floor(running: Running, records: Mapping[Key, dict[str, Any]]) -> float:
    """Copy as many rows into a table without keys; return the seconds it took."""
    await running.servers.postgres.ensure_databases([FLOOR_DATABASE])
    rows = [(*key, json.dumps(body)) for key, body in records.items()]
    conn = await asyncpg.connect(running.dsn(FLOOR_DATABASE))
    try:
        await conn.execute(FLOOR)
        began = time.monotonic()
        await conn.copy_records_to_table("bare", records=rows)
        return time.monotonic() - began
    finally:
        await conn.close()
