from dataclasses import replace
from datetime import UTC, datetime, time
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.calendar import load
from contracts.facts import CaseDeadlineSetV1
from contracts.profile import load_dict
from services.routing.compiled import rules_from
from services.routing.domain.deadlines import start_clock
from services.routing.domain.opening import open_case
from services.routing.domain.rules import DeadlineRule, Rules, Span
from services.routing.domain.town import Setting
from services.routing.domain.worktime import between, latest
from tests.unit.routing.made_up import CASE_ID, PROFILES, TOWN, report

HOUR = 3600


@cache
def known() -> Rules:
    return rules_from(1, load_dict(PROFILES / "yihe.yaml"), load())


def at(local: str) -> datetime:
    return datetime.fromisoformat(f"{local}+08:00")


def rule(hours: float, share: float | None = None, by_time: time | None = None) -> DeadlineRule:
    within = Span(seconds=round(hours * HOUR))
    return DeadlineRule("class", within, "duty", "accepted", share, by_time=by_time)


ARMED = [
    ("2025-03-03T09:00", 16, 0.5, "2025-03-04T09:00", "2025-03-05T09:00", False),
    ("2025-03-07T16:00", 8, 0.5, "2025-03-10T10:30", "2025-03-10T16:00", False),
    ("2025-03-07T16:00", 8, 0.25, "2025-03-07T18:00", "2025-03-10T16:00", False),
    ("2025-03-08T22:00", 0.5, 0.5, "2025-03-10T08:45", "2025-03-10T09:00", False),
    ("2025-12-31T17:45", 0.5, 0.5, "2025-12-31T18:00", "2026-01-04T08:45", False),
    ("2026-12-31T17:45", 0.5, 0.5, "2026-12-31T18:00", "2027-01-04T08:45", True),
]


@pytest.mark.parametrize(("start", "hours", "share", "warn", "due", "provisional"), ARMED)
def test_a_clock_on_duty_time_warns_and_ends_on_duty(
    start: str, hours: float, share: float, warn: str, due: str, provisional: bool
) -> None:
    fact, (warning, miss) = start_clock(rule(hours, share), at(start), known())
    assert fact.data == {
        "deadline": "class",
        "clock": "duty",
        "armed": True,
        "provisional": provisional,
        "due_at": at(due),
        "warn_at": at(warn),
    }
    assert (warning.kind, warning.fires_at, warning.due_at) == ("warn", at(warn), at(due))
    assert (miss.kind, miss.fires_at, miss.due_at) == ("miss", at(due), at(due))
    CaseDeadlineSetV1.model_validate(fact.data)


def test_without_a_share_a_clock_on_duty_time_does_not_warn() -> None:
    fact, timers = start_clock(rule(8), at("2025-03-03T10:00"), known())
    assert [timer.kind for timer in timers] == ["miss"]
    assert "warn_at" not in fact.data


def test_a_clock_on_calendar_time_is_never_provisional() -> None:
    calendar = replace(rule(48), clock="calendar")
    fact, _ = start_clock(calendar, at("2026-12-31T17:45"), known())
    assert fact.data["due_at"] == at("2027-01-02T17:45")
    assert "provisional" not in fact.data


BY_TIME = [
    ("2025-03-03T08:00", 0, time(12), "2025-03-03T12:00"),
    ("2025-03-03T12:00", 0, time(12), "2025-03-03T12:00"),
    ("2025-03-03T15:00", 0, time(12), "2025-03-04T12:00"),
    ("2025-03-03T09:00", 8, time(12), "2025-03-04T12:00"),
    ("2025-03-07T15:00", 0, time(12), "2025-03-10T12:00"),  # passed on Friday: Monday's
    ("2025-03-08T10:00", 0, time(10), "2025-03-10T10:00"),
    ("2025-03-03T09:00", 0, time(12, 30), "2025-03-03T12:00"),  # nobody is on duty at 12:30
    ("2025-03-03T12:10", 0, time(12, 30), "2025-03-04T12:00"),
    ("2025-03-03T09:00", 0, time(23), "2025-03-03T18:00"),
    ("2025-03-07T15:00", 0, time(8), "2025-03-07T18:00"),  # by 08:00 on Monday
    ("2025-09-30T18:30", 0, time(9), "2025-10-09T09:00"),
]


@pytest.mark.parametrize(("start", "hours", "by_time", "due"), BY_TIME)
def test_by_a_time_of_day_means_the_last_duty_before_it(
    start: str, hours: float, by_time: time, due: str
) -> None:
    for begun in (at(start), at(start).astimezone(UTC)):
        fact, _ = start_clock(rule(hours, by_time=by_time), begun, known())
        assert fact.data["due_at"] == at(due)


def test_a_case_opened_with_a_calendar_has_every_clock_armed() -> None:
    opened = open_case(
        CASE_ID,
        report(grid="g1", case_class="urgent"),
        at("2025-03-03T10:00"),
        Setting(TOWN, known()),
    )
    facts = [fact.data for fact in opened.facts if fact.type == "case.deadline_set.v1"]
    assert {fact["clock"] for fact in facts} == {"calendar", "duty"}
    assert all(fact["armed"] for fact in facts)
    assert all(timer.fires_at and timer.due_at for timer in opened.timers)


@settings(derandomize=True, max_examples=60)
@given(
    start=st.integers(1_577_836_800, 1_830_000_000).map(lambda s: datetime.fromtimestamp(s, UTC)),
    hours=st.floats(0, 100),
    share=st.floats(0.01, 0.99),
    by=st.none() | st.times(),
)
def test_no_clock_on_duty_time_ends_outside_duty_or_before_it_begins_or_warns_late(
    start: datetime, hours: float, share: float, by: time | None
) -> None:
    calendar = known().work_calendar
    assert calendar is not None
    _, (warn, miss) = start_clock(rule(hours, share, by), start, known())
    assert warn.fires_at is not None
    assert miss.fires_at is not None
    assert start <= warn.fires_at <= miss.fires_at
    for at_ in (warn.fires_at, miss.fires_at):
        assert latest(calendar, at_) == at_
    if by is None:
        assert between(calendar, start, miss.fires_at).total_seconds() == round(hours * HOUR)
