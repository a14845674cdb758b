"""Timers: behind the gate, in order, once; each tenant by its own time."""

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from aiokafka.errors import KafkaTimeoutError

from contracts.topics import INTAKE_EVENTS
from services.chassis.kafka import partition_of
from services.routing.clockwork import Clockwork
from services.routing.settings import RoutingSettings
from services.routing.towns import Towns
from tests import factories
from tests.component.routing.desk import Consumer, Desk
from tests.factories import START
from tests.waiting import PATIENCE_S, until

WORKER = ("grid_worker", "g01", "s-gw-01")


async def outcomes(timed: Desk, case_id: UUID) -> dict[tuple[str, str], str | None]:
    rows = await timed.rows("timer", case_id)
    return {(row["deadline"], row["kind"]): row["outcome"] for row in rows}


async def test_what_is_overdue_fires_once_and_a_warning_that_is_too_late_is_void(
    timed: Desk,
) -> None:
    case_id = await timed.urgent()
    before = await timed.case(case_id)
    clockwork = timed.clockwork()
    assert await clockwork.tick() == 3
    assert await outcomes(timed, case_id) == {
        ("class", "warn"): "void",
        ("class", "miss"): "fired",
        ("first_action", "miss"): "fired",
        ("step.first_ask", "miss"): None,
    }
    assert await timed.missed(case_id) == ["first_action", "class"]
    after = await timed.case(case_id)
    assert (after["seq"], after["human_seq"]) == (before["seq"] + 2, before["human_seq"])
    assert after["running"] == ["step.first_ask"]
    assert [event.seq for event in await timed.announced(case_id)] == list(
        range(1, after["seq"] + 1)
    )
    assert [await clockwork.tick(), await timed.clockwork().tick()] == [0, 0]


async def test_a_duty_clock_is_kept_unarmed_and_never_fires(timed: Desk) -> None:
    case_id = await timed.report(location={"grid": "g01"}, case_class="general")
    (timer,) = await timed.rows("timer", case_id)
    assert (timer["deadline"], timer["fires_at"], timer["due_at"]) == ("step.first_ask", None, None)
    assert await timed.clockwork().tick() == 0


async def test_a_timer_stands_behind_its_subjects_own_partition(timed: Desk) -> None:
    case_id = await timed.urgent()
    partition = partition_of(f"{timed.tenant}|{case_id}".encode(), INTAKE_EVENTS.partitions)
    assert {row["gate_partition"] for row in await timed.rows("timer", case_id)} == {partition}


async def test_nothing_fires_while_the_partition_is_behind_and_others_do(timed: Desk) -> None:
    def place(case_id: UUID) -> int:
        return partition_of(f"{timed.tenant}|{case_id}".encode(), INTAKE_EVENTS.partitions)

    slow, quick = await timed.urgent("slow"), await timed.urgent("quick")
    while place(slow) == place(quick):  # one in as many as there are partitions
        quick = await timed.urgent(f"quick {quick}")
    step = timed.event("slow", words={"summary": "handed in, not read yet"})
    unread = timed.record(step)
    clockwork = timed.clockwork()
    for _ in range(3):
        await clockwork.tick()
    assert await timed.missed(slow) == []
    assert await timed.missed(quick) == ["first_action", "class"]
    await timed.hear(unread)
    await clockwork.tick()
    assert await timed.missed(slow) == ["first_action", "class"]


async def test_what_expired_before_it_was_read_holds_no_timer_up_and_the_rest_does(
    timed: Desk,
) -> None:
    case_id = await timed.urgent()
    partition = partition_of(f"{timed.tenant}|{case_id}".encode(), INTAKE_EVENTS.partitions)
    timed.consumer.reply_ends[partition] = 7
    clockwork = timed.clockwork()
    assert await clockwork.tick() == 0
    timed.consumer.reply_firsts[partition] = 6
    assert await clockwork.tick() == 0
    timed.consumer.reply_firsts[partition] = 7
    assert await clockwork.tick() == 3


async def test_what_fell_due_fires_in_order_batch_by_batch(timed: Desk) -> None:
    moments = [5, 1, 4, 2, 3, 0]
    ids = {
        minutes: await timed.urgent(f"k{minutes}", START + timedelta(minutes=minutes))
        for minutes in moments
    }
    few: RoutingSettings = timed.settings.model_copy(update={"timer_batch_max": 4})
    clockwork = replace(timed, settings=few).clockwork()
    fired = [await clockwork.tick() for _ in range(6)]
    assert fired == [4, 4, 4, 4, 2, 0]
    told = [e for e in await timed.announced() if e.data.TYPE == "case.deadline_missed.v1"]
    order = [event.subject_id for event in told]
    assert order == [ids[n] for n in sorted(moments)] * 2


async def test_two_clockworks_at_once_fire_each_timer_once(timed: Desk) -> None:
    events = [
        timed.event(f"k{n}", location={"grid": "g01"}, case_class="urgent") for n in range(30)
    ]
    await timed.hear(*[timed.record(event) for event in events])
    both = [timed.clockwork(Towns()), timed.clockwork(Towns())]
    for _ in range(4):
        await asyncio.gather(*(one.tick() for one in both))
    told = [e.subject_id for e in await timed.announced() if "missed" in e.data.TYPE]
    assert len(told) == 60
    assert len({e.event_id for e in await timed.announced()}) == len(await timed.announced())
    rows = await timed.rows("case_fact")
    for event in events:
        facts = sorted(row["seq"] for row in rows if row["case_id"] == event.subject_id)
        assert facts == list(range(1, len(facts) + 1))


async def test_a_step_voids_the_clocks_it_has_met_and_keeps_the_others(timed: Desk) -> None:
    case_id = await timed.urgent()
    taken = await timed.step(case_id, "first_ask", WORKER, 5)
    assert taken.status_code == 200
    assert await outcomes(timed, case_id) == {
        ("class", "warn"): None,
        ("class", "miss"): None,
        ("first_action", "miss"): "void",
        ("step.first_ask", "miss"): "void",
    }
    await timed.clockwork().tick()
    assert await timed.missed(case_id) == ["class"]


async def test_a_closed_case_has_no_open_timer_and_a_reopened_one_has_new_ones(timed: Desk) -> None:
    case_id = await timed.urgent()
    clerk = ("center_clerk", "town", "s-cc-01")
    result = {"result": "r", "proof": timed.proof}
    for step, by, given in (
        ("first_ask", WORKER, {}), ("grid_settle", WORKER, {}), ("resolve", WORKER, result),
        ("return_visit", clerk, {"satisfied": True}),
    ):  # fmt: skip
        seq = (await timed.case(case_id))["seq"]
        assert (await timed.step(case_id, step, by, seq, **given)).status_code == 200
    assert set((await outcomes(timed, case_id)).values()) == {"void"}
    seq = (await timed.case(case_id))["seq"]
    await timed.step(case_id, "reopen", clerk, seq, reason="r")
    rows = await timed.rows("timer", case_id)
    assert sorted(row["kind"] for row in rows if row["outcome"] is None) == ["miss", "warn"]


async def blocked(timed: Desk) -> None:
    """Wait until somebody waits for a lock."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"  # noqa: E501
    while not await timed.pool.fetchval(query):
        await asyncio.sleep(0.01)


async def test_whoever_meets_it_while_the_clock_waits_for_the_case_has_met_it(timed: Desk) -> None:
    case_id = await timed.urgent()
    async with timed.pool.acquire() as conn:
        acting = conn.transaction()
        await acting.start()
        await conn.execute("SELECT FROM cases WHERE case_id = $1 FOR UPDATE", case_id)
        ticking = asyncio.create_task(timed.clockwork().tick())
        async with asyncio.timeout(PATIENCE_S):
            await blocked(timed)
        await conn.execute("UPDATE timer SET outcome = 'void', decided_at = now()")
        await acting.commit()
    await ticking
    assert await timed.missed(case_id) == []


async def test_a_held_subject_waits_and_goes_on_once_it_is_free(timed: Desk) -> None:
    held, free = await timed.urgent("held"), await timed.urgent("free")
    bad = timed.record(timed.event("held", words={"summary": "x"}))
    await timed.hear(replace(bad, headers={}))
    clockwork = timed.clockwork()
    await clockwork.tick()
    assert (await timed.missed(held), len(await timed.missed(free))) == ([], 2)
    await timed.pool.execute("DELETE FROM quarantine")
    await clockwork.tick()
    assert await timed.missed(held) == ["first_action", "class"]


async def ticks_until(clockwork: Clockwork, fired: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while fired > 0:
            fired -= await clockwork.tick()
            await asyncio.sleep(0.02)


async def test_each_tenant_by_its_own_time(timed: Desk, other: Desk) -> None:
    now = await timed.now()
    await timed.set_clock((now - timedelta(seconds=5), START - now))
    virtual = await timed.urgent(at=now)
    real = await other.urgent(at=now - timedelta(minutes=31))
    assert (await timed.case(virtual))["received_at"] == START
    clockwork = timed.clockwork()
    for _ in range(3):
        await clockwork.tick()
    assert await timed.missed(virtual) == []
    assert await other.missed(real) == ["first_action"]


async def test_after_a_jump_the_gate_first_waits_for_what_was_handed_in_before_it(
    timed: Desk,
) -> None:
    now = await timed.now()
    start = (now - timedelta(seconds=5), START - now)
    await timed.set_clock(start)
    case_id = await timed.urgent(at=now)
    clockwork = timed.clockwork()
    await clockwork.tick()
    jump = await timed.now()
    await timed.set_clock(start, (jump, start[1] + timedelta(hours=13)))
    assert await clockwork.tick() == 0
    await ticks_until(clockwork, fired=2)
    assert await timed.now() >= jump + timedelta(seconds=timed.settings.timer_margin_s)
    assert (await outcomes(timed, case_id))["class", "warn"] == "fired"
    warned = next(e for e in await timed.announced(case_id) if "warned" in e.data.TYPE)
    assert warned.occurred_at >= START + timedelta(hours=13)
    assert await timed.missed(case_id) == ["first_action"]


async def test_a_clock_that_strikes_before_its_time_strikes_not_at_all(timed: Desk) -> None:
    now = await timed.now()
    case_id = await timed.urgent(at=now - timedelta(minutes=30) + timedelta(seconds=1.2))
    clockwork = timed.clockwork()
    await ticks_until(clockwork, fired=1)
    due = (await timed.rows("timer", case_id))[0]["due_at"]
    fired = await timed.pool.fetchrow(
        "SELECT decided_at, due_at FROM timer WHERE outcome = 'fired' AND case_id = $1", case_id
    )
    assert due is not None
    assert fired is not None
    assert fired["decided_at"] >= fired["due_at"]


async def test_a_miss_counts_from_what_a_slow_step_had_handed_in(timed: Desk) -> None:
    """A step that waited for the case's lock is recorded at the time at which it came."""
    case_id = await timed.urgent(at=factories.START)
    async with timed.pool.acquire() as conn:
        holding = conn.transaction()
        await holding.start()
        await conn.execute("SELECT FROM cases WHERE case_id = $1 FOR UPDATE", case_id)
        before = await timed.now()
        acting = asyncio.create_task(timed.step(case_id, "first_ask", WORKER, 5))
        async with asyncio.timeout(PATIENCE_S):
            await blocked(timed)
        waited = await timed.now()
        await holding.commit()
    assert (await acting).status_code == 200
    step = next(e for e in await timed.announced(case_id) if "step_taken" in e.data.TYPE)
    assert before - timedelta(milliseconds=50) <= step.occurred_at <= waited


async def test_clocks_outlast_a_broker_that_stands_still(timed: Desk) -> None:
    """Its silence ends as this error, after which they must go on by themselves."""
    case_id = await timed.urgent()

    class Silent(Consumer):
        silent = 2

        def __init__(self, topics: Consumer) -> None:
            super().__init__()
            self.ends, self.reply_ends = topics.ends, topics.reply_ends
            self.reply_firsts = topics.reply_firsts

        async def end_offsets(self, places: Iterable[Any]) -> dict[Any, int]:
            if self.silent:
                self.silent -= 1
                raise KafkaTimeoutError
            return await super().end_offsets(places)

    stopping = asyncio.Event()
    running = asyncio.create_task(timed.clockwork(consumer=Silent(timed.consumer)).run(stopping))
    await until(lambda: timed.missed(case_id), "the clocks go on")
    stopping.set()
    await running
