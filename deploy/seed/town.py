"""An unreal but credible town for any profile: same profile, tenant and seed, same bytes.

Nothing here is taken from a real register: places, people and numbers are made up, and every
number is of a kind that belongs to nobody (see `deploy.seed.numbers`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from random import Random
from typing import Any, Literal

from contracts.profile import Profile, parse
from deploy.seed.ground import Point
from deploy.seed.homes import homes
from deploy.seed.numbers import division_code
from deploy.seed.pairs import backup_pairs
from deploy.seed.people import persons
from deploy.seed.plan import Asked, Body, draw
from deploy.seed.roster import named, staff
from deploy.seed.tree import grow

Kind = Literal[
    "tenant", "profile", "unit", "department", "staff", "backup_pair", "household", "person"
]

CENTRE: Point = (114.2, 33.3)  # farmland in the middle of the country, far from any sea
# Ages are told from this day, so that the same seed makes the same people in any year.
TODAY = date(2025, 1, 1)
_ALIAS_FROM = "2000-01-01T00:00:00+08:00"  # before any day that is ever replayed


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
    """Yield a town's records, each after those it names.

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
    built = homes(known, plan, tree, _chance(seed, "homes"))
    for home in built:
        yield Entry("household", home.id, home.body)
    for name, body in persons(built, tenant, TODAY, _chance(seed, f"{tenant}|people")):
        yield Entry("person", name, body)


def _setting(profile: Profile, given: Profile | Mapping[str, Any], tenant: str) -> Iterator[Entry]:
    town = profile.town
    alias = {"code": f"{division_code(tenant)}000", "valid_from": _ALIAS_FROM}
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
