from datetime import UTC, datetime
from itertools import permutations
from typing import Any
from uuid import UUID

import pytest

from contracts.profile import load
from contracts.registry import Tenant
from deploy.local.seeding import PROFILES
from services.console.domain.acts import Act, joined
from services.console.domain.words import WORDS, Language
from services.console.store.look import StateCount, ToldAct
from services.console.towns import Town
from services.console.views import Speaker

AT = datetime(2025, 3, 3, 2, 21, tzinfo=UTC)
UNITS = {"g01": "谷雨洼网格", "v1": "柿红新村", "town": "义和镇"}


def speaker(language: Language, **units: str) -> Speaker:
    profile = load(PROFILES / "yihe.yaml")
    town = Town(Tenant(zh="义和镇", en="Yihe"), 1, {1: profile}, units={**UNITS, **units})
    return Speaker(town, WORDS[language])


def act(kind: Any, **more: Any) -> Act:
    return Act("yihe", UUID(int=1), AT, kind, **more)


def told(one: Act, **more: Any) -> ToldAct:
    given = {
        "number": "250303-0012",
        "category": "environment",
        "flow": "closed_loop",
        "profile_version": 1,
        "grid": "g01",
        "village": "v1",
        "owner_unit": "g01",
        **more,
    }
    return ToldAct(one, **given)


WORKER = {"unit": "g01", "role": "grid_worker"}
CLERK = {"unit": "town", "role": "center_clerk"}


@pytest.mark.parametrize(
    ("one", "zh", "en"),
    [
        (
            act("accepted", **WORKER),
            "谷雨洼网格 接了 250303-0012 人居环境",
            "谷雨洼网格 took on 250303-0012 Living environment",
        ),
        (
            act("opened", to_unit="g01", to_role="grid_worker"),
            "谷雨洼网格 报来 250303-0012 人居环境",
            "谷雨洼网格 reported 250303-0012 Living environment",
        ),
        (
            act("opened", to_unit="v1", to_role="village_cadre"),
            "谷雨洼网格 报来 250303-0012 人居环境，交给 柿红新村",
            "谷雨洼网格 reported 250303-0012 Living environment, handed to 柿红新村",
        ),
        (
            act("step", step="up_town", to_unit="town", **WORKER),
            "谷雨洼网格 转镇级 250303-0012 人居环境，交给 义和镇",
            "谷雨洼网格: Pass to the town, 250303-0012 Living environment, handed to 义和镇",
        ),
        (
            act("step", step="cancel", ended="cancelled", role="reporter"),
            "报事人 撤销 250303-0012 人居环境，已撤销",
            "the reporter: Cancel, 250303-0012 Living environment, Cancelled",
        ),
        (
            act("visited", satisfied=True, ended="closed", **CLERK),
            "义和镇 回访了 250303-0012 人居环境，群众满意，已结案",
            "义和镇 asked the reporter of 250303-0012 Living environment, satisfied, Closed",
        ),
        (
            act("visited", satisfied=False, **CLERK),
            "义和镇 回访了 250303-0012 人居环境，群众不满意",
            "义和镇 asked the reporter of 250303-0012 Living environment, not satisfied",
        ),
        (
            act("missed"),
            "250303-0012 人居环境 超时，谷雨洼网格 在办",
            "250303-0012 Living environment is overdue, 谷雨洼网格 has it",
        ),
        (
            act("reopened"),
            "有人 重新办理 250303-0012 人居环境",
            "somebody took up again 250303-0012 Living environment",
        ),
    ],
)
def test_an_act_is_a_sentence_in_the_villages_words(one: Act, zh: str, en: str) -> None:
    assert speaker("zh").act(told(one)).striptags() == zh
    assert speaker("en").act(told(one)).striptags() == en


def test_names_are_kept_apart_from_the_sentence_and_escaped() -> None:
    hostile = "<script>{number}שלום\u202e"
    said = speaker("zh", g01=hostile).act(told(act("accepted", **WORKER)))
    assert said.startswith("<bdi>&lt;script&gt;{number}שלום\u202e</bdi> 接了 <b")


def test_what_is_unknown_is_told_by_its_id() -> None:
    one = act("step", step="dance", unit="x9", role="wizard", to_unit="x8", ended="gone")
    said = speaker("zh").act(told(one, category="alien", flow="none", profile_version=7))
    assert said.striptags() == "x9 dance 250303-0012 alien，gone，交给 x8"


def test_where_english_is_missing_the_chinese_stands_for_it() -> None:
    profile = load(PROFILES / "gucheng.yaml")
    town = Town(newest=1, profiles={1: profile})
    said = Speaker(town, WORDS["en"])
    assert said.category(profile, "police_incident") == "警情转调"
    assert said.category(profile, "environment") == "Living environment"
    assert said.town_name("gucheng") == "gucheng"


@pytest.mark.parametrize(
    ("facts", "kind"),
    [
        ([act("step", step="first_ask", **WORKER), act("accepted", **WORKER)], "accepted"),
        ([act("opened", to_unit="g01"), act("assigned", to_unit="g01")], "opened"),
        (
            [
                act("step", step="return_visit", **CLERK),
                act("visited", satisfied=True, **CLERK),
                act("step", ended="closed", **CLERK),
            ],
            "visited",
        ),
    ],
)
def test_the_most_telling_fact_of_an_act_is_said_in_whatever_order(
    facts: list[Act], kind: str
) -> None:
    for order in permutations(facts):
        whole = None
        for one in order:
            whole = joined(whole, one)
        assert whole is not None
        assert whole.kind == kind
        for one in facts:
            assert whole.satisfied == one.satisfied or one.satisfied is None
            assert whole.ended == one.ended or one.ended is None


def test_who_acted_is_the_person_and_not_the_rule_that_followed() -> None:
    person = act("step", step="accept", unit="v1", role="village_cadre")
    rule = act("step", step="assign", unit="g01", role="system", to_unit="g01")
    whole = joined(joined(person, act("accepted", unit="v1", role="village_cadre")), rule)
    assert (whole.kind, whole.unit, whole.step, whole.to_unit) == (
        "accepted",
        "v1",
        "accept",
        "g01",
    )


def test_states_are_counted_by_their_words_in_the_order_of_the_flow() -> None:
    def count(state: str, n: int, flow: str = "closed_loop") -> StateCount:
        return StateCount(flow, 1, state, n, 0, 0, 0, 0, None)

    given = [count("resolved", 2), count("reported", 3), count("odd", 1), count("owned", 4)]
    given.append(count("reported", 5, flow="standard_case"))
    assert speaker("zh").counts(given) == [
        ("已登记", 8),
        ("已受理", 4),
        ("已办结待回访", 2),
        ("odd", 1),
    ]
