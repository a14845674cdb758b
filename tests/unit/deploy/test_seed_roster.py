from collections import Counter, defaultdict
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, TypedDict

import pytest

from contracts.profile import Profile, load
from deploy.seed.headcounts import USUAL
from deploy.seed.town import Entry, generate

PROFILES = Path(__file__).parents[3] / "contracts" / "profiles"
TOWNS = ["yihe", "yidukou", "gucheng", "haohuahong", "changping"]


class Size(TypedDict):
    villages: int
    grids: int
    household_groups: int
    people: int


TINY: Size = {"villages": 2, "grids": 6, "household_groups": 12, "people": 60}


@cache
def profile_of(town: str) -> Profile:
    return load(PROFILES / f"{town}.yaml")


@cache
def tiny(town: str) -> tuple[Entry, ...]:
    return tuple(generate(profile_of(town), **TINY))


def of(entries: Iterable[Entry], kind: str) -> dict[str, dict[str, Any]]:
    return {entry.record_id: entry.body for entry in entries if entry.kind == kind}


def holders(entries: Iterable[Entry]) -> Counter[str]:
    posts = (body["posts"] for body in of(entries, "staff").values())
    return Counter(role for held in posts for role in {post["role"] for post in held})


@pytest.fixture(scope="module")
def yihe() -> list[Entry]:
    return list(generate(profile_of("yihe")))


@pytest.mark.parametrize("town", TOWNS)
def test_everybody_stands_at_a_unit_of_the_roles_level(town: str) -> None:
    profile = profile_of(town)
    entries = tiny(town)
    units = of(entries, "unit")
    for body in of(entries, "staff").values():
        assert body["posts"]
        for post in body["posts"]:
            assert units[post["unit"]]["level"] == profile.role(post["role"]).level
    assert holders(entries).keys() == {role.id for role in profile.roles} - {"citizen"}


@pytest.mark.parametrize("town", TOWNS)
def test_rosters_begin_with_one_and_leave_no_unit_out(town: str) -> None:
    profile = profile_of(town)
    entries = tiny(town)
    units = of(entries, "unit")
    ranks: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for body in of(entries, "staff").values():
        for post in body["posts"]:
            department = body.get("department", "")
            ranks[post["role"], post["unit"], department].append(post["rank"])
    assert all(sorted(held) == list(range(1, len(held) + 1)) for held in ranks.values())
    for role in holders(entries):
        level = profile.role(role).level
        served = {unit for held, unit, _ in ranks if held == role}
        assert served == {name for name, unit in units.items() if unit["level"] == level}


@pytest.mark.parametrize("town", TOWNS)
def test_every_department_has_a_head_and_an_officer(town: str) -> None:
    profile = profile_of(town)
    entries = tiny(town)
    assert of(entries, "department").keys() == profile.departments_by_id.keys()
    for department in profile.departments:
        there = [
            body["posts"][0]["role"]
            for body in of(entries, "staff").values()
            if body.get("department") == department.id
        ]
        assert {"department_head", "department_officer"} <= set(there)


def test_each_grid_has_one_worker_who_comes_first(yihe: list[Entry]) -> None:
    first = Counter(
        post["unit"]
        for body in of(yihe, "staff").values()
        for post in body["posts"]
        if (post["role"], post["rank"]) == ("grid_worker", 1)
    )
    grids = {name for name, body in of(yihe, "unit").items() if body["level"] == "grid"}
    assert first == dict.fromkeys(grids, 1)


def test_whoever_holds_two_grids_holds_neighbours_of_one_village(yihe: list[Entry]) -> None:
    units = of(yihe, "unit")
    worker = [body["posts"] for name, body in of(yihe, "staff").items() if "-gw-" in name]
    held = [[post["unit"] for post in posts] for posts in worker]
    assert Counter(map(len, held)) == {1: 34, 2: 6}
    for one, other in (grids for grids in held if len(grids) == 2):
        assert units[one]["parent"] == units[other]["parent"]
        corners = [{tuple(point) for point in units[grid]["polygon"][0]} for grid in (one, other)]
        assert len(corners[0] & corners[1]) > 1


def test_every_usual_headcount_has_its_reason() -> None:
    assert all(usual.why for usual in USUAL.values())


def test_roles_without_a_number_stand_in_the_table() -> None:
    known = [profile_of(town) for town in TOWNS]
    bare = {
        role.id
        for profile in known
        for role in profile.roles
        if role.headcount is None and role.per_unit is None
    }
    assert bare <= USUAL.keys()
