"""The lie of the land: villages and grids that tile an irregular town without gap or overlap.

A town is a patch of hexagons on which regions grow from seeds, so every region is connected. Three
hexagons meet at a corner, never more, so no region touches itself in a point and an outline is one
ring. Corners are moved and edges bent once for all who share them: neighbours agree on each vertex.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from math import atan2, cos, hypot, radians, sqrt, tau
from random import Random

from deploy.seed.shares import apportion

Cell = tuple[int, int]  # axial coordinates
Corner = tuple[int, int]  # x in half widths, y in half edges, so that neighbours share the integers
Edge = tuple[Corner, Corner]
Point = tuple[float, float]
Ring = list[list[float]]  # [lon, lat], closed, counter-clockwise

CELLS_PER_GRID = 4
EDGE_M = 450.0  # four such hexagons are about two square kilometres
_CORNER_SHIFT = 0.24  # with the bends below, no two edges of a corner can meet again
_BEND = 0.12
_METRES_PER_DEGREE = 111_320.0
_ATTEMPTS = 50
# Neighbour n lies across the edge from corner n to corner n + 1.
_NEIGHBOURS = ((1, 0), (0, 1), (-1, 1), (-1, 0), (0, -1), (1, -1))
_CORNERS = ((1, -1), (1, 1), (0, 2), (-1, 1), (-1, -1), (0, -2))


@dataclass(frozen=True, slots=True)
class Plot:
    """A connected piece of ground; `parent` is the index of its plot one level up."""

    parent: int
    cells: frozenset[Cell]


def survey(counts: Sequence[int], rng: Random) -> list[list[Plot]]:
    """Divide a town level by level, from the top down to `counts[-1]` grids."""
    levels = [[Plot(0, _patch(CELLS_PER_GRID * counts[-1], rng))]]
    for count in counts:
        above = levels[-1]
        # Less one, because each plot has one part for certain: no plot is asked for more parts
        # than it has cells.
        shares = apportion(count, [len(plot.cells) - 1 for plot in above], at_least=1)
        levels.append(
            [
                Plot(parent, part)
                for parent, plot in enumerate(above)
                for part in _walk(_split(plot.cells, shares[parent], rng))
            ]
        )
    return levels[1:]


def outlines(plots: Sequence[Plot], centre: Point, rng: Random) -> list[Ring]:
    """Draw the plots around `centre` (lon, lat) in WGS-84, to six decimals."""
    loops = [_loops(plot.cells)[0] for plot in plots]
    corners = {corner for loop in loops for corner in loop}
    spot = {corner: _moved(corner, rng) for corner in sorted(corners)}
    edges = {_edge(*pair) for loop in loops for pair in _pairs(loop)}
    bends = {edge: _bent(spot[edge[0]], spot[edge[1]], rng) for edge in sorted(edges)}
    return [_ring(loop, spot, bends, centre) for loop in loops]


def touching(plots: Sequence[Plot]) -> set[tuple[int, int]]:
    """Return which plots share an edge, as pairs of indexes, in both orders."""
    owner = {cell: n for n, plot in enumerate(plots) for cell in plot.cells}
    pairs = ((n, owner.get(near, n)) for cell, n in owner.items() for near in _around(cell))
    return {(one, other) for one, other in pairs if one != other}


def _patch(size: int, rng: Random) -> frozenset[Cell]:
    waves = [(k, rng.uniform(0.05, 0.16), rng.uniform(0, tau)) for k in (2, 3, 5)]

    def reach(cell: Cell) -> float:
        x, y = _middle(cell)
        lobes = 1 + sum(height * cos(k * atan2(y, x) + phase) for k, height, phase in waves)
        return hypot(x, y) / lobes + rng.uniform(0, 1.5)

    patch: set[Cell] = set()
    seen: set[Cell] = {(0, 0)}
    heap: list[tuple[float, Cell]] = [(0.0, (0, 0))]
    while len(patch) < size:
        cell = heappop(heap)[1]
        patch.add(cell)
        for near in _around(cell):
            if near not in seen:
                seen.add(near)
                heappush(heap, (reach(near), near))
    return _filled(patch)


def _filled(patch: set[Cell]) -> frozenset[Cell]:
    """Close the holes: whatever the outside cannot reach belongs to the town."""
    left, right = min(q for q, _ in patch) - 1, max(q for q, _ in patch) + 1
    low, high = min(r for _, r in patch) - 1, max(r for _, r in patch) + 1
    outside = {(left, low)}
    border = [(left, low)]
    while border:
        for q, r in _around(border.pop()):
            inside_box = left <= q <= right and low <= r <= high
            if inside_box and (q, r) not in patch and (q, r) not in outside:
                outside.add((q, r))
                border.append((q, r))
    box = {(q, r) for q in range(left, right + 1) for r in range(low, high + 1)}
    return frozenset(box - outside)


def _split(region: frozenset[Cell], parts: int, rng: Random) -> list[frozenset[Cell]]:
    """Divide a region into connected parts without holes, of unlike but comparable sizes."""
    for _ in range(_ATTEMPTS):
        grown = _grown(region, _spread(region, parts, rng), rng)
        if all(len(_loops(part)) == 1 for part in grown):
            return grown
    raise RuntimeError(f"no division of {len(region)} cells into {parts} without holes")


def _spread(region: frozenset[Cell], parts: int, rng: Random) -> list[Cell]:
    cells = sorted(region)
    seeds = [rng.choice(cells)]
    far = {cell: _distance(cell, seeds[0]) for cell in cells}
    while len(seeds) < parts:
        seeds.append(max(cells, key=lambda cell: (far[cell], rng.random())))
        far = {cell: min(far[cell], _distance(cell, seeds[-1])) for cell in cells}
    return seeds


def _grown(region: frozenset[Cell], seeds: list[Cell], rng: Random) -> list[frozenset[Cell]]:
    parts = [{seed} for seed in seeds]
    free = set(region) - set(seeds)
    appetite = [rng.uniform(0.7, 1.4) for _ in seeds]
    growing = set(range(len(seeds)))
    while growing:
        n = min(growing, key=lambda n: (len(parts[n]) / appetite[n], n))
        border = sorted({near for cell in parts[n] for near in _around(cell)} & free)
        if not border:
            growing.remove(n)
            continue
        # The cell with the most neighbours inside keeps the part round.
        ties = {cell: sum(near in parts[n] for near in _around(cell)) for cell in border}
        taken = max(border, key=lambda cell: (ties[cell], rng.random()))
        parts[n].add(taken)
        free.remove(taken)
    return [frozenset(part) for part in parts]


def _walk(parts: list[frozenset[Cell]]) -> Iterator[frozenset[Cell]]:
    """Number the parts from the north-west, each time on to the nearest: neighbours stay close."""
    middles = {part: _centroid(part) for part in parts}
    at = min(middles.values(), key=lambda middle: (middle[0] - middle[1], middle))
    while middles:
        part = min(
            middles, key=lambda part: hypot(middles[part][0] - at[0], middles[part][1] - at[1])
        )
        at = middles.pop(part)
        yield part


def _loops(cells: frozenset[Cell]) -> list[list[Corner]]:
    """Trace the borders of a region: one loop, and one more for each hole."""
    after: dict[Corner, Corner] = {}
    for cell in cells:
        corners = _corners(cell)
        for n, near in enumerate(_around(cell)):
            if near not in cells:
                after[corners[n]] = corners[(n + 1) % len(corners)]
    loops = []
    while after:
        loop = [min(after)]
        while (corner := after.pop(loop[-1])) != loop[0]:
            loop.append(corner)
        loops.append(loop)
    return loops


def _ring(
    loop: list[Corner], spot: dict[Corner, Point], bends: dict[Edge, list[Point]], centre: Point
) -> Ring:
    line: list[Point] = []
    for start, end in _pairs(loop):
        bend = bends[_edge(start, end)]
        line += [spot[start], *(bend if start < end else reversed(bend))]
    lon, lat = centre
    wide = _METRES_PER_DEGREE * cos(radians(lat))
    ring = [
        [round(lon + x * EDGE_M / wide, 6), round(lat + y * EDGE_M / _METRES_PER_DEGREE, 6)]
        for x, y in line
    ]
    return [*ring, ring[0]]


def _moved(corner: Corner, rng: Random) -> Point:
    angle, far = rng.uniform(0, tau), rng.uniform(0, _CORNER_SHIFT)
    x, y = corner[0] * sqrt(3) / 2, corner[1] / 2
    return x + far * cos(angle), y + far * cos(angle - tau / 4)


def _bent(start: Point, end: Point, rng: Random) -> list[Point]:
    middle = _aside(start, end, rng)
    return [_aside(start, middle, rng), middle, _aside(middle, end, rng)]


def _aside(start: Point, end: Point, rng: Random) -> Point:
    """Return the middle of a line, moved to one side."""
    by = rng.uniform(-_BEND, _BEND)
    (x1, y1), (x2, y2) = start, end
    return (x1 + x2) / 2 + by * (y2 - y1), (y1 + y2) / 2 - by * (x2 - x1)


def _edge(one: Corner, other: Corner) -> Edge:
    return (one, other) if one < other else (other, one)


def _pairs(loop: list[Corner]) -> Iterator[tuple[Corner, Corner]]:
    return zip(loop, [*loop[1:], loop[0]], strict=True)


def _around(cell: Cell) -> list[Cell]:
    return [(cell[0] + q, cell[1] + r) for q, r in _NEIGHBOURS]


def _corners(cell: Cell) -> list[Corner]:
    return [(2 * cell[0] + cell[1] + x, 3 * cell[1] + y) for x, y in _CORNERS]


def _middle(cell: Cell) -> Point:
    return (2 * cell[0] + cell[1]) * sqrt(3) / 2, 1.5 * cell[1]


def _centroid(cells: frozenset[Cell]) -> Point:
    middles = [_middle(cell) for cell in sorted(cells)]
    return sum(x for x, _ in middles) / len(middles), sum(y for _, y in middles) / len(middles)


def _distance(one: Cell, other: Cell) -> int:
    q, r = one[0] - other[0], one[1] - other[1]
    return (abs(q) + abs(r) + abs(q + r)) // 2
