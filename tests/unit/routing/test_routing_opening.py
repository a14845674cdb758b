from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

import pytest

from contracts.facts import ROUTING_FACTS
from services.routing.domain.rules import Category, Flow, Rules
from services.routing.domain.town import Setting
from tests.unit.routing.made_up import NOW, TOWN, TOWNS, data, opening, rules, types

K = TypeVar("K")
V = TypeVar("V")

# --- which flow --------------------------------------------------------------------------------


def flow(flow_id: str, **scope: Any) -> Flow:
    return Flow(flow_id, "new", frozenset({"old"}), (), **scope)


FLOWS = (
    flow("plain"),
    flow("of_village", villages=frozenset({"东村"})),
    flow("of_category", categories=frozenset({"fire"})),
    flow("of_both", villages=frozenset({"南村"}), categories=frozenset({"water"})),
    flow(
        "of_reporter", villages=frozenset({"西村"}), categories=frozenset({"wind"}), narrowed=True
    ),
)
RULES = replace(
    rules("yihe"),
    default_flow="plain",
    flows={one.id: one for one in FLOWS},
    categories={
        name: Category("general", named)
        for name, named in {
            "fire": None,
            "water": None,
            "wind": None,
            "other": None,
            "law": "of_reporter",
        }.items()
    },
)


@pytest.mark.parametrize(
    ("category", "village", "chosen"),
    [
        ("other", None, "plain"),
        ("other", "西村", "plain"),
        ("other", "东村", "of_village"),
        ("fire", "东村", "of_village"),
        ("fire", "西村", "of_category"),
        ("fire", None, "of_category"),
        ("water", None, "of_both"),
        ("other", "南村", "of_both"),
        ("wind", "西村", "plain"),
        ("law", "东村", "of_reporter"),
        ("law", None, "of_reporter"),
    ],
)
def test_the_category_chooses_then_the_village_then_the_flows_own_categories(
    category: str, village: str | None, chosen: str
) -> None:
    assert RULES.flow_for(category, village).id == chosen


@pytest.mark.parametrize(
    ("profile", "more", "chosen"),
    [
        ("yihe", {}, "closed_loop"),
        ("yidukou", {"category": "micro_governance"}, "standard_case"),
        ("gucheng", {"village": "v1"}, "standard_case"),
        ("gucheng", {"category": "dispute_land"}, "standard_case"),
        ("changping", {"category": "demolition"}, "standard_case"),
        ("haohuahong", {"category": "deputy_request"}, "deputy_request"),
    ],
)
def test_each_towns_cases_take_their_flow(profile: str, more: dict[str, Any], chosen: str) -> None:
    decision = opening(profile, **more)
    assert decision.case.flow == chosen
    assert data(decision, "case.opened")["flow"] == chosen
    assert decision.case.state == rules(profile).flows[chosen].start


# --- what it is, and which clocks run -------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({}, ("other", "ordinary", "general")),
        ({"category": "security"}, ("security", "ordinary", "urgent")),
        ({"category": "dispute_land"}, ("dispute_land", "ordinary", "complex")),
        ({"category": "security", "case_class": "general"}, ("security", "ordinary", "general")),
        ({"severity": "major"}, ("other", "major", "general")),
        ({"category": "?", "severity": "?", "case_class": "?"}, ("other", "ordinary", "general")),
        ({"category": "", "severity": "", "case_class": ""}, ("other", "ordinary", "general")),
    ],
)
def test_what_the_profile_does_not_know_counts_as_not_given(
    given: dict[str, Any], kind: tuple[str, str, str]
) -> None:
    case = opening("yihe", **given).case
    assert (case.category, case.severity, case.case_class) == kind


def moment(local: str | None) -> datetime | None:
    return None if local is None else datetime.fromisoformat(f"2025-{local}+08:00")


FIRST_ASK = ("step.first_ask", "miss", None)
CLOCKS: list[tuple[str, str, list[tuple[str, str, str | None]]]] = [
    (
        "yihe",
        "urgent",
        [
            ("class", "warn", "03-03T22:00"),
            ("class", "miss", "03-04T10:00"),
            ("first_action", "miss", "03-03T10:30"),
            FIRST_ASK,
        ],
    ),
    ("yihe", "general", [FIRST_ASK]),
    ("yihe", "complex", [FIRST_ASK]),
    ("yidukou", "general", [("step.accept", "miss", None)]),
]


@pytest.mark.parametrize(("profile", "case_class", "clocks"), CLOCKS)
def test_each_class_starts_the_clocks_that_count_from_the_report(
    profile: str, case_class: str, clocks: list[tuple[str, str, str | None]]
) -> None:
    decision = opening(profile, grid="g1", case_class=case_class)
    kept = [(one.deadline, one.kind, one.fires_at) for one in decision.timers]
    assert kept == [(deadline, kind, moment(local)) for deadline, kind, local in clocks]
    assert decision.case.running == {deadline for deadline, _, _ in clocks}


def test_a_categorys_own_deadline_takes_the_place_of_the_classs() -> None:
    decision = opening("changping", category="meal_delivery", grid="g1")
    (kept,) = [one for one in decision.timers if one.deadline == "class"]
    assert (kept.kind, kept.due_at) == ("miss", moment("03-03T12:00"))


def test_opening_announces_the_case_its_owner_and_each_clock_and_counts_them() -> None:
    decision = opening("yihe", category="security", grid="g1")
    assert types(decision) == ["case.opened", "case.assigned", *["case.deadline_set"] * 3]
    assert (decision.case.seq, decision.case.human_seq) == (5, 0)
    assert not decision.case.accepted
    assert not decision.case.closed


def test_the_opened_case_says_where_why_and_under_which_rules() -> None:
    where = Setting(TOWN, replace(rules("yihe"), version=7))
    opened = data(opening("yihe", where, grid="g9", village="v1"), "case.opened")
    assert opened["profile_version"] == 7
    assert (opened["grid"], opened["village"], opened["placed_by"]) == (None, "v1", "village")
    assert opened["fallback"] == "unknown_grid"
    assert opened["received_at"] == NOW
    assert opened["owner"] == {"unit": "v1", "role": "village_cadre", "staff": "c1"}


@pytest.mark.parametrize("profile", TOWNS)
def test_every_fact_of_an_opening_keeps_its_contract(profile: str) -> None:
    for category in rules(profile).categories:
        for fact in opening(profile, category=category, point=(0.5, 0.5)).facts:
            body = {**fact.data, **({"number": "1"} if "opened" in fact.type else {})}
            ROUTING_FACTS[fact.type].model_validate(body)


def turned(mapping: Mapping[K, V]) -> dict[K, V]:
    return dict(reversed(list(mapping.items())))


def shuffled(known: Rules, where: Setting) -> Setting:
    """Turn around everything whose order says nothing."""
    rules_turned = replace(
        known,
        categories=turned(known.categories),
        classes={name: of[::-1] for name, of in turned(known.classes).items()},
        flows=turned(known.flows),
        role_levels=turned(known.role_levels),
    )
    units = turned(where.town.units)
    posts = turned(where.town.posts)
    return Setting(replace(where.town, units=units, posts=posts), rules_turned)


@pytest.mark.parametrize("profile", TOWNS)
def test_the_order_of_independent_rules_does_not_matter(profile: str) -> None:
    here = Setting(TOWN, rules(profile))
    for category in rules(profile).categories:
        for where in ({"grid": "g1"}, {"point": (1.0, 0.5)}, {"village": "东村"}, {}):
            one = opening(profile, here, category=category, **where)
            other = opening(profile, shuffled(rules(profile), here), category=category, **where)
            assert one.case == other.case
            assert set(one.timers) == set(other.timers)
            assert sorted(map(str, one.facts)) == sorted(map(str, other.facts))
