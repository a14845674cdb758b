"""What holds of duty time in any town, and an oracle that walks through it minute by minute."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import takewhile
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from services.routing.domain.worktime import (
    WorkCalendar,
    add,
    between,
    end_of_day,
    latest,
    next_start,
    on_duty,
)

MINUTE = timedelta(minutes=1)
NONE = timedelta()
# Clocks are changed in all but the first, by half an hour in the last, within these months.
ZONES = ("Asia/Shanghai", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe")
FIRST_DAY, DAYS = date(2025, 2, 20), 270


@st.composite
def spans(draw: st.DrawFn) -> tuple[tuple[timedelta, timedelta], ...]:
    pairs = draw(st.integers(1, 3))
    edges = draw(
        st.lists(st.integers(0, 1439), min_size=2 * pairs, max_size=2 * pairs, unique=True)
    )
    times = [MINUTE * edge for edge in sorted(edges)]
    return tuple(zip(times[::2], times[1::2], strict=True))


some_days = st.integers(0, DAYS).map(lambda n: FIRST_DAY + timedelta(n))
calendars = st.builds(
    WorkCalendar,
    zone=st.sampled_from(ZONES).map(ZoneInfo),
    spans=spans(),
    weekdays=st.frozensets(st.integers(0, 6), min_size=1),
    exceptions=st.dictionaries(some_days, st.booleans(), max_size=40),
    official_years=st.just(frozenset({2025})),
)
CHANGES = [datetime(2025, *day, tzinfo=UTC) for day in ((3, 9), (3, 30), (4, 6), (10, 5), (10, 26))]
minutes = st.builds(
    lambda day, minute: day + minute * MINUTE,
    st.sampled_from(CHANGES).map(lambda day: day - timedelta(days=3))
    | st.integers(0, DAYS).map(lambda n: datetime(2025, 2, 20, tzinfo=UTC) + timedelta(days=n)),
    st.integers(0, 2 * 1440),
)
instants = st.builds(
    lambda at, more: at + timedelta(microseconds=more), minutes, st.integers(0, 59_999_999)
)
lengths = st.timedeltas(NONE, timedelta(hours=60)) | st.timedeltas(NONE, timedelta(hours=3000))


def duty_minutes(calendar: WorkCalendar, start: datetime) -> Iterator[datetime]:
    """Yield each minute on duty; a time that is read twice is counted as what was read last."""
    at, read = start - timedelta(days=1), datetime.min  # noqa: DTZ901 - a reading of a wall clock
    while True:
        read = max(read, at.astimezone(calendar.zone).replace(tzinfo=None))
        day, moment = read.date(), timedelta(hours=read.hour, minutes=read.minute)
        works = calendar.exceptions.get(day, day.weekday() in calendar.weekdays)
        if at >= start and works and any(first <= moment < last for first, last in calendar.spans):
            yield at
        at += MINUTE


@settings(derandomize=True, max_examples=50)
@given(calendar=calendars, start=minutes, data=st.data())
def test_a_walk_minute_by_minute_finds_the_same(
    calendar: WorkCalendar, start: datetime, data: st.DataObject
) -> None:
    end = start + timedelta(days=data.draw(st.integers(4, 9)))
    walked = list(takewhile(lambda at: at < end, duty_minutes(calendar, start)))
    on = set(walked)
    assert between(calendar, start, end) == len(walked) * MINUTE
    for count in data.draw(st.lists(st.integers(1, max(len(walked), 1)), max_size=8)):
        if walked:
            assert add(calendar, start, count * MINUTE) == walked[count - 1] + MINUTE
    for at in data.draw(st.lists(st.sampled_from(walked or [start]), max_size=8)):
        for near in (at - MINUTE, at, at + MINUTE):
            if start <= near < end:
                assert on_duty(calendar, near) == (near in on)
    begun = [at for at in walked if at > start and at - MINUTE not in on]
    assert next_start(calendar, start) == begun[0] if begun else next_start(calendar, start) >= end


@settings(derandomize=True, max_examples=60)
@given(calendar=calendars, start=instants, one=lengths, other=lengths)
def test_two_lengths_one_after_the_other_are_as_long_as_their_sum(
    calendar: WorkCalendar, start: datetime, one: timedelta, other: timedelta
) -> None:
    assert add(calendar, add(calendar, start, one), other) == add(calendar, start, one + other)


@settings(derandomize=True, max_examples=60)
@given(calendar=calendars, start=instants, length=lengths)
def test_a_length_never_ends_outside_duty_and_is_found_again(
    calendar: WorkCalendar, start: datetime, length: timedelta
) -> None:
    end = add(calendar, start, length)
    local = end.astimezone(calendar.zone).date()
    assert end >= start
    assert on_duty(calendar, end) or on_duty(calendar, end - timedelta(microseconds=1))
    assert latest(calendar, end) == end <= (end_of_day(calendar, local) or end)
    assert between(calendar, start, end) == length


@settings(derandomize=True, max_examples=60)
@given(calendar=calendars, start=instants, gap=lengths, length=lengths, more=lengths)
def test_who_starts_later_or_has_longer_is_due_no_earlier(
    calendar: WorkCalendar, start: datetime, gap: timedelta, length: timedelta, more: timedelta
) -> None:
    due = add(calendar, start, length)
    assert due <= add(calendar, start + gap, length)
    assert due <= add(calendar, start, length + more)
    assert (due == add(calendar, start, length + more)) == (more == NONE)


@settings(derandomize=True, max_examples=60)
@given(calendar=calendars, start=instants, one=lengths, other=lengths)
def test_the_time_between_is_the_sum_of_its_parts_and_leads_to_the_last_duty_before(
    calendar: WorkCalendar, start: datetime, one: timedelta, other: timedelta
) -> None:
    middle, end = start + one, start + one + other
    whole = between(calendar, start, end)
    assert whole == between(calendar, start, middle) + between(calendar, middle, end)
    if whole:
        reached = add(calendar, start, whole)
        assert reached <= end
        assert between(calendar, reached, end) == NONE


@settings(derandomize=True, max_examples=60)
@given(calendar=calendars, start=instants, length=lengths)
def test_the_answer_is_the_same_however_the_start_is_written(
    calendar: WorkCalendar, start: datetime, length: timedelta
) -> None:
    for zone in ZONES:
        written = start.astimezone(ZoneInfo(zone))
        assert add(calendar, written, length) == add(calendar, start, length)
        assert between(calendar, written, start + length) == between(
            calendar, start, start + length
        )
