"""Taking a report in: limits first, then who, then what; 202 only once Kafka has it.

This path touches nothing but memory and Kafka. A report that was not confirmed in time may still
arrive: sent again with the same key it is the same case.
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import NoReturn
from uuid import UUID

import structlog
from aiokafka.errors import KafkaError
from faststream.exceptions import FastStreamException
from faststream.kafka import KafkaBroker
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from contracts.events import Event, case_id, effect_id
from contracts.facts import CaseReportedV1, Location, Sealed
from contracts.topics import INTAKE_EVENTS
from services.chassis.batch import is_passing
from services.chassis.crash import crash_point
from services.chassis.http import Problem
from services.chassis.seal import CannotOpen, KeyRing
from services.intake.checks import (
    check_kind,
    check_when,
    idempotency_key,
    lapsed,
    not_ready,
    traceparent,
    validated,
)
from services.intake.domain.quota import Bucket, take
from services.intake.domain.tracking import shown_code
from services.intake.registry import Granted, Registry, TownKnown
from services.intake.report import Report
from services.intake.settings import IntakeSettings
from services.telemetry import traces
from services.telemetry.metrics import count

log = structlog.get_logger()

Handle = Callable[[Request], Awaitable[Response]]


class Acceptor:
    """Accepts reports. Quotas and the number in flight are this process's own."""

    def __init__(
        self,
        settings: IntakeSettings,
        broker: KafkaBroker,
        registry: Registry,
        keys: KeyRing,
        on_fatal: Callable[[BaseException], None],
    ) -> None:
        self._settings, self._broker, self._registry, self._keys = settings, broker, registry, keys
        self._on_fatal = on_fatal
        self._in_flight = self._asking = 0
        self._standing_still = False  # the broker left the last one without an answer
        self._buckets: dict[str, Bucket] = {}

    async def post_case(self, request: Request) -> Response:
        return await self.answer(request, self._post_case)

    async def answer(self, request: Request, handle: Handle) -> Response:
        """Answer a request, or tell what is the matter with it."""
        try:
            return await self._bounded(request, handle)
        except Problem as problem:
            return problem.response()

    async def _bounded(self, request: Request, handle: Handle) -> Response:
        if self._in_flight >= self._settings.in_flight_max:
            zh, en = "此刻太忙，请稍后用同一幂等键重发。", "Too busy: send again with the same key."
            raise Problem(429, "overloaded", zh, en, {"Retry-After": "1"})
        self._in_flight += 1
        try:
            return await handle(request)
        finally:
            self._in_flight -= 1

    async def _post_case(self, request: Request) -> Response:
        granted = self.who(request)
        key = idempotency_key(request)
        report = validated(Report, await self.body(request))
        tenant_id, source, town = self.town(report.tenant, granted)
        check_kind(report, town, granted[tenant_id][1])
        check_when(report, town, datetime.now(UTC))
        reported_id = case_id(tenant_id, source, key)
        try:
            tracking_code = self._keys.tracking_code(tenant_id, str(reported_id))
            event = self._event(reported_id, tenant_id, source, report, town, request)
        except (CannotOpen, OSError) as error:  # the key file has yet to come, or to be mended
            log.error("report_not_sealed", tenant_id=tenant_id, error=type(error).__name__)  # noqa: TRY400 - the kind says it all
            raise not_ready() from error
        at = await self.publish(event)
        crash_point("after_ack")
        count("chuishao_accepted_total")
        accepted = {
            "case_id": str(reported_id),
            "tracking_code": shown_code(tracking_code),
            "received_at": town.offsets.tenant_time(at).isoformat(timespec="milliseconds"),
        }
        return JSONResponse(accepted, 202)

    def who(self, request: Request) -> Granted:
        """Tell which front end posts, and for which towns; count it against its quota."""
        if not self._registry.complete:
            zh, en = "正在启动，请稍后用同一幂等键重发。", "Starting: send again with the same key."
            raise Problem(503, "starting", zh, en, {"Retry-After": "2"})
        digest = self._keys.api_key_digest(request.headers.get("x-api-key", ""))
        granted = self._registry.granted(digest)
        if not granted:
            zh, en = "接入密钥无效。", "Unknown API key: send it in the X-Api-Key header."
            raise Problem(401, "api_key_unknown", zh, en)
        now = datetime.now(UTC)
        valid = {tenant: one for tenant, one in granted.items() if not lapsed(one[1], now)}
        if not valid:
            raise lapsed(next(iter(granted.values()))[1], now) or AssertionError
        front_end = next(iter(valid.values()))[1]
        self._buckets[digest], wait_s = take(
            self._buckets.get(digest), time.monotonic(), front_end.quota_per_s, front_end.burst
        )
        if wait_s is not None:
            zh, en = "发送太快，请稍后重发。", "Over this front end's quota: send again later."
            headers = {"Retry-After": str(max(1, math.ceil(wait_s)))}
            raise Problem(429, "quota_exceeded", zh, en, headers)
        return valid

    async def body(self, request: Request) -> bytes:
        limit = self._settings.body_bytes_max
        length = request.headers.get("content-length", "")
        if length.isdigit() and int(length) > limit:
            _too_large(limit)
        body = bytearray()
        try:
            async with asyncio.timeout(self._settings.body_deadline_s):
                async for chunk in request.stream():
                    body += chunk
                    if len(body) > limit:
                        _too_large(limit)
        except (TimeoutError, ClientDisconnect) as error:
            zh, en = "正文没有收全，请重发。", "The body did not arrive whole: send again."
            raise Problem(408, "body_incomplete", zh, en) from error
        return bytes(body)

    def _on_answer(self, answered: asyncio.Future[object]) -> None:
        """Note that the broker answers again; an answer that comes late tells it as well."""
        if not answered.cancelled() and answered.exception() is None:
            self._standing_still = False

    def town(self, name: str, granted: Granted) -> tuple[str, str, TownKnown]:
        """Resolve the town. One that the key is not for looks like one that is not there."""
        tenant_id = self._registry.tenant_id(name, datetime.now(UTC))
        if tenant_id is None or tenant_id not in granted:
            zh = "没有这个镇，或者这个密钥不能为它上报。"
            en = "No such tenant, or this key is not for it: check `tenant`."
            raise Problem(404, "tenant_unknown", zh, en, field="tenant")
        return tenant_id, granted[tenant_id][0], self._registry.towns[tenant_id]

    def _event(
        self,
        reported_id: UUID,
        tenant_id: str,
        source: str,
        report: Report,
        town: TownKnown,
        request: Request,
    ) -> Event:
        subject = str(reported_id)
        sealed = Sealed(**asdict(self._keys.seal(tenant_id, subject, report.words)))
        mac = self._keys.body_mac(tenant_id, report.digested)
        where = report.location.model_dump(exclude={"address"})
        return Event(
            event_id=effect_id(reported_id, f"{CaseReportedV1.TYPE}|{mac}"),
            tenant_id=tenant_id,
            subject_id=reported_id,
            occurred_at=town.offsets.tenant_time(datetime.now(UTC)),
            source=f"/intake/{source}",
            data=CaseReportedV1(
                front_end=source,
                category=report.category,
                severity=report.severity,
                case_class=report.case_class,
                occurred_at=report.occurred_at,
                anonymous=report.reporter.anonymous,
                location=Location(**where),
                attachments=report.attachments,
                sealed=sealed,
            ),
            body_mac=mac,
            traceparent=traceparent(request),
        )

    async def publish(self, event: Event) -> datetime:
        """Publish and wait for the acknowledgement; return the broker's time, real, if it tells it.

        While the broker answers nobody, a few go on asking it and all others are told at once:
        a crowd that waits would make everybody late.

        Raises:
            Problem: 503 when it was not confirmed in time.
        """
        if self._standing_still and self._asking >= self._settings.asking_max:
            raise _not_confirmed()
        self._asking += 1
        try:
            async with asyncio.timeout(self._settings.accept_deadline_s):
                span = traces.sending(INTAKE_EVENTS.name, event.headers)
                future = await self._broker.publish(
                    event.body,
                    INTAKE_EVENTS.name,
                    key=event.key,
                    headers=span.carried(event.headers),
                    no_confirm=True,
                )
                span.until(future)
                future.add_done_callback(self._on_answer)
                meta = await asyncio.shield(future)
        except (OSError, KafkaError, FastStreamException) as error:
            self._standing_still = True
            if isinstance(error, KafkaError) and not is_passing(error):
                self._on_fatal(error)
            log.warning("report_not_confirmed", tenant_id=event.tenant_id, error=repr(error))
            raise _not_confirmed() from error
        finally:
            self._asking -= 1
        if meta.timestamp_type != 1:
            # Our producer's own retry of what the broker has, but no longer remembers when: it
            # tells no time, so this host's is shown. Routing reads the record's, and that decides.
            return datetime.now(UTC)
        return datetime.fromtimestamp(meta.timestamp / 1000, UTC)


def _not_confirmed() -> Problem:
    zh = "没有确认收到，请用同一个 Idempotency-Key 重发。"
    en = "Not confirmed: send again with the same Idempotency-Key."
    return Problem(503, "not_confirmed", zh, en, {"Retry-After": "2"})


def _too_large(limit: int) -> NoReturn:
    zh, en = f"正文超过 {limit} 字节。", f"The body is larger than {limit} bytes."
    raise Problem(413, "body_too_large", zh, en)
