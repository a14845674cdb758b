"""The doors of front ends, before the framework.

To pass through all of it costs a report a quarter of its time, and a refusal in a crowd most of it.
"""

import asyncio
from collections.abc import Mapping
from types import SimpleNamespace

from fastapi import FastAPI
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from services.intake.accept import Handle
from services.intake.domain.shedding import Rank
from services.intake.gate import Gate, overloaded

_LOOKS = "/v1/track/"
_LOOK = SimpleNamespace(path=f"{_LOOKS}{{code}}")  # as the framework tells a route
_TOO_MANY = 429
_HELD_MAX = 2_000


def with_hot_doors(app: FastAPI, doors: Mapping[str, Handle], gate: Gate, hold_s: float) -> ASGIApp:
    """Return an app that answers a POST at one of these paths by itself, and leaves all else.

    Who finds no place, even to look where his report is, is told so before anything is read. The
    doors tell each of their other refusals themselves; a fault is answered as `app` answers one.
    A 429 is held for `hold_s` seconds: whoever goes on at once, as a flood does, would cost more
    by his refusals than others by their reports.
    """
    too_busy = overloaded().response()  # made once: a crowd is told nothing else
    held = 0

    async def hold() -> None:
        nonlocal held
        if held < _HELD_MAX:
            held += 1
            try:
                await asyncio.sleep(hold_s)
            finally:
                held -= 1

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        path, method = scope.get("path", ""), scope.get("method")
        door = doors.get(path) if method == "POST" else None
        if door is not None:
            # Starlette's router leaves the same, by which metrics and traces know the door.
            scope["endpoint"], scope["path_params"] = door, {}
            full = gate.full()
            response = too_busy if full else await door(Request(scope, receive, send))
            if response.status_code == _TOO_MANY:
                await hold()
            await response(scope, receive, send)
        elif method == "GET" and path.startswith(_LOOKS) and gate.full(Rank.LOOK):
            scope["route"] = _LOOK
            await hold()
            await too_busy(scope, receive, send)
        else:
            await app(scope, receive, send)

    return ServerErrorMiddleware(answer, handler=app.exception_handlers[500])
