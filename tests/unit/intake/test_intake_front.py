"""Doors before the framework answer as the framework would."""

import time
from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from services.chassis.http import make_app
from services.intake.front import with_hot_doors
from services.intake.gate import Gate

HOLD_S = 0.05


async def tells(request: Request) -> Response:
    return PlainTextResponse(await request.body())


async def breaks(_: Request) -> Response:
    raise KeyError("secret")


@pytest.fixture
def gate() -> Gate:
    return Gate(4)


@pytest.fixture
async def http(gate: Gate) -> AsyncIterator[httpx.AsyncClient]:
    app = make_app("doors", {})
    doors = {"/v1/tells": tells, "/v1/breaks": breaks}
    for path, handle in doors.items():
        app.router.add_route(path, handle, methods=["POST"])
    transport = httpx.ASGITransport(
        with_hot_doors(app, doors, gate, HOLD_S), raise_app_exceptions=False
    )
    async with httpx.AsyncClient(transport=transport, base_url="http://doors") as client:
        yield client


async def test_a_door_answers_by_itself(http: httpx.AsyncClient) -> None:
    answer = await http.post("/v1/tells", content="路灯")
    assert (answer.status_code, answer.text) == (200, "路灯")


async def test_a_fault_of_ours_is_a_problem_that_tells_no_word_of_it(
    http: httpx.AsyncClient,
) -> None:
    answer = await http.post("/v1/breaks")
    assert (answer.status_code, answer.json()["code"]) == (500, "http_500")
    assert answer.headers["content-type"] == "application/problem+json"
    assert "secret" not in answer.text


async def test_all_else_is_left_to_the_app(http: httpx.AsyncClient) -> None:
    assert (await http.get("/live")).json() == {"status": "live"}
    answer = await http.get("/v1/tells")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert (await http.post("/v1/nowhere")).status_code == 404


async def test_in_a_crowd_each_is_held_a_moment_and_told_to_come_later(
    http: httpx.AsyncClient, gate: Gate
) -> None:
    visits = [gate.visit(Request({"type": "http"})) for _ in range(4)]
    with visits[0]:
        answer = await http.get("/v1/track/AAAA-AAAA-AAAA")
        assert (answer.status_code, answer.json()["code"]) == (429, "overloaded")
        assert (await http.post("/v1/tells", content="路灯")).status_code == 200
        with visits[1], visits[2], visits[3]:
            for _ in range(2):
                began = time.monotonic()
                answer = await http.post("/v1/tells", content="路灯")
                assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
                assert time.monotonic() - began >= HOLD_S
            assert (await http.get("/live")).status_code == 200
    assert (await http.get("/v1/track/AAAA-AAAA-AAAA")).status_code == 404
