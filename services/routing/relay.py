"""Routing's outbox gives way while many moments come at once."""

import asyncio
import time

from faststream.kafka import KafkaBroker

from services.chassis.outbox import Relay
from services.chassis.postgres import Pool
from services.routing.settings import RoutingSettings

_HELD_S_MAX = 5.0


class GivingWay(Relay):
    """Begins no round from one full batch of timers to the next, for a few seconds at most.

    What a burst announces is relayed, and then followed by every service. All of that would take
    the processor from the firing, and what is due last would be decided late for it.
    """

    def __init__(self, settings: RoutingSettings, pool: Pool, broker: KafkaBroker) -> None:
        super().__init__(settings, pool, broker)
        self._full = settings.timer_batch_max
        self._free, self._calm_at = asyncio.Event(), time.monotonic()
        self._free.set()

    def fired(self, timers: int) -> None:
        """Hear how many timers a batch had: the next follows a full one at once."""
        now = time.monotonic()
        if timers < self._full:
            self._calm_at = now
        if timers == self._full and now - self._calm_at < _HELD_S_MAX:
            self._free.clear()
            return
        self._free.set()
        if timers:
            self.wake()

    async def round(self) -> int:
        try:
            await asyncio.wait_for(self._free.wait(), _HELD_S_MAX)
        except TimeoutError:
            self._free.set()  # the next batch hangs: what the last one told goes out meanwhile
        return await super().round()
