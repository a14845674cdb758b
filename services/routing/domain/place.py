"""Where a case belongs: the first clue that names a grid decides; a bad clue is never an error."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from services.routing.domain.town import Town
from services.routing.domain.values import Border, Report, Tried


@dataclass(frozen=True, slots=True)
class Place:
    """The grid, or why there is none. `fallback` is the first reason that stood in the way."""

    grid: str | None
    village: str | None
    placed_by: str | None
    fallback: str | None
    tried: tuple[Tried, ...]
    border: Border | None = None


def locate(report: Report, town: Town, border_m: float = 0) -> Place:
    """Find the grid by household, grid code, point; else the village; else nothing.

    A point on a border belongs to the grid with the lowest id: one owner, the same each time.
    Where the point was asked, a border within `border_m` metres of it is told.
    """
    place = _locate(report, town)
    if report.point is None or place.placed_by in ("household", "grid"):
        return place
    found = town.grid_map.borders_near(*report.point, border_m)
    if not found:
        return place
    near = tuple(grid for _, grid in found if grid != place.grid)
    return replace(place, border=Border(round(found[0][0], 1), near))


def _locate(report: Report, town: Town) -> Place:
    tried: list[Tried] = []
    for rule, grid, because in _clues(report, town):
        tried.append(Tried(f"place.{rule}", grid is not None, because))
        if grid is not None:
            village = town.at_level(grid, town.village_level)
            return Place(grid, village, rule, None, tuple(tried))
    reasons = [one.because for one in tried]
    village, because = _village(report, town)
    if report.village is not None:
        tried.append(Tried("place.village", village is not None, because))
    if village is not None:
        return Place(None, village, "village", (*reasons, "village_only")[0], tuple(tried))
    nothing = "no_place" if report.village is None else because
    return Place(None, None, None, (*reasons, nothing)[0], tuple(tried))


def _clues(report: Report, town: Town) -> Iterator[tuple[str, str | None, str]]:
    if report.household_id is not None:
        known = _grid(report.household_grid, town)
        yield "household", known, "household_found" if known else "unknown_household"
    if report.grid is not None:
        known = _grid(report.grid, town)
        yield "grid", known, "grid_found" if known else "unknown_grid"
    if report.point is not None:
        grids = town.grid_map.grids_at(*report.point)
        because = ("outside_town", "inside")[len(grids)] if len(grids) < 2 else "on_border"  # noqa: PLR2004 - two grids meet
        yield "point", grids[0] if grids else None, because


def _grid(unit_id: str | None, town: Town) -> str | None:
    unit = town.units.get(unit_id or "")
    return unit.id if unit is not None and unit.level == town.grid_level else None


def _village(report: Report, town: Town) -> tuple[str | None, str]:
    """Find a village by its id or its name."""
    villages = [unit for unit in town.units.values() if unit.level == town.village_level]
    for unit in villages:
        if report.village in (unit.id, unit.name):
            return unit.id, "village_found"
    return None, "unknown_village"
