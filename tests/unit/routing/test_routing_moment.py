"""Who owns a case at the moment it comes in: Yihe's rules, with the official calendar."""

from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.calendar import load
from contracts.facts import ROUTING_FACTS
from contracts.profile import load_dict
from services.routing.compiled import rules_from
from services.routing.domain import handover
from services.routing.domain.calls import answer, unanswered
from services.routing.domain.duty import Rosters, Shift
from services.routing.domain.opening import open_case
from services.routing.domain.rules import Rules
from services.routing.domain.steps import allowed_steps, take_step
from services.routing.domain.town import Setting
from services.routing.domain.values import Act, Actor, Decision, Owner, Refused, Sheet
from tests.unit.routing.made_up import (
    CADRE,
    LEADER,
    POSTS,
    PROFILES,
    TEAM,
    TOWNS,
    UNITS,
    WORKER,
    data,
    person,
    report,
    town,
    types,
)

HOURS = timedelta(hours=1)
W1 = Owner("g1", "grid_worker", "w1")
D2 = Owner("g2", "dedicated_grid_worker", "d2")
T1 = Owner("g1", "village_team", "t1")
C1 = Owner("v1", "village_cadre", "c1")
PARTNER = person("d2", "dedicated_grid_worker", "g2")
PAIR = {"g1": ("g1", "g2"), "g2": ("g1", "g2")}


@cache
def rules(profile: str = "yihe") -> Rules:
    return rules_from(1, load_dict(PROFILES / f"{profile}.yaml"), load())


def at(local: str) -> datetime:
    return datetime.fromisoformat(f"{local}+08:00")


MONDAY_NIGHT, TUESDAY = at("2025-03-03T20:15"), at("2025-03-04T10:05")


def place(rosters: Rosters | None = None, profile: str = "yihe", posts: Any = POSTS) -> Setting:
    where = replace(town(UNITS, posts), rosters=rosters or Rosters())
    return Setting(where, rules(profile))


def came(
    now: datetime, rosters: Rosters | None = None, case_class: str = "urgent", **more: Any
) -> Decision:
    asked = report(**{"grid": "g1", "case_class": case_class, **more})
    return open_case(UUID(int=7), asked, now, place(rosters))


def paired(away: tuple[str, ...] = (), groups: Any = PAIR) -> Rosters:
    absences = dict.fromkeys(away, ((TUESDAY - 3 * HOURS, TUESDAY + 3 * HOURS),))
    return Rosters(absences=absences, groups=groups)


def tried(decision: Decision) -> dict[str, tuple[bool, str]]:
    return {one.rule: (one.held, one.because) for one in decision.why}


# --- after hours ---------------------------------------------------------------------------------


def test_yh_s07_an_urgent_case_after_hours_is_the_village_teams_and_the_grids_head_is_called() -> (
    None
):
    decision = came(MONDAY_NIGHT)
    assert decision.case.owner == T1
    called = data(decision, "case.called")
    assert called["reason"] == "urgent_after_hours"
    assert [one["role"] for one in called["called"]] == ["grid_leader"]
    assert called["via"] == ("voice", "sms")
    assert called["ack_due_at"] == at("2025-03-03T20:30")
    (clock,) = [one for one in decision.timers if one.deadline == "answer"]
    assert clock.fires_at == at("2025-03-03T20:30")
    assert "handover.filed" not in types(decision)
    assert tried(decision)["duty"] == (False, "after_hours")


def test_yh_s07_without_an_answer_the_village_is_called_and_nobody_after_it() -> None:
    case, (fact,) = unanswered(came(MONDAY_NIGHT).case, at("2025-03-03T20:30"), place())
    assert [one["role"] for one in fact.data["called"]] == ["village_cadre"]  # type: ignore[attr-defined]
    assert fact.data["ack_due_at"] is None
    assert case.owner == T1
    assert unanswered(case, at("2025-03-03T20:45"), place()) == (case, ())


def test_yh_s07_an_answer_ends_the_call() -> None:
    case = came(MONDAY_NIGHT).case
    answered = answer(case, LEADER)
    assert isinstance(answered, Decision)
    assert answered.ended == {"answer"}
    assert unanswered(answered.case, at("2025-03-03T20:30"), place()) == (answered.case, ())
    assert answer(answered.case, LEADER) == Refused("nobody_called")
    assert answer(case, CADRE) == Refused("not_called", ("l1",))


def test_yh_s07_the_first_step_of_whoever_has_the_night_is_an_answer() -> None:
    case = came(MONDAY_NIGHT).case
    assert allowed_steps(case, TEAM, place()) == ("first_ask",)
    taken = take_step(case, Act("first_ask", TEAM, {}, case.seq), MONDAY_NIGHT, place())
    assert isinstance(taken, Decision)
    assert (taken.case.owner, taken.case.call) == (T1, None)
    assert "answer" in taken.ended


def test_where_the_head_is_away_too_the_next_are_called_at_once() -> None:
    away = Rosters(absences={"l1": ((MONDAY_NIGHT - HOURS, MONDAY_NIGHT + HOURS),)})
    called = data(came(MONDAY_NIGHT, away), "case.called")
    assert ([one["staff"] for one in called["called"]], called["call"]) == (["c1"], 2)


FILED = [
    ("2025-03-03T20:15", "2025-03-04T08:30"),
    ("2025-03-04T07:00", "2025-03-04T08:30"),
    ("2025-03-07T18:00", "2025-03-10T08:30"),
    ("2025-09-30T18:30", "2025-10-09T08:30"),  # the eve of the long holiday
    ("2025-12-31T23:59:59.999", "2026-01-04T08:30"),  # a Sunday made up
    ("2024-02-29T23:00", "2024-03-01T08:30"),
]


@pytest.mark.parametrize(("now", "due"), FILED)
def test_yh_9_what_can_wait_is_filed_for_the_next_workdays_morning(now: str, due: str) -> None:
    decision = came(at(now), case_class="general")
    assert decision.case.owner == T1
    filed = data(decision, "handover.filed")
    assert (filed["unit"], filed["due_at"]) == ("g1", at(due))
    (clock,) = [one for one in decision.timers if one.deadline == "hand_over"]
    assert clock.due_at == at(due)
    assert "case.called" not in types(decision)


def filed() -> tuple[Decision, Sheet]:
    decision = came(MONDAY_NIGHT, case_class="general")
    assert decision.sheet is not None
    return decision, decision.sheet


@pytest.mark.parametrize(("signed", "late"), [("08:30", False), ("08:30:00.001", True)])
def test_yh_9_the_worker_signs_in_the_morning_and_has_the_case(signed: str, late: bool) -> None:
    opened, sheet = filed()
    moment = at(f"2025-03-04T{signed}")
    received = handover.receive(opened.case, sheet, WORKER, moment, place())
    assert isinstance(received, Decision)
    assert received.case.owner == W1
    assert types(received) == ["handover.received", "case.handed_over"]
    assert data(received, "handover.received")["late"] is late
    assert received.ended == {"hand_over"}
    again = handover.receive(received.case, received.sheet or sheet, WORKER, moment, place())
    assert again == Refused("sheet_received", ("w1",))


def test_yh_9_only_a_worker_of_the_grid_or_of_its_pair_signs() -> None:
    opened, sheet = filed()
    refused = handover.receive(opened.case, sheet, CADRE, TUESDAY, place())
    assert isinstance(refused, Refused)
    assert refused.code == "role_not_allowed"
    other = handover.receive(opened.case, sheet, PARTNER, TUESDAY, place())
    assert other == Refused("unit_not_allowed", ("g1",))
    signed = handover.receive(opened.case, sheet, PARTNER, TUESDAY, place(paired(("w1",))))
    assert isinstance(signed, Decision)
    assert signed.case.owner == D2


# --- backup --------------------------------------------------------------------------------------


def test_yh_s09_a_the_absent_workers_partner_is_called_and_the_village_is_told() -> None:
    decision = came(TUESDAY, paired(("w1", "w1b")))
    assert decision.case.owner == D2
    called = data(decision, "case.called")
    assert called["reason"] == "backup_called"
    assert [one["staff"] for one in called["called"]] == ["d2"]
    assert [one["staff"] for one in called["told"]] == ["c1"]
    assert called["ack_due_at"] == at("2025-03-04T10:15")
    assert decision.case.fallback is None
    assert allowed_steps(decision.case, PARTNER, place()) == ("first_ask",)


def test_yh_s09_b_both_on_duty_have_it_and_the_grids_own_worker_leads() -> None:
    decision = came(TUESDAY, paired())
    assert (decision.case.owner, decision.case.joint) == (W1, (D2,))
    assert [one["staff"] for one in data(decision, "case.assigned")["joint"]] == ["d2"]


@pytest.mark.parametrize("who", [WORKER, PARTNER])
def test_yh_s09_b_when_either_settles_it_both_are_freed(who: Actor) -> None:
    where, case = place(paired()), came(TUESDAY, paired()).case
    done = {"result": "r", "proof": ("p",)}
    for step in ("first_ask", "grid_settle", "resolve"):
        assert (case.owner, case.joint) == (W1, (D2,))
        decision = take_step(case, Act(step, who, done, case.seq), TUESDAY, where)
        assert isinstance(decision, Decision), decision
        case = decision.case
    assert (case.state, case.joint) == ("resolved", ())


def test_yh_s09_c_a_partner_who_does_not_answer_loses_it_to_the_village() -> None:
    decision = came(TUESDAY, paired(("w1", "w1b")))
    case, (fact,) = unanswered(decision.case, at("2025-03-04T10:15"), place(paired()))
    assert (case.owner, case.call) == (C1, None)
    assert fact.data["rule"] == "backup.unanswered"


def test_a_case_that_can_wait_is_simply_the_partners() -> None:
    decision = came(TUESDAY, paired(("w1", "w1b")), case_class="general")
    assert (decision.case.owner, decision.case.call, decision.case.joint) == (D2, None, ())


THREE = dict.fromkeys(("g1", "g2", "g3"), ("g1", "g2", "g3"))


@pytest.mark.parametrize(
    ("grid", "away", "owner"),
    [
        ("g1", ("w1", "w1b"), "d2"),
        ("g1", ("w1", "w1b", "d2"), "w3"),
        ("g2", ("d2",), "w3"),
        ("g3", ("w3",), "w1"),
        ("g3", ("w3", "w1"), "w1b"),
        ("g1", ("w1", "w1b", "d2", "w3"), "c1"),
    ],
)
def test_three_in_a_row_back_each_other_in_turn(
    grid: str, away: tuple[str, ...], owner: str
) -> None:
    posts = {**POSTS, ("g3", "grid_worker"): ("w3",)}
    where = place(paired(away, THREE), posts=posts)
    decision = open_case(UUID(int=7), report(grid=grid, case_class="urgent"), TUESDAY, where)
    assert decision.case.owner.staff == owner


def test_both_of_a_pair_away_the_village_has_it_at_once() -> None:
    decision = came(TUESDAY, paired(("w1", "w1b", "d2")))
    assert (decision.case.owner, decision.case.fallback) == (C1, "nobody_on_duty")
    assert "case.called" not in types(decision)
    assert tried(decision)["backup.replace"] == (False, "nobody_on_duty")


def test_a_partner_who_is_away_is_not_assigned_beside_the_worker() -> None:
    assert came(TUESDAY, paired(("d2",))).case.joint == ()


def test_unless_it_is_symmetric_only_the_first_is_backed() -> None:
    rosters = paired()
    assert rosters.partners("g1", symmetric=False) == ("g2",)
    assert rosters.partners("g2", symmetric=False) == ()
    assert rosters.partners("g2", symmetric=True) == ("g1",)


# --- rosters -------------------------------------------------------------------------------------


def hours(first: float, last: float, days: frozenset[int] | None = None) -> Shift:
    return Shift(first * HOURS, last * HOURS, days)


def test_a_roster_with_a_gap_falls_through_to_the_next_rule() -> None:
    early, late = (hours(8.5, 10),), (hours(11, 18),)
    rosters = Rosters(staff={"w1": early, "w1b": late})
    before = came(at("2025-03-04T09:59"), rosters, "general")
    gap = came(TUESDAY, rosters, "general")
    after = came(at("2025-03-04T11:00"), rosters, "general")
    assert [one.case.owner.staff for one in (before, gap, after)] == ["w1", "c1", "w1b"]
    assert gap.case.fallback == "nobody_on_duty"


def test_a_units_own_hours_go_before_the_towns_and_a_persons_before_both() -> None:
    saturday = at("2025-03-08T10:00")
    weekend = frozenset({5, 6})
    unit = Rosters(units={"g1": (hours(9, 12, weekend),)})
    assert came(saturday, unit).case.owner == W1
    assert came(TUESDAY, unit).case.owner == T1
    night = Rosters(staff={"w1b": (hours(18, 24),)})
    assert came(MONDAY_NIGHT, night).case.owner.staff == "w1b"


def test_an_absence_begins_and_ends_at_its_moments() -> None:
    away = Rosters(absences={"w1": ((TUESDAY, TUESDAY + HOURS),)})
    moments = (TUESDAY - timedelta(milliseconds=1), TUESDAY, TUESDAY + HOURS)
    assert [came(one, away).case.owner.staff for one in moments] == ["w1", "w1b", "w1"]


def test_without_a_calendar_duty_cannot_be_told_and_why_says_so() -> None:
    bare = Setting(place().town, rules_from(1, load_dict(PROFILES / "yihe.yaml")))
    decision = open_case(UUID(int=7), report(grid="g1"), MONDAY_NIGHT, bare)
    assert decision.case.owner == W1
    assert tried(decision)["duty"] == (False, "no_calendar")


STAFF = ("w1", "w1b", "d2", "l1", "t1", "c1", "c1b", "k1", "k2")
SHIFTS = st.lists(
    st.tuples(st.integers(0, 23), st.integers(1, 24)).map(lambda t: hours(min(t), max(t))),
    max_size=2,
).map(tuple)
ROSTERS = st.builds(
    Rosters,
    staff=st.dictionaries(st.sampled_from(STAFF), SHIFTS, max_size=4),
    units=st.dictionaries(st.sampled_from([unit.id for unit in UNITS]), SHIFTS, max_size=2),
    absences=st.dictionaries(
        st.sampled_from(STAFF), st.just(((MONDAY_NIGHT, MONDAY_NIGHT + 60 * HOURS),))
    ),
    groups=st.sampled_from(({}, PAIR, THREE)),
)


@given(
    profile=st.sampled_from(TOWNS),
    minute=st.integers(0, 7 * 24 * 60 - 1),
    rosters=ROSTERS,
    grid=st.sampled_from(["g1", "g2", "g3", "?"]),
    case_class=st.sampled_from(["urgent", "general", "complex"]),
)
def test_at_every_moment_of_a_week_somebody_owns_it(
    profile: str, minute: int, rosters: Rosters, grid: str, case_class: str
) -> None:
    now = at("2025-03-03T00:00") + timedelta(minutes=minute)
    where = place(rosters, profile)
    decision = open_case(UUID(int=7), report(grid=grid, case_class=case_class), now, where)
    owner = decision.case.owner
    assert owner.unit in where.town.units
    assert owner.role in where.rules.role_levels
    assert owner.staff is None or not rosters.is_away(owner.staff, now)
    assert decision.case.seq == len(decision.facts)
    for fact in decision.facts:
        more = {"number": "1"} if fact.type in ("case.opened.v1", "handover.filed.v1") else {}
        ROUTING_FACTS[fact.type].model_validate({**fact.data, **more})
