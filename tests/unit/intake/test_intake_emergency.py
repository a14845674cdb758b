"""Words that nobody should wait for: which number, and what is no emergency."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.profile import Profile, load_dict, parse
from services.intake.domain.emergency import advise
from services.intake.guard import USUAL, emergencies_of, guard, worth_reading
from services.intake.report import Report

PROFILE = load_dict(Path(__file__).parents[3] / "contracts" / "profiles" / "yihe.yaml")

TOLD = [
    ("我家厨房着火了", ["119"]),
    ("着 火 了，快来人", ["119"]),
    ("村口有人打架，还拿刀", ["110"]),
    ("老人晕倒在路边", ["120"]),
    ("路口出了车祸，有人受伤", ["120", "122"]),
    ("孩子溺水了", ["119", "120"]),
    ("有人要跳楼", ["110"]),
    ("他没有呼吸了", ["120"]),
    ("老人心脏病发作", ["120"]),
    ("孩子被狗咬伤", ["120"]),
    ("闻到煤气味，怕爆炸", ["119"]),
    # Denied elsewhere, or only seemingly denied.
    ("没有停电，但是着火了", ["119"]),
    ("不知道有没有着火，有浓烟", ["119"]),
    ("是不是着火了", ["119"]),
    ("会不会爆炸", ["119"]),
    ("家里没人着火了", ["119"]),
    ("昨天没有着火，今天着火了", ["119"]),
    ("没办法，房子着火", ["119"]),
    ("着火了没有人管", ["119"]),
    ("火灾隐患没人管，现在真的起火了", ["119"]),
]  # fmt: skip
NOT_TOLD = [
    "路灯不亮",
    "没有着火",
    "没着火，是烧烤的烟味",
    "并非火灾",
    "没有发生火灾",
    "不是车祸，是占道",
    "请宣传怎样预防中毒",
    "楼道堆物有火灾隐患",
    "请组织火灾演练和火灾预案培训",
    "防火灾宣传没有到位",
    "灭火器过期了",
    "",
]


def calls(*said: str) -> list[str]:
    return [one.emergency.call for one in advise(said, USUAL)]


@pytest.mark.parametrize(("said", "expected"), TOLD)
def test_what_nobody_should_wait_for_is_known_by_its_words(said: str, expected: list[str]) -> None:
    assert sorted(calls(said)) == expected


@pytest.mark.parametrize("said", NOT_TOLD)
def test_what_is_denied_or_a_matter_for_the_office_is_none(said: str) -> None:
    assert calls(said) == []


def test_summary_and_description_are_each_a_sentence_of_their_own() -> None:
    assert calls("有人受", "伤") == []
    assert calls("昨晚没有", "着火了") == ["119"]


def test_the_answer_names_the_word_and_the_number_in_both_languages() -> None:
    report = Report.model_validate({"tenant": "t", "summary": "求助", "description": "楼上起火"})
    (view,) = guard(report, None)
    assert (view["call"], view["because"]) == ("119", "起火")
    for text in (view["zh"], view["en"]):
        assert "119" in text
        assert "起火" in text


def with_list(emergencies: Any) -> Profile:
    return parse({**PROFILE, "cases": {**PROFILE["cases"], "emergencies": emergencies}})


def test_a_town_may_have_a_list_of_its_own_or_none() -> None:
    own = [{"call": "0546119", "zh": "林场", "en": "forest station", "words": ["山火"]}]
    listed = emergencies_of(with_list(own))
    assert [one.emergency.call for one in advise(["看见山火", "着火"], listed)] == ["0546119"]
    assert emergencies_of(with_list([])) == ()
    assert emergencies_of(parse(PROFILE)) == USUAL


def test_in_a_crowd_a_glance_is_enough_to_pass_the_rest_over() -> None:
    assert worth_reading('{"summary": "着火了"}'.encode())
    assert worth_reading(b'{"summary": "\\u7740\\u706b"}')
    assert not worth_reading('{"summary": "路灯不亮"}'.encode())


@settings(derandomize=True, max_examples=100)
@given(before=st.text(max_size=30), after=st.text(max_size=30))
def test_whatever_stands_around_a_cry_of_its_own_it_is_heard(before: str, after: str) -> None:
    assert "119" in calls(before, "救命，起火了！", after)
