"""The boards as they stand: looked at once for all who watch, never once per browser."""

import asyncio
import contextlib
import secrets
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

import structlog

from services.chassis.batch import is_passing
from services.chassis.clock import database_now
from services.chassis.postgres import Connection, Pool
from services.console import snapshot
from services.console.settings import ConsoleSettings
from services.console.snapshot import Snapshot
from services.console.store import look
from services.console.towns import Town, Towns

log = structlog.get_logger()

_SEEN_MAX = 16
_UNWATCHED_S = 60.0
_OUTAGE_WAIT_S = 1.0


@dataclass(eq=False)
class _Kept:
    """What is kept of one town: its last looks, the newest at the end."""

    looks: deque[Snapshot] = field(default_factory=lambda: deque(maxlen=_SEEN_MAX))
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    watchers: int = 0
    asked_at: float = 0.0
    checked_at: float = float("-inf")

    @property
    def newest(self) -> Snapshot | None:
        return self.looks[-1] if self.looks else None


class Boards:
    """Looks at the towns that are watched, and at others when they are asked for."""

    def __init__(self, settings: ConsoleSettings, pool: Pool, towns: Towns) -> None:
        self._settings, self._pool, self._towns = settings, pool, towns
        self._kept: dict[str, _Kept] = {}
        self._boot, self._count = secrets.token_hex(4), 0
        self._looked_at = float("-inf")
        self.closing = False

    @property
    def unseen_s(self) -> float:
        """How long ago the database was looked at."""
        return time.monotonic() - self._looked_at

    @property
    def streams(self) -> int:
        return sum(kept.watchers for kept in self._kept.values())

    def newest(self, tenant_id: str) -> Snapshot | None:
        kept = self._kept.get(tenant_id)
        return kept.newest if kept else None

    def seen(self, tenant_id: str, look_id: str) -> Snapshot | None:
        """Return an earlier look, while it is kept."""
        kept = self._kept.get(tenant_id)
        return next((one for one in kept.looks if one.id == look_id), None) if kept else None

    @contextmanager
    def watching(self, tenant_id: str) -> Iterator[None]:
        """Have a town looked at while the block lasts."""
        kept = self._kept.setdefault(tenant_id, _Kept())
        kept.watchers += 1
        try:
            yield
        finally:
            kept.watchers -= 1
            kept.asked_at = time.monotonic()

    async def board(self, tenant_id: str, town: Town) -> Snapshot:
        """Return a town's board, at the oldest from one round of looking ago."""
        kept = self._kept.setdefault(tenant_id, _Kept())
        kept.asked_at = time.monotonic()
        async with kept.lock:
            fresh = time.monotonic() - kept.checked_at < self._settings.look_wait_s
            if kept.newest is not None and fresh:
                return kept.newest
            async with self._pool.acquire() as conn:
                versions = await look.versions(conn, [tenant_id])
                real = await database_now(conn)
                return await self._renewed(conn, tenant_id, town, versions, real)

    async def run(self, stopping: asyncio.Event) -> None:
        """Look at what is watched until told to stop."""
        while not stopping.is_set():
            wait_s = self._settings.look_wait_s
            try:
                await self.look()
            except Exception as error:
                if not is_passing(error):
                    raise
                wait_s = max(wait_s, _OUTAGE_WAIT_S)
                log.warning("board_not_seen", error=repr(error))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), wait_s)

    async def look(self) -> None:
        """Renew what is watched and has changed: by facts, by the registry or by time."""
        watched = [tenant_id for tenant_id, kept in self._kept.items() if kept.watchers]
        async with self._pool.acquire() as conn:
            versions = await look.versions(conn, watched)
            real = await database_now(conn)
        for tenant_id in watched:
            town = self._towns.get(tenant_id)
            if town is not None:
                async with self._kept[tenant_id].lock, self._pool.acquire() as conn:
                    await self._renewed(conn, tenant_id, town, versions, real)
        self._looked_at = time.monotonic()
        self._forget()

    async def _renewed(
        self,
        conn: Connection,
        tenant_id: str,
        town: Town,
        versions: Mapping[str, int],
        real: datetime,
    ) -> Snapshot:
        """Return the newest look if it stands, or look anew and wake those who watch."""
        kept = self._kept[tenant_id]
        before = kept.newest
        kept.checked_at = time.monotonic()
        if before is not None and before.stands(versions.get(tenant_id, 0), real):
            return before
        self._count += 1
        id_ = f"{self._boot}-{self._count}"
        found = await snapshot.read(conn, id_, tenant_id, town, real, self._settings.rows_max)
        kept.looks.append(found)
        if before is not None:
            before.superseded.set()
        return found

    def _forget(self) -> None:
        """Drop the towns that nobody has asked for lately."""
        until = time.monotonic() - _UNWATCHED_S
        for tenant_id, kept in list(self._kept.items()):
            if not kept.watchers and kept.asked_at < until and not kept.lock.locked():
                del self._kept[tenant_id]

    def close(self) -> None:
        """Let everybody who watches look up and go."""
        self.closing = True
        for kept in self._kept.values():
            if kept.newest is not None:
                kept.newest.superseded.set()
