"""Any sequence of allowed acts and of moments that come, in any town."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.facts import ROUTING_FACTS
from services.routing.domain.rules import Rules
from services.routing.domain.steps import allowed_steps, take_step
from services.routing.domain.timers import fire
from services.routing.domain.town import Setting
from services.routing.domain.values import Act, Actor, Case, Decision, Fact, NewTimer
from tests.unit.routing.made_up import NOW, TOWN, TOWNS, UNITS, opening, rules

GIVEN = dict.fromkeys(("reason", "result", "instruction", "agreement", "plan", "owner"), "said") | {
    "finding": "said",
    "category": "said",
    "proof": ("p1",),
    "satisfied": True,
}


def people(known: Rules) -> list[Actor]:
    """Return two holders of each role at each unit of its level."""
    return [
        Actor(f"{role}-{unit.id}-{n}", frozenset({role}), frozenset({unit.id}))
        for role, level in known.role_levels.items()
        for unit in UNITS
        if unit.level == level
        for n in (1, 2)
    ]


@dataclass
class Story:
    """A case with its open timers, as a database with its constraints would keep them."""

    case: Case
    timers: dict[tuple[str, str], NewTimer]
    now: datetime
    seq: int

    def tell(self, before: Case, facts: tuple[Fact, ...], after: Case) -> None:
        for fact in facts:
            number = {"number": "1"} if fact.type == "case.opened.v1" else {}
            ROUTING_FACTS[fact.type].model_validate({**fact.data, **number})
        self.seq += len(facts)
        assert after.seq == self.seq, "a gap in the facts' numbers"
        assert before.human_seq <= after.human_seq <= after.seq
        self.case = after

    def record(self, before: Case, decision: Decision) -> None:
        self.tell(before, decision.facts, decision.case)
        self.timers = {k: t for k, t in self.timers.items() if k[0] not in decision.ended}
        for timer in decision.timers:
            key = (timer.deadline, timer.kind)
            assert key not in self.timers, "two open timers of one clock"
            self.timers[key] = timer

    def strike(self) -> None:
        """Let the next armed moment come."""
        armed = [(t.fires_at, k) for k, t in self.timers.items() if t.fires_at is not None]
        if not armed:
            return
        at, key = min(armed)
        timer = self.timers.pop(key)
        assert timer.due_at is not None
        self.now = max(self.now, at)
        before = self.case
        after, fact = fire(before, timer.deadline, timer.kind, timer.due_at, self.now)
        self.tell(before, (fact,) if fact else (), after)

    def check(self, known: Rules) -> None:
        case, flow = self.case, known.flows[self.case.flow]
        assert case.owner.unit
        assert case.owner.role in known.role_levels
        assert case.closed == (case.state in flow.end)
        if case.closed:
            assert case.running == frozenset()
            assert not self.timers
        clocks = {deadline for deadline, _ in self.timers}
        assert case.running >= clocks
        assert case.running <= clocks


def open_to_staff(case: Case, known: Rules) -> list[str]:
    """Return the steps that somebody other than a resident must be able to take."""
    return [
        step.id
        for step in known.flows[case.flow].onward(case.state)
        if step.by_handler or any(role != "citizen" for role in step.roles)
    ]


def owner(case: Case) -> Actor:
    held = case.owner
    return Actor(held.staff or "somebody", frozenset({held.role}), frozenset({held.unit}))


@settings(derandomize=True, max_examples=30)
@given(
    profile=st.sampled_from([*TOWNS, "base"]),
    where=st.sampled_from([{"grid": "g1"}, {"grid": "g3"}, {"village": "v1"}, {}]),
    draw=st.data(),
)
def test_one_owner_no_gap_and_no_clock_left_running(
    profile: str, where: dict[str, Any], draw: st.DataObject
) -> None:
    known = rules(profile)
    category = draw.draw(st.sampled_from(sorted(known.categories)))
    case_class = draw.draw(st.sampled_from(sorted(known.classes)))
    setting = Setting(TOWN, known)
    decision = opening(profile, category=category, case_class=case_class, **where)
    story = Story(decision.case, {}, NOW, 0)
    story.record(replace(decision.case, seq=0), decision)
    story.check(known)
    crowd = people(known)
    for _ in range(draw.draw(st.integers(1, 14))):
        if draw.draw(st.booleans()) and draw.draw(st.booleans()):
            story.strike()
            story.check(known)
            continue
        case = story.case
        possible = [
            (by, step_id)
            for by in (*crowd, owner(case))
            for step_id in allowed_steps(case, by, setting)
        ]
        if not possible:
            assert not open_to_staff(case, known)
            break
        by, step_id = draw.draw(st.sampled_from(possible))
        seen = draw.draw(st.integers(case.human_seq, case.seq))
        story.now += timedelta(minutes=draw.draw(st.integers(0, 3_000)))
        taken = take_step(case, Act(step_id, by, GIVEN, seen), story.now, setting)
        assert isinstance(taken, Decision), taken
        story.record(case, taken)
        story.check(known)
