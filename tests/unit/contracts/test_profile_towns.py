"""The five towns and the defaults load, and the profile answers what services ask of it."""

import json
from datetime import date, time
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from contracts.profile import DRAFT, NOTICES, Duration, Profile, load, load_dict, parse

PROFILES = Path(__file__).parents[3] / "contracts" / "profiles"
TOWNS = ("changping", "gucheng", "haohuahong", "yidukou", "yihe")
IN_ENGLISH = ("base", "yihe")


@cache
def town(name: str) -> Profile:
    return load(PROFILES / f"{name}.yaml")


@cache
def body(name: str) -> dict[str, Any]:
    return load_dict(PROFILES / f"{name}.yaml")


@cache
def schema() -> dict[str, Any]:
    return Profile.model_json_schema()


@pytest.mark.parametrize("name", ["base", *TOWNS])
def test_a_town_loads_without_a_problem_and_loses_nothing(name: str) -> None:
    profile = town(name)

    assert profile.town.id == name
    assert profile.model_dump(mode="json", exclude_unset=True) == body(name)


@pytest.mark.parametrize("name", TOWNS)
def test_what_gets_published_is_read_back_from_json_as_the_same_profile(name: str) -> None:
    assert parse(json.loads(json.dumps(body(name)))) == town(name)


@pytest.mark.parametrize("name", TOWNS)
def test_the_generated_schema_accepts_a_town_and_refuses_an_unknown_key(name: str) -> None:
    validator = Draft202012Validator(schema())

    assert list(validator.iter_errors(body(name))) == []
    assert not validator.is_valid({**body(name), "colour": "red"})


def test_the_generated_schema_describes_every_section_that_is_a_part() -> None:
    undescribed = [name for name, part in schema()["$defs"].items() if "description" not in part]

    assert undescribed == []


@pytest.mark.parametrize("name", TOWNS)
def test_every_flow_of_cases_says_which_step_settles_the_matter(name: str) -> None:
    for flow in town(name).flows:
        if flow.subject == "case":
            assert "resolve" in {step.means for step in flow.steps}, flow.id


@pytest.mark.parametrize("name", IN_ENGLISH)
def test_the_defaults_and_yihe_can_be_shown_in_english(name: str) -> None:
    profile = town(name)
    named: list[Any] = [
        *profile.levels,
        *profile.roles,
        *profile.departments,
        *profile.cases.categories,
        *profile.cases.classes,
        *profile.cases.severities,
        *profile.flows,
        *(step for flow in profile.flows for step in flow.steps),
        *(words for flow in profile.flows for words in flow.states.values()),
    ]

    assert [item.zh for item in named if not item.en] == []


def test_every_notice_is_used_by_some_town() -> None:
    used = {rule.when for name in TOWNS for rule in town(name).notifications.rules}

    assert used == set(NOTICES)


def test_a_town_keeps_the_defaults_it_does_not_change() -> None:
    yihe = town("yihe")

    assert yihe.extends == "base.yaml"
    assert yihe.case_class("complex").deadline.within == Duration(months=1)
    assert yihe.case_class("urgent").first_action is not None
    assert yihe.cases.default_category == "other"
    assert yihe.cases.default_severity == "ordinary"
    assert yihe.role("grid_worker").zh == "基础网格员"


def test_lookups_find_by_id() -> None:
    yihe = town("yihe")

    assert yihe.role("lawyer").level == "village"
    assert yihe.level("village").zh == "新村"
    assert yihe.department("court").zh == "法院"
    assert yihe.category("labour").department == "labour_arbitration"
    assert yihe.severity("major").ceiling == "town"
    assert yihe.flow("closed_loop").step("resolve").needs == ("result", "proof")


@pytest.mark.parametrize(
    "look", ["role", "level", "department", "category", "case_class", "severity", "flow"]
)
def test_a_lookup_of_an_unknown_id_is_a_key_error(look: str) -> None:
    with pytest.raises(KeyError):
        getattr(town("yihe"), look)("unknown")


def test_the_levels_above_come_nearest_first() -> None:
    above = town("yidukou").levels_up("microgrid")

    assert [level.id for level in above] == ["grid", "village", "area", "town", "county"]
    assert town("yidukou").levels_up("county") == ()


def test_the_levels_above_do_not_depend_on_the_order_of_the_list() -> None:
    turned = parse({**body("yidukou"), "levels": list(reversed(body("yidukou")["levels"]))})

    assert turned.levels_up("microgrid") == town("yidukou").levels_up("microgrid")


def test_a_flow_knows_its_states_and_the_steps_that_leave_them() -> None:
    flow = town("gucheng").flow("case_by_case")

    assert flow.state_ids == ("found", "ledgered", "studied", "settled")
    assert flow.step_ids_from(DRAFT) == ("find",)
    assert flow.step_ids_from("studied") == ("settle_it", "restudy")
    assert flow.step_ids_from("settled") == ()
    assert flow.step_ids_from("nowhere") == ()


def test_values_come_as_what_they_are() -> None:
    profile = parse(
        {**body("yihe"), "clock": {**body("yihe")["clock"], "holidays": ["2025-10-01"]}}
    )

    assert profile.duty.spans[0] == (time(8, 30), time(12))
    assert profile.clock.holidays == (date(2025, 10, 1),)
    assert profile.whistle.report_in["urgent"].within == Duration(seconds=1800)


def test_a_profile_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        town("yihe").town.zh = "别处"  # type: ignore[misc]
