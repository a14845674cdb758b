"""HTTP: the boards, the list of towns, and the streams that keep boards up to date."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, FastAPI, Header, Query, Request, Response
from fastapi.middleware.gzip import GZipMiddleware
from fastapi.responses import HTMLResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles

from services.chassis.batch import is_passing
from services.chassis.clock import database_now
from services.chassis.http import Problem
from services.chassis.postgres import Pool
from services.console.domain.words import LANGUAGES, Language
from services.console.live import Boards
from services.console.render import STATIC, Look, Pages
from services.console.settings import ConsoleSettings
from services.console.store import look
from services.console.stream import Streams
from services.console.towns import Towns
from services.doors.route import JsonRoute

_COOKIE_AGE_S = 365 * 24 * 3600
_TOWNS_MAX = 500
_COMPRESS_LEVEL = 5  # a full board of 244 KB becomes 7 KB in 5 ms
_OUT, _UNKNOWN = 503, 404
_RETRY = {"Refresh": "5", "Retry-After": "5"}  # the page tries again by itself, without a script
Text = Annotated[str | None, Query(max_length=16)]


@dataclass(frozen=True, slots=True)
class Hall:
    """What the pages are made from."""

    settings: ConsoleSettings
    pool: Pool
    towns: Towns
    boards: Boards
    pages: Pages
    streams: Streams


def add_pages(app: FastAPI, hall: Hall) -> None:
    """Give an app the pages, compressed; a stream never is, so that nothing in it waits."""
    app.add_middleware(GZipMiddleware, compresslevel=_COMPRESS_LEVEL)
    app.include_router(make_router(hall))
    app.mount("/static", StaticFiles(directory=STATIC))


def make_router(hall: Hall) -> APIRouter:
    """Make the pages' endpoints."""
    router = APIRouter(tags=["pages"], include_in_schema=False, route_class=JsonRoute)

    @router.get("/")
    async def get_first(request: Request) -> Response:
        every = hall.towns.every()
        if len(every) == 1:
            return await _board(hall, request, next(iter(every)))
        return await _towns(hall, request)

    @router.get("/board/{tenant}")
    async def get_board(tenant: str, request: Request) -> Response:
        return await _board(hall, request, tenant)

    @router.get("/board/{tenant}/events")
    async def get_events(
        tenant: str,
        lang: Text = None,
        since: Annotated[str, Query(max_length=64)] = "",
        last_event_id: Annotated[str, Header(max_length=64)] = "",
    ) -> Response:
        town = hall.towns.get(tenant)
        if town is None:
            raise Problem(404, "town_not_found", "没有这个镇。", "There is no such town.")
        if hall.boards.streams >= hall.settings.streams_max:
            zh, en = "看的人太多，请稍后再试。", "Too many are watching: try again later."
            raise Problem(503, "too_many_streams", zh, en, {"Retry-After": "10"})
        position = last_event_id or since
        events = hall.streams.follow(tenant, town, _language(lang) or "zh", position)
        return StreamingResponse(
            events, media_type="text/event-stream", headers={"Cache-Control": "no-store"}
        )

    return router


async def _board(hall: Hall, request: Request, tenant_id: str) -> Response:
    town = hall.towns.get(tenant_id)
    if town is None:
        return _message(hall, request, "no_such_town", _UNKNOWN)
    try:
        found = await hall.boards.board(tenant_id, town)
    except Exception as error:
        if not is_passing(error):
            raise
        return _message(hall, request, "out", _OUT)
    several = len(hall.towns.every()) > 1
    heard_ms = hall.streams.heard_ms(found)
    html = hall.pages.board(found, _look(request), heard_ms, several=several)
    return _page(hall, request, html)


async def _towns(hall: Hall, request: Request) -> Response:
    every = dict(list(hall.towns.every().items())[:_TOWNS_MAX])
    if not every:
        return _message(hall, request, "no_towns", 200)
    try:
        async with hall.pool.acquire() as conn:
            real = await database_now(conn)
            counts = await look.towns(conn, [(id_, town.now(real)) for id_, town in every.items()])
    except Exception as error:
        if not is_passing(error):
            raise
        return _message(hall, request, "out", _OUT)
    listed = [(count, every[count.tenant_id]) for count in counts]
    return _page(hall, request, hall.pages.towns(listed, _look(request)))


def _message(hall: Hall, request: Request, which: str, status: int) -> Response:
    """Say what is the matter; until the towns are known, that is the matter."""
    if not hall.towns.complete and which != "out":
        which, status = "starting", _OUT
    html = hall.pages.message(which, _look(request))
    return _page(hall, request, html, status, _RETRY if status == _OUT else {})


def _page(
    hall: Hall, request: Request, html: str, status: int = 200, more: dict[str, str] | None = None
) -> Response:
    """Answer with a page; what was asked for by the switches is remembered."""
    response = HTMLResponse(html, status, {**hall.pages.headers, **(more or {})})
    how = _look(request)
    for name, value in (("lang", how.language), ("size", how.size)):
        if request.query_params.get(name) == value:
            response.set_cookie(name, value, _COOKIE_AGE_S, httponly=True, samesite="lax")
    return response


def _look(request: Request) -> Look:
    asked = {**request.cookies, **request.query_params}
    language = _language(asked.get("lang")) or "zh"
    return Look(language, "large" if asked.get("size") == "large" else "normal")


def _language(text: str | None) -> Language | None:
    return next((language for language in LANGUAGES if language == text), None)
