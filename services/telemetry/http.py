"""HTTP as operators see it: each request by its route, how it was answered and how fast."""

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.telemetry import traces
from services.telemetry.metrics import observe

_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})
_PROBES = frozenset({"/live", "/ready", "/metrics"})


def watched(app: ASGIApp) -> ASGIApp:
    """Count and trace what an app answers. The time is that until the answer begins.

    Known by the route's template alone: a path may hold a tracking code, or anything.
    """

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await app(scope, receive, send)
        started, method, about = time.perf_counter(), _method(scope), dict[str, int]()

        async def on_message(message: Message) -> None:
            if message["type"] == "http.response.start":
                about["status"] = message["status"]
                labels = {"method": method, "route": _route(scope), "status": str(about["status"])}
                observe("chuishao_http_seconds", time.perf_counter() - started, **labels)
            await send(message)

        if scope["path"] in _PROBES or not traces.is_on():
            return await app(scope, receive, on_message)
        with traces.span(method, "server", _parent(scope)) as span:
            try:
                await app(scope, receive, on_message)
            finally:
                route, status = _route(scope), about.get("status", 0)
                what = {"http__request__method": method, "http__route": route}
                span.tell(f"{method} {route}", **what, http__response__status_code=status)

    return answer


def _method(scope: Scope) -> str:
    method: str = scope["method"]
    return method if method in _METHODS else "other"


def _route(scope: Scope) -> str:
    """Return the template of the route that was taken, once it is known."""
    route, path = scope.get("route"), str(scope["path"])
    if route is not None:
        return str(route.path)
    # A plain route leaves no template: without parameters it is its own path, else its handler's.
    handler = str(getattr(scope.get("endpoint"), "__name__", "none"))
    return handler if handler == "none" or scope["path_params"] else path


def _parent(scope: Scope) -> str:
    given: bytes = dict(scope["headers"]).get(b"traceparent", b"")
    return given.decode("ascii", "replace")
