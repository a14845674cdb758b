"""Tells whether the board has heard all that was announced: a silent board must not look calm."""

import asyncio
import contextlib
import time
from collections.abc import Mapping

from aiokafka import TopicPartition

from contracts.topics import ROUTING_EVENTS
from services.chassis import inbox
from services.chassis.batch import Consumer, is_passing
from services.chassis.kafka import end_offsets
from services.chassis.postgres import Pool

_LOOK_WAIT_S = 2.0
_LOOK_DEADLINE_S = 4.0


class Hearing:
    """Compares the topic's ends with what has been processed, again and again."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._wanted: tuple[Mapping[int, int], float] | None = None
        self._first: Mapping[int, int] | None = None
        self._heard_at = float("-inf")

    @property
    def silent_s(self) -> float:
        """How long ago it was that all announced by then had been heard."""
        return time.monotonic() - self._heard_at

    async def run(self, consumer: Consumer, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            try:
                async with asyncio.timeout(_LOOK_DEADLINE_S):
                    await self.look(consumer)
            except Exception as error:
                if not is_passing(error):
                    raise
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), _LOOK_WAIT_S)

    async def look(self, consumer: Consumer) -> None:
        """Note the ends; once they have been processed, all up to that moment has been heard."""
        if self._first is None:
            self._first = await _first_offsets(consumer)
        if self._wanted is None:
            at = time.monotonic()  # before the ends are read: they are at least as new
            ends = await end_offsets(consumer, ROUTING_EVENTS.name, ROUTING_EVENTS.partitions)
            self._wanted = ends, at
        wanted, at = self._wanted
        done = await inbox.processed(self._pool, ROUTING_EVENTS.name)
        if all(max(done.get(n, 0), self._first.get(n, 0)) >= end for n, end in wanted.items()):
            self._heard_at, self._wanted = at, None


async def _first_offsets(consumer: Consumer) -> Mapping[int, int]:
    """Return where each partition begins: what is older than the topic keeps is not waited for."""
    places = [TopicPartition(ROUTING_EVENTS.name, n) for n in range(ROUTING_EVENTS.partitions)]
    return {p.partition: first for p, first in (await consumer.beginning_offsets(places)).items()}
