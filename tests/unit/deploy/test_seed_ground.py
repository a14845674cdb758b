from hashlib import sha256
from itertools import pairwise
from random import Random

import pytest
import shapely
from shapely.geometry import Point, Polygon

from deploy.seed.ground import Plot, Ring, outlines, survey, touching
from deploy.seed.shares import apportion

CENTRE = (114.2, 33.3)
SIZES = [[1, 1], [2, 6], [3, 3], [2, 4, 12], [6, 46]]


def tiled(counts: list[int], seed: int) -> tuple[list[list[Plot]], list[Ring]]:
    rng = Random(seed)
    levels = survey(counts, rng)
    return levels, outlines(levels[-1], CENTRE, rng)


@pytest.mark.parametrize("counts", SIZES)
@pytest.mark.parametrize("seed", range(4))
def test_grids_tile_the_town_without_gap_or_overlap(counts: list[int], seed: int) -> None:
    _, rings = tiled(counts, seed)
    grids = [Polygon(ring) for ring in rings]
    town = shapely.union_all(grids)
    assert [len(level) for level in tiled(counts, seed)[0]] == counts
    assert all(grid.is_valid and grid.exterior.is_simple for grid in grids)
    assert isinstance(town, Polygon)
    assert not town.interiors
    assert shapely.coverage_is_valid(grids)
    assert town.area == pytest.approx(sum(grid.area for grid in grids), abs=1e-12)
    assert all(
        one.intersection(other).area == 0
        for n, one in enumerate(grids)
        for other in grids[:n]
        if one.intersects(other)
    )


def test_a_point_in_the_town_lies_in_one_grid() -> None:
    _, rings = tiled([6, 46], seed=1)
    grids = [Polygon(ring) for ring in rings]
    town = shapely.union_all(grids)
    west, south, east, north = town.bounds
    rng = Random(7)
    drawn = [Point(rng.uniform(west, east), rng.uniform(south, north)) for _ in range(500)]
    inside = [point for point in drawn if town.contains(point)]
    assert len(inside) > 200
    for point in inside:
        holders = sum(grid.contains(point) for grid in grids)
        assert holders == 1 or any(grid.boundary.contains(point) for grid in grids)


def test_outlines_are_closed_counter_clockwise_and_have_six_decimals() -> None:
    _, rings = tiled([2, 6], seed=3)
    for ring in rings:
        assert ring[0] == ring[-1]
        assert Polygon(ring).exterior.is_ccw
        assert all(one != other for one, other in pairwise(ring))
        assert all(round(number, 6) == number for point in ring for number in point)


def test_neighbours_share_every_vertex_of_their_border() -> None:
    levels, rings = tiled([6, 46], seed=1)
    for one, other in touching(levels[-1]):
        border = Polygon(rings[one]).boundary.intersection(Polygon(rings[other]).boundary)
        ends = {tuple(point) for point in shapely.get_coordinates(border).tolist()}
        for ring in (rings[one], rings[other]):
            assert ends <= {tuple(point) for point in ring}


@pytest.mark.parametrize("seed", range(4))
def test_every_village_is_one_piece(seed: int) -> None:
    levels, rings = tiled([6, 46], seed)
    for village in range(6):
        grids = [
            Polygon(ring)
            for plot, ring in zip(levels[-1], rings, strict=True)
            if plot.parent == village
        ]
        merged = shapely.union_all(grids)
        assert isinstance(merged, Polygon)
        assert not merged.interiors


def test_the_town_is_no_circle_and_its_grids_differ_in_size() -> None:
    _, rings = tiled([6, 46], seed=1)
    grids = [Polygon(ring) for ring in rings]
    town = shapely.union_all(grids)
    assert town.area < 0.9 * town.convex_hull.area
    areas = [grid.area for grid in grids]
    assert 1.5 < max(areas) / min(areas) < 10


def test_the_same_seed_draws_the_same_map_for_ever() -> None:
    _, rings = tiled([6, 46], seed=1)
    digest = sha256(repr(rings).encode()).hexdigest()
    assert digest == "2099deab6cd11d0e0139b3ad45d1f3e54a854f313a5a5865d013f34e498b9a82"


def test_shares_add_up_and_give_the_least_to_each() -> None:
    assert apportion(10, [1, 1, 2]) == [3, 2, 5]
    assert apportion(5, [0, 0, 9], at_least=1) == [1, 1, 3]
    assert apportion(3, [0, 0, 0], at_least=1) == [1, 1, 1]
    with pytest.raises(ValueError, match="too few"):
        apportion(2, [1, 1, 1], at_least=1)
