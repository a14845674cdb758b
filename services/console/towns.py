"""What the console knows of the towns: words, units' names, clocks; from `ledger.registry` alone.

A change set takes effect whole. Nobody's name is kept, nor is any geometry.
"""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import structlog

from contracts import profile as town_profile
from contracts.profile import Profile, ProfileError
from contracts.registry import (
    Change,
    Department,
    ProfileVersion,
    Tenant,
    TenantClock,
    Unit,
    read_change,
)
from services.chassis.clock import REAL, Offsets
from services.chassis.copy import OpenSets
from services.chassis.inbox import Record

log = structlog.get_logger()

# Staff, households and front ends are none of the board's business.
KINDS = frozenset({"tenant", "profile", "unit", "department", "clock"})
_NO_STEPS: Mapping[str, Collection[str]] = {}


@dataclass
class Town:
    """One town. `changes` counts the change sets that were taken in."""

    tenant: Tenant | None = None
    newest: int = 0
    profiles: dict[int, Profile] = field(default_factory=dict)
    offsets: Offsets = REAL
    units: dict[str, str] = field(default_factory=dict)
    departments: dict[str, str] = field(default_factory=dict)
    changes: int = 0

    def profile(self, version: int | None = None) -> Profile | None:
        """Return a version of the profile, or the newest where that one is not known."""
        return self.profiles.get(version or self.newest) or self.profiles.get(self.newest)

    @property
    def zone(self) -> ZoneInfo:
        profile = self.profile()
        return ZoneInfo(profile.clock.timezone if profile else "UTC")

    def now(self, real: datetime) -> datetime:
        return self.offsets.tenant_time(real)

    def states_of_steps(self, version: int, flow: str) -> Mapping[str, Collection[str]]:
        """Return from which states each step of a flow leads on."""
        profile = self.profile(version)
        known = profile.flows_by_id.get(flow) if profile else None
        return {step.id: step.from_states for step in known.steps} if known else _NO_STEPS


def _remove(town: Town, change: Change) -> None:
    match change.kind:
        case "unit":
            town.units.pop(change.record_id, None)
        case "department":
            town.departments.pop(change.record_id, None)
        case "clock":
            town.offsets = REAL
        case _:
            pass


class Towns:
    """The towns, by id."""

    def __init__(self) -> None:
        self._towns: dict[str, Town] = defaultdict(Town)
        self._open_sets: OpenSets[Change] = OpenSets()
        self.any_town = asyncio.Event()
        self.complete = False  # no town is said to be unknown before all are known

    def take(self, record: Record) -> None:
        """Take in one record.

        Raises:
            ValueError: it cannot be read; what was known before stays.
        """
        change = read_change(record.headers, record.value, KINDS)
        if change is None:
            return
        ended = self._open_sets.feed(change)
        for one in ended:
            if one.kind in KINDS:
                self._apply(self._towns[one.tenant_id], one)
        if ended:
            self._towns[change.tenant_id].changes += 1
        if self._towns[change.tenant_id].profiles:
            self.any_town.set()

    def _apply(self, town: Town, change: Change) -> None:
        match change.data:
            case Tenant() as tenant:
                town.tenant = tenant
            case ProfileVersion() as version:
                self._keep_profile(town, change.tenant_id, version)
            case Unit() as unit:
                town.units[change.record_id] = unit.zh
            case Department() as department:
                town.departments[change.record_id] = department.zh
            case TenantClock() as clock:
                entries = ((o.from_at, timedelta(seconds=o.seconds)) for o in clock.offsets)
                town.offsets = Offsets(tuple(entries))
            case None:
                _remove(town, change)
            case _:
                pass

    def _keep_profile(self, town: Town, tenant_id: str, version: ProfileVersion) -> None:
        try:
            town.profiles[version.version] = town_profile.parse(version.body)
        except ProfileError as error:
            log.error("profile_refused", tenant_id=tenant_id, error=str(error))  # noqa: TRY400 - the text names each fault
        else:
            town.newest = max(town.newest, version.version)

    def get(self, tenant_id: str) -> Town | None:
        """Return a town whose profile has come."""
        town = self._towns.get(tenant_id)
        return town if town and town.profiles else None

    def every(self) -> dict[str, Town]:
        """Return the towns whose profile has come, by id."""
        return {tenant_id: town for tenant_id, town in sorted(self._towns.items()) if town.profiles}
