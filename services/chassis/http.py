"""HTTP: probes, one error body (RFC 9457), strict JSON, and how a service runs and ends."""

import asyncio
import json
import math
import re
import signal
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from types import FrameType
from typing import Any, NoReturn, TypeAlias

import asyncpg
import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from services.chassis.postgres import is_outage
from services.chassis.settings import ServiceSettings
from services.telemetry.http import watched
from services.telemetry.looks import look
from services.telemetry.metrics import gauge

Json: TypeAlias = Any  # what JSON can hold
Headers: TypeAlias = Mapping[str, str] | None
Check = Callable[[], Awaitable[str | None]]  # None: well; else what is missing
_READY_WAIT_S = 2.0
_LIMITS: Any = {"timeout_graceful_shutdown": 5, "h11_max_incomplete_event_size": 64 * 1024}
# Whoever asks is the peer: a service that stands behind a proxy reads its header by itself.
_QUIET: Any = {"access_log": False, "log_config": None, "proxy_headers": False}
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class Problem(Exception):  # noqa: N818 - RFC 9457's own word
    """An answer that is no success: a stable code, what happened, and what to do."""

    def __init__(
        self, status: int, code: str, zh: str, en: str, headers: Headers = None, **more: Json
    ) -> None:
        super().__init__(code)
        self.status, self.headers = status, headers
        about = {"type": f"urn:chuishao:problem:{code}", "status": status, "code": code}
        self.body = {**about, "title": zh, "detail": en, **more}

    def response(self) -> Response:
        return JSONResponse(self.body, self.status, self.headers, "application/problem+json")


async def _on_problem(request: Request, error: Exception) -> Response:
    if isinstance(error, Problem):
        return error.response()
    status, headers = getattr(error, "status_code", 500), getattr(error, "headers", None) or {}
    about = {"method": request.method, "allowed": headers.get("Allow")}
    zh, en = (text.format(**about) for text in _UNTAKEN.get(status, ("出错了。", "It failed.")))
    return Problem(status, f"http_{status}", zh, en, headers).response()


_UNTAKEN = {
    404: ("没有这个地址。", "No such path."),
    405: ("这里不收 {method}，请用 {allowed}。", "No {method} here: use {allowed}."),
}
_KNOWN = (Problem, HTTPException, 500)
_TROUBLE = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)


async def _on_trouble(_request: Request, error: Exception) -> Response:
    """Answer an outage: nothing is wrong with the request, which may come again."""
    if not is_outage(error):
        raise error
    zh, en = "暂时办不了，请稍后再试。", "Not now: try again later."
    return Problem(503, "not_now", zh, en, {"Retry-After": "5"}).response()


def read_json(body: bytes) -> Json:
    """Parse strictly: UTF-8, whole characters, finite numbers, no key twice, no endless nesting.

    Raises:
        Problem: 400 with the fault by name.
    """
    try:
        raw = body.decode()
        if raw.startswith("\ufeff"):
            _refuse("json_bom", "正文以字节序标记（BOM）开头", "the body begins with a BOM")
        said = json.loads(raw, **_STRICT)
        if _SURROGATE.search(raw):  # half of a pair is no character: nobody could store it
            json.dumps(said, ensure_ascii=False).encode()
    except UnicodeDecodeError:
        _refuse("json_not_utf8", "正文不是 UTF-8 编码", "the body is not UTF-8")
    except UnicodeEncodeError:
        _refuse("json_half_character", "含半个字符（单个代理码）", "it holds a lone surrogate")
    except RecursionError:
        _refuse("json_too_deep", "嵌套太深", "it is nested too deeply")
    except ValueError:
        _refuse("json_malformed", "正文不是合法的 JSON", "the body is not JSON")
    return said


def _object(items: list[tuple[str, Json]]) -> dict[str, Json]:
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


_STRICT: Any = {"object_pairs_hook": _object, "parse_constant": _number, "parse_float": _number}


def _refuse(code: str, zh: str, en: str) -> NoReturn:
    raise Problem(400, code, f"{zh}。请改正后重发。", f"Not accepted: {en}. Mend it and resend.")


def make_app(title: str, checks: Mapping[str, Check]) -> FastAPI:
    """Make the app with `/live`, `/ready` and `/metrics`; `checks` say what readiness needs."""
    handlers: Any = {**dict.fromkeys(_KNOWN, _on_problem), **dict.fromkeys(_TROUBLE, _on_trouble)}
    app = FastAPI(title=title, docs_url=None, redoc_url=None, exception_handlers=handlers)

    async def answer(name: str) -> tuple[str, str | None]:
        try:
            return name, await asyncio.wait_for(checks[name](), _READY_WAIT_S)
        except Exception as error:  # noqa: BLE001 - a check that fails is an answer
            return name, repr(error)

    @app.get("/live", tags=["operations"])
    async def live() -> dict[str, str]:
        return {"status": "live"}

    @app.get("/ready", tags=["operations"], responses={503: {"description": "Waiting"}})
    async def ready() -> Response:
        answers = await asyncio.gather(*(answer(name) for name in checks))
        waiting = {name: text for name, text in answers if text}
        status = "waiting" if waiting else "ready"
        return JSONResponse({"status": status, "waiting": waiting}, 503 if waiting else 200)

    @app.get("/metrics", tags=["operations"], response_class=PlainTextResponse)
    async def metrics() -> Response:
        await look()
        for name, text in await asyncio.gather(*(answer(name) for name in checks)):
            gauge("chuishao_unready", bool(text), check=name)
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return app


class Work:
    """What a service does beside HTTP.

    `waiting_for` tells what it still needs to be ready; `trouble` makes it unready while it runs.
    `closing` comes before `stopping`: open streams would hold up the end, so they end by it.
    """

    def __init__(self) -> None:
        self.closing, self.stopping = asyncio.Event(), asyncio.Event()
        self.waiting_for: str | None = "start"
        self.trouble: str | None = None

    async def check(self) -> str | None:
        return self.trouble or self.waiting_for


class _Server(uvicorn.Server):
    work: Work

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.work.closing.set()
        super().handle_exit(sig, frame)


async def serve(
    settings: ServiceSettings, app: ASGIApp, work: Work, run: Callable[[], Awaitable[None]]
) -> None:
    """Serve HTTP beside `run` until SIGTERM, then let `run` end; if it fails, all ends."""
    config = uvicorn.Config(watched(app), settings.host, settings.port, **_LIMITS, **_QUIET)
    server = _Server(config)
    server.work = work
    for one in (signal.SIGINT, signal.SIGTERM):
        # What was caught, uvicorn raises again once HTTP is closed, when our work has yet to end.
        signal.signal(one, server.handle_exit)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(_run_until_stopped(work, run))
        try:
            await server.serve()
        finally:
            # Stopping a producer was seen to hang: SIGALRM ends the process in any case.
            signal.setitimer(signal.ITIMER_REAL, settings.shutdown_grace_s)
        work.stopping.set()
        if work.waiting_for is not None:
            running.cancel()


async def _run_until_stopped(work: Work, run: Callable[[], Awaitable[None]]) -> None:
    await run()
    if not work.stopping.is_set():
        raise RuntimeError("the service's work ended before the service")
