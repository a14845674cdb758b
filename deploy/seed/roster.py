"""Who works for the town: staff for each of the profile's roles, with their posts."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from random import Random

from contracts.profile import Profile, Role
from deploy.seed.headcounts import UNKNOWN, USUAL, Usual
from deploy.seed.names import Names
from deploy.seed.numbers import FEMALE, MALE, STAFF, PhoneNumbers
from deploy.seed.plan import Body, Plan
from deploy.seed.shares import apportion
from deploy.seed.tree import Tree

_AGES = (28, 62)


@dataclass(frozen=True, slots=True)
class Place:
    """What one member of staff holds: units of the role's level, and a rank at each."""

    units: tuple[tuple[str, int], ...]
    department: str | None = None


def staff(profile: Profile, plan: Plan, tree: Tree, rng: Random) -> Iterator[tuple[str, Body]]:
    """Yield (id, body) of everybody on a roster, role by role, nobody named yet."""
    departments = [department.id for department in profile.departments]
    slugs = _slugs([role.id for role in profile.roles])
    for role in profile.roles:
        if role.level not in tree.at:
            continue  # a level outside the town, which rosters its own people
        places = _places(role, plan, tree, departments, rng)
        width = max(2, len(str(len(places))))
        for n, place in enumerate(places, start=1):
            posts = [{"unit": unit, "role": role.id, "rank": r} for unit, r in place.units]
            body: Body = {"posts": posts}
            if place.department:
                body["department"] = place.department
            yield f"s-{slugs[role.id]}-{n:0{width}d}", body


def named(
    rostered: Iterable[tuple[str, Body]], tenant_id: str, today: date, rng: Random
) -> Iterator[tuple[str, Body]]:
    """Give everybody on a roster a name and a telephone, other ones in each town."""
    names = Names(rng, first_rare=(2, 5))
    phones = PhoneNumbers(tenant_id, STAFF, rng.randrange(1_000_000))
    for record_id, body in rostered:
        sex = rng.choice((MALE, FEMALE))
        name = names.full(sex, today.year - rng.randint(*_AGES))
        yield record_id, {**body, "name": name, "phone": phones.give()}


def _places(
    role: Role, plan: Plan, tree: Tree, departments: Sequence[str], rng: Random
) -> list[Place]:
    usual = USUAL.get(role.id, UNKNOWN)
    units = tree.at[role.level]
    if usual.per == "department":
        return [
            Place(((units[0], rank),), department)
            for department in departments
            for rank in range(1, usual.count + 1)
        ]
    own = usual.department if usual.department in departments else None
    count = _headcount(role, usual, plan, len(units))
    return [Place(held, own) for held in _posts(units, count, tree, rng)]


def _headcount(role: Role, usual: Usual, plan: Plan, units: int) -> int:
    """Take the profile's number, scaled with its level; else the usual one."""
    if role.headcount is not None:
        return max(min(role.headcount, 1), round(role.headcount * plan.scales[role.level]))
    told = (role.per_unit.min or role.per_unit.max) if role.per_unit else None
    return units * (told or usual.count)


def _posts(
    units: Sequence[str], count: int, tree: Tree, rng: Random
) -> list[tuple[tuple[str, int], ...]]:
    """Hand out posts so that each unit has somebody, and somebody who comes first."""
    if not count:
        return []
    if count < len(units):
        return [tuple((unit, 1) for unit in held) for held in _rounds(units, count, tree, rng)]
    shares = apportion(count, [1] * len(units))
    return [
        ((unit, rank),)
        for unit, share in zip(units, shares, strict=True)
        for rank in range(1, share + 1)
    ]


def _rounds(units: Sequence[str], count: int, tree: Tree, rng: Random) -> list[Sequence[str]]:
    """Give each of a few people several units: neighbours in one village as far as they go."""
    doubled = len(units) - count
    by_fit = sorted(range(len(units) - 1), key=lambda n: (_strange(units, n, tree), rng.random()))
    starts: set[int] = set()
    for n in by_fit:
        if len(starts) < doubled and not starts & {n - 1, n, n + 1}:
            starts.add(n)
    if len(starts) < doubled:
        ends = [len(units) * n // count for n in range(count + 1)]
        return [units[start:end] for start, end in pairwise(ends)]
    return [
        units[n : n + 2] if n in starts else units[n : n + 1]
        for n in range(len(units))
        if n - 1 not in starts
    ]


def _strange(units: Sequence[str], n: int, tree: Tree) -> tuple[bool, bool]:
    """Say how ill two consecutive units go together: not of one parent, not side by side."""
    one, other = units[n], units[n + 1]
    return tree.units[one].parent != tree.units[other].parent, (one, other) not in tree.beside


def _slugs(roles: Sequence[str]) -> dict[str, str]:
    """Shorten role ids to initials, or to longer beginnings where initials are taken."""
    slugs: dict[str, str] = {}
    for role in roles:
        words = role.split("_")
        sizes = range(1 if len(words) > 1 else 3, len(role) + 1)
        options = ("".join(word[:size] for word in words) for size in sizes)
        slugs[role] = next((slug for slug in options if slug not in slugs.values()), role)
    return slugs
