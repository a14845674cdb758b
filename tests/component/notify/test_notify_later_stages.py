"""What is told of missed arrivals, of calls upward without an answer, and of misses withdrawn."""

import asyncio
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from prometheus_client import REGISTRY

from contracts.events import Event
from contracts.facts import (
    CaseDeadlineSetV1,
    CaseEscalatedV1,
    WhistleAnsweredV1,
    WhistleAnswerMovedV1,
    WhistleArrivedV1,
    WhistleReleasedV1,
    WhistleStageMissedV1,
    WhistleStageMovedV1,
    WhistleUnansweredV1,
    WhistleUnreleasedV1,
)
from services.notify.app import open_channels
from services.notify.claims import Ending, Job
from tests.component.notify.blown import BY, Blown, first, phone
from tests.component.notify.world import DUE, Gateway, World, closed, event, missed

HOUR = timedelta(hours=1)
ARRIVE = DUE + HOUR


class Absent(Blown):
    """One department that has reported in and does not arrive; and a call upward."""

    def not_there(self, at: datetime = ARRIVE) -> Event:
        more: dict[str, Any] = {"department": "police", "stage": "arrive", "due_at": ARRIVE}
        return self.fact(WhistleStageMissedV1, at, **more)

    def climbed(self, rung: int, do: str, at: datetime, level: str | None = None) -> Event:
        more: dict[str, Any] = {"department": "police", "rung": rung, "do": do, "to_level": level}
        return self.fact(CaseEscalatedV1, at, **more, stage="arrive")

    def moved(self, *, withdrawn: bool) -> Event:
        more: dict[str, Any] = {"department": "police", "stage": "arrive", "due_at": ARRIVE + HOUR}
        more["reported_in_at"] = DUE
        return self.fact(WhistleStageMovedV1, **more, miss_withdrawn=withdrawn)

    def ended(self, how: str) -> Event:
        match how:
            case "arrived":
                return self.fact(WhistleArrivedV1, department="police", at=ARRIVE, by=BY)
            case "released":
                return self.fact(WhistleReleasedV1, department="police", by=BY)
            case _:
                return self.moved(withdrawn=True)

    def unanswered(self, **more: Any) -> Event:
        return self.fact(WhistleUnansweredV1, DUE, unit="county", due_at=DUE, **more)


async def told(world: World) -> dict[tuple[str, str], str]:
    rows = await world.pool.fetch("SELECT notice, recipient, state FROM intent")
    return {(row["notice"], row["recipient"]): row["state"] for row in rows}


def crossings() -> float:
    return REGISTRY.get_sample_value("chuishao_messages_total", {"state": "crossed"}) or 0


async def test_a_missed_arrival_climbs_from_the_officer_to_the_head_to_the_leader(
    world: World, gateway: Gateway
) -> None:
    one = Absent(world, "police", "court")
    await world.hear(one.opened, one.reported_in("police"), one.not_there())
    await world.hear(one.climbed(0, "remind", ARRIVE), one.climbed(1, "score", ARRIVE))
    await world.hear(one.climbed(2, "notify_head", ARRIVE + HOUR))
    await world.hear(one.climbed(3, "escalate", ARRIVE + 2 * HOUR, "town"))
    officer, head = first("department_officer", "police"), first("department_head", "police")
    async with world.sending():
        await world.until("accepted", 3)
    assert await told(world) == {
        ("whistle_arrival_missed", officer): "accepted",
        ("whistle_arrival_escalated", head): "accepted",
        ("whistle_arrival_escalated", first("town_leader")): "accepted",
    }
    assert await gateway.texts(phone=phone(officer)) == [
        "【吹哨】250303-0001号件（邻里纠纷，柿红新村菊黄洼网格）已过3月5日 17:30，请速到场。"
    ]
    assert await gateway.texts(phone=phone(head)) == [
        "【吹哨】公安过3月5日 17:30未到场：250303-0001号件（邻里纠纷），请督促。"
    ]


@pytest.mark.parametrize("how", ["arrived", "released", "withdrawn"])
async def test_of_one_that_is_there_let_go_or_late_no_more_nothing_is_begun(
    world: World, gateway: Gateway, how: str
) -> None:
    one = Absent(world, "police")
    await world.hear(one.opened, one.reported_in("police"), one.not_there())
    await world.hear(one.climbed(2, "notify_head", ARRIVE + HOUR), one.ended(how))
    async with world.sending():
        await world.until("void", 2)
    assert await gateway.texts() == []


async def test_one_whose_arrival_is_due_later_and_still_missed_is_told_of_that(
    world: World, gateway: Gateway
) -> None:
    one = Absent(world, "police")
    await world.hear(one.opened, one.reported_in("police"), one.not_there())
    await world.hear(one.moved(withdrawn=False), one.climbed(2, "notify_head", ARRIVE + 2 * HOUR))
    async with world.sending():
        await world.until("accepted", 2)
    head = phone(first("department_head", "police"))
    assert "过3月5日 18:30未到场" in "".join(await gateway.texts(phone=head))


async def test_a_call_upward_without_an_answer_is_told_to_who_called_and_to_the_leader(
    world: World, gateway: Gateway
) -> None:
    one, caller = Absent(world, "police"), first("center_clerk")
    by = {"unit": "town", "role": "center_clerk", "staff": caller}
    await world.hear(one.opened, one.unanswered(called_by=by))
    async with world.sending():
        await world.until("accepted", 3)
    assert set(await told(world)) == {
        ("whistle_unanswered", who) for who in ("s-gw-01", caller, first("town_leader"))
    }
    assert set(await gateway.texts()) == {
        "【吹哨】250303-0001号件（邻里纠纷，柿红新村菊黄洼网格），上级过3月5日 16:30未答复。"
    }


@pytest.mark.parametrize("how", ["answered", "moved", "closed"])
async def test_that_nobody_answered_is_told_no_more_once_it_is_not_so(
    world: World, gateway: Gateway, how: str
) -> None:
    one = Absent(world, "police")
    await world.hear(one.opened, one.unanswered())
    ends = {
        "answered": one.fact(WhistleAnsweredV1, unit="county", at=DUE, late=True, by=BY),
        "moved": one.fact(
            WhistleAnswerMovedV1, unit="county", due_at=DUE + HOUR, miss_withdrawn=True
        ),
        "closed": closed(one.case_id),
    }
    await world.hear(ends[how])
    async with world.sending():
        await world.until("void", 2)
    assert await gateway.texts() == []


def set_anew(case_id: UUID, deadline: str = "class", *, withdrawn: bool = True) -> Event:
    more = {"clock": "duty", "armed": True, "due_at": DUE + HOUR, "miss_withdrawn": withdrawn}
    fact = CaseDeadlineSetV1.model_validate({"deadline": deadline, **more})
    return event(case_id, fact, cause=deadline)


@pytest.mark.parametrize("apart", [True, False])
async def test_a_miss_of_a_case_that_is_withdrawn_is_told_to_nobody_and_the_next_one_is(
    world: World, apart: bool
) -> None:
    opened = world.opened()
    facts = [opened, missed(opened.subject_id), set_anew(opened.subject_id)]
    for some in [[one] for one in facts] if apart else [facts]:
        await world.hear(*some)
    async with world.sending():
        await world.until("void", 3)
        again = missed(opened.subject_id, DUE + HOUR)
        await world.hear(event(opened.subject_id, again.data, cause="again"))
        await world.until("accepted", 3)
    assert await world.pool.fetchval("SELECT count(*) FROM intent") == 6


@pytest.mark.parametrize(("deadline", "withdrawn"), [("step.accept", True), ("class", False)])
async def test_a_miss_stays_told_when_another_clock_is_set(
    world: World, deadline: str, withdrawn: bool
) -> None:
    opened = world.opened()
    await world.hear(opened, missed(opened.subject_id))
    await world.hear(set_anew(opened.subject_id, deadline, withdrawn=withdrawn))
    async with world.sending():
        await world.until("accepted", 3)


async def test_no_send_begins_unmarked_while_misses_are_withdrawn(world: World) -> None:
    many, before = [world.opened() for _ in range(40)], crossings()
    await world.hear(*many, *(missed(one.subject_id) for one in many))
    anew = [set_anew(one.subject_id) for one in many]
    async with open_channels(world.settings, world.pool) as channels:
        claims = world.claims(world.settings.model_copy(update={"send_lease_s": 60}), channels)
        hearing = [world.hear(*anew[n : n + 8]) for n in range(0, len(anew), 8)]
        taking = [claims.take(15) for _ in range(5)]
        taken, _ = await asyncio.gather(asyncio.gather(*taking), asyncio.gather(*hearing))
        taken.append(await claims.take(1_000))
    tasks = [one for some in taken for one in some]
    begun = {one.attempt_id for one in tasks if isinstance(one, Job)}
    crossed = await world.pool.fetch("SELECT attempt_id FROM attempt WHERE crossed")
    assert {row["attempt_id"] for row in crossed} == begun
    assert crossings() - before == len(begun)
    assert (len(tasks), len(begun) + sum(isinstance(one, Ending) for one in tasks)) == (120, 120)


@pytest.mark.parametrize("how", [None, "released", "withdrawn", "closed"])
async def test_that_one_is_not_let_go_is_told_to_whoever_blew_until_that_is_not_so(
    world: World, gateway: Gateway, how: str | None
) -> None:
    one = Absent(world, "police")
    more: dict[str, Any] = {"department": "police", "due_at": ARRIVE}
    moved = {**more, "stage": "release", "reported_in_at": DUE, "miss_withdrawn": True}
    ends = {
        "released": one.ended("released"),
        "withdrawn": one.fact(WhistleStageMovedV1, **moved),
        "closed": closed(one.case_id),
    }
    await world.hear(one.opened, one.blown, one.reported_in("police"))
    await world.hear(one.fact(WhistleUnreleasedV1, ARRIVE, **more))
    if how is not None:
        await world.hear(ends[how])
    async with world.sending():
        await world.until("void", 1 if how is None else 3)  # of them, the call itself
        await world.until("accepted", 2 if how is None else 0)
    state = "accepted" if how is None else "void"
    assert {
        who: now for (notice, who), now in (await told(world)).items() if notice != "whistle_blown"
    } == {"s-gw-01": state, BY["staff"]: state}
    said = "【吹哨】250303-0001号件（邻里纠纷）公安到场后过3月5日 17:30未解除，请处理。"
    assert await gateway.texts() == ([said] * 2 if how is None else [])
