"""HTTP: probes, one error body (RFC 9457), strict JSON, and how a service runs and ends."""

import asyncio
import json
import math
import os
import re
import socket
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException

from services.chassis.settings import ServiceSettings

Check = Callable[[], Awaitable[str | None]]  # None: well; else what is missing
_READY_WAIT_S = 2.0
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class Problem(Exception):  # noqa: N818 - RFC 9457's own word
    """An answer that is no success: a stable code, what happened, and what to do."""

    def __init__(
        self,
        status: int,
        code: str,
        zh: str,
        en: str,
        headers: Mapping[str, str] | None = None,
        **more: Any,  # noqa: ANN401 - extension members of the body
    ) -> None:
        super().__init__(code)
        self.status, self.headers = status, headers
        self.body = {
            "type": f"urn:chuishao:problem:{code}",
            "status": status,
            "code": code,
            "title": zh,
            "detail": en,
            **more,
        }

    def response(self) -> Response:
        kind = "application/problem+json"
        return JSONResponse(self.body, self.status, self.headers, media_type=kind)


async def _on_problem(_request: Request, error: Exception) -> Response:
    if isinstance(error, Problem):
        return error.response()
    if isinstance(error, RequestValidationError):
        return invalid(error.errors()).response()
    status = error.status_code if isinstance(error, HTTPException) else 500
    zh, en = ("没有这个地址。", "No such path.") if status == 404 else ("出错了。", "It failed.")  # noqa: PLR2004
    return Problem(status, f"http_{status}", zh, en).response()


def invalid(errors: Any) -> Problem:  # noqa: ANN401 - pydantic's list of faults
    """Name each faulty field and what was expected; never repeat the value."""
    faults = [
        {"field": ".".join(str(part) for part in one["loc"]), "message": one["msg"]}
        for one in errors
    ]
    named = ", ".join(fault["field"] or "body" for fault in faults)
    return Problem(
        422,
        "invalid_fields",
        f"字段有误：{named}。请按 errors 修改后重发。",
        f"Invalid fields: {named}. Mend what `errors` names and send again.",
        errors=faults,
    )


def read_json(body: bytes) -> Any:  # noqa: ANN401 - any JSON
    """Parse strictly: UTF-8, whole characters, finite numbers, no key twice, no endless nesting.

    Raises:
        Problem: 400 with the fault by name.
    """
    hooks: dict[str, Any] = {"parse_constant": _number, "parse_float": _number}
    try:
        text = body.decode()
        value = json.loads(text, object_pairs_hook=_object, **hooks)
        if _SURROGATE.search(text):  # half of a pair is no character: nobody could store it
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeDecodeError:
        _refuse("json_not_utf8", "正文不是 UTF-8 编码", "the body is not UTF-8")
    except RecursionError:
        _refuse("json_too_deep", "嵌套太深", "it is nested too deeply")
    except ValueError:
        _refuse("json_malformed", "正文不是合法的 JSON", "the body is not JSON")
    return value


def _object(items: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(items)
    if len(found) != len(items):
        twice = Counter(name for name, _ in items).most_common(1)[0][0][:64]
        _refuse("json_duplicate_key", f"键 {twice!r} 出现了两次", f"duplicate key {twice!r}")
    return found


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        _refuse("json_not_a_number", "数字不合法或太大", "a number that is none, or too large")
    return value


def _refuse(code: str, zh: str, en: str) -> NoReturn:
    raise Problem(
        400, code, f"{zh}。请改正后重发。", f"Not accepted: {en}. Mend it and send again."
    )


def make_app(title: str, checks: Mapping[str, Check]) -> FastAPI:
    """Make the app with `/live`, `/ready` and `/metrics`; `checks` say what readiness needs."""
    app = FastAPI(title=title, docs_url=None, redoc_url=None)
    for kind in (Problem, RequestValidationError, HTTPException, 500):
        app.add_exception_handler(kind, _on_problem)

    async def answer(check: Check) -> str | None:
        try:
            return await asyncio.wait_for(check(), _READY_WAIT_S)
        except Exception as error:  # noqa: BLE001 - a check that fails is an answer
            return repr(error)

    @app.get("/live", tags=["operations"])
    async def live() -> dict[str, str]:
        return {"status": "live"}

    @app.get("/ready", tags=["operations"])
    async def ready() -> Response:
        names = list(checks)
        answers = await asyncio.gather(*(answer(checks[name]) for name in names))
        waiting = {name: text for name, text in zip(names, answers, strict=True) if text}
        status = "waiting" if waiting else "ready"
        return JSONResponse({"status": status, "waiting": waiting}, 503 if waiting else 200)

    @app.get("/metrics", tags=["operations"])
    async def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return app


class Work:
    """What a service does beside HTTP. `waiting_for` tells what it still needs to be ready.

    `closing` comes before `stopping`: open streams would hold up the end, so they end by it.
    """

    def __init__(self) -> None:
        self.closing = asyncio.Event()
        self.stopping = asyncio.Event()
        self.waiting_for: str | None = "start"

    async def check(self) -> str | None:
        return self.waiting_for


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, work: Work) -> None:
        super().__init__(config)
        self._work = work

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._work.closing.set()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Keep the signals that came: raised again, they would end us before our work has."""
        with super().capture_signals():
            yield
            self._captured_signals.clear()


async def serve(
    settings: ServiceSettings, app: FastAPI, work: Work, run: Callable[[], Awaitable[None]]
) -> None:
    """Serve HTTP beside `run` until SIGTERM, then let `run` end; if it fails, all ends."""
    config = uvicorn.Config(
        app,
        settings.host,
        settings.port,
        access_log=False,
        log_config=None,
        timeout_graceful_shutdown=5,
        h11_max_incomplete_event_size=64 * 1024,
    )
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(_run_until_stopped(work, run))
        await _Server(config, work).serve()
        # Stopping a producer was seen to hang: the process ends in any case.
        deadline = threading.Timer(settings.shutdown_grace_s, os._exit, [1])
        deadline.daemon = True
        deadline.start()
        work.stopping.set()
        if work.waiting_for is not None:
            running.cancel()


async def _run_until_stopped(work: Work, run: Callable[[], Awaitable[None]]) -> None:
    await run()
    if not work.stopping.is_set():
        raise RuntimeError("the service's work ended before the service")
