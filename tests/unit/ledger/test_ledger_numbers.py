"""Numbers of citizens and organisations: what a clerk may get wrong is found, and told."""

from datetime import date

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from services.ledger.domain.numbers import (
    as_kept,
    birth_date,
    citizen_check,
    credit_check,
    is_personal,
    names_somebody,
    wrong_citizen_number,
    wrong_credit_code,
)

TODAY = date(2025, 3, 3)
NUMBER = "11010519491231002X"  # the example printed in GB 11643
CODES = ("91110000600037341L", "91350100M000100Y43")  # the latter printed in GB 32100
PLACES = st.from_regex(r"[1-9][0-9]{5}", fullmatch=True)
BORN = st.dates(date(1880, 1, 1), TODAY)
ORDERS = st.from_regex(r"[0-9]{3}", fullmatch=True)
CREDIT = "0123456789ABCDEFGHJKLMNPQRTUWXY"
BODIES = st.text(CREDIT, min_size=17, max_size=17)


def numbered(place: str, born: date, order: str) -> str:
    body = f"{place}{born:%Y%m%d}{order}"
    return body + citizen_check(body)


def test_the_examples_of_the_standards_hold() -> None:
    assert wrong_citizen_number(NUMBER, TODAY) is None
    assert [wrong_credit_code(code) for code in CODES] == [None, None]


@given(PLACES, BORN, ORDERS)
def test_a_whole_number_holds_wherever_it_was_given_out(place: str, born: date, order: str) -> None:
    number = numbered(place, born, order)
    assert wrong_citizen_number(number, TODAY) is None
    assert birth_date(number) == born


@given(PLACES, BORN, ORDERS, st.integers(0, 16), st.integers(1, 9))
def test_one_digit_copied_wrongly_is_found(
    place: str, born: date, order: str, where: int, off: int
) -> None:
    number = numbered(place, born, order)
    digit = str((int(number[where]) + off) % 10)
    assert wrong_citizen_number(number[:where] + digit + number[where + 1 :], TODAY) is not None


@given(PLACES, BORN, ORDERS, st.integers(0, 15))
def test_two_neighbours_changed_about_are_found(
    place: str, born: date, order: str, where: int
) -> None:
    number = numbered(place, born, order)
    assume(number[where] != number[where + 1])
    turned = number[:where] + number[where + 1] + number[where] + number[where + 2 :]
    assert wrong_citizen_number(turned, TODAY) is not None


@pytest.mark.parametrize(
    ("number", "said"),
    [
        ("110105194912310021", "The check character does not fit"),
        ("110105491231002", "A number of 15 digits is no longer valid"),
        (numbered("110105", date(2025, 3, 4), "002"), "The date of birth in places 7 to 14 is in"),
        ("110105194902300025", "Places 7 to 14 are no real date"),
        ("110105000012310020", "Places 7 to 14 are no real date"),
        ("11010518491231002X", "Places 7 to 14 are no real date"),
        ("", "Expected 18 places"),
        ("1101051949123100２X", "Expected 18 places"),
        ("X10105194912310021", "Expected 18 places"),
        (NUMBER + "1", "Expected 18 places"),
    ],
)
def test_each_fault_says_what_to_mend(number: str, said: str) -> None:
    zh, en = wrong_citizen_number(number, TODAY) or ("", "")
    assert en.startswith(said)
    assert zh
    assert not number or number not in zh + en


def test_who_is_born_today_is_born() -> None:
    assert wrong_citizen_number(numbered("110105", TODAY, "002"), TODAY) is None


@pytest.mark.parametrize(
    "typed",
    [
        "11010519491231002x",
        "١١٠١٠٥١٩٤٩١٢٣١٠٠٢x",
        "110105\u200b19491231002X",
        "１１０１０５１９４９１２３１００２Ｘ",
        " 110105\u300019491231 002X\t",
    ],
)
def test_a_number_has_one_form_however_it_was_typed(typed: str) -> None:
    assert as_kept(typed) == NUMBER


@given(BODIES, st.integers(0, 16), st.integers(1, 30))
def test_one_place_of_a_credit_code_copied_wrongly_is_found(
    body: str, where: int, off: int
) -> None:
    code = body + credit_check(body)
    assert wrong_credit_code(code) is None
    place = CREDIT[(CREDIT.index(code[where]) + off) % len(CREDIT)]
    assert wrong_credit_code(code[:where] + place + code[where + 1 :]) is not None


@pytest.mark.parametrize("code", ["", "91110000600037341I", "9111000060003734", NUMBER[:-1]])
def test_what_is_no_credit_code_is_told_its_form(code: str) -> None:
    assert (wrong_credit_code(code) or ("",))[0].startswith("应为 18 位统一社会信用代码")


@pytest.mark.parametrize(
    "code",
    [NUMBER, NUMBER.lower(), "13800000000", "138-0000-0000", "8613800000000", "0086-19900000000"],
)
def test_a_code_that_is_somebodys_number_is_known(code: str) -> None:
    assert is_personal(code, TODAY)


@pytest.mark.parametrize(
    "code", ["p1", "12800000000", "138000000001", "110105194912310021", "p-13800000000", "330102"]
)
def test_other_codes_are_nobodys(code: str) -> None:
    assert not is_personal(code, TODAY)


@pytest.mark.parametrize(
    "text",
    [
        f"核对{NUMBER}的住址",
        "110105194912310021",
        "110105 1949 1231 002x",
        "110105491231002",
        "电话13800000000，本人",
        "+86 138-0000-0000",
        "１３８０００００００0",
        "١٣٨٠٠٠٠٠٠٠٠",
        "138\u200b00000000",
    ],
)
def test_a_text_that_names_somebody_by_a_number_is_known(text: str) -> None:
    assert names_somebody(text)


@pytest.mark.parametrize(
    "text",
    ["依申请 2026-17", "2025-03-01 至 2025-03-02", "12345 热线", "0530-1234567", "20250303100000"],
)
def test_other_numbers_in_a_text_name_nobody(text: str) -> None:
    assert not names_somebody(text)
