"""Doors for tests and demonstrations: the truth, the faults, and whether we live.

None of these is the real provider's, so none is signed.
"""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from deploy.sandbox.faults import Active, Faults
from deploy.sandbox.provider import TheProvider
from deploy.sandbox.truth import Cleared

PROBLEM = "application/problem+json"
LIST_MAX = 50_000

Phone = Annotated[str | None, Query(pattern=r"^1[3-9][0-9]{9}$")]
OutId = Annotated[str | None, Query(max_length=255)]
Words = Annotated[str, Query(max_length=255)]
Limit = Annotated[int, Query(ge=1, le=LIST_MAX)]


router = APIRouter()


@router.get("/sandbox/messages")
async def list_messages(
    provider: TheProvider,
    phone: Phone = None,
    out_id: OutId = None,
    words: Words = "",
    reached: bool = True,
    limit: Limit = 1_000,
) -> dict[str, object]:
    """Oldest first, those whose text holds the words.

    `reached=false` lists those that the operator never got to the phone.
    """
    found = [
        message
        for message in provider.messages.find(phone, out_id)
        if (message.reached_at is not None) is reached and words in message.text
    ]
    return {"total": len(found), "messages": found[:limit]}


@router.delete("/sandbox/messages", status_code=HTTPStatus.NO_CONTENT)
async def forget_messages(provider: TheProvider) -> None:
    """Forget messages, receipts under way and frequency counts; the truth file keeps all."""
    provider.messages.record(Cleared(at=provider.clock()))
    provider.reporter.forget()
    provider.windows.forget()
    provider.call_windows.forget()


class CallEnd(BaseModel):
    """A key that is pressed; without one the call is hung up."""

    model_config = ConfigDict(extra="forbid")
    key: Annotated[str, Field(pattern=r"^[0-9*#]?$")] = ""


@router.post("/sandbox/calls/{message_id}", status_code=HTTPStatus.NO_CONTENT)
async def end_call(message_id: str, end: CallEnd, provider: TheProvider) -> None:
    """Answer a call that rings, and press a key or hang up."""
    message = provider.messages.get(message_id)
    if message is None or not message.call:
        raise HTTPException(HTTPStatus.NOT_FOUND, "no such call")
    if message.receipt is not None or message.reached_at is None:
        raise HTTPException(HTTPStatus.CONFLICT, "it does not ring any more")
    provider.reporter.end_call(message, end.key)


@router.get("/sandbox/faults")
async def list_faults(provider: TheProvider) -> dict[str, object]:
    return {"faults": [show_fault(active) for active in provider.faults.active]}


@router.post("/sandbox/faults", status_code=HTTPStatus.CREATED)
async def add_faults(faults: Faults, provider: TheProvider) -> dict[str, object]:
    try:
        provider.faults.add(faults)
    except ValueError as error:
        raise HTTPException(HTTPStatus.CONFLICT, str(error)) from error
    return await list_faults(provider)


@router.delete("/sandbox/faults", status_code=HTTPStatus.NO_CONTENT)
async def clear_faults(provider: TheProvider) -> None:
    provider.faults.clear()


@router.get("/live")
async def live() -> dict[str, bool]:
    return {"live": True}


@router.get("/ready")
async def ready(provider: TheProvider) -> JSONResponse:
    """Ready once the truth file is read, and as long as receipts are being told."""
    is_ready = provider.reporter.running and not provider.closing.is_set()
    status = HTTPStatus.OK if is_ready else HTTPStatus.SERVICE_UNAVAILABLE
    return JSONResponse({"ready": is_ready, "messages": len(provider.messages)}, status)


@router.get("/", include_in_schema=False)
async def index() -> RedirectResponse:
    return RedirectResponse("/phones")


def show_fault(active: Active) -> dict[str, object]:
    return {
        **active.fault.model_dump(exclude_none=True),
        "seen": active.seen,
        "struck": active.struck,
    }


def problem(status: int, code: str, detail: str) -> JSONResponse:
    """One body for every error of these doors."""
    body = {"title": HTTPStatus(status).phrase, "status": status, "code": code, "detail": detail}
    return JSONResponse(body, status, media_type=PROBLEM)


def add_problem_handlers(app: FastAPI) -> None:
    """FastAPI's own error bodies are lists; a person at a shell wants a sentence."""

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        del request
        sentences = [
            f"{'.'.join(str(part) for part in found['loc'])}: {found['msg']}"
            for found in error.errors()
        ]
        return problem(HTTPStatus.UNPROCESSABLE_ENTITY, "request_invalid", "; ".join(sentences))

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> JSONResponse:
        del request
        code = HTTPStatus(error.status_code).name.lower()
        return problem(error.status_code, code, str(error.detail))
