from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notify.domain.quiet import Quiet, quiet_until
from services.notify.domain.turns import Attempt as Try
from services.notify.domain.turns import (
    Drop,
    GiveUp,
    LookUp,
    Plan,
    Rest,
    Send,
    Situation,
    next_turn,
)

ZONE = "Asia/Shanghai"
NIGHT = Quiet(time(22), time(7))
NOON = Quiet(time(12), time(14, 30))
DAY_MIN = 24 * 60


def local(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(ZONE))


@pytest.mark.parametrize(
    ("quiet", "now", "until"),
    [
        (NIGHT, "2025-03-04T21:59:59.999999", None),
        (NIGHT, "2025-03-04T22:00", "2025-03-05T07:00"),
        (NIGHT, "2025-03-04T23:59:59", "2025-03-05T07:00"),
        (NIGHT, "2025-03-05T00:00", "2025-03-05T07:00"),
        (NIGHT, "2025-03-05T06:59:59.999999", "2025-03-05T07:00"),
        (NIGHT, "2025-03-05T07:00", None),
        (NIGHT, "2025-12-31T22:00", "2026-01-01T07:00"),
        (NIGHT, "2028-02-28T23:00", "2028-02-29T07:00"),
        (NOON, "2025-03-04T11:59", None),
        (NOON, "2025-03-04T12:00", "2025-03-04T14:30"),
        (NOON, "2025-03-04T14:30", None),
        (Quiet(time(22), time(0)), "2025-03-04T23:00", "2025-03-05T00:00"),
        (Quiet(time(22), time(0)), "2025-03-05T00:00", None),
        (Quiet(time(0), time(6)), "2025-03-05T00:00", "2025-03-05T06:00"),
        (Quiet(time(7), time(7)), "2025-03-05T07:00", None),
        (None, "2025-03-05T03:00", None),
    ],
)
def test_when_quiet_hours_end(quiet: Quiet | None, now: str, until: str | None) -> None:
    found = quiet_until(quiet, local(now), ZONE)
    assert found == (local(until) if until else None)


minutes = st.integers(min_value=0, max_value=DAY_MIN - 1)


@given(minutes, minutes, st.integers(min_value=0, max_value=3 * DAY_MIN))
def test_quiet_hours_are_those_of_a_clock_that_is_read_minute_by_minute(
    start: int, end: int, after: int
) -> None:
    quiet = Quiet(time(*divmod(start, 60)), time(*divmod(end, 60)))
    now = local("2025-03-03T00:00") + timedelta(minutes=after)
    left, minute = 0, now.hour * 60 + now.minute
    while (minute + left - start) % DAY_MIN < (end - start) % DAY_MIN:
        left += 1
    expected = now.astimezone(UTC) + timedelta(minutes=left) if left else None
    assert quiet_until(quiet, now, ZONE) == expected


@given(minutes, minutes, st.datetimes(timezones=st.just(UTC), min_value=datetime(2000, 1, 1)))  # noqa: DTZ001 - hypothesis adds the zone
def test_when_they_end_it_is_not_quiet_and_it_is_within_a_day(
    start: int, end: int, now: datetime
) -> None:
    quiet = Quiet(time(*divmod(start, 60)), time(*divmod(end, 60)))
    until = quiet_until(quiet, now, ZONE)
    if until is not None:
        assert timedelta(0) < until - now <= timedelta(days=1)
        assert quiet_until(quiet, until, ZONE) is None


SMS = Plan(("sms",), tries_max=2, wait_s=60)


@pytest.mark.parametrize(
    ("attempts", "more", "action"),
    [
        ([], {}, Rest(60)),
        ([], {"wanted": False}, Drop()),
        ([], {"expired": True}, GiveUp("expired")),
        ([Try(1, "sms", "retry")], {}, Rest(60)),
        ([Try(1, "sms", "unknown")], {}, LookUp(Try(1, "sms", "unknown"))),
        ([], {"quiet_s": 0.0}, Send("sms")),
    ],
)
def test_quiet_hours_hold_up_what_is_begun_and_nothing_else(
    attempts: list[Try], more: dict[str, float | bool], action: object
) -> None:
    given: dict[str, float | bool] = {"quiet_s": 60.0, **more}
    now = Situation({"sms": "phone"}, frozenset({"phone"}), **given)  # type: ignore[arg-type]  # each by its name
    assert next_turn(SMS, attempts, now) == ((), action)
