"""The relay: from one full batch of timers to the next it waits, and never for long."""

import asyncio

import pytest

from services.chassis.kafka import make_broker
from services.routing import relay
from services.routing.relay import GivingWay
from tests.component.routing.desk import Desk


@pytest.fixture
def giving_way(routing: Desk) -> GivingWay:
    return GivingWay(routing.settings, routing.pool, make_broker(routing.settings, "routing"))


async def test_a_round_waits_for_the_last_batch_of_a_burst(
    routing: Desk, giving_way: GivingWay
) -> None:
    giving_way.fired(routing.settings.timer_batch_max)
    under_way = asyncio.create_task(giving_way.round())
    await asyncio.sleep(0.1)
    assert not under_way.done()
    giving_way.fired(routing.settings.timer_batch_max - 1)
    assert await under_way == 0


async def test_an_empty_batch_after_a_full_one_ends_the_wait(
    routing: Desk, giving_way: GivingWay
) -> None:
    giving_way.fired(routing.settings.timer_batch_max)
    giving_way.fired(0)
    assert await giving_way.round() == 0


async def test_a_burst_that_does_not_end_holds_no_round_for_longer(
    routing: Desk, giving_way: GivingWay, monkeypatch: pytest.MonkeyPatch
) -> None:
    giving_way.fired(routing.settings.timer_batch_max)
    monkeypatch.setattr(relay, "_HELD_S_MAX", 0.0)
    giving_way.fired(routing.settings.timer_batch_max)
    assert await giving_way.round() == 0
