from typing import Any

import pytest

from services.routing.domain.town import Setting
from services.routing.domain.values import Owner
from tests.unit.routing.made_up import POSTS, TOWN, TOWNS, UNITS, opening, rules, town

# Where the case lies in Yihe; who owns it, and why no grid's own people do.
TABLE: list[tuple[dict[str, Any], Owner, str, str | None]] = [
    ({"grid": "g1"}, Owner("g1", "grid_worker", "w1"), "roster", None),
    ({"grid": "g2"}, Owner("g2", "dedicated_grid_worker", "d2"), "roster", None),
    (
        {"grid": "g3"},
        Owner("v2", "village_cadre"),
        "fallback.village_known",
        "nobody_on_roster",
    ),
    (
        {"village": "v1"},
        Owner("v1", "village_cadre", "c1"),
        "fallback.village_known",
        "village_only",
    ),
    ({}, Owner("town", "center_clerk", "k1"), "fallback.else", "no_place"),
    ({"grid": "?"}, Owner("town", "center_clerk", "k1"), "fallback.else", "unknown_grid"),
]


@pytest.mark.parametrize(("where", "owner", "rule", "fallback"), TABLE)
def test_the_first_on_the_roster_owns_it_and_somebody_always_does(
    where: dict[str, Any], owner: Owner, rule: str, fallback: str | None
) -> None:
    decision = opening("yihe", **where)
    assert decision.case.owner == owner
    assert decision.case.fallback == fallback
    assert decision.facts[1].type == "case.assigned.v1"
    assert decision.facts[1].data["rule"] == rule
    assert decision.why[-1].held


def test_rank_decides_and_equal_ranks_fall_to_the_lower_id() -> None:
    swapped = town(posts={**POSTS, ("g1", "grid_worker"): ("w1b", "w1")})
    where = Setting(swapped, rules("yihe"))
    assert opening("yihe", where, grid="g1").case.owner.staff == "w1b"


def test_a_town_in_which_nobody_is_rostered_still_names_who_answers() -> None:
    where = Setting(town(posts={}), rules("yihe"))
    assert opening("yihe", where, grid="g1").case.owner == Owner("v1", "village_cadre")
    assert opening("yihe", where).case.owner == Owner("town", "center_clerk")


def test_a_registry_without_the_town_itself_still_names_who_answers() -> None:
    bare = town(tuple(unit for unit in UNITS if unit.level != "town"), posts={})
    assert opening("yihe", Setting(bare, rules("yihe"))).case.owner == Owner("town", "center_clerk")


def test_why_names_each_role_that_was_asked() -> None:
    tried = [(one.rule, one.held) for one in opening("yihe", grid="g3").why if "owner" in one.rule]
    assert tried == [
        ("owner.grid_worker", False),
        ("owner.dedicated_grid_worker", False),
        ("owner.fallback.village_known", True),
    ]


@pytest.mark.parametrize("profile", TOWNS)
@pytest.mark.parametrize("where", [{"grid": "g1"}, {"grid": "g3"}, {"village": "v1"}, {}])
def test_every_category_of_every_town_opens_with_an_owner_and_a_way_on(
    profile: str, where: dict[str, Any]
) -> None:
    for category in rules(profile).categories:
        case = opening(profile, category=category, **where).case
        flow = rules(profile).flows[case.flow]
        assert case.category == category
        assert case.owner.unit
        assert rules(profile).role_levels[case.owner.role]
        assert (case.grid is None) <= (case.fallback is not None)
        assert flow.onward(case.state), (category, case.state)


@pytest.mark.parametrize("profile", TOWNS)
def test_the_rules_of_every_town_compile(profile: str) -> None:
    known = rules(profile)
    assert known.default_flow in known.flows
    assert {known.fallback_village, known.fallback_town} <= known.role_levels.keys()
    assert {"grid", "village", "town"} <= known.levels.keys()
    assert known.default_category in known.categories
    assert known.default_severity in known.severities
    assert all(one.case_class in known.classes for one in known.categories.values())
    assert TOWN.root == "town"
