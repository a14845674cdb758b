"""The whistle by the rules alone: who is called, by when, and what becomes of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

import pytest

from contracts.calendar import load
from contracts.profile import load_dict
from services.routing.compiled import rules_from
from services.routing.domain import whistle
from services.routing.domain.ladder import strike
from services.routing.domain.release import holding, let_go
from services.routing.domain.slot import Slot, department_of
from services.routing.domain.steps import take_step
from services.routing.domain.town import Setting, Town
from services.routing.domain.upward import is_upward, strike_call
from services.routing.domain.values import (
    Act,
    Actor,
    Case,
    Fact,
    NewTimer,
    Owner,
    Refused,
    UpwardCall,
)
from services.routing.domain.whistle import Call, Settled
from tests.unit.routing.made_up import CADRE, CLERK, POSTS, PROFILES, WORKER, at_state, town

HEADS = {"department_officer": ("o1",), "department_head": ("h1",)}
THREE = ("police", "justice", "court")


def served(departments: Mapping[str, Mapping[str, tuple[str, ...]]] | None = None) -> Town:
    """Return the made-up town with a leader, and people in three departments."""
    where = town(posts={**POSTS, ("town", "town_leader"): ("tl",)})
    return replace(where, departments=departments or dict.fromkeys(THREE, HEADS))


@cache
def setting(profile: str = "yihe") -> Setting:
    return Setting(served(), rules_from(1, load_dict(PROFILES / f"{profile}.yaml"), load()))


def at(local: str) -> datetime:
    return datetime.fromisoformat(f"{local}+08:00")


def officer(department: str) -> Owner:
    return Owner(department, "department_officer", f"o-{department}")


NOON = at("2025-03-03T12:00")


@dataclass
class Story:
    """One case with its departments and the moments that are kept; time goes forward."""

    case: Case
    setting: Setting = field(default_factory=setting)
    slots: dict[str, Slot] = field(default_factory=dict)
    timers: list[NewTimer] = field(default_factory=list)
    told: list[tuple[datetime, Fact]] = field(default_factory=list)
    call: UpwardCall | None = None

    def does(self, act: Callable[..., Settled | Refused], *given: Any, now: datetime) -> Settled:
        settled = act(self.case, *given)
        assert isinstance(settled, Settled), settled
        return self.take(settled, now)

    def take(self, settled: Settled, now: datetime) -> Settled:
        assert settled.case.seq == self.case.seq + len(settled.facts)
        self.case = settled.case
        self.slots |= {slot.department: slot for slot in settled.slots}
        self.call = settled.upward or self.call
        self.timers = [one for one in self.timers if one.deadline not in settled.ended]
        self.timers += settled.timers
        self.told += [(now, fact) for fact in settled.facts]
        return settled

    def blow(self, now: str, *departments: str, by: Actor = CLERK, **more: Any) -> Settled:
        call = Call(UUID(int=len(self.told) + 1), departments, by, self.case.seq, **more)
        slots = tuple(self.slots.values())
        return self.does(whistle.blow, slots, call, at(now), self.setting, now=at(now))

    def comes(self, handed_in: str, department: str, means: str = "app_ack") -> Settled:
        by, slot = officer(department), self.slots[department]
        moment = at(handed_in)
        given = (slot, means, by, moment, self.setting)
        return self.does(whistle.report_in, *given, now=moment)

    def lets_go(self, now: str, department: str) -> Settled:
        slots, going = [*self.slots.values()], [self.slots[department]]
        return self.does(let_go, slots, going, CLERK, at(now), self.setting, now=at(now))

    def until(self, moment: str) -> "Story":
        """Let every moment come that is kept before this one."""
        while due := [t for t in self.timers if t.fires_at and t.fires_at <= at(moment)]:
            one = min(due, key=lambda timer: (timer.fires_at, timer.kind == "miss"))
            self.timers.remove(one)
            now = one.fires_at
            assert now is not None
            struck = self.struck(one, now)
            if struck is not None:
                self.take(struck, now)
        return self

    def struck(self, one: NewTimer, now: datetime) -> Settled | None:
        if is_upward(one.deadline):
            assert self.call is not None
            return strike_call(self.case, self.call)
        slot = self.slots[department_of(one.deadline) or ""]
        open_ = self.call if self.call and self.call.open else None
        return strike(self.case, slot, one.deadline, one.kind, now, self.setting, open_)

    def facts(self, type_: str, department: str | None = None) -> list[tuple[datetime, Fact]]:
        named = [(now, fact) for now, fact in self.told if fact.type == f"{type_}.v1"]
        return [
            (now, fact) for now, fact in named if department in (None, fact.data.get("department"))
        ]

    def outcomes(self) -> dict[str, str | None]:
        return {name: slot.outcome for name, slot in self.slots.items()}


def story(case_class: str = "complex", state: str = "at_town", **more: Any) -> Story:
    return Story(at_state(state, case_class=case_class), **more)


def refused(told: Story, act: Callable[..., Settled | Refused], *given: Any) -> Refused:
    answer = act(told.case, *given)
    assert isinstance(answer, Refused), answer
    return answer


def call_refused(told: Story, *departments: str, by: Actor = CLERK, **more: Any) -> Refused:
    call = Call(UUID(int=99), departments, by, more.pop("seq", told.case.seq), **more)
    slots = tuple(told.slots.values())
    return refused(told, whistle.blow, slots, call, at("2025-03-03T09:00"), told.setting)


def test_yh_s01_three_are_due_after_sixteen_duty_hours_and_the_lead_lets_go_on() -> None:
    told = story()
    told.blow("2025-03-03T09:00", *THREE)
    assert {slot.due_at for slot in told.slots.values()} == {at("2025-03-05T09:00")}
    assert [slot.lead for slot in told.slots.values()] == [True, False, False]
    rules = told.setting.rules.whistle
    assert holding(told.slots.values(), rules) == ("police",)
    told.comes("2025-03-03T10:12", "police", "on_site")
    assert holding(told.slots.values(), rules) == ()
    assert told.outcomes() == {"police": "reported", "justice": None, "court": None}


def test_yh_s02_a_miss_climbs_and_a_late_report_in_ends_it() -> None:
    told = story()
    told.blow("2025-03-03T09:00", *THREE)
    for department in ("police", "justice"):
        told.comes("2025-03-04T15:00", department)
    told.until("2025-03-05T10:59")
    due = at("2025-03-05T09:00")
    assert [(now, fact.data["department"]) for now, fact in told.facts("whistle.missed")] == [
        (due, "court")
    ]
    climbed = [(now - due, fact.data["do"]) for now, fact in told.facts("case.escalated")]
    assert climbed == [
        (timedelta(0), "remind"),
        (timedelta(0), "score"),
        (timedelta(hours=1), "notify_head"),
    ]
    told.comes("2025-03-05T11:00", "court")
    told.until("2025-04-01T00:00")
    assert len(told.facts("case.escalated")) == 3
    assert told.outcomes()["court"] == "reported_late"
    assert told.facts("whistle.reported_in", "court")[0][1].data["late"] is True
    assert told.timers == []


def test_without_anybody_the_ladder_ends_with_the_town_leader_after_four_hours() -> None:
    told = story()
    told.blow("2025-03-03T09:00", "court")
    told.until("2025-04-01T00:00")
    last, fact = told.facts("case.escalated")[-1]
    assert (last, fact.data["do"], fact.data["to_level"]) == (
        at("2025-03-05T13:00"),
        "escalate",
        "town",
    )
    assert len(told.facts("whistle.missed")) == len(told.facts("whistle.warned")) == 1


def test_rungs_come_by_their_moments_in_whatever_order_a_profile_lists_them() -> None:
    body = load_dict(PROFILES / "yihe.yaml")
    body["whistle"]["on_miss"] = [
        {"after": "P1D", "do": "notify_head"},
        {"after": "PT4H", "do": "score"},
        {"after": "PT0S", "do": "remind"},
    ]
    rungs = rules_from(1, body).whistle.on_miss
    assert [rung.do for rung in rungs] == ["remind", "score", "notify_head"]


def test_a_rung_with_nobody_on_it_is_told_of_and_the_next_follows_at_once() -> None:
    nobody = replace(setting(), town=served({"court": {"department_officer": ("o1",)}}))
    told = story(setting=nobody)
    told.blow("2025-03-03T09:00", "court")
    told.until("2025-03-05T10:00")
    climbed = [(now, f.data["do"], f.data["nobody"]) for now, f in told.facts("case.escalated")]
    ten = at("2025-03-05T10:00")
    assert climbed[-2:] == [(ten, "notify_head", True), (ten, "escalate", False)]


@pytest.mark.parametrize("level", ["village", "county"])
def test_a_rung_to_a_level_at_which_nobody_supervises_has_nobody_on_it(level: str) -> None:
    rules = setting().rules
    first = replace(rules.whistle.on_miss[-1], after=rules.whistle.on_miss[0].after, to=level)
    ladder = replace(rules.whistle, on_miss=(first, *rules.whistle.on_miss[-2:]))
    told = story(setting=replace(setting(), rules=replace(rules, whistle=ladder)))
    told.blow("2025-03-03T09:00", "court")
    told.until("2025-03-05T09:00")
    climbed = [(f.data["do"], f.data["nobody"]) for _, f in told.facts("case.escalated")]
    assert climbed == [("escalate", True), ("notify_head", False)]


def test_a_ladder_that_begins_later_waits_for_its_first_rung() -> None:
    rules = setting().rules
    later = replace(rules.whistle, on_miss=rules.whistle.on_miss[2:])
    told = story(setting=replace(setting(), rules=replace(rules, whistle=later)))
    told.blow("2025-03-03T09:00", "court")
    told.until("2025-03-05T09:59")
    assert told.facts("case.escalated") == []
    told.until("2025-03-05T10:00")
    assert [fact.data["do"] for _, fact in told.facts("case.escalated")] == ["notify_head"]


def test_ydk_s14_the_village_calls_and_one_misses_alone() -> None:
    told = story("general", setting=setting("yidukou"), state="in_progress")
    told.case = replace(told.case, flow=told.setting.rules.default_flow)
    told.blow("2025-03-07T16:00", "police", "civil_affairs", by=CADRE)
    assert {slot.due_at for slot in told.slots.values()} == {at("2025-03-10T16:00")}
    told.comes("2025-03-10T15:59", "police")
    told.until("2025-03-10T16:00")
    assert told.outcomes() == {"police": "reported", "civil_affairs": "missed"}


@pytest.mark.parametrize(
    ("handed_in", "outcome"),
    [
        ("2025-03-03T09:29:59.999", "corrected"),
        ("2025-03-03T09:30:00", "corrected"),
        ("2025-03-03T09:30:00.001", "reported_late"),
    ],
)
def test_the_moment_of_handing_in_alone_tells_who_is_late(handed_in: str, outcome: str) -> None:
    told = story("urgent")
    told.blow("2025-03-03T09:00", "police")
    told.until("2025-03-03T12:00")
    told.comes(handed_in, "police")
    assert told.outcomes() == {"police": outcome}
    corrected = told.facts("whistle.corrected")
    assert bool(corrected) == (outcome == "corrected")
    assert told.timers == []


def test_a_punctual_report_in_before_its_miss_is_simply_reported() -> None:
    told = story("urgent")
    told.blow("2025-03-03T09:00", "police")
    told.comes("2025-03-03T09:29:59.999", "police")
    told.until("2025-03-04T09:00")
    assert told.outcomes() == {"police": "reported"}
    assert not told.facts("whistle.missed")


def test_one_who_comes_before_the_whistle_by_his_clock_is_in_time() -> None:
    told = story("urgent")
    told.blow("2025-03-03T09:00", "police")
    told.comes("2025-03-03T08:59:58", "police")
    assert told.outcomes() == {"police": "reported"}


def test_a_second_report_in_changes_nothing() -> None:
    told = story("urgent")
    told.blow("2025-03-03T09:00", "police")
    told.comes("2025-03-03T09:10", "police", "remote")
    before = (told.case, dict(told.slots), len(told.told))
    told.comes("2025-03-03T11:00", "police", "on_site")
    assert (told.case, told.slots, len(told.told)) == before


def test_a_second_whistle_merges_who_is_called_and_calls_who_is_not() -> None:
    told = story()
    told.blow("2025-03-03T09:00", "police")
    told.blow("2025-03-04T09:00", "police", "court")
    assert told.slots["police"].due_at == at("2025-03-05T09:00")
    assert told.slots["court"].due_at == at("2025-03-06T09:00")
    _, second = told.told[-1]
    assert second.data["merged"] == ("police",)
    assert [slot.lead for slot in told.slots.values()] == [True, False]


@pytest.mark.parametrize(("named", "lead"), [(("court", "justice"), None), (THREE[1:], "court")])
def test_one_who_was_called_already_leads_once_the_lead_has_been_let_go(
    named: tuple[str, ...], lead: str | None
) -> None:
    told = story()
    told.blow("2025-03-03T09:00", "police", "court")
    told.comes("2025-03-03T10:00", "police")
    told.lets_go("2025-03-03T11:00", "police")
    due_at = told.slots["court"].due_at
    told.blow("2025-03-03T12:00", *named, lead=lead)
    assert {name: slot.lead for name, slot in told.slots.items() if slot.pending} == {
        "court": True,
        "justice": False,
    }
    assert told.slots["court"].due_at == due_at
    assert told.told[-1][1].data["leads"] == "court"
    rules = replace(told.setting.rules.whistle, close_gate="lead")
    assert holding(told.slots.values(), rules) == ("court",)


def test_the_next_one_awaited_leads_once_the_lead_is_not_called_any_more() -> None:
    told = story()
    told.blow("2025-03-03T09:00", *THREE)
    asked: Any = (told.slots["justice"], officer("justice"), "court", {}, NOON, told.setting)
    told.does(whistle.refuse, *asked, now=NOON)
    told.lets_go("2025-03-03T13:00", "police")
    assert [slot.lead for slot in told.slots.values()] == [True, False, True]
    assert [fact.data.get("leads") for _, fact in told.facts("whistle.withdrawn")] == ["court"]
    rules = replace(told.setting.rules.whistle, close_gate="lead")
    assert holding(told.slots.values(), rules) == ("court",)
    told.lets_go("2025-03-03T14:00", "court")
    assert holding(told.slots.values(), rules) == ("justice",)
    told.lets_go("2025-03-03T15:00", "justice")
    assert "leads" not in told.told[-1][1].data


@pytest.mark.parametrize(("came", "gone"), [("police", "police"), ("court", "justice")])
def test_nobody_takes_the_lead_over_from_one_who_came_or_did_not_lead(came: str, gone: str) -> None:
    told = story()
    told.blow("2025-03-03T09:00", *THREE)
    told.comes("2025-03-03T09:30", came)
    told.lets_go("2025-03-03T10:00", gone)
    assert [slot.lead for slot in told.slots.values()] == [True, False, False]
    assert "leads" not in told.told[-1][1].data


def test_where_the_blower_names_the_lead_he_must_of_several() -> None:
    profile = load_dict(PROFILES / "yihe.yaml")
    profile["whistle"]["lead"] = "blower_names"
    told = story(setting=Setting(served(), rules_from(1, profile, load())))
    assert call_refused(told, *THREE) == Refused("lead_missing", THREE)
    told.blow("2025-03-03T09:00", *THREE, lead="court")
    assert [slot.lead for slot in told.slots.values()] == [False, False, True]
    told.blow("2025-03-03T10:00", "justice", "police")


def test_one_department_alone_leads_also_where_the_blower_names_the_lead() -> None:
    profile = load_dict(PROFILES / "yihe.yaml")
    profile["whistle"]["lead"] = "blower_names"
    told = story(setting=Setting(served(), rules_from(1, profile, load())))
    told.blow("2025-03-03T09:00", "police")
    assert told.slots["police"].lead


def test_whoever_leads_stays_the_lead_whomever_a_second_whistle_names_first() -> None:
    told = story()
    told.blow("2025-03-03T09:00", "police", "court")
    told.blow("2025-03-03T10:00", "court", "justice", lead="court")
    assert [slot.lead for slot in told.slots.values()] == [True, False, False]
    assert "leads" not in told.told[-1][1].data


def test_who_was_released_can_be_called_again() -> None:
    told = story()
    told.blow("2025-03-03T09:00", "police")
    told.comes("2025-03-03T10:00", "police")
    told.lets_go("2025-03-03T11:00", "police")
    assert told.slots["police"].released_at == at("2025-03-03T11:00")
    told.blow("2025-03-04T09:00", "police")
    assert told.slots["police"].due_at == at("2025-03-06T09:00")


def test_what_is_taken_back_climbs_no_further_and_takes_no_report_in() -> None:
    told = story("urgent")
    told.blow("2025-03-03T09:00", "police", "court")
    told.lets_go("2025-03-03T09:10", "police")
    told.until("2025-03-04T00:00")
    assert told.outcomes() == {"police": "withdrawn", "court": "missed"}
    now = at("2025-03-04T09:10")
    given = (told.slots["police"], "app_ack", officer("police"), now, told.setting)
    assert refused(told, whistle.report_in, *given).code == "slot_ended"


def test_a_refusal_goes_to_the_towns_leader_and_ends_the_clock() -> None:
    told = story()
    told.blow("2025-03-03T09:00", "police", "court")
    sealed: Mapping[str, object] = {}
    given = (told.slots["court"], officer("court"), "justice", sealed, NOON, told.setting)
    settled = told.does(whistle.refuse, *given, now=NOON)
    (fact,) = settled.facts
    assert fact.data["arbiter"] == {"unit": "town", "role": "town_leader", "staff": "tl"}
    told.until("2025-04-01T00:00")
    assert told.outcomes() == {"police": "missed", "court": "refused"}


def test_arriving_comes_after_reporting_in() -> None:
    told = story("urgent")
    told.blow("2025-03-03T09:00", "police")
    now = at("2025-03-03T09:20")
    given = (told.slots["police"], officer("police"), now, told.setting)
    assert refused(told, whistle.arrive, *given).code == "not_reported_in"
    told.comes("2025-03-03T09:10", "police")
    for _ in range(2):
        told.does(whistle.arrive, told.slots["police"], *given[1:], now=now)
    assert told.slots["police"].arrived_at == now
    assert len(told.facts("whistle.arrived")) == 1


@pytest.mark.parametrize(
    ("departments", "more", "code"),
    [
        ((), {}, "departments_missing"),
        (("police", "fire_brigade"), {}, "unknown_department"),
        (tuple(f"d{n}" for n in range(30)), {}, "unknown_department"),
        (("police",), {"by": WORKER}, "role_not_allowed"),
        (
            ("police",),
            {"by": Actor("c9", frozenset({"village_cadre"}), frozenset({"v2"}))},
            "unit_not_allowed",
        ),
        (("police",), {"lead": "court"}, "lead_not_named"),
        (("police",), {"seq": 999}, "seq_ahead"),
    ],
)
def test_what_is_no_whistle(departments: tuple[str, ...], more: dict[str, Any], code: str) -> None:
    assert call_refused(story(), *departments, **more).code == code


def test_no_whistle_is_blown_on_a_closed_case() -> None:
    told = story()
    told.case = replace(told.case, closed=True)
    assert call_refused(told, "police").code == "whistle_not_allowed"


def test_a_department_named_twice_is_called_once() -> None:
    told = story()
    told.blow("2025-03-03T09:00", "police", "police", "court")
    assert list(told.slots) == ["police", "court"]


@pytest.mark.parametrize(
    ("gate", "quorum", "came", "awaited"),
    [
        ("lead", 1, (), ("police",)),
        ("lead", 1, ("police",), ()),
        ("all", 1, ("police",), ("justice", "court")),
        ("all", 1, THREE, ()),
        ("quorum", 2, ("court",), ("police", "justice")),
        ("quorum", 2, ("court", "justice"), ()),
        ("quorum", 9, ("court", "justice"), ("police",)),
    ],
)
def test_the_gate_holds_the_case_until_enough_have_come(
    gate: str, quorum: int, came: tuple[str, ...], awaited: tuple[str, ...]
) -> None:
    told = story(state="in_progress")
    told.blow("2025-03-03T09:00", *THREE)
    for department in came:
        told.comes("2025-03-03T10:00", department)
    changed: Any = {"close_gate": gate, "quorum": quorum}
    rules = replace(told.setting.rules.whistle, **changed)
    assert holding(told.slots.values(), rules) == awaited


def test_who_came_and_was_let_go_counts_towards_the_quorum() -> None:
    told = story(state="in_progress")
    told.blow("2025-03-03T09:00", *THREE)
    told.comes("2025-03-03T10:00", "police")
    told.lets_go("2025-03-03T11:00", "police")
    rules = replace(told.setting.rules.whistle, close_gate="quorum", quorum=2)
    assert holding(told.slots.values(), rules) == ("justice", "court")
    told.comes("2025-03-03T12:00", "justice")
    assert holding(told.slots.values(), rules) == ()


def test_a_case_is_not_settled_while_the_lead_is_awaited() -> None:
    case = at_state("in_progress", case_class="complex")
    worker = Actor(case.owner.staff or "", frozenset({case.owner.role}), frozenset({"g1"}))
    act = Act("resolve", worker, {"result": "done", "proof": ("a1",)}, case.seq)
    now = at("2025-03-03T12:00")
    answer = take_step(case, act, now, setting(), ("police",))
    assert isinstance(answer, Refused)
    assert (answer.code, answer.names) == ("whistle_open", ("police",))
    assert not isinstance(take_step(case, act, now, setting()), Refused)


@pytest.mark.parametrize("profile", ["changping", "gucheng", "haohuahong", "yidukou", "yihe"])
@pytest.mark.parametrize("case_class", ["urgent", "general", "complex"])
def test_every_town_can_call_each_of_its_departments(profile: str, case_class: str) -> None:
    rules = setting(profile).rules.whistle
    if not rules.enabled:
        pytest.skip("this town blows no whistle")
    told = story(case_class, setting=setting(profile), state="reported")
    roles = frozenset(rules.blowers)
    by = Actor("b", roles, frozenset({"town", "v1", "g1"}))
    told.blow("2025-03-03T09:00", *sorted(rules.targets), by=by)
    told.until("2025-06-01T00:00")
    assert set(told.outcomes().values()) == {"missed"}
    assert len(told.facts("whistle.missed")) == len(rules.targets)
    assert len(told.facts("case.escalated")) == len(rules.targets) * len(rules.on_miss)
