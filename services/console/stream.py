"""What one who watches is sent: what has changed, and a beat that tells how far all is known."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from services.console.domain.words import Language
from services.console.live import Boards
from services.console.render import Pages
from services.console.snapshot import Snapshot


async def follow(
    boards: Boards,
    pages: Pages,
    heard_ms: Callable[[Snapshot], int],
    tenant_id: str,
    language: Language,
    since: str,
    beat_s: float,
) -> AsyncIterator[bytes]:
    """Send what differs from the look `since`, and then whatever changes, for ever.

    Somebody slow is sent the newest board, not each on the way to it.
    """
    with boards.watching(tenant_id):
        shown = boards.seen(tenant_id, since)
        while not boards.closing:
            found = boards.newest(tenant_id)
            if found is None:
                yield b": nothing to show yet\n\n"
                await asyncio.sleep(beat_s)
                continue
            moment = f'"now":{found.now_ms},"heard":{heard_ms(found)},"fact":{_fact_ms(found)}'
            if shown is found:
                yield f"event: beat\ndata: {{{moment}}}\n\n".encode()
            else:
                news = pages.news(found, shown, language)
                data = f'{{{moment},"news":{news}}}'
                yield f"event: board\nid: {found.id}\ndata: {data}\n\n".encode()
                shown = found
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(found.superseded.wait(), beat_s)


def _fact_ms(found: Snapshot) -> int | str:
    return round(found.fact_at.timestamp() * 1000) if found.fact_at else "null"
