"""CloudEvents in: a report as an event, for front ends that speak nothing else.

The promises, the limits and the answers are those of `POST /v1/cases`; source and id are the
idempotency key. An event's type is what it will be on the bus, its data what a report says.
"""

import json
from collections.abc import Callable
from functools import partial
from typing import TypeAlias

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from contracts.facts import CaseReportedV1
from services.chassis.http import Json, Problem, read_json
from services.doors.body import too_large
from services.intake.accept import Acceptor, Ready
from services.intake.batch import Batches
from services.intake.checks import read_apart, shaped, traceparent
from services.intake.cloudevents import (
    CloudEvent,
    mode_of,
    read_batch,
    read_binary,
    read_structured,
)
from services.intake.registry import Granted
from services.intake.report import Report
from services.intake.settings import IntakeSettings

KNOWN = (CaseReportedV1.TYPE,)
Prepare: TypeAlias = Callable[[Report, str], Ready]


class Events:
    """Accepts events at the same counter as reports; a batch of them as a batch of reports."""

    def __init__(self, acceptor: Acceptor, batches: Batches, settings: IntakeSettings) -> None:
        self._acceptor, self._batches, self._settings = acceptor, batches, settings

    async def post_event(self, request: Request) -> Response:
        return await self._acceptor.answer(request, self._post_event)

    async def _post_event(self, request: Request) -> Response:
        granted = self._acceptor.who(request)
        mode = mode_of(request.headers)
        ready = partial(
            self._acceptor.ready,
            granted=granted,
            trace=traceparent(request),
            strained=self._acceptor.strained(request, granted),
        )
        if mode == "batched":
            return await self._post_batch(request, granted, ready)
        body = await self._acceptor.body(request)
        read = partial(read_binary, request.headers) if mode == "binary" else _structured
        event = await read_apart(read, body)
        return JSONResponse(await self._acceptor.take(_ready(event, ready)), 202)

    async def _post_batch(self, request: Request, granted: Granted, ready: Prepare) -> Response:
        async with self._batches.place():
            body = await self._acceptor.body(request, self._settings.batch_bytes_max)
            paid = self._batches.charge_for_size(request, granted, len(body))
            said = await read_apart(read_json, body)
            batch = self._batches.counted(read_batch(said))
            limit = self._settings.body_bytes_max
            one = partial(_one, ready=ready, limit=limit if len(body) > limit else None)
            made = {n: partial(one, said) for n, said in enumerate(batch, 1)}
            results = await self._batches.take(request, granted, made, paid) if made else []
        return JSONResponse(results)


def _structured(body: bytes) -> CloudEvent:
    return read_structured(read_json(body))


def _one(said: Json, ready: Prepare, limit: int | None) -> Ready:
    """Take one of a batch; where there is a limit, it may be as large as it might be alone."""
    if limit is not None and _size(said) > limit:
        raise too_large(limit)
    return _ready(read_structured(said), ready)


def _size(said: Json) -> int:
    return len(json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode())


def _ready(event: CloudEvent, ready: Prepare) -> Ready:
    if event.type not in KNOWN:
        names = ", ".join(KNOWN)
        zh, en = f"type 应为：{names}。", f"`type`: expected one of {names}."
        raise Problem(422, "event_type_unknown", zh, en, field="type", expected=list(KNOWN))
    return ready(shaped(Report, event.data), event.key)
