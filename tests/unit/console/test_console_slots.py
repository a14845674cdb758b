"""Departments called to a case: their lamps, their order, and what is said of them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations
from uuid import UUID

import pytest

from services.console.domain.acts import KINDS, Act, joined
from services.console.domain.board import called, place_in_order, turned
from services.console.domain.slots import AWAITED, LAMPS, Lamp, Slot, awaited_since, shown
from services.console.domain.summary import sentence
from services.console.domain.words import WORDS
from tests.unit.console.test_console_acts import AT, CLERK, act, speaker, told
from tests.unit.console.test_console_board import case, row
from tests.unit.console.test_console_words import counts

NOW = datetime(2025, 3, 3, 2, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def slot(department: str, place: int = 0, *, whistle: int = 1, hours: float = 0) -> Slot:
    blown_at = NOW + hours * HOUR
    lead = place == 0
    return Slot(UUID(int=whistle), department, lead, place, blown_at, blown_at + HOUR)


THREE = (slot("police"), slot("justice", 1), slot("court", 2))


def test_whoever_is_called_is_waited_for() -> None:
    after = called(case(), THREE)
    assert [one.lamp for one in after.slots.values()] == ["waiting"] * 3
    assert awaited_since(after.slots.values()) == NOW
    assert awaited_since(()) is None


@pytest.mark.parametrize("lamp", LAMPS)
def test_one_department_turns_and_the_others_stay(lamp: Lamp) -> None:
    came_at = NOW if lamp in ("reported", "late") else None
    after = turned(called(case(), THREE), THREE[1].key, lamp, came_at)
    assert [one.lamp for one in after.slots.values()] == ["waiting", lamp, "waiting"]
    assert after.slots[THREE[1].key].awaited is (lamp in AWAITED)


def test_a_department_whose_call_was_never_heard_of_changes_nothing() -> None:
    before = called(case(), THREE)
    assert turned(before, (UUID(int=9), "police"), "missed") is before


def test_a_lamp_keeps_its_place_when_it_turns() -> None:
    for lamp in LAMPS:
        now_so = [replace(THREE[0], lamp=lamp), *THREE[1:]]
        for order in permutations(now_so):
            assert [one.department for one in shown(order)] == ["police", "justice", "court"]


def test_a_department_that_is_called_again_is_shown_by_its_last_call() -> None:
    refused = replace(THREE[0], lamp="refused")
    again = slot("police", whistle=2, hours=1)
    assert shown([again, *THREE[1:], refused]) == (*THREE[1:], again)


def test_whoever_waits_for_a_department_comes_before_all_others() -> None:
    waiting = replace(row("b", accepted=True), awaited_since=NOW - HOUR)
    longer = replace(row("c", accepted=True), awaited_since=NOW - 2 * HOUR)
    overdue = row("a", due=-9)
    order = sorted([overdue, waiting, longer], key=lambda one: place_in_order(one, NOW))
    assert order == [longer, waiting, overdue]


def test_what_departments_have_come_to_stays_in_sight_below_what_presses() -> None:
    joined = replace(row("c", accepted=True), joined=True)
    untaken, overdue = row("a"), row("b", due=-9)
    order = sorted([untaken, joined, overdue], key=lambda one: place_in_order(one, NOW))
    assert order == [overdue, joined, untaken]


def test_a_town_that_waits_for_departments_is_never_called_calm() -> None:
    zh, en = WORDS["zh"], WORDS["en"]
    given = counts(open=3, awaited=2, missed=1)
    said = zh.between.join(part for _, part in sentence(given, zh))
    assert said == "今日收 0 件，在办 3 件，等 2 个部门报到，未到 1 个部门"
    assert ("missed", "1 did not come") in sentence(given, en)
    assert sentence(counts(open=3, awaited=2), zh)[-1] == ("calm", "都在时限内")


def test_departments_of_one_moment_are_one_line_whatever_their_order() -> None:
    facts = [
        act("not_come", departments=("police",)),
        act("chased", departments=("police",)),
        act("escalated", departments=("police",), to_level="town"),
        act("not_come", departments=("court",)),
        act("chased", departments=("court",)),
    ]
    for order in permutations(facts):
        whole: Act | None = None
        for one in order:
            whole = joined(whole, one)
        assert whole is not None
        assert (whole.kind, set(whole.departments)) == ("not_come", {"police", "court"})
        assert whole.to_level == "town"


def test_of_a_closing_with_its_releases_the_closing_is_told() -> None:
    gone = act("withdrawn", departments=("police",), **CLERK)
    closed = act("step", step="close", ended="closed", **CLERK)
    for first, then in permutations((gone, closed)):
        whole = joined(first, then)
        assert (whole.kind, whole.ended, whole.departments) == ("step", "closed", ())


@pytest.mark.parametrize(
    ("one", "zh", "en"),
    [
        (
            act("blown", departments=("police", "justice"), **CLERK),
            "义和镇 吹哨，叫 公安、司法 来办 250303-0012 人居环境",
            "义和镇 blew the whistle, Police, Justice called to 250303-0012 Living environment",
        ),
        (
            act("reported_in", departments=("police",), unit="police", role="department_officer"),
            "公安 已报到，250303-0012 人居环境",
            "Police reported in for 250303-0012 Living environment",
        ),
        (
            act("reported_late", departments=("police",)),
            "公安 来晚了，已报到，250303-0012 人居环境",
            "Police came late to 250303-0012 Living environment",
        ),
        (
            act("not_come", departments=("police",), to_level="town"),
            "公安 未到，250303-0012 人居环境，上报 镇",
            "Police did not come, 250303-0012 Living environment, passed up to Town",
        ),
        (
            act("escalated", departments=("police",), to_level="town"),
            "公安 还没到，250303-0012 人居环境，上报 镇",
            "Police not there yet, 250303-0012 Living environment, passed up to Town",
        ),
        (
            act("nobody_there", departments=("police",)),
            "公安 还没到，该告诉的人没有值守，250303-0012 人居环境",
            "Police not there yet, nobody on duty to be told, 250303-0012 Living environment",
        ),
        (
            act("refused", departments=("police",), to_unit="town", to_level="town"),
            "公安 退回 250303-0012 人居环境，交给 义和镇",
            "Police refused 250303-0012 Living environment, handed to 义和镇",
        ),
        (
            act("withdrawn", departments=("aliens",), **CLERK),
            "义和镇 撤回对 aliens 的吹哨，250303-0012 人居环境",
            "义和镇 took back the whistle for aliens, 250303-0012 Living environment",
        ),
        (
            act("called_upward", to_level="town"),
            "有人 请上级来办 250303-0012 人居环境，上报 镇",
            "somebody called upward for 250303-0012 Living environment, passed up to Town",
        ),
    ],
)
def test_the_whistle_is_told_in_plain_words(one: Act, zh: str, en: str) -> None:
    assert one.at == AT
    assert speaker("zh").act(told(one)).striptags() == zh
    assert speaker("en").act(told(one)).striptags() == en


def test_every_kind_of_act_has_its_words() -> None:
    for words in WORDS.values():
        assert all(getattr(words, f"act_{kind}") for kind in KINDS)
        assert all(getattr(words, f"lamp_{lamp}") for lamp in LAMPS)


def test_a_department_is_called_as_the_registry_has_it_now() -> None:
    zh, en = speaker("zh"), speaker("en")
    profile = zh.town.profile()
    for one in (zh, en):
        one.town.departments["police"] = "派出所"
        one.town.departments["fire"] = "消防"
    assert [zh.department(profile, id_) for id_ in ("police", "fire", "court")] == [
        "派出所",
        "消防",
        "法院",
    ]
    assert [en.department(profile, id_) for id_ in ("police", "fire")] == ["Police", "消防"]
    assert zh.department(None, "court") == "court"
