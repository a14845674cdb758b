"""The scenarios, each in a town of its own, told at the same time on one stack."""

import asyncio
from collections.abc import AsyncIterator, Mapping

import pytest

from deploy.local.seeding import Size, check_together, set_clock, town_wish
from deploy.local.whole import OPERATOR, Running
from tests.faults.ground import ground
from tests.scenarios import common, own, yidukou, yihe, yihe_duty, yihe_flow
from tests.scenarios.stage import Stage, local
from tests.scenarios.told import SCENARIOS

MODULES = (common, own, yidukou, yihe, yihe_duty, yihe_flow)  # each enters its own
AT_A_TIME = 4
SIZE = Size(villages=2, grids=6, household_groups=6, people=24)
# As shipped, where a local stack lets its phones show everything; but by the real clock, for which
# no scenario waits, there are no pauses between tries and between calls, a slow machine's provider
# is waited for, and a page may be opened as often as it takes.
ENV = {
    "intake": {"INTAKE_TRACK_PER_MINUTE": "6000", "INTAKE_TRACK_BURST": "6000"},
    "notify": {
        "NOTIFY_QUIET_HOURS": "true",
        "NOTIFY_APP_INBOX": "true",
        "NOTIFY_RETRY_WAIT_S_MAX": "0.5",
        "NOTIFY_GATEWAY_CONNECT_S": "25",
        "NOTIFY_GATEWAY_DEADLINE_S": "30",
        "NOTIFY_SEND_LEASE_S": "60",
    },
    "sandbox": {"SANDBOX_CALLS__PER_MINUTE_MAX": "60"},
}

Told = Mapping[str, "asyncio.Task[None]"]


def tenant_of(id_: str) -> str:
    return id_.lower()


@pytest.fixture(scope="module")
async def told(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Told]:
    """Begin to tell every scenario that was asked for, some at a time."""
    asked = [
        str(item.callspec.params["id_"])
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.originalname == test_scenario.__name__
    ]
    towns = tuple(f"{tenant_of(id_)}={SCENARIOS[id_].profile}" for id_ in asked)
    free = asyncio.Semaphore(AT_A_TIME)
    check_together([town_wish(one) for one in towns])
    place = tmp_path_factory.mktemp("told")
    async with ground(place, size=SIZE, tenants=towns, calendar=True, more_env=ENV) as running:
        tasks = {id_: asyncio.create_task(tell(running, id_, free)) for id_ in asked}
        yield tasks
        for task in tasks.values():
            task.cancel()


async def tell(running: Running, id_: str, free: asyncio.Semaphore) -> None:
    async with free:
        one, tenant = SCENARIOS[id_], tenant_of(id_)
        token = running.token(tenant, OPERATOR)
        await set_clock(running.url("ledger"), token, local(one.begins))
        stage = Stage(running, tenant)
        await stage.settled()
        await one.tell(stage)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("id_", sorted(SCENARIOS))
async def test_scenario(told: Told, id_: str) -> None:
    await told[id_]
