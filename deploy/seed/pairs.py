"""Which grids back each other (AB角): neighbours in one village, two by two, three where odd."""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from contracts.profile import Profile
from deploy.seed.plan import Body
from deploy.seed.tree import Tree


def backup_pairs(
    profile: Profile, tree: Tree, staff: Iterable[tuple[str, Body]]
) -> Iterator[tuple[str, Body]]:
    """Yield (id, body) of each pair, where the profile has adjacent grids back each other.

    Grids of one worker are no pair if it can be helped: who is away here is away there.
    """
    if profile.duty.backup.mode != "adjacent_grids" or not tree.beside:
        return
    beside: dict[str, set[str]] = defaultdict(set)
    for one, other in tree.beside:
        if tree.units[one].parent == tree.units[other].parent:
            beside[one].add(other)
            beside[other].add(one)
    workers = _workers(profile, staff)
    groups = _two_by_two(sorted(beside), beside, workers)
    width = max(2, len(str(len(groups))))
    for n, group in enumerate(groups, 1):
        yield f"bp-{n:0{width}d}", {"grids": group}


def _workers(profile: Profile, staff: Iterable[tuple[str, Body]]) -> dict[str, set[str]]:
    """Return who works in each grid, by the roles that a grid's people are asked first by."""
    roles = profile.cases.first_asked.who[:1] or ("grid_worker",)
    found: dict[str, set[str]] = defaultdict(set)
    for name, body in staff:
        for post in body["posts"]:
            if post["role"] in roles:
                found[post["unit"]].add(name)
    return found


def _two_by_two(
    grids: Iterable[str], beside: dict[str, set[str]], workers: dict[str, set[str]]
) -> list[list[str]]:
    """Pair grids, those with the fewest neighbours first; who is left joins a neighbour's pair."""
    left, groups = set(grids), []

    def fitness(one: str, other: str) -> tuple[bool, int, str]:
        return bool(workers[one] & workers[other]), len(beside[other] & left), other

    while pairable := [one for one in left if beside[one] & left]:
        one = min(pairable, key=lambda grid: (len(beside[grid] & left), grid))
        other = min(beside[one] & left, key=lambda grid: fitness(one, grid))
        groups.append(sorted((one, other)))
        left -= {one, other}
    for one in sorted(left):
        near = [group for group in groups if len(group) == 2 and beside[one] & set(group)]  # noqa: PLR2004 - a pair
        if near:
            near[0].append(one)
    return sorted(groups)
