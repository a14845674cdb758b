"""What holds of a case's departments whatever is done to them, in whatever order."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from services.routing.domain import rulings, whistle
from services.routing.domain.release import let_go
from services.routing.domain.rulings import Ruling
from services.routing.domain.slot import Means, Slot, department_of
from services.routing.domain.values import Refused
from services.routing.domain.whistle import Call, Settled
from tests.unit.routing.made_up import CLERK, at_state, person
from tests.unit.routing.test_routing_arrivals import HOUR
from tests.unit.routing.test_routing_rulings import under
from tests.unit.routing.test_routing_whistle import THREE, Story, at, officer

LEADER = person("tl", "town_leader", "town")
ACTS = ("blow", "come", "come_on_site", "arrive", "refuse", "accept", "reject", "let_go", "wait")


@dataclass
class Whole(Story):
    """A story that keeps every slot there ever was."""

    every: dict[tuple[UUID, str], Slot] = field(default_factory=dict)

    def take(self, settled: Settled, now: datetime) -> Settled:
        self.every |= {(slot.whistle_id, slot.department): slot for slot in settled.slots}
        return super().take(settled, now)

    def tries(self, act: str, department: str, now: datetime) -> None:
        """Let somebody do something; what is refused changes nothing."""
        slots, there = tuple(self.every.values()), self.slots.get(department)
        done: Settled | Refused | None = None
        if act == "blow":
            call = Call(UUID(int=self.case.seq), (department, "court"), CLERK, self.case.seq)
            done = whistle.blow(self.case, slots, call, now, self.setting)
        elif there is not None and act in ("accept", "reject", "let_go"):
            done = self.town_does(act, there, now)
        elif there is not None:
            done = self.department_does(act, there, now)
        if isinstance(done, Settled):
            self.take(done, now)

    def town_does(self, act: str, there: Slot, now: datetime) -> Settled | Refused:
        slots = [*self.every.values()]
        if act == "let_go":
            return let_go(self.case, slots, [there], CLERK, now, self.setting)
        wanted = Ruling("accept" if act == "accept" else "reject", LEADER)
        return rulings.rule(self.case, slots, there, wanted, now, self.setting)

    def department_does(self, act: str, there: Slot, now: datetime) -> Settled | Refused:
        by = officer(there.department)
        if act == "arrive":
            return whistle.arrive(self.case, there, by, now, self.setting)
        if act == "refuse":
            return whistle.refuse(self.case, there, by, "justice", {}, now, self.setting)
        means: Means = "app_ack" if act == "come" else "on_site"
        return whistle.report_in(self.case, there, means, by, now, self.setting)


@given(st.lists(st.tuples(st.sampled_from(ACTS), st.sampled_from(THREE)), max_size=25))
def test_whatever_happens_each_department_has_one_open_part_and_each_open_part_its_clock(
    acts: list[tuple[str, str]],
) -> None:
    told = Whole(at_state("at_town", case_class="urgent"), setting=under(arrival={"urgent": HOUR}))
    now = at("2025-03-03T09:00")
    for act, department in acts:
        now += timedelta(minutes=11)
        told.until(now.replace(tzinfo=None).isoformat())
        if act != "wait":
            told.tries(act, department, now)
        holds(told)
    told.until("2025-06-01T00:00")
    holds(told)
    assert told.timers == []
    assert not [slot for slot in told.every.values() if slot.awaited and slot.outcome is None]


def holds(told: Whole) -> None:
    pending = [slot for slot in told.every.values() if slot.pending]
    assert len({slot.department for slot in pending}) == len(pending)
    assert len([slot for slot in pending if slot.lead]) <= 1
    armed = {(timer.deadline, timer.kind) for timer in told.timers}
    assert len(armed) == len(told.timers)
    expected = {slot.department for slot in pending if slot.awaited and slot.outcome is None}
    arriving = {
        slot.department
        for slot in pending
        if slot.came and slot.arrived_at is None and slot.arrive_due_at
    }
    report_in = {department_of(name) for name, kind in armed if name.startswith("report")}
    assert report_in == expected
    assert {department_of(name) for name, _ in armed if name.startswith("arrive/")} <= (arriving)
    facts = [fact for _, fact in told.told if fact.type == "whistle.missed.v1"]
    missed = [
        (fact.data["whistle_id"], fact.data["department"], fact.data["due_at"]) for fact in facts
    ]
    assert len(set(missed)) == len(missed)
