"""A queue of things to do at their time."""

import asyncio
import heapq
from itertools import count
from typing import Generic, TypeVar

import structlog

log = structlog.get_logger("sandbox")
T = TypeVar("T")


class DueQueue(Generic[T]):
    """Things to do at their time; bounded, and the newest is turned away when it is full."""

    def __init__(self, items_max: int) -> None:
        self._items_max = items_max
        self._heap: list[tuple[float, int, T]] = []
        self._numbers = count()
        self._filled = asyncio.Event()

    def put(self, delay_s: float, item: T) -> None:
        if len(self._heap) >= self._items_max:
            log.warning("receipt_turned_away", pending=len(self._heap))
            return
        due = asyncio.get_running_loop().time() + delay_s
        heapq.heappush(self._heap, (due, next(self._numbers), item))
        self._filled.set()

    def clear(self) -> None:
        self._heap.clear()

    async def take(self, items_max: int) -> list[T]:
        """Wait until something is due; then all that is, as far as it is allowed."""
        while True:
            now = asyncio.get_running_loop().time()
            taken: list[T] = []
            while self._heap and self._heap[0][0] <= now and len(taken) < items_max:
                taken.append(heapq.heappop(self._heap)[2])
            if taken:
                return taken
            self._filled.clear()
            wait_s = self._heap[0][0] - now if self._heap else None
            try:
                await asyncio.wait_for(self._filled.wait(), wait_s)
            except TimeoutError:
                continue
