"""What is looked at when `/metrics` is asked: how far behind, what waits, what is in use.

So nothing is looked at where nobody asks. A look that fails, or takes too long, is counted, and
its gauges stay as last seen.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol, TypeAlias

from services.telemetry.metrics import count, gauge

Look: TypeAlias = Callable[[], Awaitable[object]]
Subscriber: TypeAlias = Any  # neither FastStream's subscribers nor aiokafka's consumers have types
Partition: TypeAlias = Any
_LOOK_WAIT_S = 1.0
_SEEN_MAX = 1_000
_looks: dict[str, Look] = {}


def at_each_scrape(what: str, look: Look) -> None:
    """Look whenever `/metrics` is asked; by one name there is one look."""
    _looks[what] = look


async def look() -> None:
    """Look at everything, at once."""
    await asyncio.gather(*(_try(what, one) for what, one in list(_looks.items())))


async def _try(what: str, one: Look) -> None:
    try:
        await asyncio.wait_for(one(), _LOOK_WAIT_S)
    except Exception:  # noqa: BLE001 - whatever it is, the other metrics are wanted
        count("chuishao_looks_failed_total", what=what)


class PoolLike(Protocol):
    """A pool of connections, as asyncpg's."""

    def get_size(self) -> int: ...
    def get_idle_size(self) -> int: ...
    def get_max_size(self) -> int: ...


def watch_pool(pool: PoolLike) -> None:
    """Tell of a pool's connections."""

    async def use() -> None:
        gauge("chuishao_pool_in_use", pool.get_size() - pool.get_idle_size())
        gauge("chuishao_pool_max", pool.get_max_size())

    at_each_scrape("pool", use)


class Behind:
    """Tells how long what is unread has waited, by where a partition ended when it was seen.

    It never says too little once it has seen a partition; what was there before counts from then.
    """

    def __init__(self) -> None:
        self._seen: dict[Partition, deque[tuple[int, float]]] = {}

    def seconds(
        self, ends: Mapping[Partition, int], read: Mapping[Partition, int], now: float
    ) -> dict[Partition, float]:
        """Take what was seen at `now` (monotonic seconds); return for how long each is behind."""
        self._seen = {place: self._seen.get(place, deque()) for place in ends}
        waited = {}
        for place, end in ends.items():
            seen = self._seen[place]
            if len(seen) == _SEEN_MAX:
                seen.append((end, seen.pop()[1]))
            elif not seen or seen[-1][0] < end:
                seen.append((end, now))
            while seen and read[place] >= seen[0][0]:
                seen.popleft()
            waited[place] = now - seen[0][1] if seen else 0.0
        return waited


def watch_lag(group: str, topics: list[str], subscriber: Subscriber) -> None:
    """Tell how far a group is behind, on those partitions that this process has."""
    behind = Behind()

    async def lag() -> None:
        consumer = subscriber.consumer
        places = list(consumer.assignment())
        ends = await consumer.end_offsets(places) if places else {}
        read = {place: await consumer.position(place) for place in places}
        waited = behind.seconds(ends, read, time.monotonic())
        for topic in topics:
            mine = [place for place in places if place.topic == topic]
            about = {"topic": topic, "group": group}
            gauge("chuishao_lag_records", sum(ends[one] - read[one] for one in mine), **about)
            gauge("chuishao_lag_seconds", max((waited[one] for one in mine), default=0), **about)

    at_each_scrape(f"lag of {group}", lag)
