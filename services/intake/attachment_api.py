"""HTTP in: attachments, before the case that they belong to, and after."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response, Security
from fastapi.security import APIKeyHeader

from services.chassis.token import Identity, TokenCheck
from services.doors.document import refusal
from services.doors.route import JsonRoute
from services.doors.who import Authorization, identified
from services.intake.accept import Acceptor
from services.intake.attachments import KEPT_AS, Attachments, AttachmentView
from services.intake.registry import Granted
from services.intake.vetting import TAKEN

ApiKey = Annotated[
    str | None, Security(APIKeyHeader(name="X-Api-Key", scheme_name="api_key", auto_error=False))
]
Town = Annotated[str | None, Query(description="needed where the key is for several towns")]
Documented = dict[int | str, dict[str, Any]]


def make_router(attachments: Attachments, acceptor: Acceptor, tokens: TokenCheck) -> APIRouter:
    """Make the endpoints for attachments."""
    router = APIRouter(prefix="/v1/attachments", tags=["attachments"], route_class=JsonRoute)

    @contextmanager
    def reader(request: Request, authorization: str | None) -> Iterator[Identity | Granted]:
        """Tell who reads: a front end by its key, at its place inside, else staff by a token."""
        if "x-api-key" not in request.headers:
            yield identified(tokens, authorization)
            return
        with acceptor.gate.visit(request):
            yield acceptor.who(request)

    # What the acceptor reads of a request itself stands in the signatures to be documented.
    @router.post("", status_code=201, openapi_extra={"requestBody": _BODY}, responses=_POSTED)
    async def post_attachment(
        request: Request,
        x_api_key: ApiKey = None,  # noqa: ARG001
        tenant: Town = None,
    ) -> Response:
        with acceptor.gate.visit(request):
            return await attachments.post(request, tenant)

    @router.get("/{attachment_id}", responses=_GOT, response_class=Response)
    async def get_attachment(
        attachment_id: str,
        request: Request,
        authorization: Authorization = None,
        x_api_key: ApiKey = None,  # noqa: ARG001
    ) -> Response:
        with reader(request, authorization) as who:
            return await attachments.get(attachment_id, who)

    @router.get("/{attachment_id}/record", responses=_TOLD)
    async def get_attachment_record(
        attachment_id: str,
        request: Request,
        authorization: Authorization = None,
        x_api_key: ApiKey = None,  # noqa: ARG001
    ) -> Response:
        with reader(request, authorization) as who:
            return await attachments.get_record(attachment_id, who)

    return router


_BODY = {"required": True, "content": {name: {} for name in ("application/octet-stream", *TAKEN)}}
_REFUSED: Documented = {
    401: refusal("The API key or the token does not hold"),
    404: refusal("Not here, or not yours to see"),
    429: refusal("Too fast or too much: Retry-After"),
    503: refusal("Not now: send again"),
}
_POSTED: Documented = {
    200: {"model": AttachmentView, "description": "It was here already: the same id"},
    201: {"model": AttachmentView, "description": "Kept"},
    408: refusal("The body did not arrive whole"),
    413: refusal("The body is too large"),
    415: refusal("Not a type that is taken, by its content"),
    422: refusal("It cannot be read, or is more than is taken"),
    **_REFUSED,
}
_TOLD: Documented = {200: {"model": AttachmentView}, **_REFUSED}
_GOT: Documented = {
    200: {"description": "The file", "content": {name: {} for name in KEPT_AS}},
    **_REFUSED,
}
