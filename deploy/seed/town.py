"""An unreal but credible town for any profile: same profile, tenant and seed, same bytes.

Nothing here is taken from a real register: places, people and numbers are made up, and every
number is of a kind that belongs to nobody (see `deploy.seed.numbers`).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from random import Random
from typing import Any, Literal

from contracts.profile import Profile, parse
from deploy.seed.ground import Point
from deploy.seed.homes import Home, homes
from deploy.seed.numbers import division_code
from deploy.seed.pairs import backup_pairs
from deploy.seed.party import household_links, links, party_units
from deploy.seed.people import person_id, persons
from deploy.seed.plan import Asked, Body, Plan, draw
from deploy.seed.roster import named, staff
from deploy.seed.tree import Tree, grow

Kind = Literal[
    "tenant", "profile", "unit", "department", "staff", "backup_pair", "household", "person",
    "party_unit", "link", "organisation",
]  # fmt: skip

CENTRE: Point = (114.2, 33.3)  # farmland in the middle of the country, far from any sea
# Ages are told from this day, so that the same seed makes the same people in any year.
TODAY = date(2025, 1, 1)
THERE_SINCE = "2000-01-01T00:00:00+08:00"  # before any day that is ever replayed


@dataclass(frozen=True, slots=True)
class Entry:
    """One record for the registry's door; personal data stands plain, ledger seals it."""

    kind: Kind
    record_id: str
    body: Body


def generate(  # noqa: PLR0913 - each is a number somebody wants to turn alone
    profile: Profile | Mapping[str, Any],
    *,
    seed: int = 1,
    tenant_id: str | None = None,
    villages: int | None = None,
    grids: int | None = None,
    household_groups: int | None = None,
    people: int | None = None,
    centre: Point = CENTRE,
) -> Iterator[Entry]:
    """Yield a town's records, each after those it names, but for households' heads.

    A profile given as the merged mapping is published as it came; `None` takes its own number.

    Raises:
        ProfileError: the mapping is no profile.
        ValueError: the numbers asked for contradict each other.
    """
    known = profile if isinstance(profile, Profile) else parse(profile)
    tenant = tenant_id or known.town.id
    plan = draw(known, Asked(villages, grids, household_groups, people))
    tree = grow(plan, known, centre, _chance(seed, "tree"))

    yield from _setting(known, profile, tenant)
    for unit in tree.units.values():
        yield Entry("unit", unit.id, unit.body)
    for department in known.departments:
        body = {"zh": department.zh, "level": department.level or plan.town.id}
        yield Entry("department", department.id, body)
    posted = staff(known, plan, tree, _chance(seed, "staff"))
    rostered = list(named(posted, tenant, TODAY, _chance(seed, f"{tenant}|staff")))
    for name, body in rostered:
        yield Entry("staff", name, body)
    for name, body in backup_pairs(known, tree, rostered):
        yield Entry("backup_pair", name, body)
    yield from _beside(known, plan, tree, rostered)
    built = homes(known, plan, tree, _chance(seed, "homes"))
    yield from _households(built)
    for name, body in household_links(known, tree, rostered, built):
        yield Entry("link", name, body)
    for name, body in persons(built, tenant, TODAY, _chance(seed, f"{tenant}|people")):
        yield Entry("person", name, body)


def _beside(
    profile: Profile, plan: Plan, tree: Tree, rostered: Sequence[tuple[str, Body]]
) -> Iterator[Entry]:
    for name, body in party_units(profile, plan, tree):
        yield Entry("party_unit", name, body)
    for kind, name, body in links(profile, tree, rostered):
        yield Entry(kind, name, body)


def _households(built: Iterable[Home]) -> Iterator[Entry]:
    first = 1
    for home in built:  # whoever moves in first is its head
        yield Entry("household", home.id, {**home.body, "head": person_id(first)})
        first += home.size


def _setting(profile: Profile, given: Profile | Mapping[str, Any], tenant: str) -> Iterator[Entry]:
    town = profile.town
    alias = {"code": f"{division_code(tenant)}000", "valid_from": THERE_SINCE}
    yield Entry("tenant", tenant, {"zh": town.zh, "en": town.en or town.zh, "aliases": [alias]})
    # Only what was written: a default that changes later shall reach this town too.
    merged = (
        given.model_dump(mode="json", exclude_unset=True)
        if isinstance(given, Profile)
        else dict(given)
    )
    yield Entry("profile", "1", {"version": 1, "body": merged})


def _chance(seed: int, part: str) -> Random:
    """Give each part a stream of its own: more people do not move the borders."""
    return Random(f"{seed}|{part}")  # noqa: S311 - nothing here is secret
