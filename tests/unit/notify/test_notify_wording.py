import json
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from pathlib import Path

import pytest

from contracts import profile as town_profile
from contracts.profile import Profile
from deploy.sandbox.rules import Template as SandboxTemplate
from deploy.sandbox.rules import count_segments, values_refusal
from deploy.sandbox.settings import TemplateSettings
from deploy.seed.town import generate
from services.notify.compiled import (
    CALL_TEMPLATES_FILE,
    TEMPLATES_FILE,
    rules_from,
    templates_from,
    town_from,
)
from services.notify.domain.recipients import Case, Owner, Part
from services.notify.domain.replies import code_of, listed
from services.notify.domain.town import Rules, Town, Unit
from services.notify.domain.wording import (
    CALL_CONFIRMED,
    REPLY_NONE,
    REPLY_UNCLEAR,
    Template,
    due_words,
    length,
    notice_of,
    segments,
    shorten,
    text_of,
    words,
)
from services.notify.handlers import NOTICES

PROFILES = Path(town_profile.__file__).parents[1] / "profiles"
TOWNS = ("changping", "gucheng", "haohuahong", "yidukou", "yihe")
LONGEST_SIGN = "【某某县某某镇人民政府办】"  # 12 characters, the most a signature may have
TEMPLATES = templates_from()
OWNER = Owner("town", "center_clerk")


def test_every_notice_can_be_spoken() -> None:
    spoken = templates_from(CALL_TEMPLATES_FILE)
    assert {notice_of(name) for name in spoken} - {CALL_CONFIRMED} == NOTICES
    assert all(text_of(notice, "voice", {}) in spoken for notice in NOTICES)
    assert all(
        one.content.endswith("听清请按1。") for n, one in spoken.items() if "_call" in n[-5:]
    )


def test_every_notice_that_is_sent_has_its_text() -> None:
    told = {notice_of(name) for name in TEMPLATES} - {REPLY_UNCLEAR, REPLY_NONE}
    assert told == NOTICES


@pytest.mark.parametrize(
    ("text", "most", "expected"),
    [
        ("路灯", 2, "路灯"),
        ("路灯不亮", 3, "路灯…"),
        ("路灯不亮", 4, "路灯不亮"),
        ("a𠮷b", 4, "a𠮷b"),
        ("a𠮷bc", 4, "a𠮷…"),
        ("a𠮷bc", 3, "a…"),
        ("", 2, ""),
    ],
)
def test_a_long_value_is_cut_and_shows_it(text: str, most: int, expected: str) -> None:
    assert shorten(text, most) == expected
    assert length(shorten(text, most)) <= most


@pytest.mark.parametrize(
    ("units", "expected"), [(1, 1), (70, 1), (71, 2), (134, 2), (135, 3), (160, 3)]
)
def test_segments_are_counted_as_the_provider_counts(units: int, expected: int) -> None:
    assert segments("件" * units) == count_segments("件" * units) == expected


SIX = listed([code_of(n) for n in range(9)])
NOON = datetime(2025, 3, 5, 4, 0, tzinfo=UTC)  # 12:00 in the town


@pytest.mark.parametrize(
    ("due_at", "expected"),
    [
        (NOON, "今天 12:00"),
        (NOON + timedelta(hours=11, minutes=59), "今天 23:59"),
        (NOON + timedelta(hours=12), "3月6日 00:00"),
        (NOON - timedelta(hours=12, minutes=1), "3月4日 23:59"),
        (datetime(2025, 12, 31, 8, 30, tzinfo=UTC), "12月31日 16:30"),
    ],
)
def test_by_when_on_the_town_s_wall_clock(due_at: datetime, expected: str) -> None:
    assert due_words(due_at, NOON, "Asia/Shanghai") == expected


def units(*given: Unit) -> Town:
    return Town({unit.id: unit for unit in given}, {}, "town")


def case_at(grid: str | None, village: str | None, category: str = "other") -> Case:
    return Case("250303-0001", category, "ordinary", "general", grid, village, OWNER, 1)


@pytest.mark.parametrize(
    ("grid", "village", "expected"),
    [
        ("g1", "v1", "槐荫新村酒旗庄网格"),
        ("g2", "v1", "槐荫新村第二网格"),
        (None, "v1", "槐荫新村"),
        (None, None, "义和镇"),
        ("gone", "gone", "义和镇"),
    ],
)
def test_a_place_is_named_once(grid: str | None, village: str | None, expected: str) -> None:
    town = units(
        Unit("v1", "village", "槐荫新村"),
        Unit("g1", "grid", "酒旗庄网格", "v1"),
        Unit("g2", "grid", "槐荫新村第二网格", "v1"),
    )
    rules = rules_from(1, town_profile.load_dict(PROFILES / "yihe.yaml"))
    assert words(case_at(grid, village), rules, town)["place"] == expected


def grown(profile: Profile, rules: Rules) -> Town:
    """Return the units of a seeded town; whoever lives there is not made."""
    until_staff = takewhile(lambda entry: entry.kind != "staff", generate(profile))
    units = {entry.record_id: entry.body for entry in until_staff if entry.kind == "unit"}
    return town_from(units, {}, rules.levels)


@pytest.mark.parametrize("name", TOWNS)
def test_the_longest_text_of_a_town_fits_one_segment_and_is_not_cut(name: str) -> None:
    rules = rules_from(1, town_profile.load_dict(PROFILES / f"{name}.yaml"))
    town = grown(town_profile.load(PROFILES / f"{name}.yaml"), rules)
    due = due_words(datetime(2025, 12, 31, 8, 30, tzinfo=UTC), NOON, rules.timezone)
    grids = [unit.id for unit in town.units.values() if unit.level == rules.levels["grid"]]
    every = [
        words(case_at(grid, village, category), rules, town, Part(department, proposed=department))
        for grid in grids
        for village in [town.at_level(grid, rules.levels["village"])]
        for category in rules.categories
        for department in rules.departments
    ]
    longest = {key: max((said[key] for said in every), key=length) for key in every[0]}
    for template in TEMPLATES.values():
        values = template.values({**longest, "due": due, "code": "4711", "codes": SIX})
        text = LONGEST_SIGN + template.text(values)
        assert (length(text) <= 70, segments(text)) == (True, 1)
        assert "$" not in text
        assert "…" not in text


@pytest.mark.parametrize("notice", TEMPLATES)
def test_even_the_greatest_values_fit_and_pass_the_provider(notice: str) -> None:
    template = TEMPLATES[notice]
    values = template.values(dict.fromkeys(template.variables, "网" * 100))
    spec = next(one for one in json.loads(TEMPLATES_FILE.read_text()) if one["code"] == notice)
    checked: SandboxTemplate = TemplateSettings.model_validate(spec).template()
    assert length(LONGEST_SIGN + template.text(values)) <= 70
    assert values_refusal(checked, values) is None
    assert checked.fill(values) == template.text(values)


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ('[{"code":"case_acepted","name":"x","content":"x","variables":{}}]', "is no notice"),
        ('[{"code":"case_accepted","name":"x","content":"${a}","variables":{}}]', "differ"),
        ('[{"code":"case_accepted","name":"x","content":"x","variables":{"a":2}}]', "differ"),
        ('[{"code":"case_accepted","name":"x","content":"x","variables":{},"u":1}]', "Extra"),
    ],
)
def test_a_faulty_template_stops_the_start(tmp_path: Path, given: str, fault: str) -> None:
    file = tmp_path / "templates.json"
    file.write_text(given)
    with pytest.raises(ValueError, match=fault):
        templates_from(file)


def test_a_value_that_looks_like_a_variable_stays_as_it_is() -> None:
    template = Template("x", "${a}", {"a": 20})
    assert template.text(template.values({"a": "${b} $1"})) == "${b} $1"
