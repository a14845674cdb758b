"""`chuishao bench`: what the system costs, each figure beside its floor, all in one run."""

import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer
from rich.console import Console

from deploy.bench.accepting import FLOOR_TOPIC, TURNS, accepting
from deploy.bench.importing import registry_import
from deploy.bench.opening import opening
from deploy.bench.registry_reads import registry_reads
from deploy.bench.rows import Row, table_of
from deploy.bench.timers import timers
from deploy.bench.whole_path import whole_path
from deploy.cli.screen import err, out, run
from deploy.local.layout import Layout
from deploy.local.ports import unused_ports
from deploy.local.seeding import DEMO_TOWN, Size, town_wish
from deploy.local.topics import apply_topics
from deploy.local.usage import machine
from deploy.local.whole import Running, Wanted, whole_stack
from deploy.seed.reports import reports

SIZE = Size(villages=6, grids=46, household_groups=60, people=400)
PORTS, WIDTH, IMPORTED_MAX = 40, 120, 20_000
MORNING = datetime.fromisoformat("2025-03-03T09:00:00+08:00")  # on duty, whatever the hour is
# One worker gets more messages here than any provider would send to anybody.
ENV = {"sandbox": {"SANDBOX_LIMITS__PER_DAY_MAX": "1000000"}}
AWAY = ("routing", "notify", "console")


class Part(StrEnum):
    """What can be measured alone; `accept` makes the backlog that `open` begins with."""

    OPEN = "open"
    WHOLE = "whole"
    TIMERS = "timers"
    REGISTRY_IMPORT = "registry-import"
    REGISTRY_READS = "registry-reads"


def bodies(running: Running) -> Iterator[dict[str, Any]]:
    """Yield reports without end; all are urgent, so that each has a deadline within the hour."""
    tenant = running.tenants[0]
    made = list(reports(running.towns[tenant], seed=3, count=1_000))
    return ({**body, "tenant": tenant, "class": "urgent"} for body in itertools.cycle(made))


async def measure(
    running: Running,
    parts: set[Part],
    cases: int,
    rate: float,
    seconds: float,
    armed: int,
    persons: int,
) -> list[Row]:
    """Measure part by part on one stack."""
    rows: list[Row] = []
    given = bodies(running)
    port = running.layout.port_base + PORTS - 1
    if Part.OPEN in parts:
        await apply_topics(running.servers.kafka.bootstrap, [FLOOR_TOPIC])
        for name in AWAY:
            await running.stop(name)
        _say("接收：与下限轮流 · accepting, turn about with the floor")
        rows += await accepting(running, given, port, cases)
        _say("立案：先我们，后下限 · opening, ours and then the floor")
        rows += await opening(running, cases // TURNS * TURNS)
        for name in AWAY[1:]:
            await running.start(name)
    if Part.WHOLE in parts:
        _say(f"全程：半负荷，再每秒 {rate:g} 件 · the whole path, at half load and at {rate:g}/s")
        rows += await whole_path(running, given, rate, seconds)
    if Part.TIMERS in parts:
        _say("时钟：备好，再拨一小时 · clocks: arm, then jump an hour")
        rows += await timers(running, armed)
    return [*rows, *await _registry(running, parts, persons)]


async def _registry(running: Running, parts: set[Part], persons: int) -> list[Row]:
    rows: list[Row] = []
    if Part.REGISTRY_IMPORT in parts:
        imported = min(persons, IMPORTED_MAX)
        _say(f"登记：导入 {imported:,} 人 · the registry: import {imported:,} people")
        rows += await registry_import(running, replace(SIZE, people=imported))
    if Part.REGISTRY_READS in parts:
        _say(f"查登记：{persons:,} 人 · looking up among {persons:,} persons")
        for name in ("console", "notify", "intake", "routing"):
            await running.stop(name)
        rows += await registry_reads(running, persons, _say)
    return rows


def _say(line: str) -> None:
    err.print(f"[dim]· {line}[/dim]")


def bench(
    parts: Annotated[
        list[Part] | None, typer.Option("--part", help="只量这部分 · this part alone")
    ] = None,
    cases: Annotated[
        int,
        typer.Option(
            min=2_000, metavar="N", help="接收与立案各多少件 · how many to accept, to open"
        ),
    ] = 3_000,
    rate: Annotated[
        float, typer.Option(min=2, metavar="N", help="每秒新件数 · new cases per second")
    ] = 100,
    seconds: Annotated[
        float, typer.Option(min=2, metavar="S", help="持续多少秒 · for how long")
    ] = 60,
    armed: Annotated[
        int, typer.Option(min=0, metavar="N", help="待发的时钟数 · how many clocks are armed")
    ] = 1_000_000,
    persons: Annotated[
        int, typer.Option(min=3_000, metavar="N", help="登记多少人 · how many on the register")
    ] = 1_000_000,
    as_json: Annotated[bool, typer.Option("--json", help="一行 JSON · one line")] = False,
) -> None:
    """另起一套系统，逐段量，旁边是同一次跑出的下限 · Measure, beside floors of the same run."""

    async def work() -> None:
        facts = machine()
        with TemporaryDirectory(prefix="bench-") as place:
            layout = Layout(Path(place), unused_ports(PORTS)[0], ENV)
            wanted = Wanted(layout, [town_wish(DEMO_TOWN, SIZE)], MORNING, erase=True)
            async with whole_stack(wanted, _say) as stack:
                rows = await measure(
                    stack, set(parts or Part), cases, rate, seconds, armed, persons
                )
        if as_json:
            print(
                json.dumps({**facts, "rows": [row.as_json() for row in rows]}, ensure_ascii=False)
            )
            return
        out.print(*(f"{name}：{value}" for name, value in facts.items()), sep="\n")
        Console(width=max(out.width, WIDTH), highlight=False).print(table_of(rows))

    run(work)
