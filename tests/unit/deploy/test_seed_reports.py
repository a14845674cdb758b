import json
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import shapely
from shapely.geometry import Point, Polygon

from contracts.profile import Profile, load, load_dict
from deploy.seed.matters import MATTERS
from deploy.seed.reports import reports
from deploy.seed.town import Entry, generate

PROFILES = Path(__file__).parents[3] / "contracts" / "profiles"
TOWNS = ["yihe", "yidukou", "gucheng", "haohuahong", "changping"]
COUNT = 1_000


@cache
def profile_of(name: str) -> Profile:
    return load(PROFILES / f"{name}.yaml")


def town(name: str) -> list[Entry]:
    profile = profile_of(name)
    return list(generate(profile, villages=2, grids=6, household_groups=12, people=200))


def of(entries: list[Entry], kind: str) -> dict[str, dict[str, Any]]:
    return {entry.record_id: entry.body for entry in entries if entry.kind == kind}


@pytest.fixture(scope="module")
def entries() -> list[Entry]:
    return town("yihe")


@pytest.fixture(scope="module")
def bodies(entries: list[Entry]) -> list[dict[str, Any]]:
    return list(reports(entries, seed=1, count=COUNT))


def test_the_same_seed_tells_the_same_reports(
    entries: list[Entry], bodies: list[dict[str, Any]]
) -> None:
    assert json.dumps(list(reports(entries, seed=1, count=COUNT))) == json.dumps(bodies)
    assert list(reports(entries, seed=2, count=5)) != bodies[:5]
    assert list(reports(entries, seed=1, count=7)) == bodies[:7]


def test_texts_differ_and_fit_the_door(bodies: list[dict[str, Any]]) -> None:
    assert len({body["description"] for body in bodies}) >= 120
    assert len({body["summary"] for body in bodies}) >= len(MATTERS)
    for body in bodies:
        assert 0 < len(body["summary"]) <= 200
        assert 0 < len(body["description"]) <= 10_000
        assert "{" not in body["summary"] + body["description"]
        assert body["tenant"] == "yihe"


def test_every_matter_can_be_told_in_each_way() -> None:
    for matter in MATTERS:
        assert matter.categories
        for telling in matter.tellings:
            assert "{since}" in telling
            assert telling.format(since="…", spot="…")
        assert any("{spot}" in telling for telling in matter.tellings)


def test_places_are_told_as_often_as_front_ends_tell_them(bodies: list[dict[str, Any]]) -> None:
    told = Counter(
        next((key for key in ("household_id", "grid", "lat", "village") if key in where), "none")
        for where in (body["location"] for body in bodies)
    )
    assert 0.55 < (told["household_id"] + told["grid"]) / COUNT < 0.65
    assert 0.16 < told["lat"] / COUNT < 0.24
    assert 0.16 < (told["village"] + told["none"]) / COUNT < 0.24
    assert all(told.values())


@pytest.mark.parametrize("name", TOWNS)
def test_reports_name_what_the_town_has(name: str) -> None:
    there = town(name)
    profile = profile_of(name)
    units, homes = of(there, "unit"), of(there, "household")
    for body in reports(there, seed=3, count=300):
        where = body["location"]
        assert body.get("category", "other") in profile.categories_by_id
        assert body.get("severity", "ordinary") in profile.severities_by_id
        if "household_id" in where:
            assert where.get("address", "") in ("", homes[where["household_id"]]["address"])
        if "grid" in where:
            assert "polygon" in units[where["grid"]]
        if "village" in where:
            assert profile.level(units[where["village"]]["level"]).kind == "village"


def test_points_lie_in_the_town_and_in_one_grid(
    entries: list[Entry], bodies: list[dict[str, Any]]
) -> None:
    rings = [body["polygon"][0] for body in of(entries, "unit").values() if "polygon" in body]
    grids = [Polygon(ring) for ring in rings]
    places = [body["location"] for body in bodies if "lat" in body["location"]]
    hit = Counter[int]()
    for place in places:
        assert place["crs"] == "wgs84"
        point = Point(place["lon"], place["lat"])
        holding = [n for n, grid in enumerate(grids) if grid.covers(point)]
        assert len(holding) == 1 or shapely.union_all(grids).covers(point)
        hit.update(holding)
    assert len(hit) == len(grids)


def test_whoever_reports_from_home_lives_there(
    entries: list[Entry], bodies: list[dict[str, Any]]
) -> None:
    homes: dict[str, set[str]] = {}
    for body in of(entries, "person").values():
        if "phone" in body:
            homes.setdefault(body["household"], set()).add(body["phone"])
    for body in bodies:
        told = body["location"].get("household_id")
        if told in homes and "phone" in body["reporter"]:
            assert body["reporter"]["phone"] in homes[told]


def test_some_stay_anonymous_and_then_say_nothing_of_themselves(
    bodies: list[dict[str, Any]],
) -> None:
    hidden = [body["reporter"] for body in bodies if body["reporter"].get("anonymous")]
    assert 0.08 < len(hidden) / COUNT < 0.2
    assert all(reporter == {"anonymous": True} for reporter in hidden)


def test_where_nobody_may_be_anonymous_nobody_is() -> None:
    profile = load_dict(PROFILES / "yihe.yaml")
    profile["cases"]["anonymous"] = False
    there = list(generate(profile, grids=6, people=200))
    told = [body["reporter"] for body in reports(there, seed=1, count=200)]
    assert not any("anonymous" in reporter for reporter in told)
    assert all(told)
