"""The defaults' standard flow: the system assigns, a handler works, each pass goes one rung up."""

from dataclasses import replace
from typing import Any

import pytest

from services.routing.domain.rules import DeadlineRule, Flow, Rules, Span, Step
from services.routing.domain.steps import allowed_steps, take_step
from services.routing.domain.town import Setting
from services.routing.domain.values import Act, Actor, Case, Decision, Owner
from tests.unit.routing.made_up import (
    CADRE,
    CLERK,
    NOW,
    OTHER_CLERK,
    TOWN,
    WORKER,
    data,
    opened,
    person,
    refused,
    rules,
    setting,
    taken,
    types,
)

REASON = {"reason": "r"}
AT_GRID = Owner("g1", "grid_worker", "w1")
AT_VILLAGE = Owner("v1", "village_cadre", "c1")
AT_TOWN = Owner("town", "center_clerk", "k1")


def go(case: Case, *steps: tuple[str, Actor, dict[str, Any]]) -> Decision:
    decision = None
    for step_id, by, given in steps:
        decision = taken(case, step_id, by, profile="base", **given)
        case = decision.case
    assert decision is not None
    return decision


@pytest.mark.parametrize("by", [WORKER, CADRE, CLERK], ids=lambda by: by.staff)
def test_whoever_accepts_it_the_system_assigns_it_to_its_grid(by: Actor) -> None:
    accepted = go(opened("base"), ("accept", by, {}))
    assert accepted.case.state == "assigned"
    assert accepted.case.owner == AT_GRID
    assert types(accepted)[:4] == [
        "case.step_taken", "case.accepted", "case.step_taken", "case.assigned",
    ]  # fmt: skip
    by_system = accepted.facts[2].data
    assert by_system["by"] == {"unit": "g1", "role": "system", "staff": "system"}
    assert (by_system["from_state"], by_system["to_state"]) == ("accepted", "assigned")
    assert accepted.facts[3].data["rule"] == "roster"
    assert accepted.case.done == (("accept", by.staff),)


def test_each_pass_up_goes_one_rung_and_from_the_top_nowhere() -> None:
    worked = go(opened("base"), ("accept", WORKER, {}), ("start_work", WORKER, {}))
    once = go(worked.case, ("transfer_up", WORKER, REASON))
    assert (once.case.state, once.case.owner) == ("assigned", AT_VILLAGE)
    assert once.facts[-1].data["rule"] == "next_rung"
    twice = go(once.case, ("start_work", CADRE, {}), ("transfer_up", CADRE, REASON))
    assert twice.case.owner == AT_TOWN
    thrice = go(twice.case, ("start_work", CLERK, {}), ("transfer_up", CLERK, REASON))
    assert thrice.case.owner == AT_TOWN


def test_a_pass_up_skips_no_rung_because_nobody_is_rostered_there() -> None:
    case = replace(opened("base", grid="g3"), state="in_progress")
    case = replace(case, owner=Owner("g3", "grid_worker", "w3"))
    passed = go(case, ("transfer_up", person("w3", "grid_worker", "g3"), REASON))
    assert passed.case.owner == Owner("v2", "village_cadre")


def test_the_whole_way_to_the_end() -> None:
    closed = go(
        opened("base"),
        ("accept", CLERK, {}),
        ("start_work", WORKER, {}),
        ("resolve", WORKER, {"result": "done"}),
        ("confirm", CADRE, {"satisfied": True}),
    )
    assert closed.case.state == "closed"
    assert closed.case.closed
    assert closed.case.running == frozenset()
    assert data(closed, "case.closed")["state"] == "closed"
    assert data(closed, "case.return_visited")["satisfied"] is True


def test_what_is_taken_up_again_goes_back_to_its_grid_and_not_to_the_clerk_who_may_not_work() -> (
    None
):
    again = go(
        replace(opened("base"), state="closed", closed=True, accepted=True, owner=AT_TOWN),
        ("reopen", CLERK, REASON),
    )
    assert (again.case.state, again.case.owner) == ("reopened", AT_GRID)
    assert data(again, "case.assigned")["owner"]["staff"] == "w1"
    assert go(again.case, ("start_work", WORKER, {})).case.state == "in_progress"


def test_only_the_handler_works_and_an_owner_who_is_a_role_is_anybody_who_holds_it() -> None:
    assigned = go(opened("base"), ("accept", WORKER, {})).case
    second = person("w1b", "grid_worker", "g1")
    assert refused(assigned, "start_work", second, profile="base").code == "not_the_handler"
    open_post = replace(assigned, owner=Owner("g1", "grid_worker"))
    for by, code in (
        (person("x", "grid_worker", "g2"), "not_the_handler"),
        (person("x", "village_team", "g1"), "not_the_handler"),
    ):
        assert refused(open_post, "start_work", by, profile="base").code == code
    assert go(open_post, ("start_work", second, {})).case.owner == replace(AT_GRID, staff="w1b")


# --- flows that no town has yet -----------------------------------------------------------------


def known(flow: Flow, *clocks: DeadlineRule) -> Setting:
    base: Rules = rules("base")
    flows = {**base.flows, flow.id: flow}
    return Setting(TOWN, replace(base, flows=flows, classes={**base.classes, "general": clocks}))


def act(case: Case, step_id: str, where: Setting, by: Actor = WORKER) -> Decision:
    decision = take_step(case, Act(step_id, by, {}, case.seq), NOW, where)
    assert isinstance(decision, Decision)
    return decision


GRID = ("grid_worker",)
SHORT = Flow(
    "short",
    "asked",
    frozenset({"old"}),
    (
        Step("hear", frozenset({"asked"}), "new", GRID),
        Step("look", frozenset({"new"}), "seen", GRID),
        Step("mend", frozenset({"seen"}), "mended", GRID),
        Step("file", frozenset({"mended"}), "old", (), by_system=True),
    ),
)
IN_SHORT = replace(opened("base"), flow="short", state="new", case_class="general")


def test_a_case_that_the_system_closes_is_announced_as_closed() -> None:
    case = replace(IN_SHORT, state="seen", running=frozenset({"class"}))
    calendar = DeadlineRule("class", Span(days=1), "calendar", "accepted")
    closed = act(case, "mend", known(SHORT, calendar))
    assert closed.case.closed
    assert types(closed) == ["case.step_taken", "case.step_taken", "case.closed"]
    assert data(closed, "case.closed") == {
        "by": {"unit": "g1", "role": "system", "staff": "system"},
        "state": "old",
    }
    assert closed.ended == {"class"}


def test_a_steps_clock_that_counts_from_the_report_runs_until_its_step_is_reached() -> None:
    clock = DeadlineRule(
        "step.mend", Span(days=3), "calendar", "reported", states=frozenset({"seen"})
    )
    where = known(replace(SHORT, deadlines=(clock,)))
    case = replace(IN_SHORT, state="asked", running=frozenset({"step.mend"}))
    heard = act(case, "hear", where)
    assert heard.ended == frozenset()
    looked = act(heard.case, "look", where)
    assert looked.case.running == {"step.mend"}
    assert act(looked.case, "mend", where).ended == {"step.mend"}


def test_a_circle_of_system_steps_ends() -> None:
    circle = replace(
        SHORT,
        steps=(
            Step("look", frozenset({"new"}), "a", GRID),
            Step("there", frozenset({"a"}), "b", (), by_system=True),
            Step("back", frozenset({"b"}), "a", (), by_system=True),
        ),
    )
    assert len(act(IN_SHORT, "look", known(circle)).facts) < 20


def test_nothing_is_offered_at_an_end_but_to_take_it_up_again() -> None:
    case = replace(opened("base"), state="closed", closed=True)
    assert allowed_steps(case, CLERK, setting("base")) == ("reopen",)
    assert allowed_steps(replace(case, state="cancelled"), CLERK, setting("base")) == ()
    assert allowed_steps(case, OTHER_CLERK, setting("base")) == ("reopen",)
