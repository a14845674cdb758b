"""What a document tells of how a door refuses, and fields that tell of their checks."""

from typing import Annotated, Any

import httpx
import pytest
from fastapi import APIRouter
from pydantic import BaseModel, TypeAdapter, ValidationError

from contracts.text import WRITTEN
from services.chassis.http import make_app
from services.doors.document import document
from services.doors.fields import Checked, Moment
from services.doors.route import JsonRoute
from services.doors.who import Authorization


def kept(text: str) -> str:
    if not text.strip():
        raise ValueError("say something")
    return text


class Body(BaseModel):
    text: Annotated[str, Checked(kept, {"pattern": WRITTEN})]


@pytest.fixture
def shown() -> dict[str, Any]:
    router = APIRouter(route_class=JsonRoute)

    @router.post("/things/{thing}", responses={429: {"description": "Too many"}})
    async def post_thing(thing: str, body: Body, _: Authorization = None) -> str:
        return thing + body.text

    @router.get("/things")
    async def get_things() -> None: ...

    app = make_app("doors", {})
    app.include_router(router)
    document(app)
    assert app.openapi() is app.openapi()
    return app.openapi()


def test_each_door_tells_how_it_may_refuse_by_what_it_is_given(shown: dict[str, Any]) -> None:
    paths = shown["paths"]
    posted = paths["/things/{thing}"]["post"]["responses"]
    refused = ["400", "401", "403", "404", "408", "409", "413", "415", "422", "429", "503"]
    assert list(posted) == ["200", *refused]
    assert list(paths["/things"]["get"]["responses"]) == ["200", "503"]
    assert list(paths["/live"]["get"]["responses"]) == ["200"]


def test_every_refusal_has_the_one_body(shown: dict[str, Any]) -> None:
    answers = shown["paths"]["/things/{thing}"]["post"]["responses"]
    body = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemView"}}}
    assert all(said["content"] == body for status, said in answers.items() if status >= "400")
    assert {"ProblemView", "FaultView"} <= set(shown["components"]["schemas"])
    assert "HTTPValidationError" not in shown["components"]["schemas"]


def test_the_token_is_a_scheme_and_no_parameter(shown: dict[str, Any]) -> None:
    door = shown["paths"]["/things/{thing}"]["post"]
    assert door["security"] == [{"token": []}]
    assert [one["name"] for one in door["parameters"]] == ["thing"]
    scheme = shown["components"]["securitySchemes"]["token"]
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")


async def test_metrics_and_readiness_are_told_as_they_come(shown: dict[str, Any]) -> None:
    app = make_app("doors", {})
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://doors") as client:
        came = (await client.get("/metrics")).headers["content-type"]
    (media,) = shown["paths"]["/metrics"]["get"]["responses"]["200"]["content"]
    assert came.startswith(f"{media};")
    assert "503" in shown["paths"]["/ready"]["get"]["responses"]


def test_a_check_is_shown_and_still_checks() -> None:
    assert Body.model_json_schema()["properties"]["text"]["pattern"] == WRITTEN
    with pytest.raises(ValidationError):
        Body(text=" ")


@pytest.mark.parametrize("text", ["0", "-1", "1e9", "1700000000", "20250303", 1700000000, None])
def test_a_number_is_no_moment_not_even_as_text(text: object) -> None:
    with pytest.raises(ValidationError, match="应为带时区的时间"):
        TypeAdapter(Moment).validate_python(text)


@pytest.mark.parametrize("text", ["2025-03-03T10:00:00+08:00", "2025-03-03T02:00:00Z"])
def test_a_moment_is_written_with_its_offset(text: str) -> None:
    assert TypeAdapter(Moment).validate_python(text).utcoffset() is not None
