"""To wait for what another process does: there is no event to be had, so its door is asked."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any


async def until(wanted: Callable[[], Awaitable[Any]], what: str, timeout_s: float = 40) -> Any:
    """Wait until something is there, or is so, and return it."""
    try:
        async with asyncio.timeout(timeout_s):
            while not (found := await wanted()):
                await asyncio.sleep(0.05)
            return found
    except TimeoutError as error:
        raise AssertionError(f"not within {timeout_s:g} s: {what}") from error
