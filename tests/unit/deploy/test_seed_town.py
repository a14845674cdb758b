import json
import os
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable
from functools import cache
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any, TypedDict

import pytest

from contracts.profile import Profile, load, load_dict, parse
from deploy.seed.numbers import STAFF, PhoneNumbers, phone_block
from deploy.seed.town import Entry, generate
from services.ledger.checks import PERSONAL
from services.ledger.elements import MODELS

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


def mapping(town: str) -> dict[str, Any]:
    return load_dict(PROFILES / f"{town}.yaml")


@cache
def tiny(town: str) -> tuple[Entry, ...]:
    return tuple(generate(profile_of(town), **TINY))


def digest(entries: Iterable[Entry]) -> str:
    lines = (json.dumps([entry.kind, entry.record_id, entry.body]) for entry in entries)
    return sha256("\n".join(lines).encode()).hexdigest()


def of(entries: Iterable[Entry], kind: str) -> dict[str, dict[str, Any]]:
    return {entry.record_id: entry.body for entry in entries if entry.kind == kind}


def holders(entries: Iterable[Entry]) -> Counter[str]:
    posts = (body["posts"] for body in of(entries, "staff").values())
    return Counter(role for held in posts for role in {post["role"] for post in held})


@pytest.fixture(scope="module")
def yihe() -> list[Entry]:
    return list(generate(profile_of("yihe")))


def test_the_same_seed_makes_the_same_bytes() -> None:
    same, again, other = (generate(profile_of("yihe"), seed=n, **TINY) for n in (1, 1, 2))
    assert digest(same) == digest(again) != digest(other)


def test_another_process_makes_the_same_bytes() -> None:
    program = (
        "from tests.unit.deploy.test_seed_town import digest, tiny; print(digest(tiny('yidukou')))"
    )
    told = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", program],
        cwd=PROFILES.parents[1],
        env={**os.environ, "PYTHONHASHSEED": "4711"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.strip() == digest(tiny("yidukou"))


def test_more_people_do_not_move_a_border() -> None:
    small = tiny("yihe")
    more: Size = {**TINY, "people": 90}
    large = list(generate(profile_of("yihe"), **more))
    assert of(small, "unit") == of(large, "unit")
    assert of(small, "staff") == of(large, "staff")


def test_the_whole_town_has_the_published_numbers(yihe: list[Entry]) -> None:
    levels = Counter(body["level"] for body in of(yihe, "unit").values())
    assert levels == {"town": 1, "village": 6, "grid": 46, "center_household": 968}
    assert len(of(yihe, "person")) == 17_600
    assert holders(yihe) == {
        "grid_worker": 40, "dedicated_grid_worker": 3, "center_household_head": 968,
        "grid_leader": 46, "grid_branch_secretary": 46, "village_team": 138, "five_elders": 92,
        "local_worthy": 46, "village_cadre": 30, "promoted_cadre": 46, "section_cadre": 8,
        "sent_down_staff": 14, "police_officer": 6, "lawyer": 6, "psychologist": 6,
        "center_clerk": 3, "town_leader": 3, "department_officer": 14, "department_head": 7,
    }  # fmt: skip


def test_ids_are_short_and_stable(yihe: list[Entry]) -> None:
    units = of(yihe, "unit")
    assert {"town", "v1", "v6", "g01", "g46", "g01-c01", "g46-c01"} <= units.keys()
    assert {"s-gw-01", "s-gw-40", "s-dgw-03", "s-chh-968"} <= of(yihe, "staff").keys()
    assert {"h000001", f"h{len(of(yihe, 'household')):06d}"} <= of(yihe, "household").keys()
    assert {"p000001", "p017600"} <= of(yihe, "person").keys()
    by_kind: dict[str, list[str]] = defaultdict(list)
    for entry in yihe:
        by_kind[entry.kind].append(entry.record_id)
    assert all(len(set(ids)) == len(ids) for ids in by_kind.values())


def test_names_of_places_are_not_used_twice(yihe: list[Entry]) -> None:
    names = [body["zh"] for body in of(yihe, "unit").values()]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("town", TOWNS)
def test_every_body_fits_what_readers_of_the_registry_expect(town: str) -> None:
    for entry in tiny(town):
        assert json.loads(json.dumps(entry.body)) == entry.body
        body = dict(entry.body)
        if entry.kind == "staff":
            body["sealed"] = {"kid": "k", "key": "k", "fields": {}}
        model = MODELS[entry.kind]
        assert body.keys() - {*PERSONAL.get(entry.kind, ())} <= model.model_fields.keys()
        model.model_validate_json(json.dumps(body))


@pytest.mark.parametrize("town", TOWNS)
def test_every_record_comes_after_those_it_names(town: str) -> None:
    profile = profile_of(town)
    seen: set[tuple[str, str]] = set()
    for entry in tiny(town):
        body = entry.body
        beside = "party_unit" if entry.kind == "party_unit" else "unit"
        named = [(beside, body.get("parent")), ("unit", body.get("grid"))]
        named += [("unit", body.get("group")), ("department", body.get("department"))]
        named += [("household", body.get("household"))]
        named += [("unit", post["unit"]) for post in body.get("posts", [])]
        assert {name for name in named if name[1]} <= seen
        seen.add((entry.kind, entry.record_id))
    assert ("tenant", profile.town.id) in seen


@pytest.mark.parametrize("town", TOWNS)
def test_units_hang_on_the_level_above_theirs(town: str) -> None:
    profile = profile_of(town)
    units = of(tiny(town), "unit")
    for body in units.values():
        level = profile.level(body["level"])
        assert ("polygon" in body) == (level.kind == "grid")
        if level.kind == "town":
            assert "parent" not in body
        else:
            assert units[body["parent"]]["level"] == level.parent


def test_telephones_are_unique_and_nobodys(yihe: list[Entry]) -> None:
    phones = [
        body["phone"] for kind in ("staff", "person") for body in of(yihe, kind).values()
        if "phone" in body
    ]  # fmt: skip
    assert len(set(phones)) == len(phones) > 10_000
    assert all(len(phone) == 11 and phone.startswith("160") for phone in phones)
    assert all(phone.isdigit() for phone in phones)


def phones(entries: list[Entry]) -> set[str]:
    return {entry.body["phone"] for entry in entries if "phone" in entry.body}


def test_towns_on_one_stack_ring_no_phone_twice() -> None:
    one, other = (
        list(generate(profile_of("yihe"), tenant_id=tenant, **TINY)) for tenant in ("a", "b")
    )
    assert of(one, "unit") == of(other, "unit")
    assert len(phones(one) | phones(other)) == len(phones(one)) + len(phones(other))
    names = [[body["name"] for body in of(town, "staff").values()] for town in (one, other)]
    assert names[0] != names[1], "nobody works for both"


def test_the_numbers_of_a_town_stay_in_its_block_and_those_of_examples_differ() -> None:
    assert len({phone_block(profile_of(town).town.id) for town in TOWNS}) == len(TOWNS)
    given = PhoneNumbers("a", STAFF, 7)
    drawn = {given.give() for _ in range(40_000)}
    first = 16_000_000_000 + phone_block("a") * 200_000
    assert drawn == {str(first + n) for n in range(40_000)}
    with pytest.raises(ValueError, match="at most 40,000"):
        given.give()


@pytest.mark.parametrize("town", TOWNS)
def test_villages_that_a_flow_names_are_there(town: str) -> None:
    profile = profile_of(town)
    named = {name for flow in profile.flows if flow.scope for name in flow.scope.villages}
    assert named <= {body["zh"] for body in of(tiny(town), "unit").values()}


def test_the_profile_is_published_as_it_came() -> None:
    given = mapping("yihe")
    entries = list(generate(given, **TINY))
    assert of(entries, "profile")["1"] == {"version": 1, "body": given}
    assert parse(of(tiny("yihe"), "profile")["1"]["body"]) == profile_of("yihe")
    assert of(entries, "person") == of(tiny("yihe"), "person")


def test_a_town_may_stand_under_another_name_and_elsewhere() -> None:
    entries = list(generate(profile_of("yihe"), tenant_id="t-1", centre=(100.0, 26.0), **TINY))
    (tenant,) = of(entries, "tenant").items()
    assert tenant[0] == "t-1"
    assert tenant[1]["aliases"] != of(tiny("yihe"), "tenant")["yihe"]["aliases"]
    for body in of(entries, "unit").values():
        for lon, lat in body.get("polygon", [[]])[0]:
            assert abs(lon - 100) < 0.1
            assert abs(lat - 26) < 0.1


def test_neighbouring_numbers_are_mostly_neighbours(yihe: list[Entry]) -> None:
    grids = [body["polygon"][0] for body in of(yihe, "unit").values() if "polygon" in body]
    corners = [{tuple(point) for point in ring} for ring in grids]
    assert sum(bool(one & other) for one, other in pairwise(corners)) > 30


@pytest.mark.parametrize("town", TOWNS)
def test_households_are_linked_as_the_profile_wants(town: str) -> None:
    made, profile = tiny(town), profile_of(town)
    households = of(made, "household")
    for rule in (one for one in profile.links if one.to == "household"):
        links = [body for body in of(made, "link").values() if body["link"] == rule.id]
        assert {body["to"] for body in links} <= households.keys()
        assert len({body["to"] for body in links}) == len(links) > 0
        if rule.full_coverage:
            assert len(links) == len(households)
        each = Counter(body["staff"] for body in links)
        assert rule.max is None or max(each.values()) <= rule.max


def test_some_households_are_watched(yihe: list[Entry]) -> None:
    watched = [one for one in of(yihe, "household").values() if one.get("watched")]
    assert 0 < len(watched) < len(of(yihe, "household")) / 50
