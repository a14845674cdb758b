"""Quiet hours on the tenant's own clock: what waits, what does not, and what is void by morning."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from contracts.facts import CaseDeadlineWarnedV1
from tests import factories
from tests.component.notify.blown import Blown
from tests.component.notify.world import Gateway, World, assigned, closed, event, missed

NIGHT, MORNING = "2025-03-05T22:00", "2025-03-06T07:00"
Set = Callable[[str], Awaitable[None]]


@pytest.fixture
def clock(world: World) -> Set:
    """Set the tenant's clock to a moment of the town's wall clock."""
    world.settings = world.settings.model_copy(update={"quiet_hours": True})

    async def set_to(local: str) -> None:
        ahead = datetime.fromisoformat(f"{local}+08:00") - datetime.now(UTC)
        offsets = [{"from_at": "2020-01-01T00:00:00Z", "seconds": ahead.total_seconds()}]
        line = {"kind": "clock", "id": "clock", "body": {"offsets": offsets}}
        await world.registry(
            factories.registry_changes(world.ring, [line], change_set=f"clock-{local}")
        )

    return set_to


async def opened(world: World, **more: str) -> Blown:
    one = Blown(world, "police", **more)
    await world.hear(one.opened, one.blown)
    return one


async def rested(world: World) -> None:
    """Wait until all that is open has been looked at and put off."""
    await world.eventually(
        "SELECT count(*) > 0 AND bool_and(next_at > now() + interval '10 s') FROM intent"
        " WHERE state = 'open'"
    )


async def test_a_message_waits_for_the_morning_however_often_it_is_looked_at(
    world: World, gateway: Gateway, clock: Set
) -> None:
    await clock(NIGHT)
    await opened(world)
    async with world.sending():
        await rested(world)
    await clock("2025-03-06T06:50")
    async with world.sending():
        await rested(world)
    assert (await gateway.texts(), await world.attempts()) == ([], [])
    await clock(MORNING)
    async with world.sending():
        await world.until("accepted")
    assert len(await gateway.texts()) == 1


async def test_a_clock_that_is_moved_wakes_what_waits(
    world: World, gateway: Gateway, clock: Set
) -> None:
    await clock(NIGHT)
    await opened(world)
    async with world.sending():
        await rested(world)
        await clock(MORNING)
        await world.until("accepted")
    assert len(await gateway.texts()) == 1


async def test_the_end_of_the_night_comes_by_itself(
    world: World, gateway: Gateway, clock: Set
) -> None:
    await clock("2025-03-06T06:59:59")
    await opened(world)
    started = datetime.now(UTC)
    async with world.sending():
        await world.until("accepted")
    assert datetime.now(UTC) - started < timedelta(seconds=10)
    assert len(await gateway.texts()) == 1


async def test_an_urgent_case_is_told_at_any_hour(
    world: World, gateway: Gateway, clock: Set
) -> None:
    await clock(NIGHT)
    await opened(world, **{"class": "urgent"})
    async with world.sending():
        await world.until("accepted")
    assert len(await gateway.texts()) == 1


async def test_by_day_nothing_waits(world: World, gateway: Gateway, clock: Set) -> None:
    await clock("2025-03-05T21:59")
    await opened(world)
    async with world.sending():
        await world.until("accepted")
    assert len(await gateway.texts()) == 1


@pytest.mark.parametrize("how", ["reported", "withdrawn"])
async def test_whoever_came_by_night_is_not_told_in_the_morning(
    world: World, gateway: Gateway, clock: Set, how: str
) -> None:
    await clock(NIGHT)
    one = await opened(world)
    async with world.sending():
        await rested(world)
        await world.hear(one.ending(how, "police"))
        await clock(MORNING)
        await world.until("void")
    assert (await gateway.texts(), await world.attempts()) == ([], [])


async def test_a_reminder_whose_deadline_passes_by_night_is_void(
    world: World, gateway: Gateway, clock: Set
) -> None:
    await clock(NIGHT)
    first = world.opened()
    due_at = datetime.fromisoformat("2025-03-06T03:00+08:00")
    warned = event(first.subject_id, CaseDeadlineWarnedV1(deadline="class", due_at=due_at))
    await world.hear(first, warned)
    async with world.sending():
        await rested(world)
        await world.hear(missed(first.subject_id, due_at))
        await clock(MORNING)
        await world.until("void")
        await world.until("accepted", 3)
    assert all("已过" in text for text in await gateway.texts())


async def test_a_case_closed_by_night_reminds_nobody(
    world: World, gateway: Gateway, clock: Set
) -> None:
    await clock(NIGHT)
    first = world.opened()
    due_at = datetime.fromisoformat("2025-03-06T09:00+08:00")
    warned = event(first.subject_id, CaseDeadlineWarnedV1(deadline="class", due_at=due_at))
    await world.hear(first, warned, closed(first.subject_id))
    await clock(MORNING)
    async with world.sending():
        await world.until("void")
    assert await gateway.texts() == []


async def test_what_waits_is_shown_with_its_end(world: World, clock: Set) -> None:
    await clock(NIGHT)
    first = world.opened()
    await world.hear(first, assigned(first.subject_id))
    token = factories.token(world.keys, "center_clerk", units=["town"])
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(world.app()), base_url="http://notify"
    ) as http:
        answer = await http.get(
            "/v1/messages",
            params={"case_id": str(first.subject_id)},
            headers={"Authorization": f"Bearer {token}"},
        )
    (message,) = answer.json()["messages"]
    shown = datetime.fromisoformat(message["quiet_until"])
    assert shown == datetime.fromisoformat(f"{MORNING}+08:00")


async def test_where_quiet_hours_are_switched_off_nothing_waits(
    world: World, gateway: Gateway, clock: Set
) -> None:
    await clock(NIGHT)
    await opened(world)
    async with world.sending(quiet_hours=False):
        await world.until("accepted")
    assert len(await gateway.texts()) == 1
