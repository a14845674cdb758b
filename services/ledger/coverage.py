"""The profile's structure and the registry's rows, as the values that coverage is told from."""

from collections.abc import Iterator, Mapping
from typing import Any

from contracts.profile import Level, Profile
from contracts.profile.town import PartyLevel
from services.ledger.domain.structure import (
    Declared,
    HomeNow,
    LinkNow,
    LinkRule,
    PartyNow,
    PartyRule,
    PostNow,
    RoleRule,
    Rules,
    TeamRule,
    Town,
    UnitNow,
)
from services.ledger.linked import TO
from services.ledger.store.elements import Key

Body = Mapping[str, Any]
_NO_BOUNDS = (0, None)


def rules_of(profile: Profile, version: int) -> Rules:
    """Compile what a version of a profile asks of the registry."""
    roles = {
        one.id: RoleRule(
            one.id,
            one.zh,
            one.level,
            *((one.per_unit.min or 0, one.per_unit.max) if one.per_unit else _NO_BOUNDS),
        )
        for one in profile.roles
    }
    return Rules(
        version=version,
        level_kinds={one.id: one.kind for one in profile.levels},
        counts=tuple(_declared(profile)),
        roles=roles,
        teams=tuple(
            TeamRule(one.id, one.zh, one.level, one.roles, one.min_each_role)
            for one in profile.teams
            if one.min_each_role
        ),
        links=tuple(_links(profile)),
        party={
            one.id: PartyRule(one.id, one.zh, one.attaches_to, one.parents_max, one.min_members)
            for one in profile.party_levels
        },
        classes={one.id: one.zh for one in profile.registry.household_classes},
    )


def _declared(profile: Profile) -> Iterator[Declared]:
    tiers: list[tuple[str, Level | PartyLevel]] = []
    tiers += [("level", one) for one in profile.levels if not one.outside_town]
    tiers += [("party", one) for one in profile.party_levels]
    for kind, tier in tiers:
        if tier.count is not None:
            about = (tier.zh, tier.count, tier.count_kind, tier.count_check)
            yield Declared(f"{kind}/{tier.id}", *about)
    for role in profile.roles:
        if role.headcount is not None:
            yield Declared(f"role/{role.id}", role.zh, role.headcount, role.headcount_kind)
    people = profile.population
    for of, zh, count in (
        ("households", "户", people.households),
        ("persons", "人", people.registered or people.served),
    ):
        if count is not None:
            yield Declared(of, zh, count)


def _links(profile: Profile) -> Iterator[LinkRule]:
    for one in profile.links:
        to_kind = TO[one.to]
        yield LinkRule(
            one.id,
            one.zh,
            one.from_role,
            to_kind,
            level_kind=one.to if to_kind == "unit" else None,
            least=one.min,
            most=one.max,
            check=one.check,
            full=one.full_coverage,
            active=one.active_from_role_count,
        )


def town_of(rows: Mapping[Key, Body], persons: Mapping[str, int]) -> Town:
    """Make a town of the registry's rows, by kind and id, and of its persons by household."""
    of: dict[str, list[tuple[str, Body]]] = {}
    for (kind, name), body in rows.items():
        of.setdefault(kind, []).append((name, body))
    return Town(
        units={
            name: UnitNow(name, body["level"], body["zh"], body.get("parent"))
            for name, body in of.get("unit", ())
        },
        posts=tuple(
            PostNow(name, post["unit"], post["role"], post.get("rank", 1))
            for name, body in of.get("staff", ())
            for post in body["posts"]
        ),
        homes=tuple(
            _home(name, body, persons.get(name, 0)) for name, body in of.get("household", ())
        ),
        links=tuple(
            LinkNow(name, body["link"], body["staff"], body["to"], body.get("primary", True))
            for name, body in of.get("link", ())
        ),
        party=tuple(
            PartyNow(
                name, body["level"], body["zh"], tuple(body.get("units", ())), body.get("members")
            )
            for name, body in of.get("party_unit", ())
        ),
        persons=sum(persons.values()),
    )


def _home(name: str, body: Body, persons: int) -> HomeNow:
    more = tuple(body.get("more_classes", ()))
    return HomeNow(
        name,
        body["grid"],
        body.get("group"),
        body.get("household_class"),
        more,
        body.get("head"),
        persons,
    )
