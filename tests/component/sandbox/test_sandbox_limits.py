from datetime import UTC, datetime, timedelta

import pytest

from deploy.sandbox.limits import AccountThrottle, Frequency, Nonces, SendWindows

START = datetime(2026, 3, 3, 1, 30, tzinfo=UTC)
KEY = ("13800000012", "SMS_1")
TICK = timedelta(microseconds=1)


def windows_after(frequency: Frequency, sends: int) -> SendWindows:
    windows = SendWindows(frequency, keys_max=100)
    for _ in range(sends):
        windows.count(KEY, START)
    return windows


def message(windows: SendWindows, now: datetime) -> str | None:
    refusal = windows.refusal([KEY], now)
    return refusal.message if refusal else None


@pytest.mark.parametrize(
    ("frequency", "span", "words"),
    [
        (Frequency(2, None, None), timedelta(minutes=1), "触发分钟级流控Permits:2"),
        (Frequency(None, 2, None), timedelta(hours=1), "触发小时级流控Permits:2"),
        (Frequency(None, None, 2), timedelta(days=1), "触发天级流控Permits:2"),
    ],
    ids=["minute", "hour", "day"],
)
def test_a_window_closes_at_its_limit_and_opens_at_its_edge(
    frequency: Frequency, span: timedelta, words: str
) -> None:
    assert message(windows_after(frequency, 1), START) is None
    windows = windows_after(frequency, 2)
    assert message(windows, START) == words
    assert message(windows, START + span - TICK) == words
    assert message(windows, START + span) is None


def test_the_shortest_window_that_is_full_is_named() -> None:
    windows = windows_after(Frequency(1, 1, 1), 1)
    assert message(windows, START) == "触发分钟级流控Permits:1"
    assert message(windows, START + timedelta(minutes=1)) == "触发小时级流控Permits:1"
    assert message(windows, START + timedelta(hours=1)) == "触发天级流控Permits:1"


def test_the_window_rolls_it_does_not_begin_at_midnight() -> None:
    windows = SendWindows(Frequency(None, None, 2), keys_max=100)
    windows.count(KEY, START)
    windows.count(KEY, START + timedelta(hours=20))
    day_over = START + timedelta(days=1)
    assert message(windows, day_over) is None
    windows.count(KEY, day_over)
    assert message(windows, day_over) == "触发天级流控Permits:2"


def test_another_number_or_template_has_its_own_window() -> None:
    windows = windows_after(Frequency(1, None, None), 1)
    assert windows.refusal([("13900000110", "SMS_1"), ("13800000012", "SMS_2")], START) is None
    assert windows.refusal([("13900000110", "SMS_1"), KEY], START) is not None


def test_a_number_that_stands_twice_in_a_request_wants_two() -> None:
    windows = SendWindows(Frequency(1, None, None), keys_max=100)
    assert windows.refusal([KEY, KEY], START) is not None
    assert windows.refusal([KEY], START) is None


def test_without_limits_nothing_is_remembered_or_refused() -> None:
    windows = windows_after(Frequency(None, None, None), 1_000)
    assert message(windows, START) is None


def test_the_memory_of_windows_has_a_bound_and_the_oldest_goes() -> None:
    windows = SendWindows(Frequency(1, None, None), keys_max=2)
    for template in ("SMS_1", "SMS_2", "SMS_3"):
        windows.count((KEY[0], template), START)
    assert windows.refusal([(KEY[0], "SMS_1")], START) is None
    assert windows.refusal([(KEY[0], "SMS_2")], START) is not None


def test_the_account_may_call_so_often_in_any_one_second() -> None:
    throttle = AccountThrottle(per_s_max=2)
    half = timedelta(seconds=0.5)
    assert [throttle.admits(START), throttle.admits(START + half)] == [True, True]
    assert not throttle.admits(START + half)
    assert not throttle.admits(START + 2 * half - TICK)
    assert throttle.admits(START + 2 * half)
    assert not throttle.admits(START + 2 * half)


def test_a_nonce_is_used_once_by_each_key() -> None:
    nonces = Nonces(timedelta(minutes=30), nonces_max=10)
    assert nonces.use("one", "n", START)
    assert not nonces.use("one", "n", START + timedelta(minutes=29))
    assert nonces.use("two", "n", START)


def test_nonces_are_forgotten_when_their_date_would_be_refused_anyway() -> None:
    nonces = Nonces(timedelta(minutes=30), nonces_max=10)
    nonces.use("one", "n", START)
    nonces.use("one", "m", START + timedelta(minutes=31))
    assert nonces.use("one", "n", START + timedelta(minutes=31))


def test_the_memory_of_nonces_has_a_bound() -> None:
    nonces = Nonces(timedelta(minutes=30), nonces_max=2)
    for nonce in ("a", "b", "c"):
        nonces.use("one", nonce, START)
    assert [nonces.use("one", nonce, START) for nonce in ("c", "a")] == [False, True]
