from dataclasses import replace
from datetime import UTC, datetime, time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.routing.domain.deadlines import add, start_clock
from services.routing.domain.rules import DeadlineRule, Rules, Span
from tests.unit.routing.made_up import rules

CLIP = rules("yihe")
THIRTY_DAYS = replace(CLIP, month_is_30_days=True)
MONTH, WEEK = Span(months=1), Span(days=7)


def at(local: str) -> datetime:
    return datetime.fromisoformat(f"{local}+08:00")


CALENDAR = [
    ("2025-01-31T09:00", MONTH, CLIP, "2025-02-28T09:00"),
    ("2024-01-31T09:00", MONTH, CLIP, "2024-02-29T09:00"),
    ("2025-01-15T09:00", MONTH, CLIP, "2025-02-15T09:00"),
    ("2025-03-31T09:00", MONTH, CLIP, "2025-04-30T09:00"),
    ("2025-12-31T23:30", MONTH, CLIP, "2026-01-31T23:30"),
    ("2025-11-30T08:00", Span(months=3), CLIP, "2026-02-28T08:00"),
    ("2024-02-29T08:00", Span(months=12), CLIP, "2025-02-28T08:00"),
    ("2024-02-29T08:00", Span(months=48), CLIP, "2028-02-29T08:00"),
    ("2025-01-31T09:00", Span(months=1, days=1), CLIP, "2025-03-01T09:00"),
    ("2025-01-31T09:00", MONTH, THIRTY_DAYS, "2025-03-02T09:00"),
    ("2024-02-01T09:00", MONTH, THIRTY_DAYS, "2024-03-02T09:00"),
    ("2025-12-31T09:00", Span(months=2), THIRTY_DAYS, "2026-03-01T09:00"),
    ("2025-03-03T10:00", WEEK, CLIP, "2025-03-10T10:00"),
    ("2025-12-31T10:00", Span(days=1), CLIP, "2026-01-01T10:00"),
    ("2024-02-28T10:00", Span(days=1), CLIP, "2024-02-29T10:00"),
    ("2025-03-03T23:10", Span(seconds=30 * 60), CLIP, "2025-03-03T23:40"),
    ("2025-03-03T23:10", Span(seconds=24 * 3600), CLIP, "2025-03-04T23:10"),
    ("2025-03-03T23:10", Span(), CLIP, "2025-03-03T23:10"),
]


@pytest.mark.parametrize(("start", "span", "known", "due"), CALENDAR)
def test_a_span_is_added_on_the_towns_calendar(
    start: str, span: Span, known: Rules, due: str
) -> None:
    assert add(at(start), span, known) == at(due)
    assert add(at(start).astimezone(UTC), span, known) == at(due)


def test_a_month_is_counted_where_the_town_is_and_not_where_the_clock_is_kept() -> None:
    new_year_in_the_town = datetime(2024, 12, 31, 17, 0, tzinfo=UTC)
    assert add(new_year_in_the_town, MONTH, CLIP) == at("2025-02-01T01:00")


def test_a_day_keeps_its_hour_and_an_hour_its_length_where_clocks_are_changed() -> None:
    abroad = replace(CLIP, timezone="Europe/Berlin")
    eve = datetime.fromisoformat("2025-03-29T12:00+01:00")  # clocks go forward in the night
    assert add(eve, Span(days=1), abroad).isoformat() == "2025-03-30T11:00:00+01:00"
    assert (
        add(eve, Span(seconds=24 * 3600), abroad) - eve
        == add(eve, Span(seconds=86_400), CLIP) - eve
    )


def rule(within: Span, share: float | None = None, **more: object) -> DeadlineRule:
    return DeadlineRule("class", within, "calendar", "accepted", share, **more)  # type: ignore[arg-type]  # as the table says


def test_a_week_accepted_on_monday_at_ten_warns_on_saturday_at_0736() -> None:
    fact, (warn, miss) = start_clock(rule(WEEK, 0.7), at("2025-03-03T10:00"), CLIP)
    assert (warn.kind, warn.fires_at, warn.due_at) == (
        "warn",
        at("2025-03-08T07:36"),
        at("2025-03-10T10:00"),
    )
    assert (miss.kind, miss.fires_at, miss.due_at) == (
        "miss",
        at("2025-03-10T10:00"),
        at("2025-03-10T10:00"),
    )
    assert fact.data == {
        "deadline": "class",
        "clock": "calendar",
        "armed": True,
        "due_at": at("2025-03-10T10:00"),
        "warn_at": at("2025-03-08T07:36"),
    }


def test_without_a_share_there_is_no_warning() -> None:
    fact, timers = start_clock(rule(WEEK), at("2025-03-03T10:00"), CLIP)
    assert [timer.kind for timer in timers] == ["miss"]
    assert "warn_at" not in fact.data


def test_a_duty_clock_is_kept_unarmed_and_says_so() -> None:
    duty = replace(rule(Span(seconds=1_800), 0.5), clock="duty")
    fact, timers = start_clock(duty, at("2025-03-03T10:00"), CLIP)
    assert fact.data == {"deadline": "class", "clock": "duty", "armed": False}
    assert [(one.kind, one.fires_at, one.due_at) for one in timers] == [("miss", None, None)]


BY_TIME = [
    ("2025-03-03T08:00", Span(), "2025-03-03T12:00"),
    ("2025-03-03T12:00", Span(), "2025-03-03T12:00"),
    ("2025-03-03T15:00", Span(), "2025-03-04T12:00"),
    ("2025-03-03T15:00", WEEK, "2025-03-10T12:00"),
    ("2025-03-03T23:30", Span(seconds=3_600), "2025-03-04T12:00"),
    ("2025-12-31T15:00", Span(), "2026-01-01T12:00"),
]


@pytest.mark.parametrize(("start", "within", "due"), BY_TIME)
def test_by_a_time_of_day_means_on_the_day_to_which_the_span_leads(
    start: str, within: Span, due: str
) -> None:
    by_noon = rule(within, by_time=time(12))
    for begun in (at(start), at(start).astimezone(UTC)):
        fact, _ = start_clock(by_noon, begun, CLIP)
        assert fact.data["due_at"] == at(due)


moments = st.integers(946_684_800, 3_786_912_000).map(lambda s: datetime.fromtimestamp(s, UTC))
spans = st.builds(Span, st.integers(0, 36), st.integers(0, 400), st.integers(0, 100_000))


@settings(derandomize=True, max_examples=60)
@given(
    start=moments,
    span=spans,
    share=st.floats(0.01, 0.99),
    known=st.sampled_from([CLIP, THIRTY_DAYS]),
    by=st.none() | st.just(time(12)),
)
def test_no_clock_ends_before_it_begins_and_none_warns_after_its_end(
    start: datetime, span: Span, share: float, known: Rules, by: time | None
) -> None:
    _, (warn, miss) = start_clock(rule(span, share, by_time=by), start, known)
    assert warn.fires_at is not None
    assert miss.fires_at is not None
    assert start <= warn.fires_at <= miss.fires_at == warn.due_at == miss.due_at


@settings(derandomize=True, max_examples=60)
@given(start=moments, span=spans, seconds=st.integers(0, 10_000_000))
def test_who_starts_later_is_due_no_earlier(start: datetime, span: Span, seconds: int) -> None:
    later = add(start, Span(seconds=seconds), CLIP)
    assert add(start, span, CLIP) <= add(later, span, CLIP)
