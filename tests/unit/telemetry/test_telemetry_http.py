"""Requests are counted by their route's template, never by what somebody wrote into a path."""

import httpx
from fastapi import APIRouter, FastAPI
from prometheus_client import REGISTRY
from starlette.requests import Request
from starlette.responses import Response

from services.telemetry.http import watched


def make() -> FastAPI:
    app, router = FastAPI(), APIRouter(prefix="/v1")

    @router.get("/track/{code}")
    async def track(code: str) -> str:
        return code

    @router.get("/broken")
    async def broken() -> None:
        raise ValueError

    async def plain(_request: Request) -> Response:
        return Response(status_code=202)

    app.include_router(router)
    app.router.add_route("/v1/plain", plain, methods=["POST"])
    app.router.add_route("/v1/plain/{thing}", plain, methods=["POST"])
    return app


def counted(method: str, route: str, status: int) -> float:
    labels = {"method": method, "route": route, "status": str(status)}
    return REGISTRY.get_sample_value("chuishao_http_seconds_count", labels) or 0


async def test_requests_are_counted_by_method_template_and_status() -> None:
    strangers = counted("GET", "none", 404)
    transport = httpx.ASGITransport(watched(make()), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        for code in ("7KQ2", "9XYZ"):
            await client.get(f"/v1/track/{code}")
        await client.post("/v1/plain")
        await client.post("/v1/plain/of-somebody")
        await client.get("/somebody's/name")
        await client.request("BREW", "/v1/plain")
        await client.get("/v1/broken")
    assert counted("GET", "/v1/track/{code}", 200) == 2
    assert counted("POST", "/v1/plain", 202) == 1
    assert counted("POST", "plain", 202) == 1
    assert counted("GET", "none", 404) == strangers + 1
    assert counted("other", "/v1/plain", 405) == 1
    assert counted("GET", "/v1/broken", 500) == 1
    every = {one.labels.get("route") for m in REGISTRY.collect() for one in m.samples}
    assert not {"/v1/track/7KQ2", "/somebody's/name", "/v1/plain/of-somebody"} & every
