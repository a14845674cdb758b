"""What one who watches is sent: what has changed, and a beat that tells how far all is known."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from services.chassis.batch import is_passing
from services.console.domain.words import Language
from services.console.hearing import Hearing
from services.console.live import Boards
from services.console.render import Pages
from services.console.snapshot import Snapshot
from services.console.towns import Town

_LONG_S = 1e6  # nothing heard since the start is said as eleven days of silence


@dataclass(frozen=True, slots=True)
class Streams:
    """Makes streams."""

    boards: Boards
    pages: Pages
    hearing: Hearing
    beat_s: float

    def heard_ms(self, found: Snapshot) -> int:
        """Return the town's time up to which the board shows all that was announced."""
        behind_s = max(self.boards.unseen_s, self.hearing.silent_s)
        return found.now_ms - round(min(behind_s, _LONG_S) * 1000)

    async def follow(
        self, tenant_id: str, town: Town, language: Language, since: str
    ) -> AsyncIterator[bytes]:
        """Send what differs from the look `since`, and then whatever changes, for ever.

        Somebody slow is sent the newest board, not each on the way to it.
        """
        with self.boards.watching(tenant_id):
            shown = self.boards.seen(tenant_id, since)
            while not self.boards.closing:
                found = self.boards.newest(tenant_id) or await self._look(tenant_id, town)
                if found is None:
                    yield b": the database does not answer\n\n"
                    await asyncio.sleep(self.beat_s)
                    continue
                yield self._message(found, shown, language)
                shown = found
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(found.superseded.wait(), self.beat_s)

    async def _look(self, tenant_id: str, town: Town) -> Snapshot | None:
        try:
            return await self.boards.board(tenant_id, town)
        except Exception as error:
            if not is_passing(error):
                raise
            return None

    def _message(self, found: Snapshot, shown: Snapshot | None, language: Language) -> bytes:
        fact_ms = round(found.fact_at.timestamp() * 1000) if found.fact_at else "null"
        ahead = "true" if found.offset else "false"
        moment = (
            f'"now":{found.now_ms},"heard":{self.heard_ms(found)},"fact":{fact_ms},"demo":{ahead}'
        )
        if shown is found:
            return f"event: beat\ndata: {{{moment}}}\n\n".encode()
        news = self.pages.news(found, shown, language)
        return f'event: board\nid: {found.id}\ndata: {{{moment},"news":{news}}}\n\n'.encode()
