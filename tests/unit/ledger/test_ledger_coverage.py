"""Five towns as their profiles describe them, held against those profiles; and what then lacks."""

from collections import Counter
from collections.abc import Collection, Mapping
from functools import cache
from typing import Any

import pytest

from contracts.profile import Profile, load
from deploy.local.seeding import PROFILES
from deploy.seed.town import generate
from services.ledger.coverage import rules_of, town_of
from services.ledger.domain.coverage import Coverage, examine

Rows = dict[tuple[str, str], Mapping[str, Any]]
TOWNS = ["yihe", "yidukou", "gucheng", "haohuahong", "changping"]


@cache
def profile(town: str) -> Profile:
    return load(PROFILES / f"{town}.yaml")


@cache
def register(town: str) -> tuple[Rows, Counter[str]]:
    """Return a whole town as its profile describes it, its persons by household."""
    rows: Rows = {}
    persons = Counter[str]()
    for one in generate(profile(town)):
        if one.kind == "person":
            persons[one.body["household"]] += 1
        else:
            rows[one.kind, one.record_id] = one.body
    return rows, persons


def told(
    town: str, instead: Rows | None = None, without: Collection[tuple[str, str]] = ()
) -> Coverage:
    """Examine a town; bodies given by kind and id stand `instead` of the seeded ones."""
    rows, persons = register(town)
    changed = {key: body for key, body in rows.items() if key not in without} | (instead or {})
    return examine(town_of(changed, persons), rules_of(profile(town), 1))


def held(coverage: Coverage) -> dict[str, float]:
    return {one.of: one.held for one in coverage.figures}


def lacking(coverage: Coverage) -> Counter[str]:
    return Counter(f"{one.code} {one.field}" for one in coverage.findings)


PUBLISHED: list[tuple[str, dict[str, float]]] = [
    ("yihe", {"level/village": 6, "level/grid": 46, "level/center_household": 968,
     "role/grid_worker": 40, "role/dedicated_grid_worker": 3, "role/promoted_cadre": 46,
     "role/section_cadre": 8, "role/sent_down_staff": 14, "persons": 17_600, "party/p_grid": 46}),
    ("haohuahong", {"level/village": 27, "level/grid": 157, "level/household_group": 916,
     "role/grid_worker": 157, "role/household_leader": 916, "role/village_cadre": 129,
     "role/volunteer": 1_575, "party/p_group": 127, "party/p_joint_group": 10}),
    ("gucheng", {"level/village": 25, "level/grid": 31, "level/microgrid": 550, "households": 5_969,
     "persons": 18_526, "role/party_member": 747, "active/party_household": 411,
     "link/party_household": 14.5}),
    ("yidukou", {"level/town": 1}),
    ("changping", {"level/town": 1, "party/p_town": 1}),
]  # fmt: skip


@pytest.mark.parametrize(("town", "figures"), PUBLISHED, ids=[one[0] for one in PUBLISHED])
def test_a_town_has_the_figures_of_its_document(town: str, figures: dict[str, float]) -> None:
    coverage = told(town)
    assert {of: held(coverage).get(of) for of in figures} == figures
    assert not [one for one in coverage.figures if not one.fits]
    assert not [one for one in coverage.findings if one.code != "load"]


@pytest.mark.parametrize("town", TOWNS)
def test_every_household_is_of_a_class_of_its_profile(town: str) -> None:
    rows, persons = register(town)
    homes = sum(kind == "household" for kind, _ in rows)
    figures = held(told(town))
    classes = [one.id for one in profile(town).registry.household_classes]
    assert sum(figures[f"class/{one}"] for one in classes) == homes
    assert sum(figures[f"persons/{one}"] for one in classes) == persons.total()


def test_ten_to_twenty_households_each_is_a_warning_where_they_are_too_few() -> None:
    coverage = told("yihe")
    assert lacking(coverage) == {"load center_household_link": 968}
    assert {one.level for one in coverage.findings} == {"warn"}


def test_the_grid_that_lacks_a_household_leader_is_named_and_the_others_pass() -> None:
    rows, _ = register("haohuahong")
    grid = "g001"
    leaders = [
        name for (kind, name), body in rows.items() if kind == "staff"
        and any(p["role"] == "household_leader" and p["unit"].startswith(f"{grid}-")
                for p in body["posts"])
    ]  # fmt: skip
    assert leaders
    gone: Rows = {("staff", name): {"posts": []} for name in leaders}
    coverage = told("haohuahong", gone)
    (triangle,) = coverage.teams
    assert (triangle.units, triangle.complete) == (157, 156)
    (finding,) = (one for one in coverage.findings if one.code == "team")
    assert (finding.subject, finding.field) == (grid, "household_leader")
    assert finding.zh == "“铁三角”缺“联户长”：给一名人员加上这里的岗位。"


def test_a_member_who_becomes_exempt_leaves_his_households_on_a_list() -> None:
    rows, _ = register("gucheng")
    gone = {
        key: body for key, body in rows.items()
        if key == ("staff", "s-pc-001") or body.get("staff") == "s-pc-001"
    }  # fmt: skip
    theirs = {body["to"] for body in gone.values() if "to" in body}
    assert theirs
    coverage = told("gucheng", without=gone)
    assert {o.subject for o in coverage.findings if o.code == "unlinked"} == theirs
    taken: Rows = {
        ("link", f"l{n}"): {"link": "party_household", "staff": "s-pc-002", "to": home}
        for n, home in enumerate(sorted(theirs))
    }
    coverage = told("gucheng", taken, gone)
    assert not [one for one in coverage.findings if one.code == "unlinked"]


def test_a_joint_group_of_four_grids_and_a_grid_of_none_are_named() -> None:
    rows, _ = register("haohuahong")
    name, body = next(
        (name, one) for (kind, name), one in rows.items() if one.get("level") == "p_joint_group"
    )
    wide = {**body, "units": [*body["units"], "g001"]}
    narrow = {**body, "units": body["units"][1:]}
    (span,) = told("haohuahong", {("party_unit", name): wide}).findings
    assert (span.code, span.level, span.subject) == ("span", "error", name)
    (none,) = told("haohuahong", {("party_unit", name): narrow}).findings
    assert (none.code, none.subject) == ("party", body["units"][0])


def test_a_household_without_a_head_and_a_number_that_is_off_are_named() -> None:
    home = register("gucheng")[0]["household", "h000001"]
    headless = {name: value for name, value in home.items() if name != "head"}
    found = told(
        "gucheng", {("household", "h000001"): headless, ("household", "h9"): home}
    ).findings
    assert [(one.code, one.subject, one.field) for one in found if one.code != "load"] == [
        ("count", "households", "count"), ("head", "h000001", "head"),
    ]  # fmt: skip


def test_a_grid_with_two_workers_breaks_a_strict_rule() -> None:
    two = {"posts": [{"unit": "g01", "role": "grid_worker"}]}
    found = told("gucheng", {("staff", "second"): two}).findings
    assert {(one.code, one.subject) for one in found if one.code == "role"} == {("role", "g01")}
    assert ("count", "grid_worker") in {(one.code, one.subject) for one in found}
