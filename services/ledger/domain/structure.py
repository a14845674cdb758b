"""A town's structure as values: what its profile asks for, and what its registry holds."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

CountKind = Literal["exact", "at_least", "about", "unknown"]
Check = Literal["strict", "warn", "off"]


@dataclass(frozen=True, slots=True)
class Declared:
    """A number that the profile gives for something; `about` allows a tenth."""

    of: str
    zh: str
    count: int
    kind: CountKind = "exact"
    check: Check = "warn"


@dataclass(frozen=True, slots=True)
class RoleRule:
    """How many holders of a role one unit of its level has."""

    id: str
    zh: str
    level: str
    least: int = 0
    most: int | None = None


@dataclass(frozen=True, slots=True)
class TeamRule:
    """Roles of which each unit of a level needs so many, in it, below it or above it."""

    id: str
    zh: str
    level: str
    roles: tuple[str, ...]
    each: int


@dataclass(frozen=True, slots=True)
class LinkRule:
    """Whom holders of a role look after: `to_kind` of record, of `level_kind` if it is a unit."""

    id: str
    zh: str
    role: str
    to_kind: str
    level_kind: str | None = None
    least: int | None = None
    most: int | None = None
    check: Check = "warn"
    full: bool = False
    active: int | None = None


@dataclass(frozen=True, slots=True)
class PartyRule:
    """A level of the party's tree; one with more than one unit at most is joint."""

    id: str
    zh: str
    attaches_to: str | None
    most_units: int | None = None
    least_members: int | None = None


@dataclass(frozen=True, slots=True)
class Rules:
    """What a version of the profile asks of the registry."""

    version: int
    level_kinds: Mapping[str, str]
    counts: tuple[Declared, ...] = ()
    roles: Mapping[str, RoleRule] = field(default_factory=dict)
    teams: tuple[TeamRule, ...] = ()
    links: tuple[LinkRule, ...] = ()
    party: Mapping[str, PartyRule] = field(default_factory=dict)
    classes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class UnitNow:
    id: str
    level: str
    zh: str
    parent: str | None = None


@dataclass(frozen=True, slots=True)
class PostNow:
    staff: str
    unit: str
    role: str
    rank: int = 1


@dataclass(frozen=True, slots=True)
class HomeNow:
    id: str
    grid: str
    group: str | None = None
    household_class: str | None = None
    more_classes: tuple[str, ...] = ()
    head: str | None = None
    persons: int = 0


@dataclass(frozen=True, slots=True)
class LinkNow:
    id: str
    link: str
    staff: str
    to: str
    primary: bool = True


@dataclass(frozen=True, slots=True)
class PartyNow:
    id: str
    level: str
    zh: str
    units: tuple[str, ...] = ()
    members: int | None = None


@dataclass(frozen=True)
class Town:
    """What the registry holds at a moment."""

    units: Mapping[str, UnitNow]
    posts: tuple[PostNow, ...] = ()
    homes: tuple[HomeNow, ...] = ()
    links: tuple[LinkNow, ...] = ()
    party: tuple[PartyNow, ...] = ()
    persons: int = 0

    def above(self, unit: str | None) -> Iterator[str]:
        """Yield a unit and those above it, each once."""
        seen: set[str] = set()
        while unit is not None and unit in self.units and unit not in seen:
            seen.add(unit)
            yield unit
            unit = self.units[unit].parent

    @cached_property
    def holders(self) -> Mapping[tuple[str, str], tuple[PostNow, ...]]:
        """Who holds a role at a unit, by unit and role, the first by rank first."""
        held: dict[tuple[str, str], list[PostNow]] = {}
        for post in sorted(self.posts, key=lambda one: (one.rank, one.staff)):
            held.setdefault((post.unit, post.role), []).append(post)
        return {key: tuple(posts) for key, posts in held.items()}

    @cached_property
    def within(self) -> Mapping[tuple[str, str], frozenset[str]]:
        """Who holds a role at a unit, below it or above it, by unit and role."""
        staff: dict[tuple[str, str], set[str]] = {}
        for post in self.posts:
            for unit in self.above(post.unit):
                staff.setdefault((unit, post.role), set()).add(post.staff)
        return {key: frozenset(names) for key, names in staff.items()}

    def team(self, unit: str, role: str) -> int:
        """Count the holders of a role who are at a unit's disposal."""
        below = self.within.get((unit, role), frozenset[str]())
        above = {
            one.staff for over in self.above(unit) for one in self.holders.get((over, role), ())
        }
        return len(below | above)
