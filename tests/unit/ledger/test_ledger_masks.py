"""A mask shows what people may see of one another, and no more."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ledger.domain.masks import HIDDEN, MASKS, masked
from services.ledger.domain.numbers import citizen_check

SHOWN: list[tuple[str, str, str]] = [
    ("name", "张三", "张*"),
    ("name", "欧阳修文", "欧*"),
    ("name", "𠮷野", "𠮷*"),
    ("name", "阿依古丽·买买提", "阿*"),
    ("name", "张", "*"),
    ("name", "", "*"),
    ("phone", "13812345678", "138******78"),
    ("phone", "+8613812345678", "+86*********78"),
    ("phone", "8812345", HIDDEN),
    ("id_number", "110101199001011234", "110101************"),
    ("id_number", "1234", HIDDEN),
    ("birth_date", "1949-12-31", "1949"),
    ("birth_date", "unknown", HIDDEN),
    ("address", "迎春路北段12号", "迎春路***"),
    ("address", "3号", "3***"),
    ("address", "", HIDDEN),
    ("sex", "女", HIDDEN),
    ("a field that is added later", "secret", HIDDEN),
]


@pytest.mark.parametrize(("field", "text", "shown"), SHOWN)
def test_a_text_is_shown_by_its_fields_mask(field: str, text: str, shown: str) -> None:
    assert masked({field: text}) == {field: shown}


@given(st.sampled_from(sorted(MASKS)), st.text(max_size=50))
def test_no_mask_shows_a_text_whole_or_more_than_six_characters(field: str, text: str) -> None:
    shown = MASKS[field](text)
    told = shown.replace("*", "")
    assert len(told) <= 6
    assert text in ("", "*", HIDDEN) or shown != text or set(text) == {"*"} or field == "birth_date"
    assert len(told) < len(text) or not told or field == "birth_date"


@given(st.text(min_size=1, max_size=1), st.text(max_size=49), st.text(max_size=49))
def test_names_that_begin_alike_look_alike(first: str, one: str, other: str) -> None:
    assert (MASKS["name"](f"{first}x{one}")) == MASKS["name"](f"{first}y{other}")


def test_more_numbers_fit_a_masked_record_than_can_be_tried_out() -> None:
    number, year = "110101199001010015", "1990"
    shown = masked({"id_number": number, "birth_date": "1990-01-01"})
    fitting = 0
    for month, day in product(range(1, 13), range(1, 29)):
        for order in range(1_000):
            body = f"110101{year}{month:02}{day:02}{order:03}"
            other = {"id_number": body + citizen_check(body), "birth_date": f"{year}-01-01"}
            fitting += masked(other) == shown
    assert fitting > 10_000


def test_more_phones_fit_a_masked_one_than_can_be_tried_out() -> None:
    shown = MASKS["phone"]("13812345678")
    assert 10 ** shown.count("*") > 100_000
