"""How large the town is: a profile's levels and numbers, with what was asked for put in."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contracts.profile import Level, Profile

Body = dict[str, Any]  # JSON, as a door takes it

# What a town has of each kind where its profile gives no number: so many per unit of another kind.
_USUAL: Mapping[str, tuple[int, str]] = {
    "area": (4, "town"),  # a secretary each, who can know every village
    "village": (20, "town"),  # a middling township
    "grid": (3, "village"),  # about as many as a village has natural settlements
    "microgrid": (5, "grid"),  # one for every ten households or so
    "household_group": (5, "grid"),
}
_PEOPLE = "people"
_PEOPLE_PER_GRID = 120
# Those who stay in a village are old couples and people alone: fewer to a home than in the census.
_PEOPLE_PER_HOUSEHOLD = 2.6
_ALPHABET = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a caller wants instead of the profile's numbers."""

    villages: int | None = None
    grids: int | None = None
    household_groups: int | None = None
    people: int | None = None


@dataclass(frozen=True, slots=True)
class Tier:
    """One level of the tree. `letter` begins its units' ids; `scale` is count against profile."""

    id: str
    zh: str
    kind: str
    parent: str
    letter: str
    count: int
    scale: float
    merged: bool  # its units were made of several former ones


@dataclass(frozen=True, slots=True)
class Plan:
    """`path` leads from below the town down to the grid; `rest` is all else, parents first."""

    town: Tier
    path: tuple[Tier, ...]
    rest: tuple[Tier, ...]
    group: str | None  # the level that holds households within a grid
    people: int
    households: int

    @property
    def scales(self) -> dict[str, float]:
        return {tier.id: tier.scale for tier in (self.town, *self.path, *self.rest)}


def draw(profile: Profile, asked: Asked) -> Plan:
    """Fit the profile's levels to what is asked; what is not asked for scales along.

    Raises:
        ValueError: the numbers contradict each other, or no levels lead from the town to a grid.
    """
    levels = {level.id: level for level in profile.levels if not level.outside_town}
    path = _path(levels)
    rest = tuple(_parents_first(levels, path))
    within = _within(levels, path[-1], rest)
    usual = _usual_counts(levels, [*path, *rest])
    usual[_PEOPLE] = (
        profile.population.served
        or profile.population.registered
        or _PEOPLE_PER_GRID * usual[path[-1]]
    )
    chain = [*path[1:], *within, _PEOPLE]
    counts = _fitted(chain, usual, _wanted(levels, chain, asked))
    per_home = _PEOPLE_PER_HOUSEHOLD
    if profile.population.households:
        per_home = usual[_PEOPLE] / profile.population.households
    tiers = _tiers(levels, [*path, *rest], usual, counts)
    return Plan(
        town=tiers[path[0]],
        path=tuple(tiers[name] for name in path[1:]),
        rest=tuple(tiers[name] for name in rest),
        group=within[-1] if within else None,
        people=counts[_PEOPLE],
        households=max(1, round(counts[_PEOPLE] / per_home)),
    )


def _tiers(
    levels: Mapping[str, Level],
    order: Sequence[str],
    usual: Mapping[str, int],
    counts: Mapping[str, int],
) -> dict[str, Tier]:
    """Settle every level's number; one that nobody asked about scales with its parent."""
    tiers: dict[str, Tier] = {}
    letters: set[str] = set()
    for name in order:
        level, parent = levels[name], levels[name].parent or ""
        scale = tiers[parent].scale if parent in tiers else 1.0
        count = max(1, round(usual[name] * scale))
        if name in counts:
            count, scale = counts[name], counts[name] / usual[name]
        letter = next(one for one in f"{name}{_ALPHABET}" if one.isalpha() and one not in letters)
        letters.add(letter)
        merged = (level.former_count or 0) > usual[name]
        tiers[name] = Tier(name, level.zh, level.kind, parent, letter, count, scale, merged)
    return tiers


def _path(levels: Mapping[str, Level]) -> list[str]:
    """Return the levels from the town down to the grid."""
    at = next((name for name, level in levels.items() if level.kind == "grid"), "")
    path: list[str] = []
    while at in levels and at not in path:
        path.insert(0, at)
        at = levels[at].parent or ""
    if len(path) <= 1 or levels[path[0]].kind != "town":
        raise ValueError("the profile's levels do not lead from a town down to a grid")
    return path


def _parents_first(levels: Mapping[str, Level], known: Sequence[str]) -> Iterator[str]:
    done, left = set(known), [name for name in levels if name not in known]
    while left:
        ready = next((name for name in left if levels[name].parent in done), None)
        if ready is None:
            raise ValueError(f"levels without a way up to the town: {', '.join(left)}")
        done.add(ready)
        left.remove(ready)
        yield ready


def _within(levels: Mapping[str, Level], grid: str, rest: Sequence[str]) -> list[str]:
    """Return the levels from the grid down to where households belong."""
    within = [grid]
    for name in rest:
        if levels[name].parent == within[-1]:
            within.append(name)
    return within[1:]


def _usual_counts(levels: Mapping[str, Level], order: Sequence[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    by_kind: dict[str, int] = {}
    for name in order:
        level = levels[name]
        least = counts.get(level.parent or "", 1)
        per, kind = _USUAL.get(level.kind, (1, ""))
        counts[name] = level.count or max(least, per * by_kind.get(kind, 1))
        by_kind[level.kind] = counts[name]
    return counts


def _wanted(
    levels: Mapping[str, Level], chain: Sequence[str], asked: Asked
) -> Mapping[str, int | None]:
    by_kind = {"village": asked.villages, "grid": asked.grids}
    wanted = {name: by_kind.get(levels[name].kind) for name in chain[:-1]}
    if levels[chain[-2]].kind != "grid":
        wanted[chain[-2]] = asked.household_groups
    return {**wanted, _PEOPLE: asked.people}


def _fitted(
    chain: Sequence[str], usual: Mapping[str, int], wanted: Mapping[str, int | None]
) -> dict[str, int]:
    """Scale what is not given like the nearest number that is given.

    No level has fewer units than the one above it.
    """
    given = {n: count for n, name in enumerate(chain) if (count := wanted[name]) is not None}
    counts: dict[str, int] = {}
    least = 1
    for n, name in enumerate(chain):
        # Of two equally near, the one below decides: it holds more detail.
        near = min(given, key=lambda k: (abs(k - n), -k), default=n)
        ratio = given.get(near, usual[chain[near]]) / usual[chain[near]]
        count = given.get(n, max(least, round(usual[name] * ratio)))
        needed = 1 if name == _PEOPLE else least
        if count < needed:
            raise ValueError(
                f"{name} 只要 {count} 个，太少：至少 {needed} 个，上一级每个单位要有一个 · "
                f"{count} of {name} are too few: ask for at least {needed}, one for each unit above"
            )
        counts[name] = least = count
    return counts
