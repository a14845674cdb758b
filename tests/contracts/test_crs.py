"""Points in other systems, against two outside libraries and against ourselves."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.crs import CRS, in_china, normal_crs, to_wgs84, wgs84_to_bd09, wgs84_to_gcj02

# Made by golden.mjs beside it.
GOLDEN = json.loads((Path(__file__).parent / "crs" / "golden.json").read_bytes())
SYSTEMS: tuple[CRS, ...] = ("gcj02", "bd09")
LIBRARIES = ("gcoord", "coordtransform")
in_the_box = st.tuples(st.floats(73, 136), st.floats(2, 54))


def metres(one: Any, other: Any) -> float:
    north = (one[1] - other[1]) * 111_320
    east = (one[0] - other[0]) * 111_320 * math.cos(math.radians(one[1]))
    return math.hypot(north, east)


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("crs", SYSTEMS)
def test_what_another_library_has_shifted_is_brought_back(library: str, crs: CRS) -> None:
    shifted = [(row[library][crs], row["wgs84"]) for row in GOLDEN]
    off = [metres(to_wgs84(lon, lat, crs), wgs84) for (lon, lat), wgs84 in shifted]
    assert len(off) == 70
    assert max(off) < 0.01  # a metre was asked for


@pytest.mark.parametrize("library", LIBRARIES)
def test_points_are_shifted_as_another_library_shifts_them(library: str) -> None:
    for row in GOLDEN:
        assert metres(wgs84_to_gcj02(row["wgs84"]), row[library]["gcj02"]) < 0.01
        assert metres(wgs84_to_bd09(row["wgs84"]), row[library]["bd09"]) < 0.01


@settings(derandomize=True, max_examples=200)
@given(point=in_the_box)
def test_there_and_back_is_the_same_place(point: tuple[float, float]) -> None:
    assert metres(to_wgs84(*wgs84_to_gcj02(point), "gcj02"), point) < 0.001
    assert metres(to_wgs84(*wgs84_to_bd09(point), "bd09"), point) < 0.001


@settings(derandomize=True, max_examples=60)
@given(point=in_the_box)
def test_a_shift_is_metres_to_hundreds_of_metres(point: tuple[float, float]) -> None:
    assert 1 < metres(wgs84_to_gcj02(point), point) < 1_500
    assert 1 < metres(wgs84_to_bd09(point), point) < 3_000


@given(lon=st.floats(-180, 180), lat=st.floats(-90, 90))
def test_what_is_not_shifted_stays_as_it_is(lon: float, lat: float) -> None:
    assert to_wgs84(lon, lat, "wgs84") == to_wgs84(lon, lat, "cgcs2000") == (lon, lat)


@pytest.mark.parametrize(
    ("point", "there"),
    [((114.2, 33.3), True), ((33.3, 114.2), False), ((0, 0), False), ((139.7, 35.7), False)],
)
def test_the_box_around_china(point: tuple[float, float], there: bool) -> None:
    assert in_china(*point) is there


@pytest.mark.parametrize("written", ["GCJ02", "gcj02", "GCJ-02", "gcj_02", " Gcj-02 "])
def test_a_system_is_known_however_it_is_written(written: str) -> None:
    assert normal_crs(written) == "gcj02"
