"""What intake knows of the towns: read from `ledger.registry` into memory, nothing else.

A change set takes effect whole: what is read here is what was whole at the last look.
"""

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import timedelta

import structlog

from contracts import profile as town_profile
from contracts.profile import Profile, ProfileError
from contracts.registry import (
    Change,
    FrontEnd,
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

# Staff and households are none of intake's business.
KINDS = frozenset({"tenant", "profile", "front_end", "unit", "clock"})
Granted = dict[str, tuple[str, FrontEnd]]  # by tenant: the front end's id, and its record


@dataclass
class TownKnown:
    """One town, as far as intake and its public pages need it."""

    tenant: Tenant | None = None
    version: int = 0
    profile: Profile | None = None
    offsets: Offsets = REAL
    front_ends: dict[str, FrontEnd] = field(default_factory=dict)
    units: dict[str, Unit] = field(default_factory=dict)


class Registry:
    """The towns, by id; front ends are found by the digest of their key."""

    def __init__(self) -> None:
        self.towns: dict[str, TownKnown] = {}
        self._open_sets: OpenSets[Change] = OpenSets()
        self._by_digest: dict[str, Granted] = {}
        self.any_town = asyncio.Event()
        self.complete = False  # nobody is refused before everybody is known

    def take(self, record: Record) -> None:
        """Take in one record.

        Raises:
            ValueError: it cannot be read; what was known before stays.
        """
        change = read_change(record.headers, record.value, KINDS)
        if change is None:
            return
        ended = [one for one in self._open_sets.feed(change) if one.kind in KINDS]
        for one in ended:
            self._apply(self.towns.setdefault(one.tenant_id, TownKnown()), one)
        if any(one.kind == "front_end" for one in ended):
            self._index_keys()
        if any(town.profile for town in self.towns.values()):
            self.any_town.set()

    def _apply(self, town: TownKnown, change: Change) -> None:
        match change.data:
            case Tenant() as tenant:
                town.tenant = tenant
            case ProfileVersion() as version:
                _take_profile(town, change.tenant_id, version)
            case FrontEnd() as front_end:
                town.front_ends[change.record_id] = front_end
            case Unit() as unit:
                town.units[change.record_id] = unit
            case TenantClock() as clock:
                entries = ((o.from_at, timedelta(seconds=o.seconds)) for o in clock.offsets)
                town.offsets = Offsets(tuple(entries))
            case None:
                _remove(town, change)
            case _:
                pass

    def granted(self, digest: str) -> Granted:
        """Return for each town the front end that holds the key."""
        return self._by_digest.get(digest, {})

    def _index_keys(self) -> None:
        self._by_digest = defaultdict(dict)
        for tenant_id, town in self.towns.items():
            for front_end_id, front_end in town.front_ends.items():
                self._by_digest[front_end.key_digest][tenant_id] = (front_end_id, front_end)


def _take_profile(town: TownKnown, tenant_id: str, version: ProfileVersion) -> None:
    """Take the newest version; one with faults leaves the last good one in force."""
    if version.version < town.version:
        return
    try:
        town.profile = town_profile.parse(version.body)
        town.version = version.version
    except ProfileError as error:
        log.error("profile_refused", tenant_id=tenant_id, error=str(error))  # noqa: TRY400 - the text names each fault


def _remove(town: TownKnown, change: Change) -> None:
    match change.kind:
        case "front_end":
            town.front_ends.pop(change.record_id, None)
        case "unit":
            town.units.pop(change.record_id, None)
        case "clock":
            town.offsets = REAL
        case _:
            pass  # a town and its profiles stay: cases stand on them
