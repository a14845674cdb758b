from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.routing.domain.place import locate
from services.routing.domain.town import Unit
from tests.unit.routing.made_up import TOWN, UNITS, report, square, town

IN_G1, IN_G2, IN_G3, OUTSIDE = (0.5, 0.5), (1.5, 0.5), (1.0, 1.5), (9.0, 9.0)
NO_HOUSEHOLD = "unknown_household"
HOME = {"household_id": "h1", "household_grid": "g1"}
NO_HOME = {"household_id": "h9"}

# What was said; grid, village, what named it, why nothing did.
TABLE: list[tuple[dict[str, Any], str | None, str | None, str | None, str | None]] = [
    (HOME, "g1", "v1", "household", None),
    (HOME | {"grid": "g3", "point": IN_G2}, "g1", "v1", "household", None),
    (NO_HOME, None, None, None, "unknown_household"),
    (NO_HOME | {"household_grid": "gone"}, None, None, None, "unknown_household"),
    (NO_HOME | {"household_grid": "v1"}, None, None, None, "unknown_household"),
    (NO_HOME | {"grid": "g2"}, "g2", "v1", "grid", None),
    ({"grid": "g2"}, "g2", "v1", "grid", None),
    ({"grid": "g2", "point": IN_G3}, "g2", "v1", "grid", None),
    ({"grid": "g9"}, None, None, None, "unknown_grid"),
    ({"grid": "v1"}, None, None, None, "unknown_grid"),
    ({"grid": ""}, None, None, None, "unknown_grid"),
    ({"grid": "g9", "point": IN_G3}, "g3", "v2", "point", None),
    ({"grid": "g9", "village": "v2"}, None, "v2", "village", "unknown_grid"),
    ({"point": IN_G1}, "g1", "v1", "point", None),
    ({"point": IN_G2}, "g2", "v1", "point", None),
    ({"point": IN_G3}, "g3", "v2", "point", None),
    ({"point": IN_G2, "village": "v2"}, "g2", "v1", "point", None),
    ({"point": (0.0, 0.0)}, "g1", "v1", "point", None),
    ({"point": (1.0, 0.5)}, "g1", "v1", "point", None),
    ({"point": (1.5, 1.0)}, "g2", "v1", "point", None),
    ({"point": (1.0, 1.0)}, "g1", "v1", "point", None),
    ({"point": OUTSIDE}, None, None, None, "outside_town"),
    ({"point": OUTSIDE, "village": "v1"}, None, "v1", "village", "outside_town"),
    ({"village": "v1"}, None, "v1", "village", "village_only"),
    ({"village": "西村"}, None, "v2", "village", "village_only"),
    ({"village": "北村"}, None, None, None, "unknown_village"),
    ({"village": "g1"}, None, None, None, "unknown_village"),
    ({"village": "town"}, None, None, None, "unknown_village"),
    (NO_HOME | {"grid": "?", "point": OUTSIDE, "village": "x"}, None, None, None, NO_HOUSEHOLD),
    ({}, None, None, None, "no_place"),
]


@pytest.mark.parametrize(("said", "grid", "village", "placed_by", "fallback"), TABLE)
def test_the_first_clue_that_names_a_grid_decides(
    said: dict[str, Any],
    grid: str | None,
    village: str | None,
    placed_by: str | None,
    fallback: str | None,
) -> None:
    place = locate(report(**said), TOWN)
    found = (place.grid, place.village, place.placed_by, place.fallback)
    assert found == (grid, village, placed_by, fallback)


def test_why_lists_each_clue_that_was_tried_and_none_after_the_one_that_held() -> None:
    place = locate(report(**NO_HOME, grid="g9", point=(1.0, 0.5), village="v1"), TOWN)
    tried = [(one.rule, one.held, one.because) for one in place.tried]
    assert tried == [
        ("place.household", False, "unknown_household"),
        ("place.grid", False, "unknown_grid"),
        ("place.point", True, "on_border"),
    ]


def test_a_border_belongs_to_the_lowest_id_in_whatever_order_grids_are_known() -> None:
    turned = town(tuple(reversed(UNITS)))
    assert locate(report(point=(1.0, 0.5)), turned).grid == "g1"


def test_a_grid_outside_every_village_still_takes_its_cases() -> None:
    lone = Unit("g7", "grid", "独格", None, square(5, 5, 6, 6))
    place = locate(report(point=(5.5, 5.5)), town((*UNITS, lone)))
    assert (place.grid, place.village, place.fallback) == ("g7", None, None)


def test_a_hole_in_a_grid_is_not_the_grid() -> None:
    hole = (*square(10, 10, 14, 14), *square(11, 11, 12, 12))
    ringed = town((*UNITS, Unit("g8", "grid", "环格", "v1", hole)))
    assert locate(report(point=(11.5, 11.5)), ringed).fallback == "outside_town"
    assert locate(report(point=(13.0, 13.0)), ringed).grid == "g8"


def test_a_circle_of_parents_ends() -> None:
    circle = (Unit("a", "grid", "甲", "b"), Unit("b", "area", "乙", "a"))
    assert town(circle).path("a") == ("a", "b")


def border(point: tuple[float, float], metres: float = 30) -> tuple[float, tuple[str, ...]] | None:
    found = locate(report(point=point), TOWN, metres).border
    return (found.metres, found.near) if found else None


def metres_east(metres: float) -> float:
    return metres / 111_320  # degrees, at the equator


@pytest.mark.parametrize(
    ("point", "told"),
    [
        (IN_G1, None),
        ((1.0, 0.5), (0.0, ("g2",))),
        ((1.0 - metres_east(10), 0.5), (10.0, ("g2",))),
        ((1.0 + metres_east(29), 0.5), (29.0, ("g1",))),
        ((1.0 + metres_east(31), 0.5), None),
        ((1.0 - metres_east(20), 1.0 - metres_east(5)), (5.0, ("g3", "g2"))),
        ((0.0 + metres_east(7), 0.5), (7.0, ())),  # the town's own border: perhaps a neighbour's
        ((0.0 - metres_east(7), 0.5), (7.0, ("g1",))),
        ((0.0 - metres_east(31), 0.5), None),
        (OUTSIDE, None),
        ((122.5, 30.5), None),  # at sea
    ],
)
def test_a_point_near_a_border_is_told_with_whose_it_may_be(
    point: tuple[float, float], told: tuple[float, tuple[str, ...]] | None
) -> None:
    found = border(point)
    assert found == told


def test_how_near_is_near_is_the_towns_to_say() -> None:
    point = (1.0 - metres_east(80), 0.5)
    assert border(point, 0) is None
    assert border(point, 100) == (80.0, ("g2",))
    assert border((1.0, 0.5), 0) == (0.0, ("g2",))


def test_far_north_a_degree_of_longitude_is_shorter() -> None:
    north = town((Unit("g9", "grid", "北格", None, square(120, 50, 121, 51)),))
    place = locate(report(point=(120.0 + metres_east(40), 50.5)), north, 30)
    assert place.border is not None
    assert place.border.metres == pytest.approx(25.4, abs=0.1)


def test_a_clue_that_named_the_grid_leaves_no_border_to_look_at() -> None:
    assert locate(report(grid="g1", point=(1.0, 0.5)), TOWN, 30).border is None


clue = st.sampled_from(["g1", "g3", "v1", "gone", "", "town"])
coordinate = st.sampled_from([-1.0, 0.0, 0.5, 1.0, 1.5, 2.0, 2.5]) | st.floats(-180, 180)


@settings(derandomize=True, max_examples=60)
@given(
    household=st.none() | st.just("h1"),
    household_grid=st.none() | clue,
    grid=st.none() | clue,
    point=st.none() | st.tuples(coordinate, coordinate),
    village=st.none() | clue,
)
def test_whatever_is_said_names_one_grid_or_one_reason(
    household: str | None,
    household_grid: str | None,
    grid: str | None,
    point: tuple[float, float] | None,
    village: str | None,
) -> None:
    said = report(
        household_id=household,
        household_grid=household_grid,
        grid=grid,
        point=point,
        village=village,
    )
    place = locate(said, TOWN)
    assert (place.grid is None) == (place.fallback is not None)
    assert (place.placed_by is None) == (place.village is None and place.grid is None)
    assert sum(one.held for one in place.tried) <= 1
    if place.placed_by == "point" and point is not None:
        assert place.grid in TOWN.grid_map.grids_at(*point)
