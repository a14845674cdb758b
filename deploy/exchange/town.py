"""What the registry holds of a town now, opened with its keys; and what a batch took the place of.

Read from ledger's database beside the running service, as an operator may who holds the keys.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from asyncpg import Record

from deploy.exchange.columns import LAYOUTS
from deploy.local.set_aside import Conn, opened
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


PAGE = 20_000
HOLDING = """
SELECT known.record_id, newest.version AS newest, held.body, held.version IS NOT NULL AS begun
FROM (
    SELECT DISTINCT record_id
    FROM registry_record
    WHERE tenant_id = $1 AND kind = $2 AND record_id > $3
    ORDER BY record_id
    LIMIT $5
) AS known
CROSS JOIN LATERAL (
    SELECT version
    FROM registry_record AS record
    WHERE tenant_id = $1 AND kind = $2 AND record.record_id = known.record_id
    ORDER BY version DESC
    LIMIT 1
) AS newest
LEFT JOIN LATERAL (
    SELECT version, body
    FROM registry_record AS record
    WHERE tenant_id = $1 AND kind = $2 AND record.record_id = known.record_id
        AND valid_from <= $4
    ORDER BY valid_from DESC, version DESC
    LIMIT 1
) AS held ON TRUE
ORDER BY known.record_id
LIMIT $5
"""


async def _holding(conn: Conn, tenant_id: str, kind: str, now: datetime, page: int) -> list[Record]:
    """Return all records of a kind that were ever told of, with what holds now."""
    every: list[Record] = []
    after = ""
    while True:
        rows = await conn.fetch(HOLDING, tenant_id, kind, after, now, page)
        every += rows
        if len(rows) < page:
            return every
        after = rows[-1]["record_id"]


async def town_held(dsn: str, tenant_id: str, keys: KeyRing, page: int = PAGE) -> Town:
    """Return what a town holds now, read a page at a time.

    Raises:
        CannotOpen: the keys are not those that it was sealed with.
    """
    async with opened(dsn) as conn, conn.transaction(isolation="repeatable_read", readonly=True):
        now = await town_now(conn, tenant_id)
        known = {
            (kind, row["record_id"]): row
            for kind in (*_BESIDE, *LAYOUTS)
            for row in await _holding(conn, tenant_id, kind, now, page)
        }
        profile = await elements.newest_profile(conn, tenant_id)
    there = {key: row["body"] for key, row in known.items() if row["body"] is not None}
    begun = {key for key, row in known.items() if row["begun"]}
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
        {key: row["newest"] for key, row in known.items()},
        frozenset(begun - there.keys()),
        aliases,
        profile and profile[1],
    )


async def note_export(dsn: str, tenant_id: str, actor: str, counts: Mapping[str, int]) -> None:
    """Write in the audit log who takes the registry out, before anything is handed over."""
    fields = tuple(f"{kind}:{count}" for kind, count in sorted(counts.items()))
    act = Act(tenant_id, actor, "registry.export", "registry", fields=fields)
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


# What a record said before a batch is what held when the batch began to hold, as known before it.
BATCH = """
SELECT one.kind, one.record_id, one.version, before.body AS before, later.change_set_id AS since
FROM registry_record AS one
LEFT JOIN LATERAL (
    SELECT body
    FROM registry_record AS record
    WHERE record.tenant_id = one.tenant_id AND record.kind = one.kind
        AND record.record_id = one.record_id AND record.version < one.version
        AND record.valid_from <= one.valid_from
    ORDER BY record.valid_from DESC, record.version DESC
    LIMIT 1
) AS before ON TRUE
LEFT JOIN registry_record AS later
    ON later.tenant_id = one.tenant_id AND later.kind = one.kind
    AND later.record_id = one.record_id AND later.version = one.version + 1
WHERE one.tenant_id = $1 AND one.change_set_id = $2 AND (one.kind, one.record_id) > ($3, $4)
ORDER BY one.kind, one.record_id
LIMIT $5
"""


async def replaced_by(
    dsn: str, tenant_id: str, batch: str, keys: KeyRing, page: int = PAGE
) -> Sequence[Replaced]:
    """Return the records of a batch with what each took the place of."""
    every: list[Replaced] = []
    after = ("", "")
    async with opened(dsn) as conn, conn.transaction(isolation="repeatable_read", readonly=True):
        while True:
            rows = await conn.fetch(BATCH, tenant_id, batch, *after, page)
            every += [_replaced(tenant_id, row, keys) for row in rows]
            if len(rows) < page:
                return every
            after = rows[-1]["kind"], rows[-1]["record_id"]


def _replaced(tenant_id: str, row: Record, keys: KeyRing) -> Replaced:
    before = row["before"]
    return Replaced(
        row["kind"],
        row["record_id"],
        row["version"],
        before and unsealed(keys, tenant_id, row["record_id"], before),
        row["since"],
    )
