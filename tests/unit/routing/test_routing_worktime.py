from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from contracts.calendar import load
from contracts.profile import load_dict
from services.routing.compiled import rules_from
from services.routing.domain import worktime
from services.routing.domain.worktime import WorkCalendar
from tests.unit.routing.made_up import PROFILES, TOWNS

OFFICIAL = load()


@cache
def town(name: str = "yihe") -> WorkCalendar:
    return compiled(name)


def compiled(name: str = "yihe", **sections: dict[str, Any]) -> WorkCalendar:
    body = load_dict(PROFILES / f"{name}.yaml")
    changed = {key: {**body[key], **section} for key, section in sections.items()}
    calendar = rules_from(1, {**body, **changed}, OFFICIAL).work_calendar
    assert calendar is not None
    return calendar


TOWN = town()  # 08:30 to 12:00 and 13:30 to 18:00, Monday to Friday


def at(local: str) -> datetime:
    return datetime.fromisoformat(f"{local}+08:00")


ADDED = [
    # 3 March 2025 is a Monday.
    ("2025-03-03T09:00", 16, "2025-03-05T09:00"),
    ("2025-03-07T16:00", 8, "2025-03-10T16:00"),
    ("2025-03-03T08:30", 3.5, "2025-03-03T12:00"),  # fills a span, ends with it
    ("2025-03-03T08:30", 8, "2025-03-03T18:00"),  # fills a day, ends with it
    ("2025-03-03T12:00", 1, "2025-03-03T14:30"),
    ("2025-03-03T12:30", 1, "2025-03-03T14:30"),
    ("2025-03-03T20:00", 1, "2025-03-04T09:30"),
    ("2025-03-03T04:00", 1, "2025-03-03T09:30"),
    ("2025-03-08T10:00", 1, "2025-03-10T09:30"),  # a Saturday
    ("2025-03-03T12:30", 0, "2025-03-03T13:30"),
    ("2025-03-03T12:00", 0, "2025-03-03T12:00"),
    ("2025-03-07T17:59:59.5", 0.5 / 3600, "2025-03-07T18:00"),
    # 29 February
    ("2024-02-28T17:00", 2, "2024-02-29T09:30"),
    ("2024-02-29T17:00", 2, "2024-03-01T09:30"),
    # the last minute of the year, before one day off and before three with a Sunday at work
    ("2024-12-31T17:59", 1 / 60, "2024-12-31T18:00"),
    ("2024-12-31T17:59", 2 / 60, "2025-01-02T08:31"),
    ("2024-12-31T23:59", 1 / 60, "2025-01-02T08:31"),
    ("2025-12-31T17:59", 2 / 60, "2026-01-04T08:31"),
    # holiday eves
    ("2025-01-27T17:30", 1, "2025-02-05T09:00"),
    ("2025-09-30T17:30", 1, "2025-10-09T09:00"),
    ("2020-01-23T17:30", 1, "2020-02-03T09:00"),
    # make-up workdays: a Sunday, and a Saturday
    ("2025-01-24T17:30", 1, "2025-01-26T09:00"),
    ("2025-01-26T10:00", 1, "2025-01-26T11:00"),
    ("2026-02-13T17:30", 8, "2026-02-14T17:30"),
    ("2026-02-14T17:30", 1, "2026-02-24T09:00"),
    ("2026-02-14T09:00", 40, "2026-02-28T09:00"),
]


@pytest.mark.parametrize(("start", "hours", "end"), ADDED)
def test_hours_are_counted_on_duty_alone(start: str, hours: float, end: str) -> None:
    length = timedelta(hours=hours)
    ended = worktime.add(TOWN, at(start), length)
    assert ended == at(end)
    assert ended.tzinfo is UTC
    assert worktime.between(TOWN, at(start), ended) == length


def test_a_long_time_passes_over_weeks_and_stops_at_their_exceptions() -> None:
    workdays = [
        day for day in (date(2025, 1, 1) + timedelta(n) for n in range(365)) if TOWN.is_workday(day)
    ]
    assert len(workdays) == 248
    whole_year = timedelta(hours=8) * len(workdays)
    assert worktime.add(TOWN, at("2025-01-01T00:00"), whole_year) == at("2025-12-31T18:00")
    assert worktime.between(TOWN, at("2025-01-01T00:00"), at("2026-01-01T00:00")) == whole_year


def test_duty_time_does_not_run_backward() -> None:
    assert worktime.between(TOWN, at("2025-03-04T10:00"), at("2025-03-03T10:00")) == timedelta()
    with pytest.raises(ValueError, match="forward"):
        worktime.add(TOWN, at("2025-03-04T10:00"), timedelta(seconds=-1))


ON_DUTY = [
    ("2025-03-03T08:29:59", False),
    ("2025-03-03T08:30", True),
    ("2025-03-03T12:00", False),
    ("2025-03-03T13:30", True),
    ("2025-03-03T17:59:59", True),
    ("2025-03-03T18:00", False),
    ("2025-03-08T10:00", False),
    ("2025-02-08T10:00", True),  # a make-up Saturday
    ("2025-05-01T10:00", False),
]


@pytest.mark.parametrize(("local", "expected"), ON_DUTY)
def test_who_comes_at_the_end_of_a_span_finds_nobody_on_duty(local: str, expected: bool) -> None:
    assert worktime.on_duty(TOWN, at(local)) is expected


NEXT = [
    ("2025-03-03T08:00", "2025-03-03T08:30"),
    ("2025-03-03T08:30", "2025-03-03T13:30"),
    ("2025-03-03T12:00", "2025-03-03T13:30"),
    ("2025-03-07T18:00", "2025-03-10T08:30"),
    ("2025-09-30T18:00", "2025-10-09T08:30"),
    ("2025-12-31T23:59:59", "2026-01-04T08:30"),
]


@pytest.mark.parametrize(("after", "start"), NEXT)
def test_the_next_span_begins_later_than_now(after: str, start: str) -> None:
    assert worktime.next_start(TOWN, at(after)) == at(start)


LATEST = [
    ("2025-03-03T10:00", "2025-03-03T10:00"),
    ("2025-03-03T12:30", "2025-03-03T12:00"),
    ("2025-03-03T08:30", "2025-03-03T08:30"),
    ("2025-03-03T08:00", "2025-02-28T18:00"),
    ("2025-10-08T12:00", "2025-09-30T18:00"),
]


@pytest.mark.parametrize(("until", "end"), LATEST)
def test_the_latest_duty_lies_within_duty(until: str, end: str) -> None:
    found = worktime.latest(TOWN, at(until))
    assert found == at(end)
    assert found.tzinfo is UTC


def test_a_days_duty_ends_with_its_last_span_and_a_day_off_has_none() -> None:
    assert worktime.end_of_day(TOWN, date(2024, 2, 29)) == at("2024-02-29T18:00")
    assert worktime.end_of_day(TOWN, date(2025, 1, 26)) == at("2025-01-26T18:00")
    assert worktime.end_of_day(TOWN, date(2025, 1, 28)) is None
    assert worktime.end_of_day(TOWN, date(2025, 3, 8)) is None


PROVISIONAL = [
    ("2025-03-03T09:00", "2025-03-05T09:00", False),
    ("2025-12-31T17:59", "2026-01-04T08:31", False),
    ("2026-12-28T09:00", "2026-12-28T18:00", False),
    ("2026-12-28T09:00", "2026-12-29T18:00", True),  # the notice for 2027 may tell of it
    ("2026-12-31T17:59", "2027-01-04T08:31", True),
    ("2019-12-31T18:00", "2020-01-02T09:00", True),
    ("2031-03-03T09:00", "2031-03-03T10:00", True),
]


@pytest.mark.parametrize(("start", "end", "expected"), PROVISIONAL)
def test_what_rests_on_a_year_without_a_notice_is_provisional(
    start: str, end: str, expected: bool
) -> None:
    assert worktime.is_provisional(TOWN, at(start), at(end)) is expected


def test_a_year_without_a_notice_has_its_statutory_days_off_and_else_plain_weeks() -> None:
    assert not TOWN.is_workday(date(2027, 1, 1))
    assert not TOWN.is_workday(date(2027, 2, 8))
    assert TOWN.is_workday(date(2027, 2, 9))
    assert not TOWN.is_workday(date(2027, 2, 13))  # a Saturday
    assert TOWN.is_workday(date(2031, 10, 1))  # no table says anything of 2031


def test_a_later_table_takes_the_place_of_the_guess() -> None:
    (guess,) = (one for one in OFFICIAL.years if not one.official)
    noticed = guess.model_copy(update={"official": True, "workdays": (date(2027, 1, 9),)})
    table = OFFICIAL.model_copy(update={"years": (*OFFICIAL.years[:-1], noticed)})
    calendar = rules_from(1, load_dict(PROFILES / "yihe.yaml"), table).work_calendar
    assert calendar is not None
    start = at("2027-01-08T17:00")
    assert worktime.add(TOWN, start, timedelta(hours=2)) == at("2027-01-11T09:30")
    assert worktime.add(calendar, start, timedelta(hours=2)) == at("2027-01-09T09:30")
    assert not worktime.is_provisional(calendar, start, at("2027-01-09T09:30"))


def test_a_town_adds_holidays_of_its_own_and_has_its_own_week() -> None:
    own = compiled(clock={"holidays": ["2025-03-03", "2025-01-26"], "workdays": ["sat", "mon"]})
    assert not own.is_workday(date(2025, 3, 3))
    assert not own.is_workday(date(2025, 1, 26))  # even where the notice has work
    assert own.is_workday(date(2025, 3, 8))
    assert own.is_workday(date(2025, 9, 28))  # a Sunday by the notice
    assert not own.is_workday(date(2025, 10, 4))  # a Saturday within the National Day's days off
    assert not own.is_workday(date(2025, 3, 4))


def test_spans_count_in_order_whatever_order_a_profile_has_them_in() -> None:
    turned = compiled(duty={"spans": [["13:30", "18:00"], ["08:30", "12:00"]]})
    assert turned == TOWN


@pytest.mark.parametrize("name", TOWNS)
def test_every_shipped_town_can_tell_its_duty_time(name: str) -> None:
    day = at("2025-03-03T00:00")
    assert worktime.between(town(name), day, day + timedelta(days=1)) >= timedelta(hours=7)


def test_a_town_without_any_duty_is_refused() -> None:
    for none in ({"weekdays": frozenset[int]()}, {"spans": ()}):
        with pytest.raises(ValueError, match="without any duty"):
            replace(TOWN, **none)


CLOCKS_CHANGE = [
    # forward on 30 March 2025 at 02:00, back on 26 October at 03:00: both Sundays
    ("2025-03-30T01:00+01:00", 2, "2025-03-30T04:00+02:00"),
    ("2025-10-26T01:00+02:00", 2, "2025-10-26T02:00+01:00"),
    ("2025-10-26T01:00+02:00", 4, "2025-10-26T04:00+01:00"),
    ("2025-10-26T02:30+01:00", 2, "2025-10-27T00:30+01:00"),
]


BERLIN = ZoneInfo("Europe/Berlin")
NIGHTS = replace(  # midnight to four, every day
    TOWN,
    zone=BERLIN,
    spans=((timedelta(0), timedelta(hours=4)),),
    weekdays=frozenset(range(7)),
    exceptions={},
)


@pytest.mark.parametrize(("start", "hours", "end"), CLOCKS_CHANGE)
def test_where_clocks_are_changed_an_hour_on_duty_keeps_its_length(
    start: str, hours: int, end: str
) -> None:
    ended = worktime.add(NIGHTS, datetime.fromisoformat(start), timedelta(hours=hours))
    assert ended == datetime.fromisoformat(end)


def test_a_change_of_clocks_is_not_passed_over_with_its_week() -> None:
    start = datetime(2025, 3, 10, tzinfo=BERLIN)
    one_hour_short = timedelta(hours=4 * 28 - 1)
    assert worktime.between(NIGHTS, start, start + timedelta(days=28)) == one_hour_short
    assert worktime.add(NIGHTS, start, one_hour_short) == datetime(2025, 4, 6, 4, tzinfo=BERLIN)


def test_instants_that_are_written_in_the_towns_zone_are_as_far_apart_as_they_are() -> None:
    start = datetime(2025, 3, 30, 1, tzinfo=BERLIN)
    end = datetime(2025, 3, 30, 3, 30, tzinfo=BERLIN)
    assert worktime.between(NIGHTS, start, end) == timedelta(hours=1.5)


def test_a_span_that_is_skipped_when_clocks_go_forward_holds_no_time() -> None:
    skipped = replace(
        NIGHTS,
        spans=(
            (timedelta(hours=2), timedelta(hours=2.5)),
            (timedelta(hours=9), timedelta(hours=10)),
        ),
    )
    midnight = datetime.fromisoformat("2025-03-30T00:00+01:00")
    assert worktime.between(skipped, midnight, midnight + timedelta(days=1)) == timedelta(hours=1)
    assert worktime.add(skipped, midnight, timedelta()) == midnight + timedelta(hours=8)
