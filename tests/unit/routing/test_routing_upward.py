"""The call upward and the joint consultation, by the rules alone."""

from dataclasses import replace
from typing import Any

import pytest

from services.routing.domain import consultation, upward
from services.routing.domain.rules import Rung, Span
from services.routing.domain.values import Actor, Refused
from services.routing.domain.whistle import Settled
from tests.unit.routing.made_up import CLERK, WORKER, person
from tests.unit.routing.test_routing_rulings import NINE, TEN, WORDS, called, under
from tests.unit.routing.test_routing_whistle import (
    THREE,
    Story,
    at,
    story,
)

ABOVE = Actor("co", frozenset({"county_clerk"}), frozenset({"county"}))


def calls(told: Story, by: Actor = CLERK, *, now: str = NINE, seq: int | None = None) -> Any:
    open_ = [told.call] if told.call else []
    expected = told.case.seq if seq is None else seq
    given_ = (open_, by, expected, WORDS, at(now), told.setting)
    done = upward.call_upward(told.case, *given_)
    return done if isinstance(done, Refused) else told.take(done, at(now))


def answers(told: Story, now: str, by: Actor = ABOVE) -> Any:
    assert told.call is not None
    done = upward.answer(told.case, told.call, by, WORDS, at(now))
    return done if isinstance(done, Refused) else told.take(done, at(now))


def test_the_town_calls_the_county_and_stays_owner() -> None:
    told = story()
    owner = told.case.owner
    (fact,) = calls(told).facts
    assert (fact.data["from_level"], fact.data["to_level"]) == ("town", "county")
    assert fact.data["unit"] == "county"
    assert fact.data["due_at"] == at("2025-03-04T09:00")
    assert told.case.owner == owner
    answers(told, "2025-03-03T15:00")
    told.until("2025-04-01T00:00")
    (answered,) = told.facts("whistle.answered")
    assert answered[1].data["late"] is False
    assert not told.facts("whistle.unanswered")
    assert told.timers == []


def test_an_answer_that_does_not_come_is_told_once_and_may_still_come_late() -> None:
    told = story()
    calls(told)
    told.until("2025-04-01T00:00")
    assert [now for now, _ in told.facts("whistle.unanswered")] == [at("2025-03-04T09:00")]
    (fact,) = answers(told, "2025-04-02T10:00").facts
    assert fact.data["late"] is True
    assert told.call is not None
    assert told.call.outcome == "answered_late"
    assert answers(told, "2025-04-02T10:01").code == "already_answered"


def test_the_level_above_is_called_once_while_it_has_yet_to_answer() -> None:
    told = story()
    calls(told)
    assert calls(told).code == "already_called_upward"
    answers(told, "2025-03-03T10:00")
    assert isinstance(calls(told, now="2025-03-03T11:00"), Settled)


@pytest.mark.parametrize(
    ("by", "seq", "code"),
    [
        (WORKER, None, "role_not_allowed"),
        (person("c1", "village_cadre", "v1"), None, "role_not_allowed"),
        (person("k9", "center_clerk", "other_town"), None, "unit_not_allowed"),
        (CLERK, 999, "seq_ahead"),
    ],
)
def test_who_does_not_call_upward(by: Actor, seq: int | None, code: str) -> None:
    assert calls(story(), by, seq=seq).code == code


def test_nobody_calls_upward_where_the_profile_does_not_say_so_or_the_case_is_closed() -> None:
    assert calls(story(setting=under(upward=None))).code == "upward_not_allowed"
    told = story()
    told.case = replace(told.case, closed=True)
    assert calls(told).code == "upward_not_allowed"


def test_only_the_unit_that_was_called_answers() -> None:
    told = story()
    calls(told)
    assert answers(told, TEN, CLERK).code == "unit_not_allowed"


def test_no_answer_is_missed_once_the_case_is_closed() -> None:
    told = story()
    calls(told)
    told.case = replace(told.case, closed=True)
    told.until("2025-04-01T00:00")
    assert not told.facts("whistle.unanswered")


UP = Rung(Span(seconds=7200), "call_upward")


def test_the_last_rung_calls_upward_once_however_many_miss() -> None:
    told = called("police", "court", setting=under(on_miss=(UP,)))
    told.until("2025-04-01T00:00")
    assert len(told.facts("case.escalated")) == 2
    ((now, fact),) = told.facts("whistle.called_upward")
    assert now == at("2025-03-05T11:00")
    assert fact.data["by"] == {"unit": "town", "role": "system", "staff": "system"}
    assert len(told.facts("whistle.unanswered")) == 1


def consults(told: Story, *departments: str, by: Actor = CLERK, seq: int | None = None) -> Any:
    expected = told.case.seq if seq is None else seq
    given_ = (tuple(told.slots.values()), departments, by, expected, WORDS, told.setting)
    done = consultation.consult(told.case, *given_)
    return done if isinstance(done, Refused) else told.take(done, at(TEN))


def test_yh_s01_one_result_for_all_once_all_three_have_come() -> None:
    told = called(*THREE)
    for department in ("police", "justice"):
        told.comes("2025-03-03T10:00", department)
    answer = consults(told, *THREE)
    assert (answer.code, answer.names) == ("still_awaited", ("court",))
    told.comes("2025-03-03T10:05", "court")
    (fact,) = consults(told, *THREE).facts
    assert fact.data["departments"] == THREE
    assert told.case.human_seq == told.case.seq


def test_one_who_was_let_go_has_still_come() -> None:
    told = called("police", "court")
    told.comes(TEN, "police")
    told.comes(TEN, "court")
    told.lets_go(TEN, "court")
    assert isinstance(consults(told, "police", "court"), Settled)


@pytest.mark.parametrize(
    ("departments", "more", "code"),
    [
        (("police", "police"), {}, "not_joint"),
        (("police", "justice"), {}, "not_called"),
        (("police", "court"), {"by": WORKER}, "role_not_allowed"),
        (("police", "court"), {"seq": 999}, "seq_ahead"),
    ],
)
def test_what_is_no_consultation(
    departments: tuple[str, ...], more: dict[str, Any], code: str
) -> None:
    told = called("police", "court")
    told.comes(TEN, "police")
    told.comes(TEN, "court")
    assert consults(told, *departments, **more).code == code


def test_nobody_consults_where_the_profile_has_no_consultation() -> None:
    told = called("police", "court", setting=under(joint_consult=False))
    assert consults(told, "police", "court").code == "consultation_not_allowed"
