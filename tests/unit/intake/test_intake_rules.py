"""Tracking codes as people write them down, and how much a front end may post."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.intake.domain.quota import Bucket, take
from services.intake.domain.tracking import normal_code, shown_code

CODE = "0A1B2C3D4E5F"


@pytest.mark.parametrize(
    "written",
    [
        CODE,
        "0A1B-2C3D-4E5F",
        "0a1b-2c3d-4e5f",
        "0a1b 2c3d 4e5f",
        "  0A1B2C3D4E5F\n",
        "OAIB-2C3D-4E5F",
        "oalb2c3d4e5f",
        "0A-1B-2C-3D-4E-5F",
        "0A1B\u30002C3D\u30004E5F",
        "0A1B\u20132C3D\u20144E5F",
        "０Ａ１Ｂ２Ｃ３Ｄ４Ｅ５Ｆ",
    ],
)
def test_a_code_is_the_same_however_it_is_written(written: str) -> None:
    assert normal_code(written) == CODE


@pytest.mark.parametrize(
    "written",
    [
        "",
        "-",
        "0A1B2C3D4E5",
        CODE + "0",
        "0A1B2C3D4E5!",
        "路灯路灯路灯路灯路灯路灯",
        "0A1B/2C3D4E5F",
    ],
)
def test_what_cannot_be_a_code_is_none(written: str) -> None:
    assert normal_code(written) is None


@settings(derandomize=True, max_examples=60)
@given(st.text("0123456789ABCDEFGHJKMNPQRSTVWXYZ", min_size=12, max_size=12))
def test_what_is_shown_is_read_again(code: str) -> None:
    assert normal_code(shown_code(code)) == code
    assert normal_code(shown_code(code).lower()) == code


def test_a_full_bucket_gives_its_brim_at_once_and_then_says_how_long_to_wait() -> None:
    bucket, waits = None, []
    for _ in range(4):
        bucket, wait_s = take(bucket, 100.0, per_second=2.0, brim=3)
        waits.append(wait_s)
    assert waits == [None, None, None, 0.5]


def test_a_bucket_fills_at_its_rate_and_never_above_its_brim() -> None:
    empty = Bucket(0.0, 100.0)
    assert take(empty, 100.4, 2.0, 3)[1] == pytest.approx(0.1)
    assert take(empty, 100.5, 2.0, 3)[1] is None
    full, _ = take(empty, 9_999.0, 2.0, 3)
    assert full.level == 2.0


def test_being_refused_costs_nothing() -> None:
    bucket = Bucket(0.5, 100.0)
    for _ in range(5):
        bucket, wait_s = take(bucket, 100.0, 1.0, 3)
        assert wait_s == pytest.approx(0.5)


@settings(derandomize=True, max_examples=60)
@given(
    gaps=st.lists(st.floats(0, 5), min_size=1, max_size=60),
    per_second=st.floats(0.1, 50),
    brim=st.integers(1, 20),
)
def test_nobody_gets_more_than_the_brim_and_what_has_filled_since(
    gaps: list[float], per_second: float, brim: int
) -> None:
    bucket, now, given_out = None, 0.0, 0
    for gap in gaps:
        now += gap
        bucket, wait_s = take(bucket, now, per_second, brim)
        given_out += wait_s is None
    assert given_out <= brim + now * per_second + 1e-6
