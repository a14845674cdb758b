"""The towns as notify knows them, compiled from its own copy of the registry.

What is kept in memory is frozen and named by the version it was compiled from; the version is
read in the deciding transaction, so memory is never older than the database.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from contracts.registry import ProfileVersion, TenantClock
from services.chassis import copy
from services.chassis.clock import REAL, Offsets
from services.chassis.postgres import Connection
from services.notify.compiled import offsets_from, rules_from, town_from
from services.notify.domain.town import Rules, Town

_KINDS = ("profile", "unit", "staff")
# Of profiles, their ids alone; of units no outlines, of staff no contacts.
_UNREAD = ("body", "polygon", "sealed")


@dataclass(frozen=True, slots=True)
class KnownTown:
    """One town at one version of its registry: structure and current rules."""

    version: int
    town: Town
    rules: Rules


class Towns:
    """Compiles what is asked for and keeps it while its version stands."""

    def __init__(self) -> None:
        self._towns: dict[str, KnownTown] = {}
        self._rules: dict[tuple[str, int], Rules] = {}
        self._offsets: dict[str, tuple[int, Offsets]] = {}

    async def known(self, conn: Connection, tenant_ids: Iterable[str]) -> dict[str, KnownTown]:
        """Return the towns whose registry has come, profile and units included."""
        found: dict[str, KnownTown] = {}
        for tenant_id, version in (await copy.versions(conn, tenant_ids)).items():
            known = self._towns.get(tenant_id)
            if known is None or known.version != version:
                known = await self._compile(conn, tenant_id)
            if known is not None:
                found[tenant_id] = self._towns[tenant_id] = known
        return found

    async def rules(
        self, conn: Connection, tenant_id: str, profile_version: int, known: KnownTown
    ) -> Rules:
        """Return the rules that a case is pinned to; the current ones where they are not here."""
        if profile_version == known.rules.version:
            return known.rules
        return await self._rules_of(conn, tenant_id, profile_version) or known.rules

    async def offsets(self, conn: Connection, tenant_ids: Iterable[str]) -> dict[str, Offsets]:
        """Return each tenant's virtual time; what else its registry holds does not matter here."""
        found = dict.fromkeys(tenant_ids, REAL)
        for tenant_id, version in (await copy.versions(conn, found)).items():
            known = self._offsets.get(tenant_id)
            if known is None or known[0] != version:
                clock = await copy.record(conn, tenant_id, "clock", "clock")
                offsets = offsets_from(TenantClock.model_validate(clock)) if clock else REAL
                known = self._offsets[tenant_id] = version, offsets
            found[tenant_id] = known[1]
        return found

    async def _rules_of(self, conn: Connection, tenant_id: str, version: int) -> Rules | None:
        key = (tenant_id, version)
        if key not in self._rules:
            body = await copy.record(conn, tenant_id, "profile", str(version))
            if body is None:
                return None
            record = ProfileVersion.model_validate(body)
            self._rules[key] = rules_from(record.version, record.body)
        return self._rules[key]

    async def _compile(self, conn: Connection, tenant_id: str) -> KnownTown | None:
        version, found = await copy.snapshot(conn, tenant_id, _KINDS, _UNREAD)
        if not found["profile"] or not found["unit"]:
            return None
        rules = await self._rules_of(conn, tenant_id, max(map(int, found["profile"])))
        if rules is None:
            return None
        return KnownTown(version, town_from(found["unit"], found["staff"], rules.levels), rules)
