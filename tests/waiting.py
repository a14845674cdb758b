"""To wait for what another process does: there is no event to be had, so its door is asked."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

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
