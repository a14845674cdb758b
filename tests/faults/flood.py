"""A flood of requests that costs its sender little: bytes made beforehand, answers barely read.

Open loop: requests leave at their times, whatever becomes of the earlier ones. Many senders, not
one queue: who finds no free connection has not got through, and who waits too long gives up.
"""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import cast

GIVE_UP_S = 5.0
GAVE_UP, NO_LINE = 0, 1  # beside the statuses of HTTP
_HEAD_END = b"\r\n\r\n"
_LENGTH = b"content-length: "


@dataclass
class Told:
    """What each kind of request was answered, and how long that took from when it was due."""

    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    seconds: dict[tuple[str, int], list[float]] = field(default_factory=lambda: defaultdict(list))
    without_retry_after: int = 0

    def of(self, status: int, *kinds: str) -> int:
        found = self.answers.items()
        return sum(n for (kind, one), n in found if one == status and (not kinds or kind in kinds))

    def note(self, kind: str, status: int, seconds: float, head: bytes) -> None:
        self.answers[kind, status] += 1
        self.seconds[kind, status].append(seconds)
        if status in (429, 503) and b"retry-after" not in head.lower():
            self.without_retry_after += 1

    def percentile(self, share: float, status: int, *kinds: str) -> float:
        """Return the time under which this share of such answers stayed, in seconds."""
        every = sorted(
            one
            for (k, s), all_ in self.seconds.items()
            if s == status and k in kinds
            for one in all_
        )
        return every[min(len(every) - 1, int(len(every) * share))] if every else 0.0


class _Wire(asyncio.Protocol):
    """One connection, on which one request at a time is answered."""

    def __init__(self) -> None:
        self._got = bytearray()
        self._answer: asyncio.Future[bytes] | None = None
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._got += data
        end = self._got.find(_HEAD_END)
        if end < 0:
            return
        head = bytes(self._got[:end]).lower()
        at = head.find(_LENGTH)
        length = int(head[at + len(_LENGTH) :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(self._got) >= end + len(_HEAD_END) + length:
            self._got.clear()
            if self._answer is not None and not self._answer.done():
                self._answer.set_result(head)

    def connection_lost(self, error: Exception | None) -> None:
        self.transport = None
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error or ConnectionResetError())

    async def ask(self, request: bytes) -> bytes:
        """Send a request; return the head of its answer in small letters."""
        if self.transport is None:
            raise ConnectionResetError
        self._answer = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return await self._answer


class Flood:
    """Sends requests over so many connections."""

    def __init__(self, host: str, port: int, connections: int) -> None:
        self._place, self._count = (host, port), connections
        self._free: list[_Wire] = []
        self.told = Told()

    async def open(self) -> None:
        for _ in range(self._count):
            self._free.append(await self._connect())

    async def _connect(self) -> _Wire:
        _, wire = await asyncio.get_running_loop().create_connection(_Wire, *self._place)
        return wire

    def close(self) -> None:
        for wire in self._free:
            if wire.transport is not None:
                wire.transport.close()

    async def closed_loop(self, kind: str, make: Callable[[], bytes], seconds: float) -> None:
        """Keep every connection busy: as fast as it is answered."""
        until = time.monotonic() + seconds

        async def one() -> None:
            while time.monotonic() < until:
                await self.send(kind, make(), time.monotonic())

        await asyncio.gather(*(one() for _ in range(self._count)))

    async def open_loop(self, requests: Iterator[tuple[str, bytes]], rate: float, s: float) -> None:
        """Send at a rate, whatever becomes of the earlier ones."""
        began = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            for n in range(int(rate * s)):
                due = began + n / rate
                if (early := due - time.monotonic()) > 0:
                    await asyncio.sleep(early)
                elif n % 50 == 0:
                    await asyncio.sleep(0)
                kind, request = next(requests)
                tasks.create_task(self.send(kind, request, due))

    async def send(self, kind: str, request: bytes, due: float) -> None:
        """Send one request that was due at a moment; note what came of it."""
        if not self._free:
            self.told.note(kind, NO_LINE, 0, b"")
            return
        wire, head, status = self._free.pop(), b"", GAVE_UP
        try:
            async with asyncio.timeout(GIVE_UP_S):
                head = await wire.ask(request)
                status = int(head[9:12])
        except (TimeoutError, OSError):
            if wire.transport is not None:
                wire.transport.abort()
            wire = await self._connect()
        self._free.append(wire)
        self.told.note(kind, status, time.monotonic() - due, head)
