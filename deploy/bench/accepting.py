"""Taking reports in, beside the floor: turn about, as fast as a few senders can."""

import asyncio
import itertools
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import aiohttp

from contracts.topics import Topic
from deploy.bench.rows import Row
from deploy.local.load import ACCEPTED, sender
from deploy.local.process import Command
from deploy.local.usage import usage
from deploy.local.whole import Running, answers_200

PART = "接收 · accepting, intake alone"
SENDERS, TURNS = 32, 3
BARE = "bare-intake"
FLOOR_TOPIC = Topic(
    name="bench.floor",
    owner="intake",
    key="whatever the request brings",
    partitions=24,
    retention_ms=24 * 3_600 * 1_000,
    log_append_time=True,
    what="what the floors of a bench write",
)


@dataclass(slots=True)
class Turns:
    """Requests per second, and the server's processor milliseconds per request, turn by turn."""

    per_s: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)


async def bare_intake(running: Running, port: int) -> str:
    """Start the floor; return its address."""
    bootstrap = running.servers.kafka.bootstrap
    argv = [sys.executable, "-m", "deploy.bench.bare_intake", "--bootstrap", bootstrap]
    argv += ["--topic", FLOOR_TOPIC.name, "--port", str(port)]
    url = f"http://127.0.0.1:{port}"
    command = Command(BARE, tuple(argv), {}, running.layout.log(BARE))
    await running.servers.supervisor.start(command, lambda: answers_200(f"{url}/"), 30)
    return url


async def accepting(
    running: Running, bodies: Iterator[dict[str, Any]], port: int, cases: int
) -> list[Row]:
    """Send so many reports to intake, and as many to the floor."""
    urls = {"intake": running.url("intake"), BARE: await bare_intake(running, port)}
    turns = {name: Turns() for name in urls}
    each = cases // TURNS
    for turn in range(TURNS):
        for name, url in urls.items():
            given = list(itertools.islice(bodies, each))
            before, began = usage(running.servers.supervisor), time.monotonic()
            await _send(url, running.secrets.api_key, given, f"accept-{turn}")
            took = time.monotonic() - began
            spent = usage(running.servers.supervisor).since(before)
            turns[name].per_s.append(each / took)
            turns[name].cpu_ms.append(spent[name] * 1_000 / each)
    await running.servers.supervisor.stop(BARE)
    ours, floor = turns["intake"], turns[BARE]
    speed = round(median(ours.per_s), 1), round(median(floor.per_s), 1)
    cost = round(median(ours.cpu_ms), 2), round(median(floor.cpu_ms), 2)
    return [
        Row(PART, "每秒件数 · reports/s", speed[0], "/s", speed[1], "0.6 ×", "0.85 ×"),
        Row(PART, "每件处理器 · CPU per report, this process", cost[0], "ms", cost[1]),
    ]


async def _send(url: str, api_key: str, bodies: list[dict[str, Any]], name: str) -> None:
    numbered = enumerate(bodies)

    async def one_sender(client: aiohttp.ClientSession) -> None:
        for n, body in numbered:
            headers = {"X-Api-Key": api_key, "Idempotency-Key": f"{name}-{n}"}
            async with client.post("/v1/cases", json=body, headers=headers) as answer:
                if answer.status != ACCEPTED:
                    raise RuntimeError(f"{url}: {answer.status} {await answer.text()}")
                await answer.read()

    async with sender(url) as client, asyncio.TaskGroup() as tasks:
        for _ in range(SENDERS):
            tasks.create_task(one_sender(client))
