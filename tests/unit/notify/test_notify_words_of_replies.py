from math import gcd
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.profile import load_dict
from services.notify.compiled import rules_from
from services.notify.domain.replies import BARE, chosen, code_of, listed, read_reply

PROFILES = Path(__file__).parents[3] / "contracts" / "profiles"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", BARE),
        ("１", BARE),
        (" 1。", BARE),
        ("4711", "4711"),
        ("４７１１", "4711"),
        ("14711", "4711"),
        ("1 4711", "4711"),
        ("4711 1", "4711"),
        ("【4711】，1", "4711"),
        ("471", None),
        ("47110", None),
        ("1711", None),  # no code begins with 1
        ("4711 4712", None),
        ("11", None),
        ("2", None),
        ("", None),
        ("好的", None),
        ("收到1", None),
        ("٤٧١١", None),
        ("四七一一", None),
        ("4711\u0000", "4711"),
    ],
)
def test_what_a_reply_names(text: str, expected: str | None) -> None:
    assert read_reply(text) == expected


@pytest.mark.parametrize(
    ("said", "codes", "expected"),
    [
        (BARE, ["4711"], 0),
        (BARE, [None], 0),
        (BARE, [], None),
        (BARE, ["4711", "5822"], None),
        ("5822", ["4711", "5822"], 1),
        ("5822", ["4711"], None),
        ("5822", ["5822", "5822"], None),  # of two towns that share a phone
        (None, ["4711"], None),
        (None, [None], None),
    ],
)
def test_which_slot_is_meant(
    said: str | None, codes: list[str | None], expected: int | None
) -> None:
    assert chosen(said, codes) == expected


@given(st.integers(min_value=0, max_value=10**9))
def test_a_code_is_read_as_itself_however_it_is_written(number: int) -> None:
    code = code_of(number)
    assert {read_reply(text) for text in (code, f"1{code}", f"{code}1", f"1 {code}")} == {code}


def test_no_code_comes_twice_within_a_round() -> None:
    assert gcd(7_919, 8_000) == 1
    assert len({code_of(number) for number in range(8_000)}) == 8_000


def test_the_first_few_codes_are_listed() -> None:
    assert listed(["4711", None, "5822"]) == "4711、5822"
    assert len(listed([code_of(n) for n in range(50)])) == 29


def test_no_answer_reports_in_where_only_who_is_there_has() -> None:
    body = load_dict(PROFILES / "yihe.yaml")
    body["whistle"]["on_site_only"] = ["urgent"]
    rules = rules_from(1, body)
    assert (rules.reply_as("urgent"), rules.reply_as("general")) == (None, "app_ack")
