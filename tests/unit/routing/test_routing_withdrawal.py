"""A reporter takes his report back: by the flow's step for him, while it has one."""

from dataclasses import replace
from typing import Any

import pytest

from services.routing.domain.rules import Flow
from services.routing.domain.steps import allowed_steps, take_step
from services.routing.domain.town import Setting
from services.routing.domain.values import Act, Actor, Decision, Refused
from services.routing.domain.withdrawal import withdraw
from tests.unit.routing.made_up import NOW, WORKER, at_state, opened, rules, setting, types

GIVEN = {"reason": "sealed", "sealed": {"kid": "k1"}}
REPORTER = Actor("reporter", reporter=True)


@pytest.mark.parametrize("profile", ["yihe", "gucheng"])
@pytest.mark.parametrize("state", ["reported", "owned", "accepted", "in_progress", "closed"])
def test_it_goes_by_the_flows_step_and_no_further(profile: str, state: str) -> None:
    case = at_state(state, profile)
    flow = rules(profile).flows[case.flow]
    there = any(one.by_reporter and one.means == "cancel" for one in flow.onward(state))
    decision = withdraw(case, GIVEN, NOW, setting(profile))
    assert (decision is not None) is there
    if decision is not None:
        assert decision.case.closed
        assert types(decision)[:2] == ["case.step_taken", "case.closed"]
        assert decision.case.owner == case.owner
        assert decision.facts[0].data["sealed"] == GIVEN["sealed"]
        assert decision.case.human_seq == decision.case.seq


def test_both_answers_are_among_those_states() -> None:
    assert withdraw(opened(), GIVEN, NOW, setting()) is not None
    assert withdraw(at_state("in_progress"), GIVEN, NOW, setting()) is None


def changed(**more: Any) -> Setting:
    """Return the town with another step for taking back."""
    known = rules()
    flow = known.flows[known.default_flow]
    steps = tuple(
        replace(one, **more) if one.means == "cancel" and one.by_reporter else one
        for one in flow.steps
    )
    flows: dict[str, Flow] = {**known.flows, flow.id: replace(flow, steps=steps)}
    return replace(setting(), rules=replace(known, flows=flows))


@pytest.mark.parametrize(
    "more", [{"by_reporter": False}, {"means": None}, {"needs": ("reason", "proof")}], ids=str
)
def test_a_step_that_is_not_his_or_needs_more_is_not_taken(more: dict[str, Any]) -> None:
    assert withdraw(opened(), GIVEN, NOW, changed(**more)) is None


def test_a_reporter_takes_no_step_of_anybody_elses() -> None:
    case = opened()
    for step in rules().flows[case.flow].onward(case.state):
        done = take_step(case, Act(step.id, REPORTER, GIVEN, case.seq), NOW, setting())
        assert isinstance(done, Decision if step.by_reporter else Refused)


def test_nobody_becomes_a_reporter_by_his_name() -> None:
    him = replace(WORKER, staff="reporter", roles=frozenset({"reporter"}))
    assert "cancel" not in allowed_steps(opened(), him, setting())
