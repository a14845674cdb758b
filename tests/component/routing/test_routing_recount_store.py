"""A newer table comes while clocks run: all are set anew, each once, whatever dies meanwhile."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from contracts.calendar import load
from contracts.events import Event
from contracts.facts import CaseDeadlineSetV1, WhistleDeadlineMovedV1
from services.routing.recount import Recount
from services.routing.settings import RoutingSettings
from services.routing.store import calendars, timers
from services.routing.towns import Towns
from tests.component.routing.desk import Desk
from tests.component.routing.test_routing_whistles import POLICE, act, blow

STEP = "step.first_ask"
# The tests' own year, whose notice is not out yet: far from today, before and after.
FRIDAY = datetime(2035, 3, 2, 9, 50, tzinfo=UTC)  # 17:50 in the town


def table(version: int, *years: dict[str, Any]) -> dict[str, Any]:
    body = load().model_dump(mode="json", exclude_none=True)
    return {"version": version, "years": [*body["years"], *years]}


def year_2035(*off: str) -> dict[str, Any]:
    return {
        "year": 2035,
        "official": True,
        "sources": [{"number": "第1号", "issued": "2034-11-12"}],
        "holidays": [{"zh": "调整", "first": day, "last": day} for day in off],
    }


MONDAY_OFF = year_2035("2035-03-05")


async def publish(desk: Desk, version: int, *years: dict[str, Any]) -> None:
    line = {"kind": "calendar", "id": "cn", "body": table(version, *years)}
    await desk.town(line, change_set=f"calendar-{version}")


def recount(desk: Desk, batch_max: int = 200) -> Recount:
    few: RoutingSettings = desk.settings.model_copy(update={"timer_batch_max": batch_max})
    return Recount(few, desk.pool, Towns(), lambda: desk.woken.append(None))


async def settle(desk: Desk) -> int:
    """Reckon all anew; return in how many rounds."""
    worker, rounds = recount(desk), 0
    while await worker.round():
        rounds += 1
    return rounds


async def go(desk: Desk, to: datetime) -> None:
    """Set the town's clock."""
    now = await desk.now()
    offset = {"from_at": str(now - timedelta(hours=1)), "seconds": (to - now).total_seconds()}
    line = {"kind": "clock", "id": "clock", "body": {"offsets": [offset]}}
    await desk.town(line, change_set=f"clock-{to:%d%H%M%S}")


async def ticks(desk: Desk) -> None:
    clockwork = desk.clockwork()
    for _ in range(8):
        await clockwork.tick()


async def open_clocks(desk: Desk, case_id: UUID) -> dict[tuple[str, str], datetime | None]:
    return {
        (row["deadline"], row["kind"]): row["fires_at"]
        for row in await desk.rows("timer", case_id)
        if row["outcome"] is None
    }


def sets(events: list[Event]) -> list[CaseDeadlineSetV1]:
    found = [event.data for event in events if isinstance(event.data, CaseDeadlineSetV1)]
    return [one for one in found if one.deadline == STEP]


def moves(events: list[Event]) -> list[WhistleDeadlineMovedV1]:
    return [event.data for event in events if isinstance(event.data, WhistleDeadlineMovedV1)]


async def late(desk: Desk, key: str = "k1") -> UUID:
    """Report a case on Friday, ten minutes before the end of duty: half an hour to take it up."""
    return await desk.report(
        key, at=await desk.now(), location={"grid": "g01"}, case_class="general"
    )


async def test_what_was_kept_unarmed_is_armed_and_told_once(timed: Desk) -> None:
    await go(timed, FRIDAY)
    case_id = await late(timed)
    answer = await blow(timed, case_id, "police", "court")
    assert answer.status_code == 201, answer.text
    assert (await open_clocks(timed, case_id))[STEP, "miss"] is None
    await publish(timed, 1)
    assert await settle(timed) == 1
    clocks = await open_clocks(timed, case_id)
    assert None not in clocks.values()
    told = await timed.announced(case_id)
    assert [one.armed for one in sets(told)] == [False, True]
    assert sets(told)[-1].due_at == clocks[STEP, "miss"]
    assert sets(told)[-1].provisional
    assert sorted(one.department for one in moves(told)) == ["court", "police"]
    assert {one.due_at for one in moves(told)} == {clocks["report_in/police", "miss"]}
    assert {row["due_at"] for row in await timed.rows("slot", case_id)} == {
        clocks["report_in/police", "miss"]
    }
    seqs = [event.seq for event in told]
    assert seqs == list(range(1, len(seqs) + 1))
    shown = (await timed.get(f"/v1/cases/{case_id}")).json()
    assert {one["provisional"] for one in shown["clocks"] if one["deadline"] == STEP} == {True}
    assert {one["provisional"] for one in shown["whistles"][0]["slots"]} == {True}
    await publish(timed, 1)
    assert await settle(timed) == 0


async def test_clocks_that_an_older_version_kept_are_reckoned_from_their_facts(
    timed: Desk,
) -> None:
    await go(timed, FRIDAY)
    case_id = await late(timed)
    received_at = (await timed.case(case_id))["received_at"]
    await timed.pool.execute(
        "UPDATE timer SET calendar_version = NULL, started_at = NULL WHERE case_id = $1", case_id
    )
    await publish(timed, 1)
    assert await settle(timed) == 1
    (row,) = [one for one in await timed.rows("timer", case_id) if one["outcome"] is None]
    assert (row["started_at"], row["calendar_version"]) == (received_at, 1)
    assert row["fires_at"] is not None


async def test_a_notice_that_moves_a_deadline_already_missed_takes_the_miss_back(
    timed: Desk,
) -> None:
    await go(timed, FRIDAY)
    await publish(timed, 1)
    case_id = await late(timed)
    answer = await blow(timed, case_id, "police", "court", "justice")
    whistle_id = UUID(answer.json()["whistle_id"])
    old = await open_clocks(timed, case_id)
    due = old["report_in/police", "miss"]
    assert due is not None
    await go(timed, due + timedelta(minutes=1))
    await ticks(timed)
    came = await act(timed, whistle_id, "report-ins", **POLICE, means="remote")
    assert came.status_code == 200, came.text
    outcomes = {row["department"]: row["outcome"] for row in await timed.rows("slot", case_id)}
    assert outcomes == {"police": "reported_late", "court": "missed", "justice": "missed"}
    assert STEP in await timed.missed(case_id)
    await publish(timed, 2, year_2035("2035-03-05", "2035-03-06", "2035-03-07"))
    await settle(timed)
    slots = {row["department"]: row for row in await timed.rows("slot", case_id)}
    assert {name: row["outcome"] for name, row in slots.items()} == {
        "police": "corrected",
        "court": None,
        "justice": None,
    }
    told = await timed.announced(case_id)
    assert {one.department: one.miss_withdrawn for one in moves(told)} == dict.fromkeys(slots, True)
    assert sets(told)[-1].miss_withdrawn
    assert sets(told)[-1].armed
    case = await timed.case(case_id)
    assert STEP in case["running"]
    clocks = await open_clocks(timed, case_id)
    assert {name for name, _ in clocks if "/" in name} == {"report_in/court", "report_in/justice"}
    assert all(fires is not None and fires > due for fires in clocks.values())
    again = slots["court"]["due_at"]
    await go(timed, again + timedelta(minutes=1))
    await ticks(timed)
    facts = Counter(await timed.told(case_id))
    assert facts["whistle.missed"] == 3 + 2, "who has come is not awaited any more"
    taken = await timed.pool.fetchrow(
        "SELECT * FROM calendar_taken WHERE tenant_id = $1", timed.tenant
    )
    assert taken is not None
    assert (taken["version"], taken["withdrawn"]) == (2, 4)


async def test_a_step_that_was_late_and_is_punctual_by_the_notice_is_told_so(timed: Desk) -> None:
    await go(timed, FRIDAY)
    await publish(timed, 1)
    case_id = await late(timed)
    due = (await open_clocks(timed, case_id))[STEP, "miss"]
    assert due is not None
    await go(timed, due + timedelta(minutes=1))
    await ticks(timed)
    assert await timed.missed(case_id) == [STEP]
    case = await timed.case(case_id)
    worker = ("grid_worker", "g01", case["owner_staff"])
    answer = await timed.step(case_id, "first_ask", worker, case["seq"])
    assert answer.status_code == 200, answer.text
    await publish(timed, 2, MONDAY_OFF)
    assert await settle(timed) == 1
    told = sets(await timed.announced(case_id))[-1]
    assert (told.miss_withdrawn, told.armed) == (True, False)
    assert told.due_at == due + timedelta(days=1)
    assert (STEP, "miss") not in await open_clocks(timed, case_id)
    assert STEP not in (await timed.case(case_id))["running"]
    await publish(timed, 3, year_2035("2035-03-05", "2035-03-06"))
    await settle(timed)
    assert sets(await timed.announced(case_id))[-1] == told, "what was withdrawn is done with"


async def test_no_timer_fires_by_the_old_moment_once_the_table_is_there(timed: Desk) -> None:
    await go(timed, FRIDAY)
    await publish(timed, 1)
    case_id = await late(timed)
    due = (await open_clocks(timed, case_id))[STEP, "miss"]
    assert due is not None
    await publish(timed, 2, MONDAY_OFF)
    await go(timed, due + timedelta(minutes=1))
    await ticks(timed)
    assert await timed.missed(case_id) == []
    await settle(timed)
    await ticks(timed)
    assert await timed.missed(case_id) == []
    later = (await open_clocks(timed, case_id))[STEP, "miss"]
    assert later == due + timedelta(days=1)
    await go(timed, later + timedelta(minutes=1))
    await ticks(timed)
    assert await timed.missed(case_id) == [STEP]


async def test_a_table_waits_for_whoever_is_firing_by_the_one_before(timed: Desk) -> None:
    await publish(timed, 1)
    taking = None
    async with timed.pool.acquire() as conn, conn.transaction():
        assert await calendars.hold(conn, [timed.tenant]) == {timed.tenant: 1}
        taking = asyncio.create_task(publish(timed, 2, MONDAY_OFF))
        done, _ = await asyncio.wait([taking], timeout=0.3)
        assert not done
    await taking
    async with timed.pool.acquire() as conn, conn.transaction():
        assert await calendars.hold(conn, [timed.tenant]) == {timed.tenant: 2}


async def test_a_timer_found_before_the_table_came_is_left_alone_after_it(timed: Desk) -> None:
    await go(timed, FRIDAY)
    await publish(timed, 1)
    case_id = await late(timed)
    (row,) = [one for one in await timed.rows("timer", case_id) if one["kind"] == "miss"]
    kept = ("tenant_id", "timer_id", "case_id", "deadline", "kind", "fires_at", "due_at")
    due = [timers.Due(**{name: row[name] for name in kept})]
    async with timed.pool.acquire() as conn:
        assert await timers.still_open(conn, due) == {(timed.tenant, row["timer_id"])}
    await publish(timed, 2, MONDAY_OFF)
    async with timed.pool.acquire() as conn:
        assert await timers.still_open(conn, due) == set()


class Died(BaseException):
    """What a kill looks like from within: nothing is caught, nothing is committed."""


async def up_to_its_commit(desk: Desk, worker: Recount) -> None:
    async with desk.pool.acquire() as conn, conn.transaction():
        assert await worker._recount(conn, await calendars.stale(conn, 2))  # noqa: SLF001 - a round
        raise Died


@pytest.mark.parametrize("dies_in", [1, 2])
async def test_who_dies_amid_the_work_loses_and_repeats_nothing(timed: Desk, dies_in: int) -> None:
    await go(timed, FRIDAY)
    ids = [await late(timed, f"k{n}") for n in range(5)]
    await publish(timed, 1)
    first = recount(timed, batch_max=2)
    for _ in range(dies_in - 1):
        assert await first.round() == 2
    with pytest.raises(Died):
        await up_to_its_commit(timed, first)
    both = [recount(timed, batch_max=2), recount(timed, batch_max=2)]
    while sum(await asyncio.gather(*(one.round() for one in both))):
        pass
    for case_id in ids:
        assert [one.armed for one in sets(await timed.announced(case_id))] == [False, True]
        open_ = [one for one in await timed.rows("timer", case_id) if one["outcome"] is None]
        assert len(open_) == len({(one["deadline"], one["kind"]) for one in open_})
        assert {one["calendar_version"] for one in open_ if one["deadline"] == STEP} == {1}
    events = [event.event_id for event in await timed.announced()]
    assert len(events) == len(set(events))


async def test_a_step_taken_beside_it_and_the_recount_do_not_lose_each_other(timed: Desk) -> None:
    await go(timed, FRIDAY)
    ids = [await late(timed, f"k{n}") for n in range(6)]
    worker = {id_: ("grid_worker", "g01", (await timed.case(id_))["owner_staff"]) for id_ in ids}
    await publish(timed, 1)
    steps = [
        timed.step(id_, "first_ask", worker[id_], (await timed.case(id_))["seq"]) for id_ in ids
    ]
    answers, _ = await asyncio.gather(asyncio.gather(*steps), rounds_of(timed, rounds=4))
    assert {answer.status_code for answer in answers} <= {200, 409}
    await settle(timed)
    for case_id, answer in zip(ids, answers, strict=True):
        case = await timed.case(case_id)
        took = answer.status_code == 200
        assert (case["state"] == "owned") is took
        clocks = await open_clocks(timed, case_id)
        assert ((STEP, "miss") in clocks) is not took
        told = await timed.announced(case_id)
        assert [event.seq for event in told] == list(range(1, case["seq"] + 1))


async def rounds_of(desk: Desk, rounds: int) -> None:
    worker = recount(desk, batch_max=2)
    for _ in range(rounds):
        await worker.round()


async def test_another_town_keeps_its_own_table(timed: Desk, other: Desk) -> None:
    await go(timed, FRIDAY)
    mine = await late(timed)
    theirs = await other.report(location={"grid": "g01"}, case_class="general")
    await publish(timed, 1)
    await settle(timed)
    assert (await open_clocks(timed, mine))[STEP, "miss"] is not None
    assert (await open_clocks(other, theirs))[STEP, "miss"] is None


async def test_a_table_that_is_removed_leaves_clocks_as_they_are(timed: Desk) -> None:
    await go(timed, FRIDAY)
    await publish(timed, 1)
    case_id = await late(timed)
    before = await open_clocks(timed, case_id)
    await timed.town({"kind": "calendar", "id": "cn", "body": None}, change_set="gone")
    assert await settle(timed) == 0
    assert await open_clocks(timed, case_id) == before
    unarmed = await late(timed, "k2")
    assert (await open_clocks(timed, unarmed))[STEP, "miss"] is None
