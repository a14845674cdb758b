"""The town's units: areas, villages, grids with their outlines, and what lies within a grid."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

from contracts.profile import Profile
from deploy.seed.ground import Plot, Point, Ring, outlines, survey, touching
from deploy.seed.places import hamlets, numeral, stems
from deploy.seed.plan import Body, Plan, Tier
from deploy.seed.shares import apportion

TOWN = "town"


@dataclass(frozen=True, slots=True)
class Unit:
    """One unit; `spoken` is how people there say where they live."""

    id: str
    level: str
    zh: str
    spoken: str
    parent: str | None
    ring: Ring | None = None

    @property
    def body(self) -> Body:
        body: Body = {"level": self.level, "zh": self.zh}
        if self.parent:
            body["parent"] = self.parent
        if self.ring:
            body["polygon"] = [self.ring]
        return body


@dataclass(slots=True)
class Tree:
    """Every unit, parents first, and which grids lie side by side."""

    units: dict[str, Unit] = field(default_factory=dict)
    at: dict[str, list[str]] = field(default_factory=dict)
    beside: frozenset[tuple[str, str]] = frozenset()

    def add(self, unit: Unit) -> None:
        self.units[unit.id] = unit
        self.at.setdefault(unit.level, []).append(unit.id)

    def above(self, unit: str) -> Iterator[Unit]:
        """Yield the unit and all that it belongs to, upward."""
        at: str | None = unit
        while at:
            yield self.units[at]
            at = self.units[at].parent


def grow(plan: Plan, profile: Profile, centre: Point, rng: Random) -> Tree:
    """Make all units of a plan around a point."""
    tree = Tree()
    town = profile.town.zh
    tree.add(Unit(TOWN, plan.town.id, town, town, None))
    names = _Names(profile, plan, rng)
    plots = survey([level.count for level in plan.path], rng)
    grids = outlines(plots[-1], centre, rng)
    above = [TOWN]
    for level, pieces in zip(plan.path, plots, strict=True):
        rings = grids if level is plan.path[-1] else [None] * len(pieces)
        above = [
            _settle(tree, level, above[plot.parent], names, ring)
            for plot, ring in zip(pieces, rings, strict=True)
        ]
    tree.beside = _beside(plots[-1], above)
    for level in plan.rest:
        _divide(tree, level, rng)
    return tree


class _Names:
    """Draws a name for each unit on the way down to the grid."""

    def __init__(self, profile: Profile, plan: Plan, rng: Random) -> None:
        # Villages that a rule of the profile names come first: else the rule would find none.
        scopes = [flow.scope for flow in profile.flows if flow.scope]
        self._ready = list(dict.fromkeys(name for scope in scopes for name in scope.villages))
        self._stems = stems(rng)
        self._hamlets = hamlets(rng)
        self._merged = any(tier.merged for tier in plan.path)
        self._numbers: dict[str, int] = {}

    def draw(self, level: Tier, parent: Unit) -> tuple[str, str]:
        """Return a unit's name and how people say it."""
        if level.kind == "village":
            ending = "新村" if self._merged else "村"
            name = self._ready.pop(0) if self._ready else next(self._stems) + ending
            return name, name
        if level.kind != "grid":
            name = f"{next(self._stems)}{level.zh}"
            return name, name
        if self._merged:
            former = next(self._hamlets)
            return f"{former}网格", f"{parent.spoken}{former}"
        number = self._numbers[parent.id] = self._numbers.get(parent.id, 0) + 1
        return f"{parent.zh}第{numeral(number)}网格", f"{parent.spoken}{numeral(number)}组"


def _settle(tree: Tree, level: Tier, parent: str, names: _Names, ring: Ring | None) -> str:
    width = max(len(str(level.count)), 2 if level.kind == "grid" else 1)
    unit = f"{level.letter}{len(tree.at.get(level.id, [])) + 1:0{width}d}"
    zh, spoken = names.draw(level, tree.units[parent])
    tree.add(Unit(unit, level.id, zh, spoken, parent, ring))
    return unit


def _divide(tree: Tree, level: Tier, rng: Random) -> None:
    """Share a level's units among those of the level above: large ones and small ones."""
    parents = tree.at[level.parent]
    shares = apportion(level.count, [rng.uniform(0.7, 1.3) for _ in parents], at_least=1)
    for parent, share in zip(parents, shares, strict=True):
        above = tree.units[parent]
        for n in range(1, share + 1):
            unit = f"{parent}-{level.letter}{n:02d}"
            tree.add(Unit(unit, level.id, f"{above.spoken}{n}号{level.zh}", above.spoken, parent))


def _beside(plots: list[Plot], grids: list[str]) -> frozenset[tuple[str, str]]:
    return frozenset((grids[one], grids[other]) for one, other in touching(plots))
