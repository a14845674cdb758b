"""Households: how many live in each, where it belongs, and its address."""

from dataclasses import dataclass
from random import Random

from contracts.profile import Profile
from deploy.seed.plan import Body, Plan
from deploy.seed.shares import apportion
from deploy.seed.tree import Tree

# Households of one person, of two, of three and so on: small, for the young are away.
_SIZES = (0.23, 0.33, 0.19, 0.14, 0.07, 0.04)
LARGEST = 7
_FIRST_CLASS_SHARE = 0.86
_WATCHED_SHARE = 0.01


@dataclass(frozen=True, slots=True)
class Home:
    """A household before anybody moves in."""

    id: str
    size: int
    body: Body


def homes(profile: Profile, plan: Plan, tree: Tree, rng: Random) -> list[Home]:
    """Build the households, group by group; their sizes add up to the people planned."""
    sizes = _sizes(plan.people, plan.households, rng)
    grid_level = plan.path[-1].id
    holders = tree.at[plan.group or grid_level]
    enough = len(sizes) >= len(holders)
    weights = [rng.uniform(0.75, 1.25) for _ in holders]
    shares = apportion(len(sizes), weights, at_least=1 if enough else 0)
    classes = [entry.id for entry in profile.registry.household_classes]
    doors: dict[str, int] = {}
    built: list[Home] = []
    for holder, share in zip(holders, shares, strict=True):
        grid = next(unit for unit in tree.above(holder) if unit.level == grid_level)
        for _ in range(share):
            door = doors[grid.id] = doors.get(grid.id, 0) + 1
            body: Body = {"grid": grid.id}
            if plan.group:
                body["group"] = holder
            if classes:
                body["household_class"] = _class(classes, rng)
            if rng.random() < _WATCHED_SHARE:
                body["watched"] = True
            body["address"] = f"{profile.town.zh}{grid.spoken}{door}号"
            built.append(Home(f"h{len(built) + 1:06d}", sizes[len(built)], body))
    return built


def _sizes(people: int, households: int, rng: Random) -> list[int]:
    """Draw sizes as they are usual, then correct one by one until both numbers are met."""
    households = max(min(households, people), -(-people // LARGEST))
    sizes = rng.choices(range(1, len(_SIZES) + 1), _SIZES, k=households)
    missing = people - sum(sizes)
    step = 1 if missing > 0 else -1
    while missing:
        n = rng.randrange(households)
        if 1 <= sizes[n] + step <= LARGEST:
            sizes[n] += step
            missing -= step
    return sizes


def _class(classes: list[str], rng: Random) -> str:
    """Draw a class: nearly always the first, and each next one half as often."""
    if len(classes) == 1 or rng.random() < _FIRST_CLASS_SHARE:
        return classes[0]
    return rng.choices(classes[1:], [0.5**n for n in range(len(classes) - 1)])[0]
