"""One town's board at one moment: what is shown, and until when time alone leaves it so."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from services.chassis.postgres import Connection
from services.console.domain.board import BoardRow
from services.console.domain.spoken import day_of
from services.console.domain.summary import Counts
from services.console.store import look
from services.console.store.look import StateCount, ToldAct
from services.console.towns import Town

ACTS_SHOWN = 12


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A board as it was looked at, at `now` in the town's time: `offset` ahead of the real one."""

    id: str
    tenant_id: str
    town: Town
    town_changes: int
    version: int
    now: datetime
    offset: timedelta
    until: datetime
    read_at: float
    fact_at: datetime | None
    rows: Sequence[BoardRow]
    states: Sequence[StateCount]
    counts: Counts
    acts: Sequence[ToldAct]
    superseded: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def now_ms(self) -> int:
        """The town's time at this moment: the database's, and our own count since."""
        return round((self.now.timestamp() + time.monotonic() - self.read_at) * 1000)

    def stands(self, version: int, real: datetime) -> bool:
        """Tell whether a look now would find the same."""
        same = self.version == version and self.town_changes == self.town.changes
        now = self.town.now(real)
        return same and now - real == self.offset and now < self.until


async def read(
    conn: Connection, id_: str, tenant_id: str, town: Town, real: datetime, rows_max: int
) -> Snapshot:
    """Look at a board: all of it as of one moment."""
    read_at, changes, now = time.monotonic(), town.changes, town.now(real)
    begins, ends = day_of(now, town.zone)
    async with conn.transaction(isolation="repeatable_read", readonly=True):
        version = (await look.versions(conn, [tenant_id])).get(tenant_id, 0)
        states = await look.states(conn, tenant_id, now)
        received, closed = await look.day(conn, tenant_id, begins, ends)
        awaited, missed = await look.awaited(conn, tenant_id)
        rows = await look.rows(conn, tenant_id, now, rows_max)
        acts = await look.acts(conn, tenant_id, ACTS_SHOWN)
        fact_at = await look.fact_at(conn, tenant_id)
    return Snapshot(
        id=id_,
        tenant_id=tenant_id,
        town=town,
        town_changes=changes,
        version=version,
        now=now,
        offset=now - real,
        until=min([ends, *(one.next_at for one in states if one.next_at is not None)]),
        read_at=read_at,
        fact_at=fact_at,
        rows=rows,
        states=states,
        counts=Counts(
            received=received,
            closed=closed,
            open=sum(one.open for one in states),
            untaken=sum(one.untaken for one in states),
            soon=sum(one.soon for one in states),
            late=sum(one.late for one in states),
            untold=sum(one.untold for one in states),
            awaited=awaited,
            missed=missed,
        ),
        acts=acts,
    )
