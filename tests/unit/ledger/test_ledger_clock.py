from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.ledger.domain.virtual_clock import Offset, Refused, moved, now_of

REAL = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
MONDAY = datetime(2025, 3, 3, 2, 0, tzinfo=UTC)
DAY = timedelta(days=1)
SET = (Offset(REAL, MONDAY - REAL),)


def test_without_an_offset_the_towns_time_is_the_real_one() -> None:
    assert now_of((), REAL) == REAL


@pytest.mark.parametrize("to", [MONDAY, REAL, REAL + 400 * DAY])
def test_at_first_it_is_set_freely(to: datetime) -> None:
    offsets = moved((), REAL, to)
    assert not isinstance(offsets, Refused)
    assert now_of(offsets, REAL) == to
    assert now_of(offsets, REAL + DAY) == to + DAY


@pytest.mark.parametrize(
    ("real", "to", "moves"),
    [
        (REAL + DAY, MONDAY + DAY, True),
        (REAL + DAY, MONDAY + DAY + timedelta(microseconds=1), True),
        (REAL + DAY, MONDAY + 9 * DAY, True),
        (REAL + DAY, MONDAY + DAY - timedelta(microseconds=1), False),
        (REAL + DAY, MONDAY, False),
    ],
)
def test_afterwards_it_only_goes_forward(real: datetime, to: datetime, moves: bool) -> None:
    offsets = moved(SET, real, to)
    assert isinstance(offsets, Refused) != moves
    if not isinstance(offsets, Refused):
        assert offsets[:-1] == SET
        assert now_of(offsets, real) == to


@pytest.mark.parametrize("years", [-21, 21, -2000])
def test_it_goes_no_further_than_anybody_needs(years: int) -> None:
    to = datetime(REAL.year + years, 1, 1, tzinfo=UTC)
    assert isinstance(moved((), REAL, to), Refused)


@settings(derandomize=True, max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(-(10**6), 10**6)), max_size=12))
def test_whatever_is_asked_the_towns_time_never_goes_back(asked: list[tuple[int, int]]) -> None:
    offsets: tuple[Offset, ...] = SET
    real, last = REAL, MONDAY
    for waited_s, forward_s in asked:
        real += timedelta(seconds=waited_s)
        before = now_of(offsets, real)
        after = moved(offsets, real, before + timedelta(seconds=forward_s))
        assert isinstance(after, Refused) == (forward_s < 0)
        offsets = offsets if isinstance(after, Refused) else after
        assert now_of(offsets, real) >= before >= last
        last = now_of(offsets, real)
    assert [one.from_at for one in offsets] == sorted(one.from_at for one in offsets)
