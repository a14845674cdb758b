"""The blind index: what is found by which words, and that its digests tell nothing."""

import sys

import pytest

from services.ledger.domain.address import parts
from services.ledger.domain.blind import By, fits, initials, token, tokens

KEY = b"k" * 32
NUMBER = "11010519491231002X"


def is_found(by: By, asked: str, **texts: str) -> bool:
    """Tell whether a digest leads to a person, and the person is the one that is meant."""
    led = token(KEY, by, asked) in tokens(KEY, "person", texts)
    return led and fits(by, asked, texts)


@pytest.mark.parametrize(
    ("by", "asked", "kept"),
    [
        ("id_number", "１１０１０５ 19491231 002x", NUMBER),
        ("phone", "+86 138-1234-5678", "13812345678"),
        ("phone", "13812345678", "138 1234 5678"),
        ("phone", "0312 8888888", "0312-8888888"),
        ("name", "阿卜杜拉•买买提", "阿卜杜拉·买买提"),
        ("phone", "١٣٨١٢٣٤٥٦٧٨", "13812345678"),
        ("name", "张 三", "张三"),
        ("name", "张\u200b三\u202e", "张三"),
        ("begins", "\ufeff张", "张三丰"),
        ("begins", "张", "张三丰"),
        ("begins", "张三丰", "张三丰"),
        ("begins", "阿卜杜拉·买", "阿卜杜拉·买买提"),
        ("begins", "𠮷", "𠮷野"),
        ("begins", "长" * 50, "长" * 50),
        ("initials", "ZSF", "张三丰"),
        ("initials", "zs", "张三丰"),
        ("initials", "stf", "单田芳"),
        ("initials", "dtf", "单田芳"),
        ("initials", "abdlmmt", "阿卜杜拉·买买提"),
    ],
)
def test_is_found(by: By, asked: str, kept: str) -> None:
    field = "name" if by in ("begins", "initials") else by
    assert is_found(by, asked, **{field: kept})


@pytest.mark.parametrize(
    ("by", "asked", "kept"),
    [
        ("name", "张三", "张三丰"),
        ("begins", "三", "张三丰"),
        ("begins", "阿卜杜拉·李", "阿卜杜拉·买买提"),
        ("initials", "sf", "张三丰"),
        ("initials", "abdlmml", "阿卜杜拉·买买提"),
        ("phone", "1381234567", "13812345678"),
    ],
)
def test_is_not_found(by: By, asked: str, kept: str) -> None:
    field = "name" if by in ("begins", "initials") else by
    assert not is_found(by, asked, **{field: kept})


def test_a_digest_is_of_one_key_and_one_way_of_looking() -> None:
    one, other = tokens(KEY, "person", {"name": "ab"}), tokens(b"o" * 32, "person", {"name": "ab"})
    assert not one & other
    assert {len(digest) for digest in one} == {16}
    assert token(KEY, "name", "ab") != token(KEY, "begins", "ab")


def test_what_is_not_looked_for_has_no_digest() -> None:
    assert tokens(KEY, "matter", {"name": "x", "note": "x"}) == frozenset()
    assert tokens(KEY, "person", {"relation": "x", "sex": "x"}) == frozenset()


def test_a_name_without_readings_has_no_initials() -> None:
    assert initials("Tom") == ()
    assert initials("𠮷") == ()


WHERE = "义和镇望禾新村三组十二号"


@pytest.mark.parametrize(
    ("asked", "kept"),
    [
        (WHERE, WHERE),
        ("义和镇 望禾新村 3组 12号", WHERE),
        ("望禾新村3组１２号", WHERE),
        ("望禾新村", WHERE),
        ("12号", WHERE),
        ("三组12号", WHERE),
        ("2单元302室", "幸福路12弄5号楼2单元302室"),
        ("幸福路12弄", "幸福路12弄5号楼2单元302室"),
        ("5号楼", "幸福路12弄5号楼2单元302室"),
        ("3-2-501", "柳园小区3-2-501"),
        ("柳园小区", "柳园小区3-2-501"),
        ("枕溪街12号A", "枕溪街12号a"),
        ("山东省东营市河口区义和镇望禾新村3组12号", "山东省东营市河口区义和镇望禾新村三组12号"),
    ],
)
def test_an_address_is_found_by_parts_that_follow_each_other(asked: str, kept: str) -> None:
    assert token(KEY, "address", asked) in tokens(KEY, "household", {"address": kept})
    assert fits("address", asked, {"address": kept})


@pytest.mark.parametrize(
    ("asked", "kept"),
    [
        ("2号", WHERE),
        ("禾新村", WHERE),
        ("望禾新村12号", WHERE),
        ("3组2号", WHERE),
        ("112号", WHERE),
        ("山西省东营市河口区义和镇望禾新村3组12号", "山东省东营市河口区义和镇望禾新村三组12号"),
        ("--", WHERE),
    ],
)
def test_an_address_is_not_found_by_halves_of_parts(asked: str, kept: str) -> None:
    led = token(KEY, "address", asked) in tokens(KEY, "household", {"address": kept})
    assert not (led and fits("address", asked, {"address": kept}))


def test_a_long_address_has_a_bounded_number_of_digests() -> None:
    assert len(tokens(KEY, "household", {"address": "一号" * 60})) <= 15


def test_numbers_in_an_address_are_written_in_digits() -> None:
    assert parts("十号二十一栋三十单元零五室") == ["10号", "21栋", "30单元", "05室"]
    assert parts("十里铺村一号") == ["十里铺村", "1号"]
    assert parts("") == []


def test_a_name_that_was_read_is_remembered_nowhere() -> None:
    name = "诸葛孔明 ".strip()  # an object of its own
    held = sys.getrefcount(name)
    assert initials(name)
    assert sys.getrefcount(name) == held
