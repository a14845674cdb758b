"""HTTP: the pages of a grid and of a household. What they show, ledger tells, to whoever looks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from services.chassis.http import Problem
from services.chassis.token import Identity, TokenCheck
from services.console.domain.words import Language
from services.console.ledger import Ledger
from services.console.register_pages import RegisterPages
from services.console.render import Look
from services.console.towns import Town, Towns
from services.doors.body import read_body
from services.doors.route import JsonRoute
from services.doors.who import identified

COOKIE = "registry"
_FORM_BYTES_MAX, _FORM_WAIT_S = 16 * 1024, 5
_COOKIE_AGE_S = 12 * 3600
_RETRY = {"Refresh": "5", "Retry-After": "5"}
_STATUS = {"signed_out": 401, "other_town": 403, "not_yours": 403, "unknown": 404, "not_then": 404,
           "no_such_town": 404, "bad_date": 422, "away": 503, "starting": 503}  # fmt: skip
_OUT = 503
_KINDS = ("grids", "households")


@dataclass(frozen=True, slots=True)
class Register:
    """What the pages of the registry are made from."""

    towns: Towns
    tokens: TokenCheck
    ledger: Ledger
    pages: RegisterPages = field(default_factory=RegisterPages)


def add_register(app: FastAPI, register: Register) -> None:
    """Give an app the pages of the registry."""
    app.include_router(make_register_router(register))


def make_register_router(register: Register) -> APIRouter:
    """Make the endpoints."""
    router = APIRouter(tags=["pages"], include_in_schema=False, route_class=JsonRoute)

    @router.get("/{tenant}/grids/{grid}")
    async def get_grid(tenant: str, grid: str, request: Request) -> Response:
        return await _show(register, request, tenant, "grids", grid, {})

    @router.get("/{tenant}/households/{household}")
    async def get_household(tenant: str, household: str, request: Request) -> Response:
        town = register.towns.get(tenant)
        try:
            times = _times(request.query_params, town, datetime.now(UTC)) if town else {}
        except (ValueError, OverflowError):
            return _message(register, request, tenant, "bad_date")
        return await _show(register, request, tenant, "households", household, times)

    @router.post("/{tenant}/sign-in")
    async def post_sign_in(tenant: str, request: Request) -> Response:
        return await _sign_in(register, request, tenant)

    @router.post("/{tenant}/sign-out")
    async def post_sign_out(tenant: str, request: Request) -> Response:
        response = RedirectResponse(f"/{quote(tenant, safe='')}/sign-in", 303)
        if _same_site(request):
            response.delete_cookie(COOKIE)
        return response

    @router.get("/{tenant}/sign-in")
    async def get_sign_in(tenant: str, request: Request) -> Response:
        return _message(register, request, tenant, "signed_out")

    return router


async def _sign_in(register: Register, request: Request, tenant: str) -> Response:
    """Keep a token that holds in a cookie which no script reads and no other site sends."""
    body = await read_body(request, _FORM_BYTES_MAX, _FORM_WAIT_S)
    form = parse_qs(body.decode("utf-8", "replace"))
    token, to = (form.get(name, [""])[0].strip() for name in ("token", "to"))
    if not _same_site(request):
        return _message(register, request, tenant, "signed_out", to=to)
    if _identity(register, token) is None:
        return _message(register, request, tenant, "signed_out", to=to, bad=True)
    response = RedirectResponse(to if _ours(tenant, to) else "/", 303)
    secure = request.headers.get("origin", "").startswith("https:")
    response.set_cookie(
        COOKIE, token, _COOKIE_AGE_S, httponly=True, samesite="strict", secure=secure
    )
    return response


async def _show(
    register: Register,
    request: Request,
    tenant: str,
    kind: str,
    record_id: str,
    times: Mapping[str, str],
) -> Response:
    town = register.towns.get(tenant)
    if town is None:
        return _message(register, request, tenant, "no_such_town")
    token = request.cookies.get(COOKIE, "")
    who = _identity(register, token)
    if who is None:
        to = _path(request)
        return _message(register, request, tenant, "signed_out", to=to, bad=bool(token))
    if who.tenant_id != tenant:
        return _message(register, request, tenant, "other_town")
    told = await register.ledger.ask(token, kind, record_id, **times)
    if isinstance(told, str):
        which = "not_then" if told == "unknown" and times else told
        return _message(register, request, tenant, which, to=_path(request))
    look, now = _look(request), town.now(datetime.now(UTC))
    if kind == "grids":
        html = register.pages.grid(tenant, town, told, look, now)
    else:
        asked = {name: request.query_params.get(name, "") for name in ("as_of", "known_on")}
        html = register.pages.household(tenant, town, told, look, now, asked)
    return _page(register, request, html)


def _times(query: Mapping[str, str], town: Town, real: datetime) -> dict[str, str]:
    """Turn days into moments: the end of each by the town's calendar, of today the present."""
    found = {}
    for name, now in (("as_of", town.now(real)), ("known_on", real)):
        if query.get(name):
            day = date.fromisoformat(query[name])
            ends = datetime.combine(day, time(), town.zone) + timedelta(days=1, microseconds=-1)
            today = day == now.astimezone(town.zone).date()
            found[name] = (now if today else ends).isoformat()
    return found


def _identity(register: Register, token: str) -> Identity | None:
    try:
        return identified(register.tokens, f"Bearer {token}")
    except Problem:
        return None


def _path(request: Request) -> str:
    """Return the path as it was asked for, so that it can be gone back to."""
    raw: bytes = request.scope["raw_path"]
    return raw.decode("ascii", "replace")


def _same_site(request: Request) -> bool:
    """Tell whether a form was sent from a page of ours; a browser always says from where."""
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host")


def _ours(tenant: str, to: str) -> bool:
    """Tell whether a path leads to one of these pages, and nowhere else."""
    parts = to.split("/")
    plain = "\\" not in to and to.isprintable() and to.isascii()
    return plain and parts[:2] == ["", tenant] and len(parts) == 4 and parts[2] in _KINDS  # noqa: PLR2004 - town, kind, id


def _message(
    register: Register,
    request: Request,
    tenant: str,
    which: str,
    *,
    to: str = "",
    bad: bool = False,
) -> Response:
    """Say what is the matter; until the towns are known, that is the matter."""
    if which == "no_such_town" and not register.towns.complete:
        which = "starting"
    status, look = _STATUS[which], _look(request)
    back = to if _ours(tenant, to) else ""
    if which == "signed_out":
        html = register.pages.sign_in(tenant, back, look, bad=bad)
    else:
        html = register.pages.message(tenant, which, back, look)
    return _page(register, request, html, status, _RETRY if status == _OUT else {})


def _page(
    register: Register,
    request: Request,
    html: str,
    status: int = 200,
    more: Mapping[str, str] | None = None,
) -> Response:
    response = HTMLResponse(html, status, {**register.pages.headers, **(more or {})})
    look = _look(request)
    for name, value in (("lang", look.language), ("size", look.size)):
        if request.query_params.get(name) == value:
            response.set_cookie(name, value, 365 * 24 * 3600, httponly=True, samesite="lax")
    return response


def _look(request: Request) -> Look:
    asked: dict[str, Any] = {**request.cookies, **request.query_params}
    language: Language = "en" if asked.get("lang") == "en" else "zh"
    return Look(language, "large" if asked.get("size") == "large" else "normal")
