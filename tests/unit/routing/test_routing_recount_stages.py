"""A newer table of official days: what becomes of arrivals, and of answers from above."""

from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

import pytest

from contracts.calendar import Calendar
from services.routing.domain.recount import Clock
from services.routing.domain.recount_stages import recount_answer, recount_stage
from services.routing.domain.rules import DeadlineRule, Rules, Span
from services.routing.domain.slot import Slot, clock_of, rung_of
from services.routing.domain.values import Fact, UpwardCall
from services.routing.domain.whistle import Settled
from tests.unit.routing import test_routing_recount as tables
from tests.unit.routing.made_up import at_state
from tests.unit.routing.test_routing_recount import BLOWN, DUE, HOLIDAY, LATER, SHIPPED, at

EIGHT = DeadlineRule("arrive", Span(seconds=8 * 3600), "duty", "state")
BEFORE, BETWEEN, AFTER = "2027-01-08T11:00", "2027-01-11T15:00", "2027-01-12T15:00"
DAYS_LATER = at("2027-01-20T10:00")


@cache
def rules(table: Calendar | None) -> Rules:
    found = tables.rules(table)
    by_class = {"general": EIGHT}
    return replace(found, whistle=replace(found.whistle, arrival=by_class, release=by_class))


def clock(due: datetime | None = DUE, *, missed: bool = False) -> Clock:
    return Clock(BLOWN, due, provisional=due is not None, missed=missed)


def slot(arrived: str | None = None, due: datetime | None = DUE, **more: Any) -> Slot:
    came = Slot(UUID(int=1), "police", lead=True, blown_at=BLOWN, due_at=DUE, outcome="reported")
    arrived_at = at(arrived) if arrived else None
    return replace(came, reported_in_at=BLOWN, arrive_due_at=due, arrived_at=arrived_at, **more)


def call(answered: str | None = None, **more: Any) -> UpwardCall:
    given = {"due_at": DUE, "answered_at": at(answered) if answered else None, **more}
    return UpwardCall(UUID(int=2), "county", BLOWN, **given)


def arrival(
    one: Slot,
    now: str,
    *,
    missed: bool = False,
    rung: int | None = None,
    table: Calendar = HOLIDAY,
    closed: bool = False,
) -> tuple[Settled, Fact] | None:
    case = at_state("closed" if closed else "owned", case_class="general", closed=closed)
    given = (clock(one.arrive_due_at, missed=missed), rung, at(now), rules(table))
    return _of(recount_stage(case, one, "arrive", *given))


def answer(
    one: UpwardCall, now: str, *, missed: bool = False, table: Calendar = HOLIDAY
) -> tuple[Settled, Fact] | None:
    case = at_state("owned", case_class="general")
    given = clock(one.due_at, missed=missed), at(now), rules(table)
    return _of(recount_answer(case, one, *given))


def _of(done: Any) -> tuple[Settled, Fact] | None:
    if done is None:
        return None
    (fact,) = done[0].facts
    return done[0], fact


def fires(settled: Settled) -> list[tuple[str, str, datetime | None]]:
    return [(one.deadline, one.kind, one.fires_at) for one in settled.timers]


def test_one_who_is_to_arrive_has_the_later_moment() -> None:
    done = arrival(slot(), BEFORE)
    assert done is not None
    settled, fact = done
    assert fact.type == "whistle.stage_moved.v1"
    assert (fact.data["was_due_at"], fact.data["due_at"]) == (DUE, LATER)
    assert (fact.data["miss_withdrawn"], fact.data["provisional"]) == (False, False)
    assert [one.arrive_due_at for one in settled.slots] == [LATER]
    assert fires(settled) == [("arrive/police", "miss", LATER)]
    assert clock_of("police", "arrive") in settled.ended
    assert clock_of("police") not in settled.ended, "its report-in is no matter of this"


def test_a_clock_for_arriving_that_could_not_be_told_is_armed() -> None:
    done = arrival(slot(due=None), BEFORE, table=SHIPPED)
    assert done is not None
    settled, fact = done
    assert "was_due_at" not in fact.data, "all of its time runs from now"
    assert fires(settled) == [("arrive/police", "miss", at("2027-01-11T11:00"))]


def test_a_missed_arrival_that_is_none_is_taken_back_with_its_rungs() -> None:
    done = arrival(slot(), BETWEEN, missed=True, rung=2)
    assert done is not None
    settled, fact = done
    assert fact.data["miss_withdrawn"] is True
    assert fires(settled) == [("arrive/police", "miss", LATER)]
    assert rung_of("police", 2, "arrive") in settled.ended


def test_a_missed_arrival_that_stays_one_climbs_by_the_later_moment() -> None:
    done = arrival(slot(), AFTER, missed=True, rung=2)
    assert done is not None
    settled, fact = done
    assert (fact.data["miss_withdrawn"], fact.data["due_at"]) == (False, LATER)
    (one,) = settled.timers
    assert (one.deadline, one.kind, one.due_at) == ("arrive_rung.2/police", "rung", LATER)
    assert one.fires_at is not None
    assert one.fires_at > LATER
    assert settled.ended == {one.deadline}
    none_waits = arrival(slot(), AFTER, missed=True)
    assert none_waits is not None
    assert (none_waits[0].timers, none_waits[0].ended) == ((), frozenset())


@pytest.mark.parametrize(("arrived", "withdrawn"), [(BETWEEN, True), (AFTER, False)])
@pytest.mark.parametrize("closed", [True, False])
def test_who_arrived_after_its_miss_was_in_time_or_is_late_as_before(
    arrived: str, withdrawn: bool, closed: bool
) -> None:
    one = slot(arrived, released_at=DAYS_LATER)
    done = arrival(one, "2027-01-21T10:00", missed=True, closed=closed)
    assert done is not None
    settled, fact = done
    assert (fact.data["miss_withdrawn"], fact.data["due_at"]) == (withdrawn, LATER)
    assert (settled.timers, settled.ended) == ((), frozenset())


def test_whoever_was_let_go_or_whose_case_is_closed_is_left_alone() -> None:
    assert arrival(slot(released_at=DUE), BETWEEN, missed=True) is None
    assert arrival(slot(), BETWEEN, missed=True, closed=True) is None
    assert arrival(slot(), BEFORE, table=SHIPPED) is None


@pytest.mark.parametrize(("released", "withdrawn"), [(None, True), (BETWEEN, True), (AFTER, False)])
def test_one_who_is_to_be_let_go_has_the_later_moment(
    released: str | None, withdrawn: bool
) -> None:
    gone_at = at(released) if released else None
    there = replace(slot(), arrived_at=BLOWN, release_due_at=DUE, released_at=gone_at)
    case = at_state("owned", case_class="general")
    given = (clock(missed=True), None, at(BETWEEN), rules(HOLIDAY))
    done = _of(recount_stage(case, there, "release", *given))
    assert done is not None
    settled, fact = done
    assert (fact.data["stage"], fact.data["miss_withdrawn"]) == ("release", withdrawn)
    assert settled.slots == (replace(there, release_due_at=LATER),)
    assert fires(settled) == ([] if released else [("release/police", "miss", LATER)])
    assert settled.ended == (set() if released else {"release/police"})


def test_the_level_above_has_the_later_moment() -> None:
    done = answer(call(), BEFORE)
    assert done is not None
    settled, fact = done
    assert fact.type == "whistle.answer_moved.v1"
    assert (fact.data["unit"], fact.data["due_at"]) == ("county", LATER)
    assert fires(settled) == [("call_upward/county", "miss", LATER)]
    assert settled.ended == {"call_upward/county"}
    assert settled.upward == call(due_at=LATER)


def test_that_nobody_answered_is_taken_back_while_there_is_time() -> None:
    done = answer(call(outcome="missed"), BETWEEN, missed=True)
    assert done is not None
    settled, fact = done
    assert fact.data["miss_withdrawn"] is True
    assert settled.upward == call(due_at=LATER)
    assert fires(settled) == [("call_upward/county", "miss", LATER)]
    stays = answer(call(outcome="missed"), AFTER, missed=True)
    assert stays is not None
    assert stays[1].data["miss_withdrawn"] is False
    assert (stays[0].upward, stays[0].timers) == (call(outcome="missed", due_at=LATER), ())


@pytest.mark.parametrize(("given", "outcome"), [(BETWEEN, "answered"), (AFTER, "answered_late")])
def test_an_answer_after_its_miss_was_in_time_or_is_late_as_before(
    given: str, outcome: str
) -> None:
    done = answer(call(given, outcome="answered_late"), "2027-01-20T10:00", missed=True)
    assert done is not None
    settled, fact = done
    assert fact.data["miss_withdrawn"] is (outcome == "answered")
    assert settled.upward == call(given, outcome=outcome, due_at=LATER)
    assert settled.timers == ()
