"""`chuishao bench`: cases per second through the whole path, and what each costs."""

import asyncio
import itertools
import json
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer
from rich.table import Table

from deploy.cli.screen import err, out, run
from deploy.local.layout import Layout
from deploy.local.load import Load, Log
from deploy.local.ports import unused_ports
from deploy.local.quiet import Watch
from deploy.local.seeding import DEMO_TOWN, Size, town_wish
from deploy.local.state import StackState
from deploy.local.usage import machine, usage
from deploy.local.whole import Running, Wanted, whole_stack
from deploy.seed.reports import reports

SIZE = Size(villages=6, grids=46, household_groups=60, people=400)
WARM_UP_S = 5.0
REST_TIMEOUT_S = 120.0
PORTS = 40
MORNING = datetime.fromisoformat("2025-03-03T09:00:00+08:00")  # on duty, whatever the hour is
# One worker gets more messages here than any provider would send to anybody.
ENV = {"sandbox": {"SANDBOX_LIMITS__PER_DAY_MAX": "1000000"}}


def bodies(running: Running, tenant: str) -> Iterator[dict[str, Any]]:
    made = list(reports(running.towns[tenant], seed=3, count=1_000))
    return ({**body, "tenant": tenant} for body in itertools.cycle(made))


async def measure(running: Running, rate: float, seconds: float) -> dict[str, Any]:
    """Send at a steady rate, whatever comes back, and see what it cost."""
    tenant = running.tenants[0]
    state = StackState(running.layout.data_dir, running.facts())
    async with Watch(state) as watch:
        await _send(running, bodies(running, tenant), rate, WARM_UP_S, "warm")
        await watch.until_quiet(REST_TIMEOUT_S)
        before, started = usage(running.servers.supervisor), time.monotonic()
        log = await _send(running, bodies(running, tenant), rate, seconds, "bench")
        sent_s = time.monotonic() - started
        lag = (await watch.waiting()).total
        rest_s = await watch.until_quiet(REST_TIMEOUT_S)
        spent = usage(running.servers.supervisor).since(before)
    cases = len(log.accepted)
    return {
        "wanted cases/s": rate,
        "seconds": round(sent_s, 1),
        "cases": cases,
        "cases/s": round(cases / sent_s, 1),
        "refused": len(log.refusals),
        "lag when the sending ended": lag,
        "seconds until lag 0": round(rest_s, 1),
        "accept ms": _percentiles([one.confirmed_s * 1_000 for one in log.accepted]),
        "cpu ms per case": _per_case(spent, cases),
    }


async def _send(
    running: Running, given: Iterator[dict[str, Any]], rate: float, seconds: float, name: str
) -> Log:
    count = int(rate * seconds)
    load = Load(
        running.url("intake"), running.secrets.api_key, itertools.islice(given, count), name
    )
    return await load.run(rate, asyncio.Event())


def _percentiles(values: Sequence[float]) -> dict[str, float]:
    ranked = sorted(values)
    shares = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
    last = len(ranked) - 1
    return {name: round(ranked[int(last * share)], 1) for name, share in shares.items()}


def _per_case(spent: dict[str, float], cases: int) -> dict[str, float]:
    """Share the cost out; the load generator is ours and no part of the product's."""
    own = {name: used for name, used in spent.items() if name not in ("load generator", "sandbox")}
    each = {name: round(used * 1_000 / cases, 2) for name, used in sorted(spent.items())}
    return {**each, "all but load and sandbox": round(sum(own.values()) * 1_000 / cases, 2)}


def show(facts: dict[str, str], measured: dict[str, Any]) -> None:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for name, value in {**facts, **measured}.items():
        if isinstance(value, dict):
            for part, number in value.items():
                table.add_row(f"{name}: {part}", f"{number}")
        else:
            table.add_row(name, f"{value}")
    out.print(table)


def bench(
    rate: Annotated[
        float, typer.Option(min=1, metavar="N", help="每秒新件数 · new cases per second")
    ] = 100,
    seconds: Annotated[
        float, typer.Option(min=1, metavar="S", help="持续多少秒 · for how long")
    ] = 30,
    as_json: Annotated[bool, typer.Option("--json", help="一行 JSON · one line")] = False,
) -> None:
    """另起一套系统，量每秒件数与每件的处理器时间 · Measure on a stack of its own, made for it."""

    async def work() -> None:
        facts = machine()
        with TemporaryDirectory(prefix="bench-") as place:
            layout = Layout(Path(place), unused_ports(PORTS)[0], ENV)
            wanted = Wanted(layout, [town_wish(DEMO_TOWN, SIZE)], MORNING, erase=True)
            async with whole_stack(wanted, lambda line: err.print(f"[dim]· {line}[/dim]")) as stack:
                measured = await measure(stack, rate, seconds)
        if as_json:
            print(json.dumps({**facts, **measured}, ensure_ascii=False))
        else:
            show(facts, measured)

    run(work)
