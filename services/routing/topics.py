"""The topics of departments: looked for while one is missing; what waited for it goes out then."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any

import structlog
from aiokafka.admin import AIOKafkaAdminClient

from contracts.events import Event
from contracts.facts import TASK_FACTS
from contracts.topics import department_topic
from services.chassis.batch import is_passing
from services.chassis.postgres import Connection, Pool
from services.routing.settings import RoutingSettings
from services.routing.store import cases
from services.routing.store import tasks as store
from services.routing.store.cases import Key
from services.routing.tasks import SOURCE, send

log = structlog.get_logger()

_CASES_MAX = 200
Topics = Callable[[], Awaitable[Collection[str]]]


async def topics_of(bootstrap: str) -> Collection[str]:
    """Return the names of the broker's topics."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        await admin.start()
        names: list[str] = await admin.list_topics()
        return names
    finally:
        await admin.close()


class TopicWatch:
    """Looks until told to stop. `topics` tells what the broker has; asked while one is missing."""

    def __init__(
        self, settings: RoutingSettings, pool: Pool, topics: Topics, announced: Callable[[], None]
    ) -> None:
        self._wait_s, self._pool = settings.topic_wait_s, pool
        self._topics, self._announced, self._waiting = topics, announced, 0

    async def run(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            sent = 0
            try:
                sent = await self.look()
            except Exception as error:
                if not is_passing(error):
                    raise
                log.warning("topics_not_looked_at", error=repr(error))
            if sent < _CASES_MAX:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stopping.wait(), self._wait_s)

    async def look(self) -> int:
        """Look once; return of how many cases something was sent that had waited."""
        missing = await store.without_topic(self._pool)
        if missing:
            there = set(await self._topics())
            found = [one for one in missing if department_topic(*one).name in there]
            if found:
                await store.see_topics(self._pool, found)
                log.info("department_topics_seen", count=len(found))
        keys = await store.held_cases(self._pool, _CASES_MAX)
        if keys:
            async with self._pool.acquire() as conn, conn.transaction():
                await self._send_held(conn, keys)
            self._announced()
        waiting, first = await store.held(self._pool)
        if waiting not in (0, self._waiting):
            log.error("tasks_held", count=waiting, topic=first)
        self._waiting = waiting
        return len(keys)

    async def _send_held(self, conn: Connection, keys: Sequence[Key]) -> None:
        await cases.lock(conn, keys)
        held = await store.send_held(conn, keys)
        await send(conn, [(row["department"], _kept(row)) for row in held])


def _kept(row: Mapping[str, Any]) -> Event:
    """Return a task as it was told when it was kept."""
    return Event(
        event_id=row["task_id"],
        tenant_id=row["tenant_id"],
        subject_id=row["case_id"],
        occurred_at=row["occurred_at"],
        source=SOURCE,
        data=TASK_FACTS[row["type"]].model_validate(row["body"]),
        seq=row["task_seq"],
    )
