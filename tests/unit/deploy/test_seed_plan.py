from collections import Counter
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, TypedDict

import pytest

from contracts.profile import Profile, load, load_dict
from deploy.seed.plan import Asked, draw
from deploy.seed.town import Entry, generate

PROFILES = Path(__file__).parents[3] / "contracts" / "profiles"


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


def of(entries: Iterable[Entry], kind: str) -> dict[str, dict[str, Any]]:
    return {entry.record_id: entry.body for entry in entries if entry.kind == kind}


@pytest.mark.parametrize(
    ("asked", "villages", "grids", "groups"),
    [
        (Asked(), 6, 46, 968),
        (Asked(grids=23), 3, 23, 484),
        (Asked(villages=2), 2, 15, 323),
        (Asked(people=60), 1, 1, 3),
        (Asked(villages=4, people=60), 4, 31, 31),
    ],
)
def test_what_is_not_asked_for_scales_along(
    asked: Asked, villages: int, grids: int, groups: int
) -> None:
    plan = draw(profile_of("yihe"), asked)
    counts = [tier.count for tier in (*plan.path, *plan.rest)]
    assert counts == [villages, grids, groups]


@pytest.mark.parametrize("asked", [Asked(villages=3, grids=2), Asked(grids=6, people=0)])
def test_numbers_that_contradict_each_other_are_refused(asked: Asked) -> None:
    with pytest.raises(ValueError, match="too few"):
        draw(profile_of("yihe"), asked)


def test_a_level_within_the_group_and_one_beside_the_path_get_units() -> None:
    given = mapping("yihe")
    given["levels"] += [
        {"id": "lane", "zh": "巷", "kind": "household_group", "parent": "center_household"},
        {"id": "street", "zh": "街区", "kind": "village", "parent": "town", "count": 3},
    ]
    entries = list(generate(given, **TINY))
    levels = Counter(body["level"] for body in of(entries, "unit").values())
    assert (levels["lane"], levels["street"]) == (12, 3)
    units = of(entries, "unit")
    assert all(
        units[body["group"]]["level"] == "lane" for body in of(entries, "household").values()
    )
