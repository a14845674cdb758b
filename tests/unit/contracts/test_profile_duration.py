"""A duration reads ISO 8601 and writes it back."""

from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.profile import Duration

DURATIONS = st.builds(
    Duration,
    years=st.integers(0, 20),
    months=st.integers(0, 100),
    days=st.integers(0, 10_000),
    seconds=st.integers(0, 10_000_000),
)


@given(DURATIONS)
def test_what_is_written_is_read_back(duration: Duration) -> None:
    assert Duration.parse(str(duration)) == duration


@given(st.text(alphabet="PTYMWDHS0123456789 ", max_size=12))
def test_text_is_refused_or_read_as_something_that_is_written_and_read_alike(text: str) -> None:
    try:
        duration = Duration.parse(text)
    except ValueError:
        return

    assert Duration.parse(str(duration)) == duration


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("P1M", Duration(months=1)),
        ("PT30M", Duration(seconds=1800)),
        ("P7D", Duration(days=7)),
        ("PT8H", Duration(seconds=28_800)),
        ("P3Y", Duration(years=3)),
        ("PT0S", Duration()),
        ("P1Y2M3DT4H5M6S", Duration(1, 2, 3, 4 * 3600 + 5 * 60 + 6)),
    ],
)
def test_each_form_is_read_and_written(text: str, duration: Duration) -> None:
    assert Duration.parse(text) == duration
    assert str(duration) == text


def test_a_week_is_seven_days_but_a_day_is_not_24_hours() -> None:
    assert Duration.parse("P1W") == Duration.parse("P7D")
    assert Duration.parse("P1D") != Duration.parse("PT24H")


@pytest.mark.parametrize(
    "text",
    ["", "P", "PT", "P1DT", "30M", "-P1D", "P1.5D", "P1H", "PT1D", "P1D\n", "p1d", "P٣D", "P1M1Y"],
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not an ISO 8601 duration"):
        Duration.parse(text)


@pytest.mark.parametrize("text", ["P101Y", "P99999999M", "PT999999999H"])
def test_more_than_a_hundred_years_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a hundred years"):
        Duration.parse(text)


def test_a_duration_is_not_negative() -> None:
    with pytest.raises(ValueError, match="not negative"):
        Duration(days=-1)


@pytest.mark.parametrize(
    ("text", "alone"), [("PT8H", True), ("P1D", False), ("P1DT1H", False), ("P1M", False)]
)
def test_only_hours_and_minutes_are_clock_time_alone(text: str, alone: bool) -> None:
    assert Duration.parse(text).has_clock_time_only is alone


def test_a_duration_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        Duration(days=1).days = 2  # type: ignore[misc]
