"""A newer table of official days: what becomes of clocks that run, and of misses."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.calendar import Calendar, load
from contracts.profile import load_dict, parse
from services.routing.compiled import rules_from, work_calendar_from
from services.routing.domain import worktime
from services.routing.domain.deadlines import moments
from services.routing.domain.recount import (
    Clock,
    Ending,
    Told,
    reckon_anew,
    recount_clock,
    recount_ended,
    recount_slot,
)
from services.routing.domain.rules import DeadlineRule, Rules, Span
from services.routing.domain.slot import Outcome, Slot, clock_of
from services.routing.domain.values import Case
from services.routing.domain.whistle import report_in_rule
from tests.unit.routing.made_up import PROFILES, at_state

SHIPPED = load()
YIHE = parse(load_dict(PROFILES / "yihe.yaml"))
HOUR = 3600
STEP = "step.first_ask"


def noticed(*worked: str, off: tuple[str, str] | None = None, version: int = 2) -> Calendar:
    """Return the table once 2027's notice is out: weekend days worked, and more days off."""
    body = SHIPPED.model_dump(mode="json")
    year = body["years"][-1] | {"official": True, "workdays": list(worked)}
    if off is not None:
        first, last = off
        year["holidays"] = [*year["holidays"], {"zh": "调整", "first": first, "last": last}]
    return Calendar.model_validate({"version": version, "years": [*body["years"][:-1], year]})


@cache
def rules(table: Calendar | None = SHIPPED) -> Rules:
    return rules_from(1, load_dict(PROFILES / "yihe.yaml"), table)


def at(local: str) -> datetime:
    return datetime.fromisoformat(f"{local}+08:00")


def rule(hours: float, share: float | None = 0.5) -> DeadlineRule:
    within = Span(seconds=round(hours * HOUR))
    return DeadlineRule("x", within, "duty", "reported", share)


# --- a due time under two tables -----------------------------------------------------------------

MOVED = [
    # the eve of a holiday that nobody knew of: the rest runs after it
    ("2027-01-07T17:00", 2, noticed(off=("2027-01-08", "2027-01-10")), "2027-01-11T09:30"),
    # the last minute of the year before one day off, then before three
    ("2026-12-31T17:59", 2 / 60, noticed(off=("2027-01-02", "2027-01-04")), "2027-01-05T08:31"),
    # 29 February is off by a notice of that year
    (
        "2028-02-28T17:00",
        2,
        Calendar.model_validate(
            {
                "version": 3,
                "years": [
                    {
                        "year": 2028,
                        "official": True,
                        "sources": [{"number": "第1号", "issued": "2027-11-12"}],
                        "holidays": [{"zh": "调整", "first": "2028-02-29", "last": "2028-02-29"}],
                    }
                ],
            }
        ),
        "2028-03-01T09:30",
    ),
]


@pytest.mark.parametrize(
    ("start", "hours", "table", "due"),
    MOVED,
    ids=["a-holiday-eve", "the-last-minute-of-the-year", "29-february"],
)
def test_a_notice_moves_what_is_due_later(
    start: str, hours: float, table: Calendar, due: str
) -> None:
    before = moments(rule(hours), at(start), rules())
    assert before is not None
    assert before.provisional
    after = reckon_anew(rule(hours), at(start), before.due_at, at(start), rules(table))
    assert after is not None
    assert before.due_at < after.due_at == at(due)
    assert not after.provisional


def test_what_is_due_earlier_leaves_what_the_warning_would_leave() -> None:
    start, was = at("2027-01-08T17:00"), at("2027-01-11T17:00")  # eight hours
    table = rules(noticed("2027-01-09"))
    fresh = moments(rule(8), start, table)
    assert fresh is not None
    assert fresh.due_at == at("2027-01-09T17:00")
    soon = reckon_anew(rule(8), start, was, at("2027-01-08T17:30"), table)
    assert soon is not None
    assert (soon.due_at, soon.warn_at) == (fresh.due_at, fresh.warn_at)
    late = reckon_anew(rule(8), start, was, at("2027-01-09T16:00"), table)
    assert late is not None
    assert late.due_at == at("2027-01-11T10:30")  # four hours more, two of them on Saturday
    assert late.warn_at == at("2027-01-09T16:00")
    last = reckon_anew(rule(8), start, was, at("2027-01-11T14:00"), table)
    assert last is not None
    assert last.due_at == was, "never later than it was"


def test_what_could_not_be_told_is_due_by_the_table_or_leaves_a_rest() -> None:
    start = at("2025-03-03T09:00")
    for now, due in (
        ("2025-03-03T09:30", "2025-03-04T09:00"),
        ("2025-03-10T09:00", "2025-03-10T14:30"),
    ):
        armed = reckon_anew(rule(8), start, None, at(now), rules())
        assert armed is not None
        assert armed.due_at == at(due)
    unwarned = reckon_anew(rule(8, None), start, None, at("2025-03-10T08:30"), rules())
    assert unwarned is not None
    assert unwarned.due_at == at("2025-03-10T18:00"), "without a warning, all of its time"
    assert reckon_anew(rule(8), start, None, start, rules(None)) is None


TOLD = {day for year in SHIPPED.years for day in (*year.days_off, *year.workdays)}
days = st.integers(0, 330).map(lambda n: date(2027, 1, 1) + timedelta(n))
free = days.filter(lambda day: day not in TOLD)
tables = st.builds(
    lambda worked, off: noticed(
        *sorted(str(day) for day in worked if day.weekday() >= 5 and day != off),
        off=(str(off), str(off)),
    ),
    st.frozensets(free, max_size=20),
    free,
)
instants = st.builds(
    lambda day, seconds: datetime(2026, 12, 1, tzinfo=UTC) + timedelta(days=day, seconds=seconds),
    st.integers(0, 330),
    st.integers(0, 86_399),
)
clocks = st.builds(rule, st.integers(0, 60), st.none() | st.floats(0.1, 0.9))


@given(clocks, instants, st.timedeltas(timedelta(), timedelta(days=40)), tables)
@settings(max_examples=60)
def test_nobody_becomes_late_by_a_newer_table(
    one: DeadlineRule, start: datetime, later: timedelta, table: Calendar
) -> None:
    now, old, new = (
        start + later,
        rules(),
        replace(rules(), work_calendar=work_calendar_from(YIHE, table)),
    )
    was, fresh = moments(one, start, old), moments(one, start, new)
    assert was is not None
    assert fresh is not None
    assert new.work_calendar is not None
    after = reckon_anew(one, start, was.due_at, now, new)
    assert after is not None
    assert min(was.due_at, fresh.due_at) <= after.due_at <= max(was.due_at, fresh.due_at)
    if fresh.due_at >= was.due_at:
        assert after.due_at == fresh.due_at
    elif after.due_at not in (fresh.due_at, was.due_at):
        left = worktime.between(new.work_calendar, now, after.due_at)
        run = worktime.between(new.work_calendar, start, fresh.due_at)
        assert abs(left - run * (1 - (one.warn_share or 0))) < timedelta(seconds=1)
    if was.due_at > now:
        assert after.due_at >= now, "what is not due does not become due in the past"
    assert after.warn_at is None or now <= after.warn_at
    again = reckon_anew(one, start, after.due_at, now, new)
    assert again is not None
    assert again.due_at == after.due_at, "the same table, reckoned again, changes nothing"


# --- a case's own clock --------------------------------------------------------------------------

START = at("2027-01-08T17:40")
GUESS = at("2027-01-11T08:40")  # half an hour, over a weekend
WORKED = noticed("2027-01-09")
HOLIDAY = noticed(off=("2027-01-11", "2027-01-11"))


def first_ask(**more: Any) -> tuple[Case, DeadlineRule]:
    case = replace(at_state("reported"), accepted=False)
    of_case = rules().deadlines_of(case.category, case.case_class, rules().flows[case.flow])
    (one,) = [one for one in of_case if one.id == STEP]
    return replace(case, **{"running": frozenset({STEP}), **more}), one


def recounted(
    clock: Clock, now: str, table: Calendar, **more: Any
) -> tuple[Case, dict[str, object], list[tuple[str, datetime | None]]] | None:
    case, one = first_ask(**more)
    done = recount_clock(case, one, clock, at(now), rules(table))
    if done is None:
        return None
    (fact,) = done[0].facts
    assert fact.type == "case.deadline_set.v1"
    assert done[0].case.seq == case.seq + 1
    assert {one.calendar_version for one in done[0].timers} <= {table.version}
    return done[0].case, dict(fact.data), [(one.kind, one.fires_at) for one in done[0].timers]


def test_a_running_clock_is_set_anew_and_told() -> None:
    done = recounted(Clock(START, GUESS, provisional=True), "2027-01-08T17:50", HOLIDAY)
    assert done is not None
    _, told, timers = done
    assert (told["due_at"], told["provisional"]) == (at("2027-01-12T08:40"), False)
    assert ("miss", at("2027-01-12T08:40")) in timers


def test_a_guess_that_comes_true_is_told_and_its_timers_stay() -> None:
    done = recounted(Clock(START, GUESS, provisional=True), "2027-01-08T17:50", noticed())
    assert done is not None
    _, told, timers = done
    assert (told["due_at"], told["provisional"], timers) == (GUESS, False, [])
    assert recounted(Clock(START, GUESS), "2027-01-08T17:50", noticed()) is None


def test_a_miss_that_is_none_any_more_is_withdrawn_and_the_clock_runs() -> None:
    missed = Clock(START, GUESS, provisional=True, missed=True)
    done = recounted(missed, "2027-01-11T10:00", HOLIDAY, running=frozenset())
    assert done is not None
    case, told, timers = done
    assert (told["armed"], told["miss_withdrawn"]) == (True, True)
    assert told["due_at"] == at("2027-01-12T08:40")
    assert STEP in case.running
    assert ("miss", at("2027-01-12T08:40")) in timers


def test_a_miss_stays_where_the_later_moment_has_passed_too() -> None:
    missed = Clock(START, GUESS, provisional=True, missed=True)
    assert recounted(missed, "2027-01-12T09:00", HOLIDAY, running=frozenset()) is None
    assert recounted(missed, "2027-01-11T10:00", WORKED, running=frozenset()) is None


@pytest.mark.parametrize(
    ("met", "withdrawn"), [("2027-01-11T10:00", True), ("2027-01-12T08:41", False)]
)
def test_who_met_it_in_time_after_all_was_not_late(met: str, withdrawn: bool) -> None:
    took = Told("case.step_taken.v1", at(met), "first_ask", "reported", "owned")
    missed = Clock(START, GUESS, missed=True, since=(took,))
    done = recounted(missed, "2027-01-20T10:00", HOLIDAY, running=frozenset(), closed=True)
    assert (done is not None) is withdrawn
    if done is not None:
        case, told, timers = done
        assert (told["armed"], told["miss_withdrawn"], timers) == (False, True, [])
        assert STEP not in case.running


def test_what_has_ended_is_left_alone() -> None:
    clock = Clock(START, GUESS, provisional=True)
    assert recounted(clock, "2027-01-08T17:50", HOLIDAY, running=frozenset()) is None
    assert recounted(clock, "2027-01-08T17:50", HOLIDAY, closed=True) is None


# --- a department's clock ------------------------------------------------------------------------

BLOWN = at("2027-01-08T10:00")
DUE = at("2027-01-11T10:00")  # eight hours
LATER = at("2027-01-12T10:00")


def slot(
    outcome: Outcome | None = None, came: str | None = None, due: datetime | None = DUE
) -> Slot:
    return Slot(
        UUID(int=1),
        "police",
        lead=True,
        blown_at=BLOWN,
        due_at=due,
        outcome=outcome,
        means="app_ack" if came else None,
        reported_in_at=at(came) if came else None,
        calendar_version=1,
        provisional=due is not None,
    )


def moved(
    one: Slot, now: str, table: Calendar = HOLIDAY, rung: int | None = None
) -> tuple[Slot, dict[str, object], list[tuple[str, str, datetime | None]], frozenset[str]] | None:
    case = at_state("owned", case_class="general")
    done = recount_slot(case, one, rung, at(now), rules(table))
    if done is None:
        return None
    settled, _ = done
    ((after,), (fact,)) = settled.slots, settled.facts
    assert fact.type == "whistle.deadline_moved.v1"
    assert after.calendar_version == table.version
    timers = [(one.deadline, str(one.kind), one.fires_at) for one in settled.timers]
    return after, dict(fact.data), timers, settled.ended


def test_an_awaited_department_has_the_later_moment_and_its_warning() -> None:
    done = moved(slot(), "2027-01-08T11:00")
    assert done is not None
    after, told, timers, ended = done
    assert (after.due_at, after.outcome, after.provisional) == (LATER, None, False)
    assert (told["was_due_at"], told["due_at"], told["miss_withdrawn"]) == (DUE, LATER, False)
    assert [(kind, fires) for _, kind, fires in timers] == [
        ("warn", told["warn_at"]),
        ("miss", LATER),
    ]
    assert clock_of("police") in ended


def test_a_department_whose_clock_could_not_be_told_is_armed() -> None:
    done = moved(slot(due=None), "2027-01-08T11:00", SHIPPED)
    assert done is not None
    after, told, timers, _ = done
    assert (after.due_at, after.provisional) == (DUE, True)
    assert "was_due_at" not in told
    assert ("report_in/police", "miss", DUE) in timers


def test_a_calendar_notice_that_moves_a_deadline_already_missed_takes_the_miss_back() -> None:
    done = moved(slot("missed"), "2027-01-11T15:00", rung=2)
    assert done is not None
    after, told, timers, ended = done
    assert (after.outcome, after.due_at) == (None, LATER)
    assert told["miss_withdrawn"] is True
    assert {deadline for deadline, _, _ in timers} == {"report_in/police"}
    assert "rung.2/police" in ended


def test_a_miss_that_stays_a_miss_stays_and_its_ladder_goes_with_the_deadline() -> None:
    done = moved(slot("missed"), "2027-01-13T10:00", rung=2)
    assert done is not None
    after, told, timers, _ = done
    assert (after.outcome, after.due_at, told.get("miss_withdrawn")) == (
        "missed",
        LATER,
        None,
    )
    ((deadline, kind, fires),) = timers
    assert (deadline, kind) == ("rung.2/police", "rung")
    assert fires is not None
    assert fires > LATER
    assert moved(replace(slot("missed"), provisional=False), "2027-01-11T15:00", WORKED) is None


@pytest.mark.parametrize(
    ("came", "outcome"),
    [("2027-01-12T10:00", "corrected"), ("2027-01-12T10:01", "reported_late")],
)
def test_who_came_late_and_is_punctual_by_the_notice_is_corrected(
    came: str, outcome: Outcome
) -> None:
    done = moved(slot("reported_late", came), "2027-01-20T10:00")
    assert done is not None
    after, told, timers, _ = done
    assert (after.outcome, after.due_at, timers) == (outcome, LATER, [])
    assert told["miss_withdrawn"] is (outcome == "corrected")


def test_who_was_punctual_stays_so_and_who_has_gone_is_left_alone() -> None:
    everybody: Iterable[Slot] = (
        slot("reported", "2027-01-11T08:50"),
        slot("corrected", "2027-01-11T08:50"),
        slot("refused"),
        slot("withdrawn"),
    )
    for one in everybody:
        for table in (HOLIDAY, WORKED):
            assert moved(one, "2027-01-11T15:00", table) is None


# --- a miss whose department was done with afterwards ---------------------------------------------


def ended(when: str, now: str, table: Calendar = HOLIDAY) -> dict[str, object] | None:
    case = at_state("owned", case_class="general", closed=True)
    missed = Clock(BLOWN, DUE, provisional=True, missed=True)
    ending = Ending(UUID(int=1), "police", at(when))
    done = recount_ended(case, ending, missed, at(now), rules(table))
    if done is None:
        return None
    settled, what = done
    assert what == "withdrawn"
    assert (settled.slots, settled.timers) == ((), ()), "nothing is awaited anew"
    (fact,) = settled.facts
    assert fact.type == "whistle.miss_withdrawn.v1"
    assert settled.case.seq == case.seq + 1
    return dict(fact.data)


def test_who_was_done_with_before_the_later_moment_has_missed_nothing() -> None:
    told = ended("2027-01-12T10:00", "2027-01-20T10:00")
    assert told == {
        "whistle_id": UUID(int=1),
        "department": "police",
        "due_at": LATER,
        "was_due_at": DUE,
        "ended_at": at("2027-01-12T10:00"),
        "provisional": False,
    }


def test_who_was_done_with_after_the_later_moment_has_missed_it() -> None:
    assert ended("2027-01-12T10:01", "2027-01-20T10:00") is None
    assert ended("2027-01-11T10:01", "2027-01-11T15:00", WORKED) is None, "earlier changes nothing"


@given(instants, st.timedeltas(timedelta(), timedelta(days=20)), tables)
@settings(deadline=None, max_examples=60)
def test_a_miss_stands_only_where_the_part_ended_after_both_moments(
    start: datetime, later: timedelta, table: Calendar
) -> None:
    case = at_state("owned", case_class="general")
    new = replace(rules(), work_calendar=work_calendar_from(YIHE, table))
    one = report_in_rule(case, "police", new)
    was, fresh = moments(one, start, rules()), moments(one, start, new)
    assert was is not None
    assert fresh is not None
    ending = Ending(UUID(int=1), "police", was.due_at + later)
    missed = Clock(start, was.due_at, missed=True)
    for now in (ending.at, ending.at + timedelta(days=30)):
        done = recount_ended(case, ending, missed, now, new)
        assert (done is None) is (ending.at > max(was.due_at, fresh.due_at))
