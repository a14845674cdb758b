"""What the provider knows while it runs, and the shape of its answers."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Annotated
from uuid import uuid4

from fastapi import Depends, Request
from fastapi.responses import JSONResponse

from deploy.sandbox.faults import FaultBoard
from deploy.sandbox.limits import AccountThrottle, Nonces, SendWindows
from deploy.sandbox.messages import Messages
from deploy.sandbox.receipts import Reporter
from deploy.sandbox.refusal import Refusal
from deploy.sandbox.replies import Replies
from deploy.sandbox.rules import Catalogue
from deploy.sandbox.settings import SandboxSettings

THROTTLE_MS = 1_000

Fields = Mapping[str, str]


@dataclass(slots=True)
class Provider:
    settings: SandboxSettings
    catalogue: Catalogue
    call_catalogue: Catalogue
    secrets: Mapping[str, str]
    clock: Callable[[], datetime]
    closing: asyncio.Event
    messages: Messages
    reporter: Reporter
    replies: Replies
    faults: FaultBoard
    windows: SendWindows
    call_windows: SendWindows
    throttle: AccountThrottle
    nonces: Nonces


def provider_of(request: Request) -> Provider:
    provider: Provider = request.app.state.provider
    return provider


async def depend(request: Request) -> Provider:
    """A coroutine, for FastAPI would run a plain function in a thread."""
    return provider_of(request)


TheProvider = Annotated[Provider, Depends(depend)]


def answer(body: Mapping[str, object], status: int = HTTPStatus.OK) -> JSONResponse:
    request_id = str(uuid4()).upper()
    headers = {"x-acs-request-id": request_id}
    return JSONResponse({**body, "RequestId": request_id}, status, headers)


def refuse(refusal: Refusal, retry_after_ms: int = THROTTLE_MS) -> JSONResponse:
    """Refusals of the gateway carry more than those of the business, as the real ones do."""
    body: dict[str, object] = {"Code": refusal.code, "Message": refusal.message}
    if refusal.status != HTTPStatus.OK:
        body["HostId"] = "dysmsapi.sandbox"
    response = answer(body, refusal.status)
    if refusal.status == HTTPStatus.TOO_MANY_REQUESTS:
        response.headers["x-acs-retry-after"] = str(retry_after_ms)
    return response
