"""Every door of every service reads bodies alike; none may be added that does not."""

import asyncio
import gzip
import importlib
import json
import pkgutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from inspect import signature
from types import SimpleNamespace
from typing import Annotated, Any, Literal
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI, Query, Request
from fastapi.routing import APIRoute, APIRouter
from pydantic import BaseModel, ConfigDict, Field

import services
from services.chassis.http import Problem, make_app
from services.doors.route import BODY_BYTES_MAX, JsonRoute, json_route

# These read their bodies themselves: a file, NDJSON, a form of a provider or a browser.
RAW = {
    "/v1/attachments",
    "/v1/registry/change-sets/{change_set_id}",
    "/v1/receipts/{provider}",
    "/v1/replies/{provider}",
    "/{tenant}/sign-in",
    "/{tenant}/sign-out",
}


DOOR = SimpleNamespace(who=str, operator=str)


def makers() -> Iterator[tuple[str, Any]]:
    """Yield whatever makes a router, of all services."""
    for found in pkgutil.walk_packages(services.__path__, "services."):
        if not found.name.endswith("__main__"):
            module = importlib.import_module(found.name)
            for name, made in vars(module).items():
                if name.startswith("make_") and name.endswith("router"):
                    yield f"{found.name}.{name}", made


def routers() -> dict[str, APIRouter]:
    return {
        name: maker(*[DOOR] * len(signature(maker).parameters))
        for name, maker in makers()
        if maker.__module__ == name.rpartition(".")[0]
    }


def routes() -> list[APIRoute]:
    found = [one for router in routers().values() for one in router.routes]
    return [one for one in found if isinstance(one, APIRoute)]


def test_all_routers_of_all_services_are_looked_at() -> None:
    of = {name.split(".")[1] for name in routers()}
    assert of == {"intake", "routing", "notify", "ledger", "console"}
    posts = {one.path for one in routes() if "POST" in (one.methods or ())}
    assert {"/v1/cases/{case_id}/steps", "/v1/dev/clock"} < posts
    assert len(posts) > 15


@pytest.mark.parametrize("route", routes(), ids=lambda one: f"{min(one.methods)} {one.path}")
def test_each_door_reads_strictly(route: APIRoute) -> None:
    assert isinstance(route, JsonRoute)
    if route.body_field is not None:
        assert route.check is not JsonRoute.check
    if "POST" in (route.methods or ()) and route.path not in RAW:
        given = signature(route.endpoint).parameters.values()
        assert not any(one.annotation is Request for one in given)


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid")
    word: Annotated[str, Field(max_length=3)]
    count: Annotated[int, Field(ge=0)] = 0
    means: Literal["app", "site"] = "app"


@asynccontextmanager
async def served(router: APIRouter) -> AsyncIterator[httpx.AsyncClient]:
    app = make_app("doors", {})
    app.include_router(router)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://doors") as client:
        yield client


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    router = APIRouter(prefix="/v1", route_class=JsonRoute)

    @router.post("/things/{thing_id}")
    async def post_thing(
        thing_id: UUID, body: Body, limit: Annotated[int, Query(ge=1)] = 1
    ) -> dict[str, Any]:
        return {"thing_id": thing_id, "limit": limit, **body.model_dump()}

    async with served(router) as client:
        yield client


THING = f"/v1/things/{UUID(int=1)}"


@pytest.mark.parametrize("kind", [None, "application/json", "application/x-www-form-urlencoded"])
async def test_the_content_type_does_not_matter(http: httpx.AsyncClient, kind: str | None) -> None:
    headers = {"Content-Type": kind} if kind else {}
    answer = await http.post(THING, content=b'{"word": "abc"}', headers=headers)
    assert answer.status_code == 200
    assert answer.json()["word"] == "abc"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"word": "a", "word": "b"}', "json_duplicate_key"),
        (b'{"word": "\xff"}', "json_not_utf8"),
        (b"\xef\xbb\xbf{}", "json_bom"),
        (b'{"word": "\\ud800"}', "json_half_character"),
        (b'{"word": NaN}', "json_not_a_number"),
        (b"[" * 10_000, "json_too_deep"),
        (b'{"word":', "json_malformed"),
        (b"word=abc", "json_malformed"),
        (b"", "json_malformed"),
    ],
    ids=lambda one: repr(one)[:20],
)
async def test_what_is_not_json_is_refused_by_name(
    http: httpx.AsyncClient, body: bytes, code: str
) -> None:
    answer = await http.post(THING, content=body)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert "请改正" in answer.json()["title"]


@pytest.mark.parametrize(
    ("path", "body", "named"),
    [
        (THING, {}, {"word"}),
        (THING, {"word": "abcd", "more": 1, "count": -1}, {"word", "more", "count"}),
        (THING, [], {"body"}),
        (THING, None, {"body"}),
        ("/v1/things/x", {"word": "a"}, {"thing_id"}),
        (f"{THING}?limit=0", {"word": "a"}, {"limit"}),
    ],
)
async def test_fields_are_named_as_they_are_written(
    http: httpx.AsyncClient, path: str, body: Any, named: set[str]
) -> None:
    answer = await http.post(path, content=json.dumps(body))
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_fields")
    assert {one["field"] for one in answer.json()["errors"]} == named
    assert all(field in answer.json()["title"] for field in named)


async def test_a_large_body_another_method_and_an_unknown_path_are_told(
    http: httpx.AsyncClient,
) -> None:
    large = await http.post(THING, content=b" " * (BODY_BYTES_MAX + 1))
    assert (large.status_code, large.json()["code"]) == (413, "body_too_large")
    just = await http.post(THING, content=b'{"word": "a"}'.ljust(BODY_BYTES_MAX))
    assert just.status_code == 200
    method = await http.put(THING, json={})
    assert (method.status_code, method.headers["allow"]) == (405, "POST")
    assert method.json()["title"] == "这里不收 PUT，请用 POST。"
    assert method.json()["detail"] == "No PUT here: use POST."
    path = await http.get("/v1/{nowhere}")
    assert (path.status_code, path.json()["code"]) == (404, "http_404")


async def test_a_compressed_body_is_not_taken_for_bad_json(http: httpx.AsyncClient) -> None:
    packed, plain = {"Content-Encoding": "gzip"}, {"Content-Encoding": "Identity"}
    refused = await http.post(THING, content=gzip.compress(b'{"word": "abc"}'), headers=packed)
    assert (refused.status_code, refused.json()["code"]) == (415, "body_compressed")
    assert (await http.post(THING, content=b'{"word": "abc"}', headers=plain)).status_code == 200


async def test_a_body_that_stops_is_given_up() -> None:
    async def stopping() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    hasty = type("Hasty", (JsonRoute,), {"body_deadline_s": 0.02})
    router = APIRouter(route_class=hasty)

    @router.post("/things")
    async def post_thing(body: Body) -> None: ...

    async with served(router) as client:
        answer = await client.post("/things", content=stopping())
    assert (answer.status_code, answer.json()["code"]) == (408, "body_incomplete")


async def test_nobody_s_body_is_read_before_he_is_known() -> None:
    def check(authorization: str | None) -> None:
        if authorization is None:
            raise Problem(401, "token_invalid", "请重新登录。", "Who are you?")

    router = APIRouter(route_class=json_route(check))

    @router.post("/things")
    async def post_thing(body: Body) -> None: ...

    async with served(router) as client:
        stranger = await client.post("/things", content=b"{")
        known = await client.post("/things", content=b"{", headers={"Authorization": "x"})
    assert (stranger.status_code, known.status_code) == (401, 400)


async def test_the_documents_show_the_body(http: httpx.AsyncClient) -> None:
    document = (await http.get("/openapi.json")).json()
    (path,) = [path for name, path in document["paths"].items() if "things" in name]
    shown = path["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert shown == {"$ref": "#/components/schemas/Body"}


def test_the_documents_show_the_body_of_every_door_that_reads_one() -> None:
    app = FastAPI()
    for name, router in routers().items():
        if not name.startswith("services.console"):
            app.include_router(router)
    paths = app.openapi()["paths"]
    for route in routes():
        if route.body_field is not None:
            (method,) = route.methods or {"none"}
            assert "requestBody" in paths[route.path][method.lower()], route.path
