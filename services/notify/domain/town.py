"""The town and its rules, as far as notify reads them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from services.notify.domain.quiet import Quiet


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit of the tree."""

    id: str
    level: str
    name: str
    parent: str | None = None


@dataclass(frozen=True, slots=True)
class Town:
    """Units and rosters at one moment. `posts` holds staff in roster order.

    `departments` holds them by department and role, whatever unit they are posted to.
    """

    units: Mapping[str, Unit]
    posts: Mapping[tuple[str, str], tuple[str, ...]]
    town_level: str
    departments: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)

    def path(self, unit_id: str | None) -> tuple[str, ...]:
        """Return a unit and those above it, the nearest first."""
        found: list[str] = []
        while unit_id is not None and unit_id in self.units and unit_id not in found:
            found.append(unit_id)
            unit_id = self.units[unit_id].parent
        return tuple(found)

    def at_level(self, unit_id: str | None, level: str | None) -> str | None:
        """Return the unit of a level among a unit and those above it."""
        return next((one for one in self.path(unit_id) if self.units[one].level == level), None)

    def first_on_roster(self, unit_id: str | None, role: str) -> str | None:
        staff = self.posts.get((unit_id or "", role), ())
        return staff[0] if staff else None

    def first_in_department(self, department: str, roles: Iterable[str]) -> str | None:
        """Return the first of a department's people who holds one of these roles."""
        serving = self.departments.get(department, {})
        return next((serving[role][0] for role in roles if serving.get(role)), None)

    def name(self, unit_id: str | None) -> str:
        """Return a unit's name; empty where there is no such unit."""
        unit = self.units.get(unit_id or "")
        return unit.name if unit else ""

    @property
    def root(self) -> str | None:
        """The town's own unit."""
        return next((u.id for u in self.units.values() if u.level == self.town_level), None)


@dataclass(frozen=True, slots=True)
class Rule:
    """Who is told when something happens, by which channels in which order."""

    id: str
    notice: str
    to: tuple[str, ...]
    via: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rules:
    """One version of a town's profile. `tries_max` and `wait_s` hold for one channel.

    `reporters` are the roles by which a department reports in, `heads` those that stand above
    its officers, `supervisors` those that a miss climbs to, level by level. `reply_means`: as
    what an answered text counts; None: nobody reports in without being there, as in
    `on_site_only` classes. Cases of
    `loud_classes` know no quiet hours.
    """

    version: int
    timezone: str
    town_name: str
    told: tuple[Rule, ...]
    tries_max: int
    wait_s: float
    last_channel: str | None
    categories: Mapping[str, str]
    role_levels: Mapping[str, str]
    levels: Mapping[str, str]
    departments: Mapping[str, str] = field(default_factory=dict)
    reporters: frozenset[str] = frozenset()
    heads: tuple[str, ...] = ()
    supervisors: tuple[str, ...] = ()
    reply_means: Literal["app_ack", "remote"] | None = None
    quiet: Quiet | None = None
    loud_classes: frozenset[str] = frozenset()
    on_site_only: frozenset[str] = frozenset()

    def reply_as(self, case_class: str) -> Literal["app_ack", "remote"] | None:
        """Return as what an answered text counts; None: only who is there has reported in."""
        return None if case_class in self.on_site_only else self.reply_means

    def quiet_for(self, case_class: str) -> Quiet | None:
        """Return the hours in which messages of such a case are not begun."""
        return None if case_class in self.loud_classes else self.quiet

    def channels(self, rule: Rule) -> tuple[str, ...]:
        """Return a rule's channels, with the town's last resort behind them."""
        if self.last_channel is None or self.last_channel in rule.via:
            return rule.via
        return (*rule.via, self.last_channel)
