"""What the registry holds of a town now, opened with its keys; and what a batch took the place of.

Read from ledger's database beside the running service, as an operator may who holds the keys.
"""

import getpass
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from deploy.exchange.columns import LAYOUTS
from deploy.local.set_aside import opened
from services.chassis.seal import KeyRing, SealedFields
from services.ledger.clock import town_now
from services.ledger.domain.audit import Act
from services.ledger.store import audit, elements

Key = tuple[str, str]  # kind, record id
Bodies = Mapping[Key, Mapping[str, Any]]
_BESIDE = ("unit", "staff", "organisation")


@dataclass(frozen=True, slots=True)
class Town:
    """A town's households, persons and links with their words and newest versions.

    `beside` is what these may name: units, staff, organisations. What has `ended` is there no more;
    `taken_over` tells which unit an ended one has become part of.
    """

    tenant_id: str
    beside: Bodies
    records: Mapping[Key, dict[str, Any]]
    versions: Mapping[Key, int]
    ended: frozenset[Key] = frozenset()
    taken_over: Mapping[str, str] = field(default_factory=dict)
    profile: Mapping[str, Any] | None = None


HOLDING = """
SELECT kind, record_id, body, newest
FROM (
    SELECT DISTINCT ON (kind, record_id) kind, record_id, body, newest
    FROM (
        SELECT kind, record_id, body, valid_from, version,
            max(version) OVER (PARTITION BY kind, record_id) AS newest
        FROM registry_record
        WHERE tenant_id = $1 AND kind = ANY($2::text[])
    ) AS known
    WHERE valid_from <= $3
    ORDER BY kind, record_id, valid_from DESC, version DESC
) AS held
ORDER BY kind, record_id
LIMIT 1000000
"""


async def town_held(dsn: str, tenant_id: str, keys: KeyRing) -> Town:
    """Return what a town holds now.

    Raises:
        CannotOpen: the keys are not those that it was sealed with.
    """
    async with opened(dsn) as conn:
        now = await town_now(conn, tenant_id)
        rows = await conn.fetch(HOLDING, tenant_id, [*_BESIDE, *LAYOUTS], now)
        profile = await elements.newest_profile(conn, tenant_id)
    held = {(row["kind"], row["record_id"]): row for row in rows}
    there = {key: row["body"] for key, row in held.items() if row["body"] is not None}
    aliases = {
        alias["code"]: name
        for (kind, name), body in there.items()
        if kind == "unit"
        for alias in body.get("aliases", ())
    }
    return Town(
        tenant_id,
        {key: body for key, body in there.items() if key[0] in _BESIDE},
        {
            (kind, name): unsealed(keys, tenant_id, name, body)
            for (kind, name), body in there.items()
            if kind in LAYOUTS
        },
        {key: row["newest"] for key, row in held.items()},
        frozenset(held.keys() - there.keys()),
        aliases,
        profile and profile[1],
    )


async def note_export(dsn: str, tenant_id: str, counts: Mapping[str, int]) -> None:
    """Write in the audit log who takes the registry out, before anything is handed over."""
    fields = tuple(f"{kind}:{count}" for kind, count in sorted(counts.items()))
    act = Act(tenant_id, getpass.getuser(), "registry.export", "registry", fields=fields)
    async with opened(dsn) as conn:
        await audit.write(conn, act)


def unsealed(
    keys: KeyRing, tenant_id: str, record_id: str, kept: Mapping[str, Any]
) -> dict[str, Any]:
    """Return a record's body as it came through the door."""
    body = dict(kept)
    sealed = body.pop("sealed", None)
    if sealed:
        fields = SealedFields(**sealed)
        body |= keys.open(tenant_id, record_id, fields, set(fields.fields))
    return body


SET_KNOWN = "SELECT count(*) FROM change_set WHERE tenant_id = $1 AND change_set_id = $2"


async def is_known(dsn: str, tenant_id: str, batch: str) -> bool:
    """Tell whether a batch is recorded."""
    async with opened(dsn) as conn:
        return bool(await conn.fetchval(SET_KNOWN, tenant_id, batch))


@dataclass(frozen=True, slots=True)
class Replaced:
    """A record of a batch: what it took the place of, and the set that has changed it since."""

    kind: str
    record_id: str
    version: int
    before: dict[str, Any] | None
    since: str | None


BATCH = """
SELECT one.kind, one.record_id, one.version, before.body AS before, later.change_set_id AS since
FROM registry_record AS one
LEFT JOIN registry_record AS before
    ON before.tenant_id = one.tenant_id AND before.kind = one.kind
    AND before.record_id = one.record_id AND before.version = one.version - 1
LEFT JOIN registry_record AS later
    ON later.tenant_id = one.tenant_id AND later.kind = one.kind
    AND later.record_id = one.record_id AND later.version = one.version + 1
WHERE one.tenant_id = $1 AND one.change_set_id = $2
ORDER BY one.kind, one.record_id
LIMIT 1000000
"""


async def replaced_by(dsn: str, tenant_id: str, batch: str, keys: KeyRing) -> Sequence[Replaced]:
    """Return the records of a batch with what each took the place of."""
    async with opened(dsn) as conn:
        rows = await conn.fetch(BATCH, tenant_id, batch)
    return [
        Replaced(
            row["kind"],
            row["record_id"],
            row["version"],
            row["before"] and unsealed(keys, tenant_id, row["record_id"], row["before"]),
            row["since"],
        )
        for row in rows
    ]
