"""The route of every door: bodies are read strictly, and faults are told in two languages."""

from collections.abc import Callable, Coroutine
from typing import Any, ClassVar

from fastapi import HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.types import Receive, Scope, Send

from services.chassis.http import Json, read_json
from services.doors.body import DEADLINE_S, read_body
from services.doors.faults import invalid

BODY_BYTES_MAX = 256 * 1024
_JSON = (b"content-type", b"application/json")


class JsonRoute(APIRoute):
    """Give it to each router. A body is JSON whatever its content type says, or a 400 by name."""

    body_deadline_s: ClassVar[float] = DEADLINE_S

    @staticmethod
    def check(_authorization: str | None) -> object:
        """Let everybody's body be read."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a method that no door of this path takes, and name those of all of them."""
        if scope["method"] not in (self.methods or ()):
            doors = scope["app"].openapi()["paths"].get(self.path_format, self.methods or ())
            allowed = ", ".join(sorted(method.upper() for method in doors))
            raise HTTPException(405, headers={"Allow": allowed})
        await super().handle(scope, receive, send)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                if self.body_field is not None:
                    self.check(request.headers.get("authorization"))
                    request = await _read(request, self.body_deadline_s)
                return await handle(request)
            except RequestValidationError as error:
                # FastAPI puts before each name whether it is of the body, path, query or header.
                raise invalid([{**one, "loc": one["loc"][1:]} for one in error.errors()]) from error

        return answer


def json_route(check: Callable[[str | None], object]) -> type[JsonRoute]:
    """Make a route that reads no body before `check` has let its `Authorization` pass."""
    return type("CheckedRoute", (JsonRoute,), {"check": staticmethod(check)})


class _Read(Request):
    """A request whose body has been read."""

    raw, said = b"", None

    async def body(self) -> bytes:
        return self.raw

    async def json(self) -> Json:
        return self.said


async def _read(request: Request, deadline_s: float) -> Request:
    headers = [_JSON, *request.scope["headers"]]  # the first of a name is the one that counts
    read = _Read({**request.scope, "headers": headers})
    read.raw = await read_body(request, BODY_BYTES_MAX, deadline_s)
    read.said = read_json(read.raw)
    return read
