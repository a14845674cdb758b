"""The sealer: links what was written to the chain of its town, a moment later, one at a time.

Acts are written unchained, so that no writer waits for another; until they are sealed, a change
of them does not show. What a sealer that died has left is sealed by the next.
"""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from itertools import groupby
from operator import attrgetter

import structlog

from services.chassis.batch import is_passing, told
from services.chassis.crash import crash_point
from services.chassis.postgres import Pool
from services.ledger import anchors
from services.ledger.domain.audit import Link, Row, beginning, linked
from services.ledger.settings import LedgerSettings
from services.ledger.store import audit, wall
from services.telemetry.looks import at_each_scrape
from services.telemetry.metrics import gauge

log = structlog.get_logger()


class Sealer:
    """Seals, and notes the heads outside the database. Any number of processes may run one."""

    def __init__(self, settings: LedgerSettings, pool: Pool) -> None:
        self._settings, self._pool = settings, pool
        self._anchored: dict[str, int] = {}  # by town, the place last noted by this process
        self._anchored_at = float("-inf")
        at_each_scrape("audit", self.look)

    async def look(self) -> None:
        """Tell how many acts wait to be sealed, and for how long."""
        async with wall.across(self._pool) as conn:
            waiting, age_s = await audit.waiting(conn)
        gauge("chuishao_audit_unsealed_rows", waiting)
        gauge("chuishao_audit_unsealed_age_seconds", age_s)

    async def run(self, stopping: asyncio.Event) -> None:
        """Seal until `stopping`; what is written meanwhile waits for the next start."""
        while not stopping.is_set():
            try:
                full = await self.round() == self._settings.audit_seal_rows_max
                await self.anchor()
            except Exception as error:
                if not is_passing(error):
                    raise
                log.warning("audit_seal_waited", error=told(error))
                full = False
            if not full:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stopping.wait(), self._settings.audit_seal_wait_s)

    async def round(self) -> int:
        """Seal the oldest acts, a bounded number; return how many: none while another seals."""
        async with wall.across(self._pool) as conn, conn.transaction():
            if not await audit.take_turn(conn):
                return 0
            rows = await audit.unsealed(conn, self._settings.audit_seal_rows_max)
            if not rows:
                return 0
            heads = await audit.heads(conn, sorted({row.act.tenant_id for row in rows}))
            for town, links in groupby(_links(rows, heads), attrgetter("tenant_id")):
                await wall.turn_to(conn, town)
                await audit.seal(conn, [*links])
            crash_point("before_seal")
        crash_point("after_seal")
        return len(rows)

    async def anchor(self) -> None:
        """Note the heads that have moved, if the last time is long enough ago."""
        path, now = self._settings.audit_anchor_path, time.monotonic()
        if path is None or now - self._anchored_at < self._settings.audit_anchor_wait_s:
            return
        async with wall.across(self._pool) as conn:
            heads = await audit.heads(conn, await audit.tenants(conn))
        moved = [one for one in heads.values() if one.n != self._anchored.get(one.tenant_id)]
        if moved:
            await asyncio.to_thread(anchors.note, path, moved)
            self._anchored |= {one.tenant_id: one.n for one in moved}
        self._anchored_at = now


def _links(rows: Sequence[Row], heads: dict[str, Link]) -> list[Link]:
    """Link rows to the heads of their towns, town by town, in their order; `heads` moves along."""
    links = []
    for row in sorted(rows, key=lambda row: row.act.tenant_id):
        town = row.act.tenant_id
        head = heads.get(town)
        n, before = (0, beginning(town)) if head is None else (head.n, head.hash)
        heads[town] = Link(town, n + 1, row.seq, linked(before, row), row)
        links.append(heads[town])
    return links
