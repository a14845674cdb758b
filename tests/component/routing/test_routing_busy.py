"""Routing is busy: an act counts from the moment at which it came to the door."""

import asyncio
from contextlib import AsyncExitStack
from datetime import datetime

from tests.component.routing.desk import Desk
from tests.component.routing.test_routing_handing import NIGHT, known_hours, post, worker

WAIT_S = 2.0


async def test_a_sheet_signed_for_while_routing_is_busy_is_signed_when_that_was_asked(
    timed: Desk,
) -> None:
    await known_hours(timed)
    case_id = await timed.report(at=NIGHT, location={"grid": "g01"})
    (sheet,) = await timed.rows("handover", case_id)
    signer = await worker(timed, "g01")
    async with AsyncExitStack() as held:
        every = range(timed.settings.postgres_pool_max)
        first, *_ = [await held.enter_async_context(timed.pool.acquire()) for _ in every]
        path = f"handovers/{sheet['handover_id']}/receipt"
        signing = asyncio.create_task(post(timed, path, signer))
        await asyncio.wait({signing}, timeout=WAIT_S)
        assert not signing.done()
        freed = await first.fetchval("SELECT clock_timestamp()")
    shown = (await signing).json()["handover"]
    assert datetime.fromisoformat(shown["received_at"]) < freed
