"""Far more comes than intake can take: who is let in, how fast, and what it costs in memory.

Intake and ledger alone are started: what is behind intake does not slow it down.
"""

import asyncio
import itertools
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import psutil

from contracts.topics import INTAKE_EVENTS
from deploy.local.seeding import post_set
from deploy.local.whole import Running
from services.chassis.seal import KeyRing
from tests.faults.check import Verdict, read_records, show
from tests.faults.flood import GAVE_UP, NO_LINE, Flood, Told
from tests.faults.ground import TENANT, ground, state_of

# Kind: the front end's kind, its quota, and of a hundred requests how many it sends.
SENDERS = {
    "people": ("mini_program", 100_000, 50),
    "cameras": ("camera", 100_000, 30),
    "flood": ("mini_program", 20, 10),  # far over its quota
    "calm": ("grid_app", 1_000, 1),
    "emergencies": ("mini_program", 1_000, 1),
}
LOOKS = 8
OPERATOR = "operator"


@dataclass(frozen=True)
class Plan:
    """How hard and for how long, and what must come of it; `env` are settings of intake."""

    measure_s: float = 10
    overload_s: float = 60
    times: float = 5
    connections: int = 600
    env: tuple[tuple[str, str], ...] = ()
    good_share_min: float = 0.8  # of what was taken at most
    p99_s_max: float = 1.0  # of those that were taken


# A few seconds are too few to measure by.
_FEW = (("INTAKE_IN_FLIGHT_MAX", "20"),)
SHORT = Plan(2, 4, 5, 120, _FEW, good_share_min=0, p99_s_max=60)


async def run(plan: Plan, place: Path) -> Verdict:
    env = {"intake": dict(plan.env)}
    async with ground(place, services=("ledger", "intake"), more_env=env) as running:
        await _give_keys(running)
        intake = psutil.Process(running.servers.supervisor.pids()["intake"])
        alone = await _maximum(running, plan)
        most = alone.of(202) / plan.measure_s
        before, used = intake.memory_info().rss, intake.cpu_times()
        async with _watching(intake) as sizes:
            told = await _overload(running, plan, most * plan.times)
        cpu = intake.cpu_times()
        kept = await read_records(state_of(running), (INTAKE_EVENTS,))
        ids = {dict(record.headers)["ce_id"] for record in kept}
        verdict = Verdict()
        accepted = told.of(202) + alone.of(202)
        verdict.expect(len(ids) >= accepted, "something that was accepted is not in Kafka")
        verdict.expect(told.of(429) > 0, "nobody was told to come later")
        verdict.expect(told.without_retry_after == 0, "a refusal without Retry-After")
        others = {status for _, status in told.answers} - {GAVE_UP, NO_LINE, 202, 404, 429, 503}
        verdict.expect(not others, f"other answers: {others}")
        verdict.expect(told.of(202, "calm") > 0, "the calm key was not let in at all")
        verdict.expect(max(sizes) - before < 200 << 20, "memory grew by more than 200 MB")
        good, p99_s = told.of(202) / plan.overload_s, told.percentile(0.99, 202, *SENDERS)
        verdict.expect(good >= plan.good_share_min * most, f"only {good:.0f}/s of {most:.0f} taken")
        verdict.expect(p99_s < plan.p99_s_max, f"p99 of what was taken is {p99_s:.2f} s")
        show(
            verdict,
            **{
                "maximum, 202/s": round(most, 1),
                "its p99, ms": round(alone.percentile(0.99, 202, "people") * 1e3, 1),
                "offered/s": round(most * plan.times, 1),
                "seconds": plan.overload_s,
                "goodput, 202/s": round(good, 1),
                "goodput of the maximum": round(good / most, 2),
                "429": told.of(429),
                "503": told.of(503),
                "given up after 5 s": told.of(GAVE_UP),
                "found no free connection": told.of(NO_LINE),
                "looks answered": told.of(404, "looks"),
                **{f"let in of {one}": _share(told, one) for one in SENDERS},
                "p50 of accepted, ms": _ms(told, 0.5),
                "p99 of accepted, ms": _ms(told, 0.99),
                "p99 of calm, ms": round(told.percentile(0.99, 202, "calm") * 1e3, 1),
                "p99 of 429, ms": round(told.percentile(0.99, 429, *SENDERS, "looks") * 1e3, 1),
                "intake's memory before, MB": before >> 20,
                "at most, MB": max(sizes) >> 20,
                "intake's processor seconds": round(
                    cpu.user + cpu.system - used.user - used.system, 1
                ),
            },
        )
        return verdict


def _ms(told: Told, share: float) -> float:
    return round(told.percentile(share, 202, *SENDERS) * 1e3, 1)


def _share(told: Told, kind: str) -> str:
    sent = sum(n for (one, _), n in told.answers.items() if one == kind)
    return f"{told.of(202, kind)} of {sent}"


async def _give_keys(running: Running) -> None:
    ring, lines = KeyRing(running.secrets.key_file), []
    for name, (kind, quota, _) in SENDERS.items():
        body: dict[str, object] = {"zh": name, "kind": kind, "quota_per_s": quota}
        body |= {"burst": quota, "key_digest": ring.api_key_digest(f"key-{name}")}
        lines.append({"kind": "front_end", "id": name, "body": body})
    token = running.token(TENANT, OPERATOR)
    await post_set(running.url("ledger"), token, "overload-keys", lines)
    make = _reports("calm", "known")
    async with _flood(running, 1) as flood:
        while not flood.told.of(202):
            await flood.send("calm", make(), time.monotonic())
            await asyncio.sleep(0.2)


async def _maximum(running: Running, plan: Plan) -> Told:
    """Measure how much intake takes from as many as it likes to serve at once."""
    async with _flood(running, 16) as flood:
        await flood.closed_loop("people", _reports("people", "most"), plan.measure_s)
        return flood.told


async def _overload(running: Running, plan: Plan, rate: float) -> Told:
    async with _flood(running, plan.connections) as flood:
        await flood.open_loop(_mixed(), rate, plan.overload_s)
        return flood.told


@asynccontextmanager
async def _flood(running: Running, connections: int) -> AsyncIterator[Flood]:
    place = urlsplit(running.url("intake"))
    flood = Flood(place.hostname or "", place.port or 0, connections)
    await flood.open()
    yield flood
    flood.close()


def _mixed() -> Iterator[tuple[str, bytes]]:
    """Yield requests of all senders in turn, by their shares."""
    makers: dict[str, Callable[[], bytes]] = {name: _reports(name, "over") for name in SENDERS}
    look = b"GET /v1/track/AAAA-AAAA-AAAA HTTP/1.1\r\nHost: intake\r\n\r\n"
    makers["looks"] = lambda: look
    shares = {**{name: share for name, (_, _, share) in SENDERS.items()}, "looks": LOOKS}
    turns = sorted(
        ((n + 0.5) / share, name) for name, share in shares.items() for n in range(share)
    )
    for _, name in itertools.cycle(turns):
        yield name, makers[name]()


def _reports(name: str, run: str) -> Callable[[], bytes]:
    """Make reports of one sender, each another case."""
    summary = "厨房着火了" if name == "emergencies" else "村口的路灯不亮，晚上看不见路"
    body = json.dumps(
        {"tenant": TENANT, "summary": summary, "location": {"grid": "g01"}}, ensure_ascii=False
    ).encode()
    head = (
        "POST /v1/cases HTTP/1.1\r\nHost: intake\r\nContent-Type: application/json\r\n"
        f"X-Api-Key: key-{name}\r\nContent-Length: {len(body)}\r\nIdempotency-Key: {run}-{name}-"
    ).encode()
    numbers = itertools.count()
    return lambda: b"%s%d\r\n\r\n%s" % (head, next(numbers), body)


@asynccontextmanager
async def _watching(process: psutil.Process) -> AsyncIterator[list[int]]:
    """Note a process's memory twice a second while the block lasts."""
    sizes = [process.memory_info().rss]

    async def watch() -> None:
        while True:
            await asyncio.sleep(0.5)
            sizes.append(process.memory_info().rss)

    watcher = asyncio.create_task(watch())
    yield sizes
    watcher.cancel()


def main(plan: Plan) -> int:
    with TemporaryDirectory(prefix="faults-") as place:
        return 1 if asyncio.run(run(plan, Path(place))).wrong else 0
