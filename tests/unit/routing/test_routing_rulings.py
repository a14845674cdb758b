"""What the arbiter rules on a refusal, and departments that whistle themselves: rules alone."""

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from services.routing.domain import rulings, whistle
from services.routing.domain.release import holding, let_go
from services.routing.domain.rulings import Ruling
from services.routing.domain.slot import Stage, clock_of, department_of, rung_of, stage_of
from services.routing.domain.town import Setting
from services.routing.domain.values import Actor, Refused
from services.routing.domain.whistle import Settled
from tests.unit.routing.made_up import CLERK, OTHER_CLERK, WORKER, person
from tests.unit.routing.test_routing_whistle import (
    Story,
    at,
    call_refused,
    officer,
    refused,
    setting,
    story,
)

LEADER = person("tl", "town_leader", "town")
NINE, TEN = "2025-03-03T09:00", "2025-03-03T10:00"
WORDS: dict[str, object] = {"kid": "k1", "key": "", "fields": {}}


def under(**changed: Any) -> Setting:
    """Return Yihe with other rules for its whistle."""
    rules = setting().rules
    return replace(setting(), rules=replace(rules, whistle=replace(rules.whistle, **changed)))


def called(*departments: str, case_class: str = "complex", **more: Any) -> Story:
    told = story(case_class, **more)
    told.blow(NINE, *departments)
    return told


def refused_code(answer: Settled | Refused) -> str:
    assert isinstance(answer, Refused), answer
    return answer.code


def refuses(told: Story, department: str, proposed: str, now: str = TEN) -> None:
    slot = told.slots[department]
    given_ = (slot, officer(department), proposed, WORDS, at(now), told.setting)
    told.does(whistle.refuse, *given_, now=at(now))


def ruled(
    told: Story,
    department: str,
    ruling: Any,
    call: str | None = None,
    *,
    by: Actor = LEADER,
    now: str = "2025-03-03T11:00",
) -> Settled | Refused:
    wanted, slots = Ruling(ruling, by, call, WORDS), tuple(told.slots.values())
    moment = at(now)
    done = rulings.rule(told.case, slots, told.slots[department], wanted, moment, told.setting)
    return done if isinstance(done, Refused) else told.take(done, moment)


def test_while_nobody_has_ruled_on_the_leads_refusal_the_case_is_held() -> None:
    told = called("police", "court")
    refuses(told, "police", "justice")
    rules = told.setting.rules.whistle
    assert holding(told.slots.values(), rules) == ("police",)
    ruled(told, "police", "accept")
    assert holding(told.slots.values(), rules) == ("justice",)
    told.comes("2025-03-03T12:00", "justice")
    assert holding(told.slots.values(), rules) == ()


def test_a_refusal_of_one_who_does_not_lead_holds_nobody_up_under_the_leads_gate() -> None:
    told = called("police", "court")
    told.comes(TEN, "police")
    refuses(told, "court", "justice")
    assert holding(told.slots.values(), told.setting.rules.whistle) == ()


@pytest.mark.parametrize(("gate", "quorum"), [("all", 1), ("quorum", 2)])
def test_an_undecided_refusal_counts_as_one_who_has_yet_to_come(gate: Any, quorum: int) -> None:
    told = called("police", "court", setting=under(close_gate=gate, quorum=quorum))
    told.comes(TEN, "police")
    refuses(told, "court", "justice")
    assert holding(told.slots.values(), told.setting.rules.whistle) == ("court",)


def test_an_accepted_refusal_calls_the_one_proposed_by_a_clock_of_its_own() -> None:
    told = called("police", "court")
    refuses(told, "police", "justice")
    done = ruled(told, "police", "accept", now="2025-03-03T11:00")
    assert isinstance(done, Settled)
    ruling, blown = done.facts
    assert (ruling.data["ruling"], ruling.data["call"], ruling.data["lead"]) == (
        "accept",
        "justice",
        True,
    )
    assert blown.type == "whistle.blown.v1"
    assert blown.data["whistle_id"] != told.slots["police"].whistle_id
    assert told.slots["justice"].due_at == at("2025-03-05T11:00")
    assert told.slots["justice"].lead
    told.until("2025-06-01T00:00")
    assert told.outcomes() == {"police": "refused", "court": "missed", "justice": "missed"}


def test_a_refusal_that_nobody_rules_on_in_time_is_told_once_and_still_holds_the_case() -> None:
    told = called("police", "court")
    refuses(told, "police", "justice")
    assert told.slots["police"].ruling_due_at == at("2025-03-03T14:00")
    told.until("2025-03-03T14:00").until("2025-03-05T08:00")
    ((now, fact),) = told.facts("whistle.unruled")
    assert now == fact.data["due_at"] == at("2025-03-03T14:00")
    assert fact.data["arbiter"] == {"unit": "town", "role": "town_leader", "staff": "tl"}
    assert "superior" not in fact.data, "nobody is above him on the rosters"
    assert not told.facts("case.escalated", "police")
    assert holding(told.slots.values(), told.setting.rules.whistle) == ("police",)
    assert isinstance(ruled(told, "police", "accept", now="2025-03-05T08:00"), Settled)


@pytest.mark.parametrize("how", ["accept", "reject", "let_go"])
def test_a_ruling_in_time_or_a_call_taken_back_ends_the_arbiters_clock(how: str) -> None:
    told = called("police", "court")
    refuses(told, "police", "justice")
    if how == "let_go":
        told.lets_go("2025-03-03T13:59", "police")
    else:
        ruled(told, "police", how, now="2025-03-03T13:59")
    assert "rule/police" not in {one.deadline for one in told.timers}
    told.until("2025-06-01T00:00")
    assert not told.facts("whistle.unruled")


def test_whoever_stands_above_the_arbiter_is_named_when_he_does_not_rule() -> None:
    where = setting()
    town, rules = where.town, where.rules
    over = replace(town.units["town"], id="county", level="county", parent=None)
    units = {**town.units, "town": replace(town.units["town"], parent="county"), "county": over}
    posts = {**town.posts, ("county", "county_leader"): ("cl",)}
    above = replace(rules.whistle, superiors=(*rules.whistle.superiors, "county_leader"))
    levels = {**rules.role_levels, "county_leader": "county"}
    told = called(
        "police",
        setting=Setting(
            replace(town, units=units, posts=posts),
            replace(rules, whistle=above, role_levels=levels),
        ),
    )
    refuses(told, "police", "justice")
    told.until("2025-03-03T15:00")
    ((_, fact),) = told.facts("whistle.unruled")
    assert fact.data["superior"] == {"unit": "county", "role": "county_leader", "staff": "cl"}


def test_the_arbiter_may_call_another_than_the_one_proposed() -> None:
    told = called("police", "court")
    refuses(told, "court", "nobody_known")
    assert refused_code(ruled(told, "court", "accept")) == "unknown_department"
    assert refused_code(ruled(told, "court", "accept", "court")) == "same_department"
    assert isinstance(ruled(told, "court", "accept", "legal_aid"), Settled)
    assert told.outcomes()["legal_aid"] is None
    assert not told.slots["legal_aid"].lead


def test_one_who_was_called_before_keeps_its_clock_and_takes_the_lead_over() -> None:
    told = called("police", "court")
    due = told.slots["court"].due_at
    refuses(told, "police", "court")
    done = ruled(told, "police", "accept")
    assert isinstance(done, Settled)
    assert [fact.type for fact in done.facts] == ["whistle.ruled.v1"]
    assert done.timers == ()
    assert (told.slots["court"].lead, told.slots["court"].due_at) == (True, due)


def test_a_rejected_refusal_awaits_the_department_again_for_its_whole_time() -> None:
    told = called("police")
    refuses(told, "police", "court", "2025-03-05T08:45")
    ruled(told, "police", "reject", now="2025-03-06T09:00")
    slot = told.slots["police"]
    assert (slot.outcome, slot.due_at, slot.awaited) == (None, at("2025-03-10T09:00"), True)
    assert (slot.blown_at, slot.lead) == (at("2025-03-06T09:00"), True)
    told.until("2025-03-10T08:59")
    assert not told.facts("whistle.missed")
    told.comes("2025-03-10T09:00", "police")
    assert told.outcomes() == {"police": "reported"}
    assert told.timers == []


def test_a_rejected_refusal_cannot_be_made_again_and_is_missed_like_any_other() -> None:
    told = called("police")
    refuses(told, "police", "court")
    ruled(told, "police", "reject")
    given_ = (told.slots["police"], officer("police"), "court", WORDS, at(TEN), told.setting)
    assert refused(told, whistle.refuse, *given_).code == "refusal_rejected"
    told.until("2025-06-01T00:00")
    assert told.outcomes() == {"police": "missed"}
    assert len(told.facts("whistle.missed")) == 1


@pytest.mark.parametrize(
    ("by", "code"),
    [
        (CLERK, "role_not_allowed"),
        (WORKER, "role_not_allowed"),
        (person("tl2", "town_leader", "other_town"), "unit_not_allowed"),
    ],
)
def test_only_the_towns_supervisors_rule(by: Actor, code: str) -> None:
    told = called("police")
    refuses(told, "police", "court")
    assert refused_code(ruled(told, "police", "accept", by=by)) == code


def test_where_no_supervisor_is_rostered_the_fallback_role_rules() -> None:
    posts = {("town", "center_clerk"): ("k1",)}
    alone = replace(setting(), town=replace(setting().town, posts=posts))
    told = called("police", setting=alone)
    refuses(told, "police", "court")
    assert isinstance(ruled(told, "police", "accept", by=OTHER_CLERK), Settled)


def test_what_nobody_refused_cannot_be_ruled_on_and_no_ruling_is_made_twice() -> None:
    told = called("police")
    assert refused_code(ruled(told, "police", "reject")) == "nothing_to_rule"
    refuses(told, "police", "court")
    assert isinstance(ruled(told, "police", "accept"), Settled)
    assert refused_code(ruled(told, "police", "reject")) == "nothing_to_rule"


def test_nothing_is_ruled_once_the_case_is_closed() -> None:
    told = called("police")
    refuses(told, "police", "court")
    told.case = replace(told.case, closed=True)
    assert refused_code(ruled(told, "police", "accept")) == "whistle_not_allowed"


def test_a_department_is_never_open_twice_in_a_case() -> None:
    told = called("police")
    refuses(told, "police", "court")
    other = replace(told.slots["police"], outcome=None)
    wanted, now = Ruling("reject", LEADER), at("2025-03-03T11:00")
    slots = (told.slots["police"], other)
    done = rulings.rule(told.case, slots, told.slots["police"], wanted, now, told.setting)
    assert refused_code(done) == "already_called"


def test_a_second_whistle_for_one_whose_refusal_is_undecided_merges() -> None:
    told = called("police")
    refuses(told, "police", "court")
    told.blow(TEN, "police", "court")
    assert told.told[-1][1].data["merged"] == ("police",)
    assert told.slots["police"].undecided


def test_an_undecided_refusal_can_be_taken_back_by_whoever_blows() -> None:
    told = called("police")
    refuses(told, "police", "court")
    told.lets_go("2025-03-03T11:00", "police")
    assert told.outcomes() == {"police": "withdrawn"}


OFFICER = Actor("o-police", frozenset({"department_officer"}), frozenset({"police"}), "police")


def may_blow() -> Setting:
    rules = setting().rules.whistle
    return under(blowers=(*rules.blowers, "department_officer"))


def test_a_department_that_has_come_calls_another_where_the_profile_lets_it() -> None:
    told = called("police", setting=may_blow())
    assert call_refused(told, "court", by=OFFICER).code == "unit_not_allowed"
    told.comes("2025-03-03T09:30", "police")
    told.blow(TEN, "court", by=OFFICER)
    by = told.told[-1][1].data["by"]
    assert by == {"unit": "police", "role": "department_officer", "staff": "o-police"}
    assert told.slots["court"].due_at is not None


def test_a_department_that_was_not_called_or_was_let_go_calls_nobody() -> None:
    told = called("police", setting=may_blow())
    other = replace(OFFICER, department="court")
    told.comes("2025-03-03T09:30", "police")
    assert call_refused(told, "justice", by=other).code == "unit_not_allowed"
    told.lets_go(TEN, "police")
    assert call_refused(told, "justice", by=OFFICER).code == "unit_not_allowed"


def test_a_department_lets_nobody_go() -> None:
    told = called("police", "court", setting=may_blow())
    told.comes("2025-03-03T09:30", "police")
    slots, going = [*told.slots.values()], [told.slots["court"]]
    given_ = (slots, going, OFFICER, at(TEN), told.setting)
    assert refused(told, let_go, *given_).code == "unit_not_allowed"


def test_a_department_may_not_whistle_where_the_profile_does_not_let_it() -> None:
    told = called("police")
    told.comes("2025-03-03T09:30", "police")
    assert call_refused(told, "court", by=OFFICER).code == "role_not_allowed"


def test_thirty_departments_each_have_a_slot_and_a_clock_and_one_leads() -> None:
    thirty = tuple(f"d{n:02}" for n in range(30))
    told = called(*thirty, setting=under(targets=frozenset(thirty)))
    assert list(told.slots) == list(thirty)
    assert [slot.department for slot in told.slots.values() if slot.lead] == ["d00"]
    for department in thirty[::2]:
        told.comes(TEN, department)
    told.until("2025-06-01T00:00")
    assert [name for name, outcome in told.outcomes().items() if outcome == "missed"] == list(
        thirty[1::2]
    )


def test_the_clocks_of_a_department_are_told_apart_from_the_cases_own() -> None:
    stages: tuple[Stage, ...] = ("report_in", "arrive")
    for stage in stages:
        for clock in (clock_of("d", stage), rung_of("d", 3, stage)):
            assert (department_of(clock), stage_of(clock)) == ("d", stage)
    for clock in ("class", "first_action", "step.accept", "call_upward/county"):
        assert department_of(clock) is None
    assert isinstance(at(NINE), datetime)
