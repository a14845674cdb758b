"""The towns as routing knows them, compiled from its own copy of the registry.

What is kept in memory is frozen and named by the version it was compiled from; the version is
read in the deciding transaction, so memory is never older than the database.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from contracts.calendar import Calendar
from contracts.registry import (
    Absence,
    BackupPair,
    ProfileVersion,
    Roster,
    Staff,
    TenantClock,
    Unit,
)
from services.chassis import copy
from services.chassis.clock import REAL, Offsets
from services.chassis.postgres import Connection
from services.routing.compiled import offsets_from, rosters_from, rules_from, town_from
from services.routing.domain.rules import Rules
from services.routing.domain.town import Setting, Town
from services.routing.store.calendars import CALENDAR

_DUTY = ("roster", "absence", "backup_pair")
_KINDS = ("profile", "unit", "staff", "clock", "calendar", *_DUTY)
_UNREAD = ("body",)  # a profile's own: of profiles, their ids alone


@dataclass(frozen=True, slots=True)
class KnownTown:
    """One town at one version of its registry: structure, current rules, clock.

    A town may be without units for a while, amid a reorganisation; its clocks run on.
    """

    version: int
    town: Town
    rules: Rules
    offsets: Offsets
    calendar: Calendar | None = None

    @property
    def setting(self) -> Setting:
        return Setting(self.town, self.rules)


class Towns:
    """Compiles what is asked for and keeps it while its version stands."""

    def __init__(self) -> None:
        self._towns: dict[str, KnownTown] = {}
        self._rules: dict[tuple[str, int, int], Rules] = {}

    async def known(self, conn: Connection, tenant_ids: Iterable[str]) -> dict[str, KnownTown]:
        """Return the towns whose profile has come."""
        found: dict[str, KnownTown] = {}
        for tenant_id, version in (await copy.versions(conn, tenant_ids)).items():
            known = self._towns.get(tenant_id)
            if known is None or known.version != version:
                known = await self._compile(conn, tenant_id)
            if known is not None:
                found[tenant_id] = self._towns[tenant_id] = known
        return found

    async def setting(self, conn: Connection, tenant_id: str, profile_version: int) -> Setting:
        """Return the town as it is now with the rules that a case is pinned to."""
        return (await self.settings(conn, {(tenant_id, profile_version)}))[
            tenant_id, profile_version
        ]

    async def settings(
        self, conn: Connection, wanted: Collection[tuple[str, int]]
    ) -> dict[tuple[str, int], Setting]:
        """Return such settings for many (tenant, profile version)."""
        known = await self.known(conn, {tenant_id for tenant_id, _ in wanted})
        return {
            (one, version): Setting(
                known[one].town,
                await self._rules_of(conn, one, version, known[one].calendar),
            )
            for one, version in wanted
        }

    async def _rules_of(
        self, conn: Connection, tenant_id: str, version: int, calendar: Calendar | None
    ) -> Rules:
        key = (tenant_id, version, calendar.version if calendar else 0)
        if key not in self._rules:
            body = await copy.record(conn, tenant_id, "profile", str(version))
            record = ProfileVersion.model_validate(body)
            self._rules[key] = rules_from(record.version, record.body, calendar)
        return self._rules[key]

    async def _compile(self, conn: Connection, tenant_id: str) -> KnownTown | None:
        version, found = await copy.snapshot(conn, tenant_id, _KINDS, _UNREAD)
        if not found["profile"]:
            return None
        official = found["calendar"].get(CALENDAR)
        calendar = Calendar.model_validate(official) if official else None
        rules = await self._rules_of(conn, tenant_id, max(map(int, found["profile"])), calendar)
        clock = found["clock"].get("clock")
        town = town_from(
            {one: Unit.model_validate(body) for one, body in found["unit"].items()},
            {one: Staff.model_validate(body) for one, body in found["staff"].items()},
            rules.levels,
            rosters_from(
                (Roster.model_validate(body) for body in found["roster"].values()),
                (Absence.model_validate(body) for body in found["absence"].values()),
                (BackupPair.model_validate(body) for body in found["backup_pair"].values()),
            ),
        )
        offsets = offsets_from(TenantClock.model_validate(clock)) if clock else REAL
        return KnownTown(version, town, rules, offsets, calendar)
