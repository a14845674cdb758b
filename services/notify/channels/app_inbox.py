"""The channel `app`: a message is kept in our own database, where its reader's app fetches it.

It takes no contact but the person, and nobody outside is called: what is stored is delivered.
"""

import asyncpg

from services.chassis.postgres import Pool, is_outage
from services.notify.channels.port import OutMessage, Question
from services.notify.domain.progress import Delivered, Missing, Unknown
from services.notify.domain.turns import STAFF
from services.notify.store import inbox

_NO_ANSWER = Unknown("no_answer")


class AppInbox:
    """The channel `app`."""

    needs = STAFF

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def address(self, contact: str) -> str | None:
        return contact

    def masked(self, address: str) -> str:
        return address

    async def send(self, message: OutMessage) -> Delivered | Unknown:
        """Store it, once for each attempt and message."""
        try:
            await inbox.store(self._pool, message.reference, message.text)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            if not is_outage(error):
                raise
            return _NO_ANSWER
        return Delivered()

    async def look_up(self, question: Question) -> Delivered | Missing | Unknown:
        stored = await inbox.is_stored(self._pool, question.reference)
        return Delivered() if stored else Missing()
