"""What the board shows: order, counts, days; each look at a real database."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from services.console import snapshot
from services.console.domain.board import place_in_order
from services.console.snapshot import Snapshot
from services.console.store import look, projection
from tests.component.console.world import Story, World, real_now
from tests.factories import START, TENANT


async def seen(world: World, now: datetime, rows_max: int = 200) -> Snapshot:
    """Look at the board as of a moment of the town's time."""
    town = world.towns.get(TENANT)
    assert town is not None
    async with world.pool.acquire() as conn:
        return await snapshot.read(conn, "look", TENANT, town, now, rows_max)


async def test_whoever_has_waited_longest_comes_first_in_each_urgency(world: World) -> None:
    world.town()
    later = timedelta(hours=1)
    told = {
        "open": Story().opened().accepted().clock(days=9),
        "open, older": Story(at=START - later).opened().accepted(),
        "untaken": Story().opened(),
        "untaken, older": Story(at=START - later).opened().clock("step.first_ask"),
        "soon": Story().opened().clock(hours=10, warn=0.01),
        "soon, due earlier": Story().opened().accepted().clock(hours=9, warn=0.01),
        "late": Story(at=START - later).opened().accepted().clock(minutes=90),
        "late, for longer": Story(at=START - later).opened().clock(minutes=80),
    }
    done = Story().opened().clock(minutes=1).accepted().settled().visited()
    await world.hear(*told.values(), done)
    found = await seen(world, START + later)
    names = {story.number: name for name, story in told.items()}
    assert [names[row.number] for row in found.rows] == [
        "late, for longer",
        "late",
        "soon, due earlier",
        "soon",
        "untaken, older",
        "untaken",
        "open, older",
        "open",
    ]


async def test_the_database_orders_as_the_rule_does(world: World) -> None:
    world.town()
    rng = random.Random(7)
    stories = []
    for _ in range(300):
        ago = timedelta(minutes=rng.randrange(200), seconds=rng.randrange(60))
        story = Story(at=START - ago).opened()
        if rng.random() < 0.5:
            story.accepted()
        for deadline in rng.sample(["class", "first_action", "step.first_ask"], rng.randrange(3)):
            span = rng.choice([{}, {"minutes": rng.randrange(1, 300)}])
            story.clock(deadline, warn=rng.choice([None, 0.5]), **span)
        if rng.random() < 0.3:
            story.after(minutes=rng.randrange(3)).blown("police", "justice")
            for department in rng.sample(["police", "justice"], rng.randrange(3)):
                rng.choice([story.came, story.absent, story.refused])(department)
        stories.append(story)
    rng.shuffle(stories)
    await world.hear(*stories)
    found = await seen(world, START)
    assert list(found.rows) == sorted(found.rows, key=lambda row: place_in_order(row, START))
    assert found.counts.late == sum(
        row.due_at is not None and row.due_at <= START for row in found.rows
    )


async def test_only_so_many_rows_are_shown_and_the_rest_is_counted(world: World) -> None:
    world.town()
    await world.hear(*(Story().opened() for _ in range(30)))
    found = await seen(world, START, rows_max=20)
    assert (len(found.rows), found.counts.open, found.counts.untaken) == (20, 30, 30)


async def test_counts_are_of_the_towns_own_day_and_time(world: World) -> None:
    world.town()
    midnight = datetime(2025, 3, 3, 16, tzinfo=UTC)  # in the town
    yesterday = Story(at=midnight - timedelta(seconds=1)).opened().accepted()
    yesterday.after(seconds=1).settled().visited()  # and closed today
    today = Story(at=midnight).opened().clock(hours=2)
    tomorrow = Story(at=midnight + timedelta(days=1)).opened()
    await world.hear(yesterday, today, tomorrow)

    before = await seen(world, midnight - timedelta(seconds=1))
    assert (before.counts.received, before.counts.closed, before.counts.late) == (1, 0, 0)
    assert before.until == midnight

    after = await seen(world, midnight)
    assert (after.counts.received, after.counts.closed) == (1, 1)

    real = real_now()
    world.run_ahead(real, midnight + timedelta(hours=3))
    virtual = await seen(world, real)
    assert virtual.offset
    assert abs(virtual.now - (midnight + timedelta(hours=3))) < timedelta(seconds=1)
    assert (virtual.counts.received, virtual.counts.closed, virtual.counts.late) == (1, 1, 1)


async def test_a_look_stands_until_facts_the_registry_or_time_change_it(world: World) -> None:
    town = world.town()
    story = Story().opened().clock(hours=2)
    await world.hear(story)
    found = await seen(world, START)
    soon = START + timedelta(hours=1, minutes=30)
    assert found.until == soon
    assert found.stands(found.version, soon - timedelta(seconds=1))
    assert not found.stands(found.version, soon)
    assert not found.stands(found.version + 1, START)
    world.run_ahead(START, START + timedelta(minutes=1))
    assert not found.stands(found.version, START)
    assert found.town is town


async def test_a_look_does_not_outlive_a_change_of_the_towns_time(world: World) -> None:
    world.town()
    world.run_ahead(START + timedelta(minutes=5), START + timedelta(hours=5))
    found = await seen(world, START)
    assert not found.offset
    assert found.stands(found.version, START + timedelta(minutes=4))
    assert not found.stands(found.version, START + timedelta(minutes=6))


async def test_facts_make_a_look_outdated(world: World) -> None:
    world.town()
    story = Story().opened().clock(hours=2)
    await world.hear(story)
    found = await seen(world, START)

    await world.hear(story.accepted())
    assert (await seen(world, START)).version > found.version


async def test_clocks_on_working_time_are_counted_apart(world: World) -> None:
    world.town()
    await world.hear(Story().opened().clock("step.first_ask"), Story().opened().clock(days=1))
    assert (await seen(world, START)).counts.untold == 1


async def test_each_town_in_the_list_is_counted_at_its_own_time(world: World) -> None:
    world.town()
    world.town(tenant="other")
    for tenant in (TENANT, "other"):
        done = Story(tenant=tenant).opened().accepted().settled().visited()
        await world.hear(Story(tenant=tenant).opened().clock(hours=1), done)
    given = [(TENANT, START), ("other", START + timedelta(hours=2)), ("empty", START)]
    async with world.pool.acquire() as conn:
        counts = {one.tenant_id: (one.open, one.late) for one in await look.towns(conn, given)}
    assert counts == {TENANT: (1, 0), "other": (1, 1), "empty": (0, 0)}


async def test_a_town_that_has_settled_everything_stays_in_the_list(world: World) -> None:
    for tenant in (TENANT, "other"):
        world.town(tenant=tenant)
    done = [Story().opened().accepted().settled().visited() for _ in range(2)]
    await world.hear(*done, Story(tenant="other").opened())
    given = [("other", START), (TENANT, START), ("empty", START)]
    async with world.pool.acquire() as conn:
        found = [(one.tenant_id, one.open, one.late) for one in await look.towns(conn, given)]
    assert found == [("other", 1, 0), (TENANT, 0, 0), ("empty", 0, 0)]


async def test_the_hot_looks_can_use_an_index(world: World) -> None:
    hot: dict[str, tuple[Any, ...]] = {
        look.ROWS: (TENANT, START, 200),
        look.STATES: (TENANT, START),
        look.ACTS: (TENANT, 12),
        look.SLOTS: (TENANT, [UUID(int=1)]),
        look.AWAITED: (TENANT,),
        look.DAY: (TENANT, START, START + timedelta(days=1)),
        projection.CASES: ([TENANT], [UUID(int=1)]),
        projection.SLOTS: ([TENANT], [UUID(int=1)]),
    }
    async with world.pool.acquire() as conn, conn.transaction():
        await conn.execute("SET LOCAL enable_seqscan = off")
        for statement, given in hot.items():
            plan = "\n".join(row[0] for row in await conn.fetch(f"EXPLAIN {statement}", *given))
            assert "Seq Scan" not in plan
