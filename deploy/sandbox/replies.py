"""Replies: what somebody answers on a phone is pushed as the provider pushes it (`SmsUp`).

Told at least once, one at a time, until it is taken, as receipts are.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from itertools import count

import httpx
import structlog

from deploy.sandbox.due import DueQueue
from deploy.sandbox.receipts import RETRY_FACTOR, china_time, confirms
from deploy.sandbox.settings import ReplySettings
from deploy.sandbox.truth import Message

DEST_CODE = "1069000000000"

log = structlog.get_logger("sandbox")


@dataclass(slots=True, eq=False)
class Reply:
    """One answer on its way to the callback."""

    body: dict[str, str | int]
    attempts: int = 0


class Replies:
    """Takes answers on the phones, and pushes them until they are taken."""

    def __init__(self, settings: ReplySettings, clock: Callable[[], datetime]) -> None:
        self._settings, self._clock = settings, clock
        self._due: DueQueue[Reply] = DueQueue(settings.pending_max)
        # The provider's numbers never come twice, not even after a restart.
        self._numbers = count(int(clock().timestamp() * 1_000_000))

    @property
    def connected(self) -> bool:
        """Whether anybody hears what is answered."""
        return self._settings.callback_url is not None

    def answer(self, to: Message, content: str) -> None:
        """Answer the last text that a phone has got."""
        body: dict[str, str | int] = {
            "phone_number": to.phone,
            "send_time": china_time(self._clock()),
            "content": content,
            "sign_name": to.sign_name,
            "dest_code": DEST_CODE,
            "sequence_id": next(self._numbers),
        }
        self._due.put(0, Reply(body))

    async def run(self) -> None:
        async with httpx.AsyncClient(timeout=self._settings.timeout_s, trust_env=False) as client:
            while True:
                for reply in await self._due.take(1):
                    if not await self._tell(client, reply):
                        self._again(reply)

    def _again(self, reply: Reply) -> None:
        settings = self._settings
        reply.attempts += 1
        wait_s = settings.retry_first_s * RETRY_FACTOR ** min(reply.attempts - 1, 30)
        self._due.put(min(wait_s, settings.retry_longest_s), reply)

    async def _tell(self, client: httpx.AsyncClient, reply: Reply) -> bool:
        """True if the callback has said that it has it."""
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                answer = await client.post(str(self._settings.callback_url), json=[reply.body])
            taken = answer.is_success and confirms(answer.json())
        except (httpx.HTTPError, TimeoutError, ValueError) as error:
            log.info("reply_not_taken", reason=type(error).__name__)
            return False
        if not taken:
            log.info("reply_not_taken", reason=answer.status_code)
        return taken
