"""All of it in containers, for tests: a project of its own, with ports and secrets of its own."""

import asyncio
import itertools
import json
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.local.layout import SERVICES
from deploy.local.migrate import ROOT
from deploy.local.ports import unused_ports
from deploy.local.seeding import Size, TownWish, entries_of, town_wish
from deploy.local.state import StackState
from deploy.seed.reports import reports

TENANT = "yihe"
SIZE = Size(villages=2, grids=6, people=120)
MORNING = "2025-03-03T09:00:00+08:00"  # on duty, whatever the hour is
WAIT_S = 600
INNER = {"console": 8100, "intake": 8101, "routing": 8102, "notify": 8103, "ledger": 8104}


@dataclass(frozen=True, slots=True)
class Box:
    """A project of compose: its environment, and where the host finds what it publishes."""

    place: Path
    env: Mapping[str, str]
    facts: Mapping[str, Any]

    @property
    def state(self) -> StackState:
        return StackState(self.place, dict(self.facts))

    async def compose(self, *words: str, more_env: Mapping[str, str] | None = None) -> str:
        """Run `docker compose …` in this project and return what it said."""
        code, said = await self.tried(*words, more_env=more_env)
        assert code == 0, f"docker compose {' '.join(words)}: {said[-3_000:]}"
        return said

    async def tried(
        self, *words: str, more_env: Mapping[str, str] | None = None
    ) -> tuple[int, str]:
        """Run `docker compose …`, which may fail; return its code and what it said."""
        files = ("-f", "docker-compose.yml", "-f", "tests/compose/load.yml")
        process = await asyncio.create_subprocess_exec(
            *("docker", "compose", *files, *words),
            cwd=ROOT,
            env={**os.environ, **self.env, **(more_env or {})},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        async with asyncio.timeout(WAIT_S):
            said, _ = await process.communicate()
        return process.returncode or 0, said.decode(errors="replace")

    async def containers(self, service: str) -> list[str]:
        return (await self.compose("ps", "--all", "--quiet", service)).split()

    async def inspect(self, container: str) -> dict[str, Any]:
        process = await asyncio.create_subprocess_exec(
            *("docker", "inspect", container), stdout=asyncio.subprocess.PIPE
        )
        said, _ = await process.communicate()
        found: dict[str, Any] = json.loads(said)[0]
        return found

    async def fetch_truth(self) -> None:
        """Copy the sandbox's own book out of its volume, for the counting."""
        said = await self.compose(
            *("exec", "-T", "sandbox", "cat", "/var/lib/chuishao/sandbox/truth.ndjson")
        )
        (self.place / "sandbox").mkdir(exist_ok=True)
        (self.place / "sandbox" / "truth.ndjson").write_text(said, encoding="utf-8")

    def bodies(self) -> Iterator[dict[str, Any]]:
        """Yield made-up reports without end, the same in every project."""
        made = list(reports(entries_of(town()), seed=7, count=500))
        for body in itertools.cycle(made):
            yield {**body, "tenant": TENANT}


def town() -> TownWish:
    return town_wish(TENANT, SIZE)


@asynccontextmanager
async def box(place: Path, *, seeded: bool = True) -> AsyncIterator[Box]:
    """Make a project and its secrets; `seeded` brings everything up too. Nothing of it is kept."""
    made = _box(place)
    try:
        await made.compose("run", "--rm", "secrets")
        os.environ["PGPASSFILE"] = str(place / "secrets" / "pgpass-all")
        if seeded:
            await made.compose("up", "--detach", "--wait", "ledger")
            size = ("--villages", "2", "--grids", "6", "--people", "120")
            seed = ("seed", "--tenant", TENANT, "--virtual-clock", MORNING, *size)
            await made.compose("run", "--rm", "--no-deps", "seed", *seed)
            await made.compose("up", "--detach", "--wait")
        yield made
    finally:
        await made.tried("down", "--volumes", "--remove-orphans", "--timeout", "5")
        os.environ.pop("PGPASSFILE", None)


def _box(place: Path) -> Box:
    first = unused_ports(len(INNER) + 3)[0]
    kafka, postgres, sandbox = first, first + 1, first + 2
    gates = {name: first + 3 + nth for nth, name in enumerate(INNER)}
    example = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    env = {
        **dict(line.split("=", 1) for line in example if line and not line.startswith("#")),
        "COMPOSE_PROJECT_NAME": f"chuishao-test-{first}",
        "CHUISHAO_SECRETS": str(place / "secrets"),
        "CHUISHAO_TENANT": TENANT,
        "KAFKA_PORT": str(kafka),
        "KAFKA_SHOWN": f"127.0.0.1:{kafka}",
        "POSTGRES_PORT": str(postgres),
        "SANDBOX_PORT": str(sandbox),
        **{f"GATE_{name.upper()}_PORT": str(at) for name, at in gates.items()},
    }
    facts = {
        **{name: f"http://127.0.0.1:{at}" for name, at in gates.items()},
        "sandbox": f"http://127.0.0.1:{sandbox}",
        "kafka": f"127.0.0.1:{kafka}",
        "postgres": {name: f"postgresql://{name}@127.0.0.1:{postgres}/{name}" for name in SERVICES},
        "tenants": [TENANT],
    }
    return Box(place, env, facts)
