"""The audit log: acts written with what they tell of, and the chain that is sealed behind them.

`write` is the one way in. Both tables only grow; a change of them is refused by the database.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import asyncpg

from services.chassis.postgres import Connection
from services.ledger.domain.audit import Act, Link, Row

_LOCK = 4716  # of the advisory lock: one sealer at a time
_FETCHED, _LOOSE_MAX = 2_000, 1_000

WRITE = """
WITH act AS (
    INSERT INTO audit (
        tenant_id, actor, on_behalf, verb, object, fields, reason, request_id, decision,
        before_digest, after_digest
    )
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
    RETURNING seq, at
)
INSERT INTO audit_unsealed (seq, at)
SELECT seq, at
FROM act
"""


async def write(conn: Connection, act: Act) -> None:
    """Write an act in the caller's transaction: the one that does it, or that reads for it."""
    who = (act.tenant_id, act.actor, act.on_behalf, act.verb, act.object, list(act.fields))
    how = (act.reason, act.request_id, act.decision, act.before_digest, act.after_digest)
    await conn.execute(WRITE, *who, *how)


TAKE_TURN = "SELECT pg_try_advisory_xact_lock($1)"


async def take_turn(conn: Connection) -> bool:
    """Take the sealers' turn until the transaction ends; False if another has it."""
    mine: bool = await conn.fetchval(TAKE_TURN, _LOCK)
    return mine


# What is not committed yet is not seen, and waits here until it is: none is passed over.
UNSEALED = """
SELECT seq, audit.at, tenant_id, actor, on_behalf, verb, object, fields, reason, request_id,
    decision, before_digest, after_digest
FROM audit_unsealed
JOIN audit USING (seq)
ORDER BY seq
LIMIT $1
"""


async def unsealed(conn: Connection, rows_max: int) -> list[Row]:
    """Return the oldest acts that have no place in the chain yet."""
    return [_row(dict(one)) for one in await conn.fetch(UNSEALED, rows_max)]


HEADS = """
SELECT given.tenant_id, head.n, head.seq, head.hash
FROM unnest($1::text[]) AS given(tenant_id)
CROSS JOIN LATERAL (
    SELECT n, seq, hash
    FROM audit_seal
    WHERE audit_seal.tenant_id = given.tenant_id
    ORDER BY n DESC
    LIMIT 1
) AS head
"""


async def heads(conn: Connection, tenants: Sequence[str]) -> dict[str, Link]:
    """Return the last link of each of these towns that has one."""
    return {one["tenant_id"]: Link(**one, row=None) for one in await conn.fetch(HEADS, tenants)}


SEAL = """
INSERT INTO audit_seal (tenant_id, n, seq, hash)
SELECT tenant_id, n, seq, hash
FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bytea[]) AS given(tenant_id, n, seq, hash)
"""
SEALED = "DELETE FROM audit_unsealed WHERE seq = ANY($1::bigint[])"


async def seal(conn: Connection, links: Sequence[Link]) -> None:
    """Append links to their towns' chains; the caller has the turn."""
    columns = ([getattr(one, name) for one in links] for name in ("tenant_id", "n", "seq", "hash"))
    await conn.execute(SEAL, *columns)
    await conn.execute(SEALED, [one.seq for one in links])


WAITING = """
SELECT count(*) AS waiting,
    coalesce(extract(epoch FROM clock_timestamp() - min(at)), 0)::float8 AS age_s
FROM audit_unsealed
"""


async def waiting(conn: Connection) -> tuple[int, float]:
    """Return how many acts are not sealed yet, and for how many seconds the oldest has not been."""
    (row,) = await conn.fetch(WAITING)
    return row["waiting"], max(row["age_s"], 0.0)


TENANTS = """
WITH RECURSIVE town AS (
    (SELECT tenant_id FROM audit_seal ORDER BY tenant_id LIMIT 1)
    UNION ALL
    SELECT (
        SELECT tenant_id
        FROM audit_seal
        WHERE audit_seal.tenant_id > town.tenant_id
        ORDER BY tenant_id
        LIMIT 1
    )
    FROM town
    WHERE town.tenant_id IS NOT NULL
)
SELECT tenant_id
FROM town
WHERE tenant_id IS NOT NULL
LIMIT 100000
"""


async def tenants(conn: Connection) -> list[str]:
    """Return the towns that have a chain."""
    return [one["tenant_id"] for one in await conn.fetch(TENANTS)]


LINKS = """
SELECT link.tenant_id, link.n, link.seq, link.hash, act.seq AS there, act.tenant_id AS town, act.at,
    act.actor, act.on_behalf, act.verb, act.object, act.fields, act.reason, act.request_id,
    act.decision, act.before_digest, act.after_digest
FROM audit_seal AS link
LEFT JOIN audit AS act ON act.seq = link.seq
WHERE link.tenant_id = $1 AND link.n >= $2
ORDER BY link.n
"""


async def links(conn: Connection, tenant_id: str, since: int = 0) -> AsyncIterator[Link]:
    """Read a town's chain from a place on, with its rows; within a transaction."""
    async for one in conn.cursor(LINKS, tenant_id, since, prefetch=_FETCHED):
        row = None if one["there"] is None else _row({**one, "tenant_id": one["town"]})
        yield Link(one["tenant_id"], one["n"], one["seq"], one["hash"], row)


LOOSE = """
SELECT seq, coalesce(act.tenant_id, '') AS tenant_id, act.seq IS NULL AS gone
FROM audit AS act
FULL JOIN audit_unsealed AS queued USING (seq)
WHERE ($1::text IS NULL OR act.tenant_id = $1)
    AND (act.seq IS NULL OR queued.seq IS NULL)
    AND NOT EXISTS (SELECT FROM audit_seal AS link WHERE link.seq = act.seq)
ORDER BY seq
LIMIT $2
"""


async def loose(conn: Connection, tenant_id: str | None) -> list[tuple[str, int, bool]]:
    """Return what no link holds: rows that wait for none, and those that wait and are gone.

    Of each its town (none of what is gone), its number, and whether it is gone.
    """
    rows = await conn.fetch(LOOSE, tenant_id, _LOOSE_MAX)
    return [(one["tenant_id"], one["seq"], one["gone"]) for one in rows]


LATEST = """
SELECT act.seq, act.at, act.tenant_id, actor, on_behalf, verb, object, fields, reason, request_id,
    decision, before_digest, after_digest, link.n
FROM audit AS act
LEFT JOIN audit_seal AS link ON link.seq = act.seq
WHERE ($1::text IS NULL OR act.tenant_id = $1)
ORDER BY act.seq DESC
LIMIT $2
"""


async def latest(conn: Connection, tenant_id: str | None, limit: int) -> list[asyncpg.Record]:
    """Return the last acts, newest first, each with its place in the chain, if it has one."""
    return list(await conn.fetch(LATEST, tenant_id, limit))


def _row(one: Mapping[str, Any]) -> Row:
    names = ("reason", "on_behalf", "request_id", "decision", "before_digest", "after_digest")
    said = (one["tenant_id"], one["actor"], one["verb"], one["object"], tuple(one["fields"]))
    return Row(one["seq"], one["at"], Act(*said, **{name: one[name] for name in names}))
