"""The whole path: what a case costs every process, how soon it is assigned, what is sustained."""

import asyncio
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from contracts.topics import INTAKE_EVENTS, NOTIFY_EVENTS, ROUTING_EVENTS
from deploy.bench.rows import Row, percentiles
from deploy.local.load import Load, Log
from deploy.local.lying import Marks, ends_of, lying_on
from deploy.local.quiet import Watch
from deploy.local.state import StackState
from deploy.local.usage import usage
from deploy.local.whole import Running

HALF = "半负荷 · half load"
PART = "全程 · the whole path"
REST_S_MAX = 300.0
OURS_ALONE = ("load generator", "sandbox")
TOPICS = (INTAKE_EVENTS, ROUTING_EVENTS, NOTIFY_EVENTS)
# From the broker's stamp of the report to its stamp of what came of it.
FOLLOWED = {
    "case.assigned.v1": "上报到派定 · reported → assigned",
    "message.accepted.v1": "上报到短信发出 · reported → SMS handed over",
}


@dataclass(frozen=True, slots=True)
class Sending:
    """What one stretch of load did and cost."""

    log: Log
    seconds: float
    lag: int
    rest_s: float
    spent: Mapping[str, float]


async def whole_path(
    running: Running, bodies: Iterator[dict[str, Any]], rate: float, seconds: float
) -> list[Row]:
    """Send at half the rate and see how soon; then at the rate, and see what it costs."""
    state = StackState(running.layout.data_dir, running.facts())
    async with Watch(state) as watch:
        await watch.until_quiet(REST_S_MAX)
        marks = await ends_of(state.kafka, *TOPICS)
        half = await _send(running, watch, bodies, "half", rate / 2, seconds / 2)
        rows = [*_accept_rows(half, rate / 2), *await _soon_rows(state.kafka, marks)]
        full = await _send(running, watch, bodies, "full", rate, seconds)
    return [*rows, *_full_rows(full, rate)]


async def _send(
    running: Running,
    watch: Watch,
    bodies: Iterator[dict[str, Any]],
    name: str,
    rate: float,
    seconds: float,
) -> Sending:
    loop, before = asyncio.get_running_loop(), usage(running.servers.supervisor)
    began, given = loop.time(), itertools.islice(bodies, int(rate * seconds))
    load = Load(running.url("intake"), running.secrets.api_key, given, name)
    log = await load.run(rate, asyncio.Event())
    took = loop.time() - began
    lag = (await watch.waiting()).total
    rest_s = await watch.until_quiet(REST_S_MAX)
    spent = usage(running.servers.supervisor).since(before)
    return Sending(log, took, lag, rest_s, spent)


def _accept_rows(half: Sending, rate: float) -> list[Row]:
    took = percentiles([one.confirmed_s * 1_000 for one in half.log.accepted])
    what = f"接收 · accept at {rate:g}/s"
    return [
        Row(HALF, f"{what}, p50", took["p50"], "ms"),
        Row(HALF, f"{what}, p99", took["p99"], "ms", None, "100 ms", "30 ms"),
    ]


def _full_rows(full: Sending, rate: float) -> list[Row]:
    cases = len(full.log.accepted)
    took = percentiles([one.confirmed_s * 1_000 for one in full.log.accepted])
    each = {name: used * 1_000 / cases for name, used in sorted(full.spent.items())}
    whole = sum(used for name, used in each.items() if name not in OURS_ALONE)
    what = f"持续 {full.seconds:.0f} 秒 · sustained, {rate:g}/s wanted"
    return [
        Row(PART, what, round(cases / full.seconds, 1), "/s", None, "300/s", "1,000/s"),
        Row(PART, "拒收或未答 · refused or unanswered", len(full.log.refusals), "", None, "0", "0"),
        Row(PART, "停发时积压 · lag when the sending ended", full.lag, ""),
        Row(PART, "积压归零 · seconds until lag 0", round(full.rest_s, 1), "s"),
        Row(PART, "接收 · accept, p99", took["p99"], "ms"),
        Row(
            PART,
            "每件处理器，全部进程 · CPU per case, all",
            round(whole, 2),
            "ms",
            None,
            "3 ms",
            "1.2 ms",
        ),
        *(Row(PART, f"  {name}", round(used, 2), "ms") for name, used in each.items()),
    ]


async def _soon_rows(bootstrap: str, marks: Marks) -> list[Row]:
    reported: dict[bytes, int] = {}
    came: dict[str, dict[bytes, int]] = {kind: {} for kind in FOLLOWED}
    async for record in lying_on(bootstrap, *TOPICS, since=marks):
        kind = dict(record.headers)["ce_type"].decode()
        if kind == "case.reported.v1":
            reported[record.key] = record.timestamp
        elif kind in came:
            came[kind].setdefault(record.key, record.timestamp)
    rows = []
    for kind, what in FOLLOWED.items():
        soon = [at - reported[key] for key, at in came[kind].items() if key in reported]
        took = percentiles(soon) if soon else {}
        asked = ("1 s", "250 ms") if kind == "case.assigned.v1" else ("", "")
        rows += [
            Row(HALF, f"{what}, p50", took.get("p50"), "ms"),
            Row(HALF, f"{what}, p99", took.get("p99"), "ms", None, *asked),
        ]
    return rows
