"""The stack that faults are done to: small, durable as shipped, in a place of its own."""

import itertools
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from deploy.local.layout import SERVICES, Layout
from deploy.local.ports import unused_ports
from deploy.local.seeding import Size, town_wish
from deploy.local.state import StackState
from deploy.local.whole import Running, Wanted, whole_stack
from deploy.seed.reports import reports

SMALL = Size(villages=2, grids=6, household_groups=12, people=120)
TENANT = "yihe"
# A load test sends one worker more messages than a provider would take from anybody.
ENV = {"sandbox": {"SANDBOX_LIMITS__PER_DAY_MAX": "1000000"}}
PORTS = 40


@asynccontextmanager
async def ground(
    data_dir: Path,
    *,
    size: Size = SMALL,
    services: tuple[str, ...] = SERVICES,
    more_env: Mapping[str, Mapping[str, str]] | None = None,
    tenants: tuple[str, ...] = (TENANT,),
    calendar: bool = False,
) -> AsyncIterator[Running]:
    """Run a stack while the block lasts.

    With a `calendar` who has a case hangs on the hour: then choose the towns' clocks.
    """
    env = {**ENV, **(more_env or {})}
    layout = Layout(data_dir, unused_ports(PORTS)[0], env)
    towns = [town_wish(name, size) for name in tenants]
    wanted = Wanted(layout, towns, services=services, erase=True, calendar=calendar)
    async with whole_stack(wanted, lambda line: print(f"  · {line}", flush=True)) as running:
        yield running
        await running.servers.supervisor.stop_all(grace_s=0)  # nothing of it is kept


def state_of(running: Running) -> StackState:
    """See a stack as the commands do."""
    return StackState(running.layout.data_dir, running.facts())


def bodies(running: Running, tenant: str = TENANT) -> Iterator[dict[str, Any]]:
    """Yield reports without end."""
    made = list(reports(running.towns[tenant], seed=7, count=500))
    for body in itertools.cycle(made):
        yield {**body, "tenant": tenant}


async def restart_with(
    running: Running, service: str, env: Mapping[str, str], *, wait: bool = True
) -> None:
    """Restart a service with more settings, such as a crash point; empty takes them away."""
    await running.stop(service)
    env = {**ENV.get(service, {}), **env}
    layout = replace(running.layout, more_env={**running.layout.more_env, service: env})
    running.wanted = replace(running.wanted, layout=layout)
    await running.start(service, wait=wait)
