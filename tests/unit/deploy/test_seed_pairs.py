from collections import Counter
from itertools import combinations
from typing import Any

import pytest
from shapely import Polygon

from contracts.registry import BackupPair
from deploy.local.seeding import PROFILES, Size, entries_of, town_wish


def seeded(size: Size, town: str = "yihe") -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for entry in entries_of(town_wish(f"t={town}", size)):
        found.setdefault(entry.kind, {})[entry.record_id] = entry.body
    return found


@pytest.mark.parametrize("grids", [6, 7, 11])
def test_every_grid_backs_a_neighbour_of_its_village_and_one_group_of_three_ends_an_odd_number(
    grids: int,
) -> None:
    town = seeded(Size(villages=2, grids=grids, household_groups=12, people=60))
    pairs = [BackupPair.model_validate(body).grids for body in town["backup_pair"].values()]
    units = town["unit"]
    levels = [id_ for id_, unit in units.items() if unit["level"] == "grid"]
    assert sorted(grid for pair in pairs for grid in pair) == sorted(levels)
    villages = Counter(units[grid]["parent"] for grid in levels)
    odd = sum(number % 2 for number in villages.values())
    assert sum(len(pair) == 3 for pair in pairs) == odd
    for pair in pairs:
        assert len({units[grid]["parent"] for grid in pair}) == 1
        shapes = {grid: Polygon(units[grid]["polygon"][0]) for grid in pair}
        touching = [shapes[a].distance(shapes[b]) == 0 for a, b in combinations(pair, 2)]
        assert sum(touching) >= len(pair) - 1


def test_a_town_whose_profile_has_no_pairs_gets_none() -> None:
    small = Size(villages=2, grids=6, household_groups=12, people=60)
    assert (PROFILES / "yidukou.yaml").is_file()
    assert "backup_pair" not in seeded(small, "yidukou")
