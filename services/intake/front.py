"""The doors of front ends, before the framework.

To pass through all of it costs a report a quarter of its time, and a refusal in a crowd most of it.
"""

from collections.abc import Mapping

from fastapi import FastAPI
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from services.intake.accept import Handle


def with_hot_doors(app: FastAPI, doors: Mapping[str, Handle]) -> ASGIApp:
    """Return an app that answers a POST at one of these paths by itself, and leaves all else.

    The doors tell each of their refusals themselves; a fault is answered as `app` answers one.
    """

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        door = doors.get(scope["path"]) if scope.get("method") == "POST" else None
        if door is None:
            await app(scope, receive, send)
            return
        # Starlette's router leaves the same, by which metrics and traces know the door.
        scope["endpoint"], scope["path_params"] = door, {}
        response = await door(Request(scope, receive, send))
        await response(scope, receive, send)

    return ServerErrorMiddleware(answer, handler=app.exception_handlers[500])
