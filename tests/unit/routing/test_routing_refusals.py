from dataclasses import replace
from typing import Any

import pytest

from services.routing.domain.steps import allowed_steps, take_step
from services.routing.domain.values import Act, Actor, Case, Decision, Owner, Refused
from tests.unit.routing.made_up import (
    CADRE,
    CLERK,
    LEADER,
    NOW,
    OTHER_CLERK,
    TEAM,
    WORKER,
    at_state,
    opened,
    person,
    refused,
    setting,
    step,
    taken,
)

REPORTED = opened("yihe")
IN_PROGRESS = at_state("in_progress")
RESOLVED = at_state("resolved", done=(("resolve", "c1"),))
OF_V2 = person("c9", "village_cadre", "v2")
BOTH = Actor("x", frozenset({"grid_worker", "village_cadre"}), frozenset({"g1", "v2"}))
RESULT: dict[str, Any] = {"result": "r", "proof": ("p1",)}

TABLE: list[tuple[str, Case, str, Actor, dict[str, Any], str, tuple[str, ...]]] = [
    ("role", REPORTED, "first_ask", CADRE, {}, "role_not_allowed",
     ("grid_worker", "dedicated_grid_worker")),
    ("no role at all", REPORTED, "first_ask", Actor("x"), {}, "role_not_allowed",
     ("grid_worker", "dedicated_grid_worker")),
    ("the system's role", REPORTED, "first_ask", person("x", "system", "g1"), {},
     "role_not_allowed", ("grid_worker", "dedicated_grid_worker")),
    ("the handler's name as a role", IN_PROGRESS, "resolve", person("x", "handler", "g1"), RESULT,
     "not_the_handler", ()),
    ("unit", at_state("owned"), "grid_settle", person("x", "grid_worker", "g2"), {},
     "unit_not_allowed", ("g1",)),
    ("no unit", REPORTED, "first_ask", Actor("x", frozenset({"grid_worker"})), {},
     "unit_not_allowed", ("g1",)),
    ("the grid's role at the town", REPORTED, "first_ask", person("x", "grid_worker", "town"), {},
     "unit_not_allowed", ("g1",)),
    ("the village's role in the grid", RESOLVED, "return_visit",
     person("x", "village_cadre", "g1"), {"satisfied": True}, "unit_not_allowed", ("v1",)),
    ("another village's cadre", RESOLVED, "return_visit", OF_V2, {"satisfied": True},
     "unit_not_allowed", ("v1",)),
    ("a worker here who is a cadre elsewhere", RESOLVED, "return_visit", BOTH,
     {"satisfied": True}, "unit_not_allowed", ("v1",)),
    ("the owner's colleague", IN_PROGRESS, "resolve", person("w1b", "grid_worker", "g1"), RESULT,
     "not_the_handler", ()),
    ("the owner's leader", IN_PROGRESS, "resolve", LEADER, RESULT, "not_the_handler", ()),
    ("the same person", RESOLVED, "return_visit", CADRE, {"satisfied": True}, "same_person",
     ("resolve",)),
    ("nothing handed in", IN_PROGRESS, "resolve", WORKER, {}, "needs_missing",
     ("result", "proof")),
    ("one thing missing", IN_PROGRESS, "resolve", WORKER, {"result": "r"}, "needs_missing",
     ("proof",)),
    ("an empty proof", IN_PROGRESS, "resolve", WORKER, {"result": "r", "proof": ()},
     "needs_missing", ("proof",)),
    ("an empty reason", IN_PROGRESS, "up_village", WORKER, {"reason": ""}, "needs_missing",
     ("reason",)),
    ("satisfied left open", RESOLVED, "return_visit", CLERK, {"satisfied": None},
     "needs_missing", ("satisfied",)),
    ("satisfied in words", RESOLVED, "return_visit", CLERK, {"satisfied": "yes"},
     "needs_missing", ("satisfied",)),
    ("a later step", REPORTED, "resolve", WORKER, RESULT, "step_not_allowed", ("first_ask",)),
    ("an earlier step", IN_PROGRESS, "first_ask", WORKER, {}, "step_not_allowed",
     ("up_village", "resolve")),
    ("a step twice", at_state("owned"), "first_ask", WORKER, {}, "step_not_allowed",
     ("grid_settle",)),
    ("the town, past the village", IN_PROGRESS, "up_town", WORKER, {"reason": "r"},
     "role_not_allowed", ("village_cadre",)),
    ("the town, past the village, by its own cadre", IN_PROGRESS, "up_town", CADRE,
     {"reason": "r"}, "rung_skipped", ("village",)),
    ("cancel too late", IN_PROGRESS, "cancel", CLERK, {"reason": "r"}, "step_not_allowed", ()),
    ("an ended case", at_state("cancelled", closed=True), "reopen", CLERK, {"reason": "r"},
     "step_not_allowed", ()),
]  # fmt: skip


@pytest.mark.parametrize(
    ("case", "step_id", "by", "given", "code", "names"),
    [row[1:] for row in TABLE],
    ids=[row[0] for row in TABLE],
)
def test_a_refusal_says_which_rule_and_what_would_be_right(
    case: Case, step_id: str, by: Actor, given: dict[str, Any], code: str, names: tuple[str, ...]
) -> None:
    no = refused(case, step_id, by, **given)
    assert (no.code, no.names) == (code, names)
    if code != "needs_missing":
        assert step_id not in allowed_steps(case, by, setting("yihe"))


def test_an_unknown_step_is_answered_with_those_that_there_are() -> None:
    no = refused(REPORTED, "nope", WORKER)
    assert no.code == "unknown_step"
    assert {"first_ask", "resolve", "cancel"} <= set(no.names)


def test_an_act_is_stale_if_a_person_has_acted_since_or_if_it_has_seen_the_future() -> None:
    acted = taken(REPORTED, "first_ask", WORKER).case
    struck = replace(acted, seq=acted.seq + 3)
    for seq, code in (
        (struck.human_seq - 1, "stale"),
        (0, "stale"),
        (struck.human_seq, None),
        (struck.human_seq + 1, None),
        (struck.seq, None),
        (struck.seq + 1, "seq_ahead"),
    ):
        decision = step(struck, "grid_settle", WORKER, seq=seq)
        assert getattr(decision, "code", None) == code, seq
    assert refused(struck, "grid_settle", WORKER, seq=0).names == (str(struck.seq),)


def test_a_stale_act_is_told_so_before_anything_else() -> None:
    assert refused(IN_PROGRESS, "first_ask", CADRE, seq=IN_PROGRESS.seq + 1).code == "seq_ahead"


def test_a_person_of_two_posts_acts_at_the_one_that_is_asked_for() -> None:
    double = Actor("x", frozenset({"grid_worker", "village_cadre"}), frozenset({"g2", "v1"}))
    passed = taken(at_state("at_village"), "village_settle", double)
    assert passed.case.owner == Owner("v1", "village_cadre", "x")


def test_the_second_role_counts_where_the_first_is_held_elsewhere() -> None:
    cadre_here = Actor("x", frozenset({"center_clerk", "village_cadre"}), frozenset({"v1"}))
    visited = taken(RESOLVED, "return_visit", cadre_here, satisfied=True)
    assert visited.facts[0].data["by"] == {"unit": "v1", "role": "village_cadre", "staff": "x"}


def test_without_a_grid_only_the_levels_that_are_known_may_act() -> None:
    case = replace(opened("yihe", grid=None, village="v1"), state="at_village", accepted=True)
    assert refused(case, "send_down", OF_V2, instruction="i").code == "unit_not_allowed"
    assert taken(case, "send_down", CADRE, instruction="i").case.state == "returned"
    owned = replace(case, state="owned")
    assert refused(owned, "grid_settle", WORKER).code == "unit_not_allowed"


def test_whoever_visited_may_not_settle_it_when_it_comes_back() -> None:
    done = (("resolve", "w1"), ("return_visit", "c1"), ("reopen", "k1"))
    again = at_state("in_progress", owner=Owner("v1", "village_cadre", "c1"), done=done)
    assert refused(again, "resolve", CADRE, **RESULT).names == ("return_visit",)
    assert taken(again, "up_town", CADRE, reason="r").case.owner.role == "center_clerk"


def test_the_offer_is_what_would_be_taken() -> None:
    for case in (REPORTED, IN_PROGRESS, RESOLVED, at_state("at_village"), at_state("at_town")):
        for by in (WORKER, LEADER, TEAM, CADRE, CLERK, OTHER_CLERK, OF_V2, BOTH):
            offered = set(allowed_steps(case, by, setting("yihe")))
            for step_id in ("first_ask", "grid_settle", "up_village", "village_settle", "up_town",
                            "town_settle", "send_down", "resolve", "return_visit", "reopen",
                            "cancel"):  # fmt: skip
                decision = step(case, step_id, by, reason="r", instruction="i", satisfied=True,
                                **RESULT)  # fmt: skip
                assert (step_id in offered) == (not hasattr(decision, "code")), (step_id, by)


def test_a_rung_is_passed_over_only_where_the_town_lets_it() -> None:
    bound = setting("yihe")
    free = replace(bound, rules=replace(bound.rules, skip_allowed=True))
    given = {"reason": "r"}
    act = Act("up_town", CADRE, given, IN_PROGRESS.seq)
    assert take_step(IN_PROGRESS, act, NOW, bound) == Refused("rung_skipped", ("village",))
    risen = take_step(IN_PROGRESS, act, NOW, free)
    assert isinstance(risen, Decision)
    assert risen.case.state == "at_town"
