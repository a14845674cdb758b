"""Every step of Yihe's closed loop, walked to its end by the right people."""

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from contracts.facts import ROUTING_FACTS
from services.routing.domain.steps import allowed_steps
from services.routing.domain.values import Actor, Case, Decision, Owner
from tests.unit.routing.made_up import (
    CADRE,
    CLERK,
    LEADER,
    OFFICER,
    OTHER_CLERK,
    TEAM,
    WORKER,
    at_state,
    opened,
    person,
    rules,
    setting,
    taken,
    types,
)

AT_GRID = Owner("g1", "grid_worker", "w1")
AT_VILLAGE = Owner("v1", "village_cadre", "c1")
AT_TOWN = Owner("town", "center_clerk", "k1")


@dataclass(frozen=True)
class Row:
    """One step: who takes it where, to which state it leads, who has it then, what is told."""

    state: str
    step: str
    by: Actor
    to: str
    owner: Owner
    told: tuple[str, ...] = ()
    given: dict[str, Any] = field(default_factory=dict)
    had_by: Owner = AT_GRID


REASON, RESULT = {"reason": "r"}, {"result": "r", "proof": ("p1",)}
SECOND_CADRE = person("c1b", "village_cadre", "v1")
ROWS = [
    Row("reported", "first_ask", WORKER, "owned", AT_GRID),
    Row("owned", "grid_settle", WORKER, "in_progress", AT_GRID),
    Row("owned", "grid_settle", TEAM, "in_progress", Owner("g1", "village_team", "t1")),
    Row("returned", "grid_settle", WORKER, "in_progress", AT_GRID),
    Row("in_progress", "up_village", WORKER, "at_village", AT_VILLAGE, ("assigned",), REASON),
    Row("in_progress", "up_village", LEADER, "at_village", AT_VILLAGE, ("assigned",), REASON),
    Row("at_village", "village_settle", CADRE, "in_progress", AT_VILLAGE, had_by=AT_VILLAGE),
    Row(
        "at_village",
        "village_settle",
        SECOND_CADRE,
        "in_progress",
        Owner("v1", "village_cadre", "c1b"),
        had_by=AT_VILLAGE,
    ),
    Row("at_village", "up_town", CADRE, "at_town", AT_TOWN, ("assigned",), REASON, AT_VILLAGE),
    Row("in_progress", "up_town", CADRE, "at_town", AT_TOWN, ("assigned",), REASON, AT_VILLAGE),
    Row("at_town", "town_settle", CLERK, "in_progress", AT_TOWN, had_by=AT_TOWN),
    Row(
        "at_town",
        "town_settle",
        OFFICER,
        "in_progress",
        Owner("town", "department_officer", "o1"),
        had_by=AT_TOWN,
    ),
    Row(
        "at_town", "send_down", CLERK, "returned", AT_GRID,
        ("assigned",), {"instruction": "i"}, AT_TOWN,
    ),
    Row(
        "at_village", "send_down", CADRE, "returned", AT_GRID,
        ("assigned",), {"instruction": "i"}, AT_VILLAGE,
    ),
    Row(
        "in_progress", "resolve", WORKER, "resolved", AT_TOWN,
        ("resolved", "assigned", "deadline_set"), RESULT,
    ),
    Row("resolved", "return_visit", CLERK, "closed", AT_TOWN, ("return_visited", "closed"),
        {"satisfied": True}, AT_TOWN),
    Row("resolved", "return_visit", CADRE, "closed", AT_TOWN, ("return_visited", "closed"),
        {"satisfied": False}, AT_TOWN),
    Row("resolved", "reopen", CLERK, "returned", AT_GRID, ("reopened", "assigned", "deadline_set"),
        REASON, AT_TOWN),
    Row("closed", "reopen", CLERK, "returned", AT_GRID, ("reopened", "assigned", "deadline_set"),
        REASON, AT_TOWN),
    Row("reported", "cancel", CLERK, "cancelled", AT_GRID, ("closed",), REASON),
    Row("owned", "cancel", CLERK, "cancelled", AT_GRID, ("closed",), REASON),
]  # fmt: skip


def fresh(row: Row) -> Case:
    if row.state == "reported":
        return opened("yihe", case_class="urgent")
    closed = row.state in rules("yihe").flows["closed_loop"].end
    return at_state(row.state, owner=row.had_by, closed=closed, running=frozenset())


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.state}-{row.step}-{row.by.staff}")
def test_each_step_leads_where_the_profile_says_and_to_one_owner(row: Row) -> None:
    before = fresh(row)
    decision = taken(before, row.step, row.by, **row.given)
    assert decision.case.state == row.to
    told = [name.removeprefix("case.") for name in types(decision)]
    assert decision.case.owner == row.owner
    first = ["accepted"] if row.state == "reported" and row.step != "cancel" else []
    assert told == ["step_taken", *first, *row.told]
    assert decision.case.seq == before.seq + len(decision.facts)
    assert decision.case.human_seq == decision.case.seq


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.state}-{row.step}-{row.by.staff}")
def test_the_step_is_among_those_that_were_offered(row: Row) -> None:
    assert row.step in allowed_steps(fresh(row), row.by, setting("yihe"))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.state}-{row.step}-{row.by.staff}")
def test_every_fact_of_a_step_keeps_its_contract(row: Row) -> None:
    for fact in taken(fresh(row), row.step, row.by, **row.given).facts:
        ROUTING_FACTS[fact.type].model_validate(fact.data)


def test_the_table_holds_every_step_from_every_state() -> None:
    flow = rules("yihe").flows["closed_loop"]
    possible = {(state, step.id) for step in flow.steps for state in step.from_states}
    assert {(row.state, row.step) for row in ROWS} == possible


def walk(case: Case, *steps: tuple[str, Actor, dict[str, Any]]) -> list[Decision]:
    done = []
    for step_id, by, given in steps:
        done.append(taken(case, step_id, by, **given))
        case = done[-1].case
    return done


def test_a_case_goes_up_to_the_town_back_down_and_to_its_end_without_a_gap() -> None:
    case = opened("yihe", case_class="general")
    done = walk(
        case,
        ("first_ask", WORKER, {}),
        ("grid_settle", WORKER, {}),
        ("up_village", WORKER, REASON),
        ("village_settle", CADRE, {}),
        ("up_town", CADRE, REASON),
        ("send_down", CLERK, {"instruction": "i"}),
        ("grid_settle", TEAM, {}),
        ("resolve", TEAM, RESULT),
        ("return_visit", CLERK, {"satisfied": True}),
    )
    last = done[-1].case
    assert last.closed
    assert last.running == frozenset()
    assert last.seq == case.seq + sum(len(one.facts) for one in done)
    assert [step for step, _ in last.done] == [
        "first_ask", "grid_settle", "up_village", "village_settle", "up_town", "send_down",
        "grid_settle", "resolve", "return_visit",
    ]  # fmt: skip
    assert last.done[-2:] == (("resolve", "t1"), ("return_visit", "k1"))


def test_only_the_first_persons_step_accepts_the_case() -> None:
    case = opened("yihe", case_class="general")
    done = walk(case, ("first_ask", WORKER, {}), ("grid_settle", WORKER, {}))
    assert [("case.accepted" in types(one)) for one in done] == [True, False]
    accepted = done[0]
    assert {timer.deadline for timer in accepted.timers} == {"class"}
    assert accepted.ended == {"step.first_ask"}


def test_a_case_taken_up_again_keeps_who_did_what_and_starts_its_time_anew() -> None:
    case = at_state("resolved", done=(("resolve", "w1"),), running=frozenset({"step.return_visit"}))
    again = taken(case, "reopen", CLERK, **REASON)
    assert again.ended == {"step.return_visit"}
    assert {one.deadline for one in again.timers} == {"class"}
    assert again.case.done == (("resolve", "w1"), ("reopen", "k1"))
    assert not again.case.closed


def test_whoever_settled_it_does_not_own_the_return_visit() -> None:
    case = at_state("in_progress", owner=AT_VILLAGE)
    settled = taken(case, "resolve", CADRE, **RESULT)
    assert settled.case.owner == AT_TOWN
    assert "return_visit" in allowed_steps(settled.case, CLERK, setting("yihe"))


def test_where_one_clerk_settled_it_the_next_on_the_roster_visits() -> None:
    case = at_state("in_progress", owner=AT_TOWN)
    settled = taken(case, "resolve", CLERK, **RESULT)
    assert settled.case.owner == replace(AT_TOWN, staff="k2")
    assert "case.assigned" in types(settled)
    assert taken(settled.case, "return_visit", OTHER_CLERK, satisfied=True).case.closed
