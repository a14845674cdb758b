"""Where a replayed message happens: always at the same place, by a hash of its id."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shapely import Polygon

# Out of a hundred messages: so many name a household or a grid, so many carry a point.
NAMED, POINTED = 60, 20

Outline = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Places:
    """What a message can be placed at: the town's households, its grids and their outlines."""

    households: Sequence[str]
    grids: Sequence[str]
    outlines: Mapping[str, Outline]


def place_of(message_id: str, places: Places) -> dict[str, Any]:
    """Return the location of a message's report; empty for those without a place."""
    digest = hashlib.sha256(message_id.encode()).digest()
    percent = int.from_bytes(digest[:2]) * 100 >> 16
    choice = int.from_bytes(digest[2:8])
    grid = places.grids[choice % len(places.grids)]
    if percent < NAMED // 2:
        return {"household_id": places.households[choice % len(places.households)]}
    if percent < NAMED:
        return {"grid": grid}
    if percent < NAMED + POINTED:
        lon, lat = point_inside(places.outlines[grid], choice)
        return {"lon": lon, "lat": lat, "crs": "wgs84"}
    return {}


def point_inside(outline: Outline, choice: int) -> tuple[float, float]:
    """Return a point inside, off the middle towards one of the corners."""
    shape = Polygon(outline)
    middle = shape.representative_point()
    corner = outline[choice % (len(outline) - 1)]
    for share in (0.5, 0.2, 0.05):
        lon = round(middle.x + (corner[0] - middle.x) * share, 6)
        lat = round(middle.y + (corner[1] - middle.y) * share, 6)
        if shape.contains(type(middle)(lon, lat)):
            return lon, lat
    return round(middle.x, 6), round(middle.y, 6)
