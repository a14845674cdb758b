"""The town's structure at one moment: units, who is rostered where, and where grids lie."""

import math
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field

import shapely
from shapely import Point, Polygon, STRtree

from services.routing.domain.duty import Rosters
from services.routing.domain.rules import Rules

_METRES_PER_DEGREE = 111_320.0


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit of the tree. `outline` is its polygon, [lon, lat] rings, the first the outside."""

    id: str
    level: str
    name: str
    parent: str | None = None
    outline: tuple[tuple[tuple[float, float], ...], ...] = ()


class GridMap:
    """Which grid a point lies in. Built once per version of the geometry."""

    def __init__(self, units: Sequence[Unit]) -> None:
        drawn = sorted((unit for unit in units if unit.outline), key=lambda unit: unit.id)
        self._ids = [unit.id for unit in drawn]
        self._drawn = [Polygon(unit.outline[0], unit.outline[1:]) for unit in drawn]
        self._tree = STRtree(self._drawn)

    def grids_at(self, lon: float, lat: float) -> list[str]:
        """Return the grids that hold the point, borders included, by id."""
        return [self._ids[n] for n in sorted(self._tree.query(Point(lon, lat), "intersects"))]

    def borders_near(self, lon: float, lat: float, metres: float) -> list[tuple[float, str]]:
        """Return the grids whose border lies so near, with the distance in metres, nearest first.

        Reckoned on a plane: right to a thousandth, which is millimetres where it matters.
        """
        scale = (_METRES_PER_DEGREE * math.cos(math.radians(lat)), _METRES_PER_DEGREE)
        east, north = metres / max(scale[0], 1.0), metres / scale[1]
        around = shapely.box(lon - east, lat - north, lon + east, lat + north)
        if self._tree.query(around, "within").size:
            return []  # far inside a grid, as most points are
        here, found = Point(lon * scale[0], lat * scale[1]), []
        for n in self._tree.query(around, "intersects"):
            border = shapely.transform(self._drawn[n].boundary, lambda xy: xy * scale)
            if (off := border.distance(here)) <= metres:
                found.append((off, self._ids[n]))
        return sorted(found)


@dataclass(frozen=True, slots=True)
class Town:
    """The registry's state as far as routing reads it. `posts` holds staff in roster order."""

    units: Mapping[str, Unit]
    posts: Mapping[tuple[str, str], tuple[str, ...]]
    grid_level: str
    village_level: str
    town_level: str
    grid_map: GridMap = field(compare=False)
    # Who serves in a department, by role, in roster order.
    departments: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    rosters: Rosters = field(default_factory=Rosters)

    def path(self, unit_id: str | None) -> tuple[str, ...]:
        """Return a unit and those above it, the nearest first."""
        found: list[str] = []
        while unit_id is not None and unit_id in self.units and unit_id not in found:
            found.append(unit_id)
            unit_id = self.units[unit_id].parent
        return tuple(found)

    def at_level(self, unit_id: str | None, level: str) -> str | None:
        """Return the unit of a level among a unit and those above it."""
        return next((one for one in self.path(unit_id) if self.units[one].level == level), None)

    def first_on_roster(self, unit_id: str, role: str, barred: Container[str] = ()) -> str | None:
        rostered = self.posts.get((unit_id, role), ())
        return next((staff for staff in rostered if staff not in barred), None)

    @property
    def root(self) -> str | None:
        """The town's own unit."""
        return next((u.id for u in self.units.values() if u.level == self.town_level), None)


@dataclass(frozen=True, slots=True)
class Setting:
    """What a decision stands on: the town as it is now, the rules that the case is under."""

    town: Town
    rules: Rules

    def unit_for(self, role: str, grid: str | None, village: str | None) -> str | None:
        """Return the unit at which a role answers for a place."""
        level = self.rules.role_levels.get(role, "")
        return self.town.at_level(self.lowest(grid, village), level)

    def lowest(self, grid: str | None, village: str | None) -> str | None:
        """Return the lowest unit that is known: grid, village, or the town itself."""
        return grid or village or self.town.root
