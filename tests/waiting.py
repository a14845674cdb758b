"""To wait for what another process does: there is no event to be had, so its door is asked."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx

# Longer than a test that passes ever waits, on however slow a machine; what hangs says where.
PATIENCE_S = 100.0


async def until(
    wanted: Callable[[], Awaitable[Any]], what: str, timeout_s: float = PATIENCE_S
) -> Any:
    """Wait until something is there, or is so, and return it."""
    try:
        async with asyncio.timeout(timeout_s):
            while not (found := await wanted()):
                await asyncio.sleep(0.05)
            return found
    except TimeoutError as error:
        raise AssertionError(f"not within {timeout_s:g} s: {what}") from error


_COME_AGAIN = {408, 429, 503}


async def taken(post: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
    """Post under one Idempotency-Key until it is taken, as whoever is told to come again must.

    A machine that stands still for seconds has intake tell so, and rightly.
    """

    async def final() -> httpx.Response | None:
        answer = await post()
        return None if answer.status_code in _COME_AGAIN else answer

    answer: httpx.Response = await until(final, "intake takes what it was told again")
    assert answer.status_code == 202, answer.text
    return answer
