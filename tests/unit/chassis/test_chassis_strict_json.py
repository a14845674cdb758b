"""A body is JSON in the strict sense, or it is refused by name and in bounded time."""

import json
import math
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.chassis.http import Problem, read_json

FIVE_MB = 5 * 1024 * 1024
ANY_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def refused(body: bytes) -> str:
    with pytest.raises(Problem) as problem:
        read_json(body)
    answer = problem.value.response()
    assert answer.status_code == 400
    assert answer.media_type == "application/problem+json"
    return str(json.loads(bytes(answer.body))["code"])


@settings(max_examples=50)
@given(value=ANY_JSON, escaped=st.booleans())
def test_what_is_json_is_read_as_it_is(value: Any, escaped: bool) -> None:
    assert read_json(json.dumps(value, ensure_ascii=escaped).encode()) == value


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"a": 1, "a": 2}', "json_duplicate_key"),
        (b'{"x": {"a": 1, "b": 1, "a": 1}}', "json_duplicate_key"),
        (b'{"a": 1, "\\u0061": 2}', "json_duplicate_key"),
        (b'{"\\ud800": 1, "\\ud800": 2}', "json_duplicate_key"),
        (b"NaN", "json_not_a_number"),
        (b"[Infinity]", "json_not_a_number"),
        (b'{"lat": -Infinity}', "json_not_a_number"),
        (b'{"lat": 1e400}', "json_not_a_number"),
        (b'{"lat": -1e400}', "json_not_a_number"),
        (b"\xff", "json_not_utf8"),
        (b'{"a": "\xed\xa0\x80"}', "json_not_utf8"),
        (b"\xef\xbb\xbf{}", "json_bom"),
        ('{"a": 1}'.encode("utf-16"), "json_not_utf8"),
        (b'"\\ud800"', "json_half_character"),
        (b'{"\\udfff": 1}', "json_half_character"),
        (b'"\\uDC00\\uD800"', "json_half_character"),
        (b"9" * 5_000, "json_malformed"),
        (b"", "json_malformed"),
        (b"{", "json_malformed"),
        (b"{'a': 1}", "json_malformed"),
        (b'"a\nb"', "json_malformed"),
        (b"{} {}", "json_malformed"),
        (b"01", "json_malformed"),
    ],
    ids=lambda one: repr(one)[:30],
)
def test_what_is_not_json_is_refused_by_name(body: bytes, code: str) -> None:
    assert refused(body) == code


def test_a_pair_of_surrogates_is_one_character() -> None:
    assert read_json(b'"\\ud83d\\ude00 \\uD83D\\uDE00"') == "😀 😀"


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_ten_thousand_levels_are_refused(opening: bytes) -> None:
    assert refused(opening * 10_000) == "json_too_deep"


def test_the_name_of_a_repeated_key_is_cut_short() -> None:
    with pytest.raises(Problem) as problem:
        read_json(json.dumps({"k" * 5_000: 1}).encode()[:-1] + b', "' + b"k" * 5_000 + b'": 2}')
    assert len(str(problem.value.body["title"])) < 200


def many_keys(last: str) -> bytes:
    keys = ",".join(f'"{n}":1' for n in range(200_000))
    return f'{{{keys},"{last}":1}}'.encode()


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (many_keys("199999"), "json_duplicate_key"),
        (b'"' + b"\\ud800" * 500_000 + b'"', "json_half_character"),
        (b"[" * FIVE_MB, "json_too_deep"),
        (b"1" * FIVE_MB, "json_malformed"),
    ],
    ids=["keys", "surrogates", "brackets", "digits"],
)
def test_five_megabytes_are_refused_in_bounded_time(body: bytes, code: str) -> None:
    started = time.monotonic()
    assert refused(body) == code
    assert time.monotonic() - started < 10  # not with its square


def test_numbers_keep_their_size() -> None:
    assert read_json(b"1e308") == 1e308
    assert read_json(b"1e-400") == 0.0
    assert read_json(str(10**300).encode()) == 10**300
    assert math.isfinite(read_json(b"1.7976931348623157e308"))
