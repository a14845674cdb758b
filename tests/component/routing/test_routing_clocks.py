"""Timers: behind the gate, in order, once; each tenant by its own time."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from uuid import UUID

import asyncpg
import pytest

from contracts.topics import INTAKE_EVENTS
from deploy.local.migrate import migrate
from deploy.local.secrets import Secrets
from services.chassis.kafka import partition_of
from services.routing.clockwork import Clockwork
from services.routing.settings import RoutingSettings
from services.routing.towns import Towns
from tests import factories
from tests.component.routing.desk import Desk, open_desk
from tests.factories import START
from tests.servers import Postgres

WORKER = ("grid_worker", "g01", "s-gw-01")
MARGIN_S = 0.3
_tenants = count(100)


@pytest.fixture(scope="module")
async def clock_tower(postgres: Postgres, routing_secrets: Secrets) -> AsyncIterator[Desk]:
    """A database in which no other test has timers."""
    admin = await asyncpg.connect(postgres.dsn("postgres"))
    await admin.execute("CREATE DATABASE routing_clocks")
    dsn = postgres.dsn("routing_clocks")
    await migrate("routing", dsn)
    async with open_desk(dsn, routing_secrets, timer_margin_s=MARGIN_S) as opened:
        yield opened
    await admin.execute("DROP DATABASE routing_clocks WITH (FORCE)")
    await admin.close()


@pytest.fixture
async def desk(clock_tower: Desk) -> AsyncIterator[Desk]:
    desk = clock_tower.of(f"town{next(_tenants)}")
    await desk.town()
    yield desk
    await desk.pool.execute("TRUNCATE timer, quarantine")
    await desk.pool.execute("DELETE FROM registry_copy WHERE kind = 'clock'")


async def urgent(desk: Desk, key: str = "k1", at: datetime = START) -> UUID:
    """Report an urgent case: warned after 12 hours, due after 24, acted upon within 30 minutes."""
    return await desk.report(key, at=at, location={"grid": "g01"}, case_class="urgent")


async def outcomes(desk: Desk, case_id: UUID) -> dict[tuple[str, str], str | None]:
    rows = await desk.rows("timer", case_id)
    return {(row["deadline"], row["kind"]): row["outcome"] for row in rows}


async def missed(desk: Desk, case_id: UUID) -> list[str]:
    told = await desk.announced(case_id)
    return [e.data.deadline for e in told if e.data.TYPE == "case.deadline_missed.v1"]  # type: ignore[attr-defined]  # of that kind


async def test_what_is_overdue_fires_once_and_a_warning_that_is_too_late_is_void(
    desk: Desk,
) -> None:
    case_id = await urgent(desk)
    before = await desk.case(case_id)
    clockwork = desk.clockwork()
    assert await clockwork.tick() == 3
    assert await outcomes(desk, case_id) == {
        ("class", "warn"): "void",
        ("class", "miss"): "fired",
        ("first_action", "miss"): "fired",
        ("step.first_ask", "miss"): None,
    }
    assert await missed(desk, case_id) == ["first_action", "class"]
    after = await desk.case(case_id)
    assert (after["seq"], after["human_seq"]) == (before["seq"] + 2, before["human_seq"])
    assert after["running"] == ["step.first_ask"]
    assert [event.seq for event in await desk.announced(case_id)] == list(
        range(1, after["seq"] + 1)
    )
    assert [await clockwork.tick(), await desk.clockwork().tick()] == [0, 0]


async def test_a_duty_clock_is_kept_unarmed_and_never_fires(desk: Desk) -> None:
    case_id = await desk.report(location={"grid": "g01"}, case_class="general")
    (timer,) = await desk.rows("timer", case_id)
    assert (timer["deadline"], timer["fires_at"], timer["due_at"]) == ("step.first_ask", None, None)
    assert await desk.clockwork().tick() == 0


async def test_a_timer_stands_behind_its_subjects_own_partition(desk: Desk) -> None:
    case_id = await urgent(desk)
    partition = partition_of(f"{desk.tenant}|{case_id}".encode(), INTAKE_EVENTS.partitions)
    assert {row["gate_partition"] for row in await desk.rows("timer", case_id)} == {partition}


async def test_nothing_fires_while_the_partition_is_behind_and_others_do(desk: Desk) -> None:
    slow, quick = await urgent(desk, "slow"), await urgent(desk, "quick")
    behind = partition_of(f"{desk.tenant}|{slow}".encode(), INTAKE_EVENTS.partitions)
    assert behind != partition_of(f"{desk.tenant}|{quick}".encode(), INTAKE_EVENTS.partitions)
    step = desk.event("slow", words={"summary": "handed in, not read yet"})
    unread = desk.record(step)
    clockwork = desk.clockwork()
    for _ in range(3):
        await clockwork.tick()
    assert await missed(desk, slow) == []
    assert await missed(desk, quick) == ["first_action", "class"]
    await desk.hear(unread)
    await clockwork.tick()
    assert await missed(desk, slow) == ["first_action", "class"]


async def test_what_fell_due_fires_in_order_batch_by_batch(desk: Desk) -> None:
    moments = [5, 1, 4, 2, 3, 0]
    ids = {
        minutes: await urgent(desk, f"k{minutes}", START + timedelta(minutes=minutes))
        for minutes in moments
    }
    few: RoutingSettings = desk.settings.model_copy(update={"timer_batch_max": 4})
    clockwork = replace(desk, settings=few).clockwork()
    fired = [await clockwork.tick() for _ in range(6)]
    assert fired == [4, 4, 4, 4, 2, 0]
    told = [e for e in await desk.announced() if e.data.TYPE == "case.deadline_missed.v1"]
    order = [event.subject_id for event in told]
    assert order == [ids[n] for n in sorted(moments)] * 2


async def test_two_clockworks_at_once_fire_each_timer_once(desk: Desk) -> None:
    events = [desk.event(f"k{n}", location={"grid": "g01"}, case_class="urgent") for n in range(30)]
    await desk.hear(*[desk.record(event) for event in events])
    both = [desk.clockwork(Towns()), desk.clockwork(Towns())]
    for _ in range(4):
        await asyncio.gather(*(one.tick() for one in both))
    told = [e.subject_id for e in await desk.announced() if "missed" in e.data.TYPE]
    assert len(told) == 60
    assert len({e.event_id for e in await desk.announced()}) == len(await desk.announced())
    rows = await desk.rows("case_fact")
    for event in events:
        facts = sorted(row["seq"] for row in rows if row["case_id"] == event.subject_id)
        assert facts == list(range(1, len(facts) + 1))


async def test_a_step_voids_the_clocks_it_has_met_and_keeps_the_others(desk: Desk) -> None:
    case_id = await urgent(desk)
    taken = await desk.step(case_id, "first_ask", WORKER, 5)
    assert taken.status_code == 200
    assert await outcomes(desk, case_id) == {
        ("class", "warn"): None,
        ("class", "miss"): None,
        ("first_action", "miss"): "void",
        ("step.first_ask", "miss"): "void",
    }
    await desk.clockwork().tick()
    assert await missed(desk, case_id) == ["class"]


async def test_a_closed_case_has_no_open_timer_and_a_reopened_one_has_new_ones(desk: Desk) -> None:
    case_id = await urgent(desk)
    clerk = ("center_clerk", "town", "s-cc-01")
    result = {"result": "r", "proof": ["p"]}
    for step, by, given in (
        ("first_ask", WORKER, {}), ("grid_settle", WORKER, {}), ("resolve", WORKER, result),
        ("return_visit", clerk, {"satisfied": True}),
    ):  # fmt: skip
        seq = (await desk.case(case_id))["seq"]
        assert (await desk.step(case_id, step, by, seq, **given)).status_code == 200
    assert set((await outcomes(desk, case_id)).values()) == {"void"}
    seq = (await desk.case(case_id))["seq"]
    await desk.step(case_id, "reopen", clerk, seq, reason="r")
    rows = await desk.rows("timer", case_id)
    assert sorted(row["kind"] for row in rows if row["outcome"] is None) == ["miss", "warn"]


async def blocked(desk: Desk) -> None:
    """Wait until somebody waits for a lock."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"  # noqa: E501
    while not await desk.pool.fetchval(query):
        await asyncio.sleep(0.01)


async def test_whoever_meets_it_while_the_clock_waits_for_the_case_has_met_it(desk: Desk) -> None:
    case_id = await urgent(desk)
    async with desk.pool.acquire() as conn:
        acting = conn.transaction()
        await acting.start()
        await conn.execute("SELECT FROM cases WHERE case_id = $1 FOR UPDATE", case_id)
        ticking = asyncio.create_task(desk.clockwork().tick())
        async with asyncio.timeout(5):
            await blocked(desk)
        await conn.execute("UPDATE timer SET outcome = 'void', decided_at = now()")
        await acting.commit()
    await ticking
    assert await missed(desk, case_id) == []


async def test_a_held_subject_waits_and_goes_on_once_it_is_free(desk: Desk) -> None:
    held, free = await urgent(desk, "held"), await urgent(desk, "free")
    bad = desk.record(desk.event("held", words={"summary": "x"}))
    await desk.hear(replace(bad, headers={}))
    clockwork = desk.clockwork()
    await clockwork.tick()
    assert (await missed(desk, held), len(await missed(desk, free))) == ([], 2)
    await desk.pool.execute("DELETE FROM quarantine")
    await clockwork.tick()
    assert await missed(desk, held) == ["first_action", "class"]


async def database_now(desk: Desk) -> datetime:
    now: datetime = await desk.pool.fetchval("SELECT clock_timestamp()")
    return now.astimezone(UTC)


async def set_clock(desk: Desk, *offsets: tuple[datetime, timedelta]) -> None:
    entries = [{"from_at": at.isoformat(), "seconds": by.total_seconds()} for at, by in offsets]
    line = {"kind": "clock", "id": "clock", "body": {"offsets": entries}}
    await desk.town(line, change_set=f"clock-{len(entries)}")


async def ticks_until(clockwork: Clockwork, fired: int) -> None:
    async with asyncio.timeout(5):
        while fired > 0:
            fired -= await clockwork.tick()
            await asyncio.sleep(0.02)


async def test_each_tenant_by_its_own_time(desk: Desk, clock_tower: Desk) -> None:
    now = await database_now(desk)
    await set_clock(desk, (now - timedelta(seconds=5), START - now))
    other = clock_tower.of(f"town{next(_tenants)}")
    await other.town()
    virtual = await urgent(desk, at=now)
    real = await urgent(other, at=now - timedelta(minutes=31))
    assert (await desk.case(virtual))["received_at"] == START
    clockwork = desk.clockwork()
    for _ in range(3):
        await clockwork.tick()
    assert await missed(desk, virtual) == []
    assert await missed(other, real) == ["first_action"]


async def test_after_a_jump_the_gate_first_waits_for_what_was_handed_in_before_it(
    desk: Desk,
) -> None:
    now = await database_now(desk)
    start = (now - timedelta(seconds=5), START - now)
    await set_clock(desk, start)
    case_id = await urgent(desk, at=now)
    clockwork = desk.clockwork()
    await clockwork.tick()
    jump = await database_now(desk)
    await set_clock(desk, start, (jump, start[1] + timedelta(hours=13)))
    assert await clockwork.tick() == 0
    await ticks_until(clockwork, fired=2)
    assert await database_now(desk) >= jump + timedelta(seconds=MARGIN_S)
    assert (await outcomes(desk, case_id))["class", "warn"] == "fired"
    warned = next(e for e in await desk.announced(case_id) if "warned" in e.data.TYPE)
    assert warned.occurred_at >= START + timedelta(hours=13)
    assert await missed(desk, case_id) == ["first_action"]


async def test_a_clock_that_strikes_before_its_time_strikes_not_at_all(desk: Desk) -> None:
    now = await database_now(desk)
    case_id = await urgent(desk, at=now - timedelta(minutes=30) + timedelta(seconds=1.2))
    clockwork = desk.clockwork()
    await ticks_until(clockwork, fired=1)
    due = (await desk.rows("timer", case_id))[0]["due_at"]
    fired = await desk.pool.fetchrow(
        "SELECT decided_at, due_at FROM timer WHERE outcome = 'fired' AND case_id = $1", case_id
    )
    assert due is not None
    assert fired is not None
    assert fired["decided_at"] >= fired["due_at"]


async def test_a_miss_counts_from_what_a_slow_step_had_handed_in(desk: Desk) -> None:
    """A step that waited for the case's lock is recorded at the time at which it came."""
    case_id = await urgent(desk, at=factories.START)
    async with desk.pool.acquire() as conn:
        holding = conn.transaction()
        await holding.start()
        await conn.execute("SELECT FROM cases WHERE case_id = $1 FOR UPDATE", case_id)
        before = await database_now(desk)
        acting = asyncio.create_task(desk.step(case_id, "first_ask", WORKER, 5))
        async with asyncio.timeout(5):
            await blocked(desk)
        waited = await database_now(desk)
        await holding.commit()
    assert (await acting).status_code == 200
    step = next(e for e in await desk.announced(case_id) if "step_taken" in e.data.TYPE)
    assert before - timedelta(milliseconds=50) <= step.occurred_at <= waited
