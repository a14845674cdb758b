"""The relay: from one full batch of timers to the next it waits, and never for long."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from deploy.local.secrets import Secrets
from services.chassis.kafka import make_broker
from services.chassis.postgres import open_pool
from services.routing import relay
from services.routing.relay import GivingWay
from services.routing.settings import RoutingSettings
from tests import factories
from tests.conftest import Database
from tests.waiting import PATIENCE_S

FULL = 5


@pytest.fixture
async def giving_way(database: Database, routing_secrets: Secrets) -> AsyncIterator[GivingWay]:
    """A relay on a database of its own, where nothing waits to be sent: there is no broker."""
    dsn = await database("routing")
    settings = factories.settings(RoutingSettings, routing_secrets, dsn=dsn, timer_batch_max=FULL)
    async with open_pool(settings, "routing") as pool:
        yield GivingWay(settings, pool, make_broker(settings, "routing"))


async def test_a_round_waits_for_the_last_batch_of_a_burst(
    giving_way: GivingWay,
) -> None:
    giving_way.fired(FULL)
    under_way = asyncio.create_task(giving_way.round())
    await asyncio.sleep(0.1)
    assert not under_way.done()
    giving_way.fired(FULL - 1)
    assert await under_way == 0


async def test_an_empty_batch_after_a_full_one_ends_the_wait(
    giving_way: GivingWay,
) -> None:
    giving_way.fired(FULL)
    giving_way.fired(0)
    assert await giving_way.round() == 0


async def test_a_burst_that_does_not_end_holds_no_round_for_longer(
    giving_way: GivingWay, monkeypatch: pytest.MonkeyPatch
) -> None:
    giving_way.fired(FULL)
    monkeypatch.setattr(relay, "_HELD_S_MAX", 0.0)
    giving_way.fired(FULL)
    assert await giving_way.round() == 0


async def test_a_batch_that_hangs_after_a_full_one_holds_no_round_for_longer(
    giving_way: GivingWay, monkeypatch: pytest.MonkeyPatch
) -> None:
    giving_way.fired(FULL)
    monkeypatch.setattr(relay, "_HELD_S_MAX", 0.05)
    async with asyncio.timeout(PATIENCE_S):
        assert await giving_way.round() == 0
    monkeypatch.setattr(relay, "_HELD_S_MAX", 60.0)
    async with asyncio.timeout(PATIENCE_S):
        assert await giving_way.round() == 0
