import re
from collections import Counter, defaultdict
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, TypedDict

import pytest

from contracts.profile import Profile, load
from deploy.seed.numbers import FEMALE, MALE, CitizenNumbers, division_code
from deploy.seed.plan import Asked, draw
from deploy.seed.town import TODAY, Entry, generate

PROFILES = Path(__file__).parents[3] / "contracts" / "profiles"
TOWNS = ["yihe", "yidukou", "gucheng", "haohuahong", "changping"]


class Size(TypedDict):
    villages: int
    grids: int
    household_groups: int
    people: int


TINY: Size = {"villages": 2, "grids": 6, "household_groups": 12, "people": 60}
SMALL: Size = {"villages": 2, "grids": 6, "household_groups": 60, "people": 2_000}


@cache
def profile_of(name: str) -> Profile:
    return load(PROFILES / f"{name}.yaml")


@cache
def tiny(name: str, seed: int = 1) -> list[Entry]:
    return list(generate(profile_of(name), seed=seed, **TINY))


def of(entries: list[Entry], kind: str) -> dict[str, dict[str, Any]]:
    return {entry.record_id: entry.body for entry in entries if entry.kind == kind}


@pytest.fixture(scope="module")
def small() -> list[Entry]:
    return list(generate(profile_of("yihe"), **SMALL))


def iso_7064_holds(number: str) -> bool:
    """Check MOD 11-2 from the left, without a table of weights: the sum must come to one."""
    value = 0
    for sign in number:
        value = (2 * value + (10 if sign == "X" else int(sign))) % 11
    return value == 1


def age(body: dict[str, Any]) -> int:
    born = date.fromisoformat(body["birth_date"])
    return TODAY.year - born.year - ((TODAY.month, TODAY.day) < (born.month, born.day))


def test_check_digits_hold_by_another_computation(small: list[Entry]) -> None:
    numbers = [body["id_number"] for body in of(small, "person").values()]
    assert all(iso_7064_holds(number) for number in numbers)
    assert {number[-1] for number in numbers} == set("0123456789X")


def test_citizen_numbers_tell_birth_and_sex_and_belong_to_no_county(small: list[Entry]) -> None:
    people = of(small, "person").values()
    assert len({body["id_number"] for body in people}) == len(people)
    for body in people:
        number = body["id_number"]
        assert re.fullmatch(r"79\d{15}[\dX]", number)
        assert number[6:14] == body["birth_date"].replace("-", "")
        assert body["sex"] == (MALE if int(number[16]) % 2 else FEMALE)
        assert date(1920, 1, 1) < date.fromisoformat(body["birth_date"]) <= TODAY


def test_a_day_gives_no_number_twice_and_then_no_more() -> None:
    numbers = CitizenNumbers("790101")
    born = date(1990, 2, 28)
    given = [numbers.give(born, sex) for sex in (MALE, FEMALE) for _ in range(499)]
    assert len(set(given)) == len(given)
    with pytest.raises(ValueError, match="too many"):
        numbers.give(born, MALE)


def test_division_codes_are_towns_of_no_real_province() -> None:
    codes = [division_code(f"t-{n}") for n in range(200)]
    assert all(re.fullmatch(r"79\d{4}1\d{2}", code) for code in codes)
    assert len(set(codes)) > 190


@pytest.mark.parametrize("name", TOWNS)
def test_a_household_stands_in_a_grid_and_its_group_in_the_same(name: str) -> None:
    entries = tiny(name)
    units, homes = of(entries, "unit"), of(entries, "household")
    grouped = {bool(body.get("group")) for body in homes.values()}
    assert grouped == {any("-" in unit for unit in units)}
    for body in homes.values():
        path = [body.get("group") or body["grid"]]
        while parent := units[path[-1]].get("parent"):
            path.append(parent)
        assert body["grid"] in path
        assert path[-1] == "town"
        assert "polygon" in units[body["grid"]]
    addresses = [body["address"] for body in homes.values()]
    assert len(set(addresses)) == len(addresses)


@pytest.mark.parametrize("name", TOWNS)
def test_everybody_lives_in_a_household_with_one_head(name: str) -> None:
    entries = tiny(name)
    relations: dict[str, list[str]] = defaultdict(list)
    for body in of(entries, "person").values():
        relations[body["household"]].append(body["relation"])
    assert len(of(entries, "person")) == 60
    assert relations.keys() == of(entries, "household").keys()
    assert all(held.count("02") == 1 and held[0] == "02" for held in relations.values())


def test_households_and_people_meet_both_published_numbers() -> None:
    plan = draw(profile_of("gucheng"), Asked())
    assert (plan.households, plan.people) == (5_969, 18_526)
    asked = Asked(grids=3, household_groups=53, people=1_853)
    plan = draw(profile_of("gucheng"), asked)
    entries = list(generate(profile_of("gucheng"), grids=3, household_groups=53, people=1_853))
    homes = of(entries, "household").values()
    assert len(homes) == plan.households == 597
    assert len(of(entries, "person")) == 1_853
    assert len({body["group"] for body in homes}) == 53


def test_classes_are_the_profiles_and_mostly_the_first() -> None:
    entries = list(generate(profile_of("gucheng"), people=2_000))
    classes = Counter(body["household_class"] for body in of(entries, "household").values())
    assert classes.keys() == {"ordinary", "out_of_poverty", "monitored"}
    assert classes["ordinary"] > 4 * (classes["out_of_poverty"] + classes["monitored"])
    assert classes["out_of_poverty"] > classes["monitored"]


def test_the_young_are_away(small: list[Entry]) -> None:
    ages = [age(body) for body in of(small, "person").values()]
    share = Counter(min(years // 20, 4) for years in ages)
    assert share[1] < 0.2 * len(ages)
    assert share[3] + share[4] > 0.3 * len(ages)
    assert share[0] > 0.1 * len(ages)


def test_families_are_credible(small: list[Entry]) -> None:
    families: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for body in of(small, "person").values():
        families[body["household"]].append(body)
    for head, *others in families.values():
        assert age(head) >= 18
        for body in others:
            older = age(body) - age(head)
            match body["relation"]:
                case "11" | "12":
                    assert body["sex"] != head["sex"]
                    assert body["sex"] == ("1" if body["relation"] == "11" else "2")
                    assert abs(older) <= 5
                case "20" | "30" | "41" | "42":
                    assert older <= -20
                    assert body["name"][0] == head["name"][0]
                case relation:
                    assert relation in {"51", "52"}
                    assert older >= 19


@pytest.mark.parametrize("seed", range(5))
def test_even_a_tiny_town_has_the_names_that_software_trips_over(seed: int) -> None:
    entries = tiny("yihe", seed)
    for kind in ("person", "staff"):
        names = [body["name"] for body in of(entries, kind).values()]
        assert any("𠮷" in name for name in names)
        assert any("·" in name for name in names)
        assert all(2 <= len(name) <= 12 for name in names)


def test_most_grown_ups_have_a_telephone_and_small_children_none(small: list[Entry]) -> None:
    people = of(small, "person").values()
    grown = [body for body in people if 18 <= age(body) <= 70]
    assert sum("phone" in body for body in grown) > 0.8 * len(grown)
    assert not any("phone" in body for body in people if age(body) < 12)
