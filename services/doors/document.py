"""What a service's OpenAPI document says beyond its routes: how each of its doors may refuse.

Every refusal has one body (RFC 9457), and which there are follows from what a door is given. A
route adds by `responses` what it alone answers.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict

from services.chassis.http import Json

_SCHEMAS = "#/components/schemas/"
_FASTAPIS_OWN = ("HTTPValidationError", "ValidationError")  # nobody is ever answered so


class FaultView(BaseModel):
    """What is wrong with a field, and what was expected, in both languages."""

    model_config = ConfigDict(extra="allow")
    field: str
    message: str


class ProblemView(BaseModel):
    """Why a request was refused: a stable `code`, and in both languages what to do."""

    model_config = ConfigDict(extra="allow")
    type: str
    status: int
    code: str
    title: str
    detail: str
    errors: list[FaultView] = []


def refusal(why: str) -> dict[str, Any]:
    """Describe a refusal that a door alone gives; its body is that of all."""
    return {"description": why}


def document(app: FastAPI) -> None:
    """Let an app's document tell of refusals; call it once every router is in."""
    extend(app, _tell)


def extend(app: FastAPI, tell: Callable[[dict[str, Any]], None]) -> None:
    """Let an app's document, made once, tell more: `tell` adds to what there is by then."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            tell(plain())
        return app.openapi_schema or {}

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's own way to extend it


def _tell(schema: dict[str, Any]) -> None:
    parts = schema.setdefault("components", {}).setdefault("schemas", {})
    made = ProblemView.model_json_schema(ref_template=_SCHEMAS + "{model}")
    parts |= {**made.pop("$defs"), ProblemView.__name__: made}
    for name in _FASTAPIS_OWN:
        parts.pop(name, None)
    body = {"schema": {"$ref": _SCHEMAS + ProblemView.__name__}}
    for operations in schema["paths"].values():
        for method, operation in operations.items():
            if "operations" in operation.get("tags", ()):
                continue
            known = {int(status): said for status, said in operation["responses"].items()}
            said = {**dict(_refusals(method, operation)), **known}
            for status, answer in said.items():
                if status >= _REFUSED:
                    answer["content"] = {"application/problem+json": body}
            operation["responses"] = {str(status): said[status] for status in sorted(said)}


_REFUSED = 400


def _refusals(method: str, operation: Mapping[str, Json]) -> Iterator[tuple[int, dict[str, Json]]]:
    """Tell how a door may refuse, by what it is given."""
    given, has_body = operation.get("parameters", ()), "requestBody" in operation
    has_place = any(one["required"] for one in given)
    may = {
        400: (has_body, "The body is not JSON, or says a thing twice"),
        401: (operation.get("security"), "The token or the key does not hold"),
        403: (operation.get("security"), "Not yours: another unit's, department's or role's"),
        404: (has_place, "There is none here, or it is another town's"),
        408: (has_body, "The body did not arrive whole"),
        409: (has_place and method == "post", "Not as things stand now"),
        413: (has_body, "The body is too large"),
        415: (has_body, "The body is compressed"),
        422: (has_body or given, "A field is wrong: `errors` names it"),
        503: (True, "Not now: send again after `Retry-After`"),
    }
    for status, (is_so, why) in may.items():
        if is_so:
            yield status, {"description": why}
