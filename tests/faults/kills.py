"""Every process is killed again and again under load; then everything is counted."""

import asyncio
import os
import random
import signal
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from deploy.local.layout import SERVICES
from deploy.local.load import Load
from deploy.local.quiet import Watch
from deploy.local.whole import Running
from tests.faults.check import Verdict, check, show
from tests.faults.ground import bodies, ground, restart_with, state_of

# Where each service may die between two things that belong together.
CRASH_POINTS: Mapping[str, Sequence[str]] = {
    "intake": ("after_ack", "before_commit", "after_commit", "before_offsets"),
    "routing": (
        "before_commit",
        "after_commit",
        "before_offsets",
        "after_publish",
        "after_relay",
    ),
    "notify": ("before_commit", "after_commit", "before_offsets", "after_publish", "after_relay"),
    "ledger": ("before_commit", "after_commit", "before_offsets"),
    "console": ("before_commit", "after_commit", "before_offsets"),
}


@dataclass(frozen=True, slots=True)
class Plan:
    """How often what is killed, under how many new cases per second."""

    seed: int = 1
    rate: float = 20.0
    per_service: int = 20
    per_server: int = 5
    per_crash_service: int = 5
    pause_s: tuple[float, float] = (1.0, 3.0)
    services: Sequence[str] = SERVICES


CRASH_S_MAX = 120.0
SHORT = Plan(per_service=1, per_server=1, per_crash_service=1, pause_s=(0.5, 1.0))


async def kill(running: Running, name: str, before: int) -> None:
    """SIGKILL a process once it has a pid; wait until the supervisor has brought it back."""
    while (pid := running.servers.supervisor.pids().get(name)) is None:
        await asyncio.sleep(0.05)
    os.kill(pid, signal.SIGKILL)
    while running.servers.supervisor.restarts().get(name, 0) <= before:
        await asyncio.sleep(0.02)


async def killing(running: Running, plan: Plan) -> Counter[str]:
    """Kill by plan, in an order drawn from the seed; return how often each process died."""
    chance = random.Random(plan.seed)
    victims = [s for s in plan.services for _ in range(plan.per_service)]
    victims += [s for s in ("kafka", "postgres") for _ in range(plan.per_server)]
    chance.shuffle(victims)
    supervisor = running.servers.supervisor
    killed: Counter[str] = Counter()
    for name in victims:
        await asyncio.sleep(chance.uniform(*plan.pause_s))
        await kill(running, name, supervisor.restarts().get(name, 0))
        killed[name] += 1
    for service in plan.services:
        killed += await crashing(running, service, plan, chance)
    return killed


async def crashing(
    running: Running, service: str, plan: Plan, chance: random.Random
) -> Counter[str]:
    """Let a service die at its crash points, each in turn."""
    supervisor = running.servers.supervisor
    died: Counter[str] = Counter()
    points = CRASH_POINTS[service]
    for n in range(plan.per_crash_service):
        point = points[n % len(points)]
        env = {"CHUISHAO_CRASH_AT": f"{point}:{chance.randint(2, 6)}"}
        await restart_with(running, service, env, wait=False)
        try:
            async with asyncio.timeout(CRASH_S_MAX):
                while not supervisor.restarts().get(service):  # counted anew from this start
                    await asyncio.sleep(0.05)
        except TimeoutError as error:
            raise AssertionError(
                f"{service} did not reach {point} in {CRASH_S_MAX:g} s:\n{await standing(running)}"
            ) from error
        died[f"{service} at {point}"] += 1
    await restart_with(running, service, {})
    return died


async def standing(running: Running) -> str:
    """Tell how each service stands: whether it is ready, and the end of its log."""
    told = []
    async with httpx.AsyncClient(timeout=5) as client:
        for service in running.wanted.services:
            try:
                ready = (await client.get(f"{running.url(service)}/ready")).text
            except httpx.HTTPError as error:
                ready = repr(error)
            log = running.layout.data_dir / "logs" / f"{service}.log"
            lines = log.read_text().splitlines()[-15:] if log.exists() else ["no log"]
            told.append("\n  ".join([f"{service}: {ready}", *lines]))
    return "\n".join(told)


async def run(plan: Plan, place: Path) -> Verdict:
    """Run the plan and count."""
    async with ground(place) as running:
        state = state_of(running)
        load = Load(running.url("intake"), running.secrets.api_key, bodies(running))
        stop = asyncio.Event()
        sending = asyncio.create_task(load.run(plan.rate, stop))
        killed = await killing(running, plan)
        stop.set()
        log = await sending
        async with Watch(state) as watch:
            rest_s = await watch.until_quiet(180)
        verdict = await check(state, log)
        deaths = {f"killed {name}": n for name, n in sorted(killed.items())}
        show(verdict, seed=plan.seed, **deaths, **{"seconds to rest": round(rest_s, 1)})
        return verdict


def main(plan: Plan) -> int:
    with TemporaryDirectory(prefix="faults-") as place:
        verdict = asyncio.run(run(plan, Path(place)))
    return 1 if verdict.wrong else 0
