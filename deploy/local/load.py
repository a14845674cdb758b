"""A steady stream of reports from one front end, which logs what it was told.

Open loop: reports leave at their times whatever becomes of the earlier ones, so that a stall does
not hide. A report that was not confirmed is sent again with the same key until it is.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import aiohttp

ACCEPTED = 202
RETRY_S = 0.5
REQUEST_TIMEOUT_S = 6.0


@dataclass(slots=True)
class Sent:
    """One report as its sender knows it."""

    key: str
    case_id: UUID | None = None
    tracking_code: str = ""
    tries: int = 0
    confirmed_s: float = 0.0  # how long the confirming try took
    refused: list[tuple[int, float]] = field(default_factory=list)  # status (0: no answer), seconds


@dataclass(slots=True)
class Log:
    """What the sender knows: every report, and those that were answered with 202."""

    sent: list[Sent] = field(default_factory=list)

    @property
    def accepted(self) -> list[Sent]:
        return [one for one in self.sent if one.case_id is not None]

    @property
    def refusals(self) -> list[tuple[int, float]]:
        return [refusal for one in self.sent for refusal in one.refused]


class Load:
    """Sends reports at a rate until told to stop."""

    def __init__(
        self, url: str, api_key: str, bodies: Iterator[dict[str, Any]], name: str = "load"
    ) -> None:
        self._url, self._api_key, self._bodies, self._name = url, api_key, bodies, name
        self.log = Log()

    async def run(self, rate: float, stop: asyncio.Event, patience_s: float = 120.0) -> Log:
        """Send until `stop` or the end, then wait until all is confirmed, or patience ends."""
        async with sender(self._url) as client, asyncio.TaskGroup() as tasks:
            started = time.monotonic()
            for count, body in enumerate(self._bodies):
                await asyncio.sleep(max(0, started + count / rate - time.monotonic()))
                if stop.is_set():
                    break
                one = Sent(f"{self._name}-{count}")
                self.log.sent.append(one)
                tasks.create_task(self._confirm(client, one, body, stop, patience_s))
        return self.log

    async def _confirm(
        self,
        client: aiohttp.ClientSession,
        one: Sent,
        body: dict[str, Any],
        stop: asyncio.Event,
        patience_s: float,
    ) -> None:
        deadline = None
        while one.case_id is None:
            wait_s = await self._post(client, one, body)
            if one.case_id is None:
                if stop.is_set() and deadline is None:
                    deadline = time.monotonic() + patience_s
                if deadline is not None and time.monotonic() > deadline:
                    return
                await asyncio.sleep(wait_s)

    async def _post(self, client: aiohttp.ClientSession, one: Sent, body: dict[str, Any]) -> float:
        """Send once; return after how long to send again, as the answer asks for it."""
        headers = {"X-Api-Key": self._api_key, "Idempotency-Key": one.key}
        started = time.monotonic()
        one.tries += 1
        try:
            async with client.post("/v1/cases", json=body, headers=headers) as answer:
                status, accepted = answer.status, await answer.json(content_type=None)
                wait_s = float(answer.headers.get("Retry-After", RETRY_S))
        except (aiohttp.ClientError, OSError, ValueError):
            status, accepted, wait_s = 0, {}, RETRY_S
        if status == ACCEPTED:
            one.case_id = UUID(accepted["case_id"])
            one.tracking_code = accepted["tracking_code"]
            one.confirmed_s = time.monotonic() - started
        else:
            one.refused.append((status, time.monotonic() - started))
        return wait_s


@asynccontextmanager
async def sender(url: str, connections: int = 200) -> AsyncIterator[aiohttp.ClientSession]:
    """Open a client for many requests at once."""
    timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S)
    connector = aiohttp.TCPConnector(limit=connections)
    async with aiohttp.ClientSession(url, timeout=timeout, connector=connector) as client:
        yield client
