"""Verifying the audit log: every town's chain is followed, and held against the anchors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.chassis.postgres import Connection
from services.ledger.domain.audit import Anchor, Break, Chain
from services.ledger.store import audit

Anchors = Mapping[str, Mapping[int, Anchor]]  # by town and place


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found; whole if nothing is broken. `rows` are the links looked at."""

    rows: int
    tenants: int
    unsealed: int
    unsealed_s: float
    breaks: Sequence[Break]


async def verify(
    conn: Connection, anchors: Anchors, tenant_id: str | None = None, last: int | None = None
) -> Verdict:
    """Follow the chains of all towns, or of one; of each its `last` links alone, if given.

    The anchors must have been read before: an anchor that is newer than what is read is no fault.
    """
    rows, breaks = 0, list[Break]()
    async with conn.transaction(isolation="repeatable_read", readonly=True):
        kept = await audit.tenants(conn)
        towns = [tenant_id] if tenant_id else sorted({*kept, *anchors})
        for town in towns:
            seen, broken = await _follow(conn, Chain(town, anchors.get(town, {})), last)
            rows += seen
            breaks += [broken] if broken else []
        if last is None:
            breaks += await _loose(conn, tenant_id, {one.tenant_id for one in breaks})
        unsealed, age_s = await audit.waiting(conn)
    return Verdict(rows, len(towns), unsealed, age_s, breaks)


async def _follow(conn: Connection, chain: Chain, last: int | None) -> tuple[int, Break | None]:
    since, seen = 0, 0
    if last is not None:
        head = (await audit.heads(conn, [chain.tenant_id])).get(chain.tenant_id)
        since = 0 if head is None else head.n - last
    async for link in audit.links(conn, chain.tenant_id, since):
        if seen == 0 and since > 1:
            chain.begin_at(link)
        else:
            chain.feed(link)
        seen += 1
        if chain.ended:
            break
    return seen, chain.end()


async def _loose(conn: Connection, tenant_id: str | None, broken: set[str]) -> list[Break]:
    """Return, for each town whose chain is whole, the first row that the chain does not know."""
    found: dict[str, Break] = {}
    for town, seq, gone in await audit.loose(conn, tenant_id):
        if town not in broken:
            found.setdefault(town, Break(town, "deleted" if gone else "inserted", None, seq))
    return list(found.values())
