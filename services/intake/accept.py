"""Taking a report in: limits first, then who, then what; 202 only once Kafka has it.

This path touches nothing but memory and Kafka; where a report names attachments, the store is asked
for a moment whether it still has them. A report that was not confirmed in time may still
arrive: sent again with the same key it is the same case.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

import structlog
from aiokafka.errors import KafkaError
from faststream.exceptions import FastStreamException
from faststream.kafka import KafkaBroker
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from contracts.events import Event, case_id, effect_id
from contracts.facts import CaseReportedV1, Sealed
from contracts.registry import FrontEnd
from contracts.topics import INTAKE_EVENTS
from services.chassis.batch import is_passing
from services.chassis.crash import crash_point
from services.chassis.http import Problem
from services.chassis.seal import KeyRing
from services.doors.attachment_id import check_given_out
from services.doors.body import read_body
from services.intake.checks import (
    LARGE_BYTES,
    check_kind,
    check_when,
    idempotency_key,
    lapsed,
    read_apart,
    sealing,
    starting,
    told_time,
    traceparent,
    validated,
)
from services.intake.contents import Contents
from services.intake.domain.tracking import shown_code
from services.intake.gate import Gate, overloaded
from services.intake.guard import guard, worth_reading
from services.intake.naming import town_named
from services.intake.registry import Granted, Registry, TownKnown
from services.intake.report import Report
from services.intake.settings import IntakeSettings
from services.intake.unnamed import check_kept
from services.telemetry import traces
from services.telemetry.metrics import count

log = structlog.get_logger()

Handle = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Ready:
    """A report that is right, sealed and on its way to Kafka."""

    event: Event
    tracking_code: str
    town: TownKnown
    emergency: Sequence[Mapping[str, Any]] = ()
    attachments: Sequence[str] = ()


class Acceptor:
    """Accepts reports. Quotas and the number in flight are this process's own."""

    def __init__(
        self,
        settings: IntakeSettings,
        broker: KafkaBroker,
        registry: Registry,
        keys: KeyRing,
        contents: Contents,
        on_fatal: Callable[[BaseException], None],
    ) -> None:
        self._settings, self._broker, self._registry, self._keys = settings, broker, registry, keys
        self.contents, self._on_fatal = contents, on_fatal
        self.gate = Gate(settings.in_flight_max)
        self._asking = 0
        self._standing_still = False  # the broker left the last one without an answer

    async def post_case(self, request: Request) -> Response:
        return await self.answer(request, self._post_case)

    async def answer(self, request: Request, handle: Handle) -> Response:
        """Answer a request, or tell what is the matter with it."""
        try:
            with self.gate.visit(request):
                return await handle(request)
        except Problem as problem:
            return problem.response()

    async def _post_case(self, request: Request) -> Response:
        granted = self.who(request)
        key = idempotency_key(request)
        body = await self.body(request)
        strained = self.strained(request, granted)
        if strained and not worth_reading(body):
            raise overloaded()
        if len(body) < LARGE_BYTES:  # as most are: not a turn more than it takes
            report = validated(Report, body)
        else:
            report = await read_apart(partial(validated, Report), body)
        ready = self.ready(report, key, granted, traceparent(request), strained=strained)
        return JSONResponse(await self.take(ready), 202)

    def ready(
        self, report: Report, key: str, granted: Granted, trace: str, *, strained: bool
    ) -> Ready:
        """Check a report against its town, and seal it; `strained`: emergencies alone go on.

        Raises:
            Problem: the town does not take it, is not ready, or it has to wait.
        """
        tenant_id, source, town = self.town(report.tenant, granted)
        emergency = guard(report, town.profile)
        if strained and not emergency:
            raise overloaded()
        check_kind(report, town, granted[tenant_id][1])
        check_when(report, town, datetime.now(UTC))
        reported_id = case_id(tenant_id, source, key)
        with sealing(tenant_id):
            check_given_out(self._keys, tenant_id, "attachments", report.attachments)
            tracking_code = self._keys.tracking_code(tenant_id, str(reported_id))
            event = self._event(reported_id, tenant_id, source, report, town, trace)
        return Ready(event, tracking_code, town, emergency, report.attachments)

    async def take(self, ready: Ready, *, among_many: bool = False) -> dict[str, Any]:
        """Publish a report; return what its front end is told.

        Raises:
            Problem: 422, it names an attachment that was swept; 503, not confirmed in time.
        """
        if ready.attachments:
            await check_kept(self.contents, ready.event.tenant_id, ready.attachments)
        at = await self.publish(ready.event, among_many=among_many)
        crash_point("after_ack")
        count("chuishao_accepted_total")
        return {
            "case_id": str(ready.event.subject_id),
            "tracking_code": shown_code(ready.tracking_code),
            "received_at": told_time(ready.town, at),
            **({"emergency": ready.emergency} if ready.emergency else {}),
        }

    def who(self, request: Request) -> Granted:
        """Tell which front end posts, and for which towns; count it against its quota."""
        if not self._registry.complete:
            raise starting()
        digest = self._keys.api_key_digest(request.headers.get("x-api-key", ""))
        granted = self._registry.granted(digest)
        if not granted:
            zh, en = "接入密钥无效。", "Unknown API key: send it in the X-Api-Key header."
            raise Problem(401, "api_key_unknown", zh, en)
        now = datetime.now(UTC)
        valid = {tenant: one for tenant, one in granted.items() if not lapsed(one[1], now)}
        if not valid:
            raise lapsed(next(iter(granted.values()))[1], now) or AssertionError
        self.gate.count(request, digest, _front_end(valid))
        return valid

    def strained(self, request: Request, granted: Granted) -> bool:
        """Tell whether only emergencies of this front end may still go on."""
        return self.gate.strained(request, _front_end(granted))

    def charge(self, request: Request, granted: Granted) -> None:
        """Count one more of a request against its front end's quota.

        Raises:
            Problem: 429, the quota is used up.
        """
        digest = self._keys.api_key_digest(request.headers.get("x-api-key", ""))
        self.gate.count(request, digest, _front_end(granted))

    async def body(
        self, request: Request, limit: int | None = None, deadline_s: float | None = None
    ) -> bytes:
        """Read a body of at most `limit` bytes, by the settings where nothing else is said.

        Raises:
            Problem: 413 where it is larger, 408 where it does not come whole in time.
        """
        settings = self._settings
        limits = limit or settings.body_bytes_max, deadline_s or settings.body_deadline_s
        return await read_body(request, *limits)

    def _on_answer(self, answered: asyncio.Future[object]) -> None:
        """Note that the broker answers again; an answer that comes late tells it as well."""
        if not answered.cancelled() and answered.exception() is None:
            self._standing_still = False

    def town(self, name: str, granted: Granted) -> tuple[str, str, TownKnown]:
        """Resolve the town. One that the key is not for looks like one that is not there."""
        tenant_id = town_named(name, granted, self._registry, datetime.now(UTC))
        return tenant_id, granted[tenant_id][0], self._registry.towns[tenant_id]

    def _event(
        self,
        reported_id: UUID,
        tenant_id: str,
        source: str,
        report: Report,
        town: TownKnown,
        trace: str,
    ) -> Event:
        subject = str(reported_id)
        sealed = Sealed(**asdict(self._keys.seal(tenant_id, subject, report.words)))
        mac = self._keys.body_mac(tenant_id, report.digested)
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
                location=report.location.told,
                attachments=report.attachments,
                sealed=sealed,
            ),
            body_mac=mac,
            traceparent=trace,
        )

    async def publish(self, event: Event, *, among_many: bool = False) -> datetime:
        """Publish and wait for the acknowledgement; return the broker's time, real, if it tells it.

        While the broker answers nobody, a few go on asking it and all others are told at once:
        a crowd that waits would make everybody late. One `among_many` that were handed in together
        waits for those before it, and tells nothing of how slow the broker is.

        Raises:
            Problem: 503 when it was not confirmed in time.
        """
        if self._standing_still and self._asking >= self._settings.asking_max:
            raise _not_confirmed()
        self._asking += 1
        began = time.monotonic()
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
        if not among_many:
            self.gate.took(time.monotonic() - began)
        if meta.timestamp_type != 1:
            # Our producer's own retry of what the broker has, but no longer remembers when: it
            # tells no time, so this host's is shown. Routing reads the record's, and that decides.
            return datetime.now(UTC)
        return datetime.fromtimestamp(meta.timestamp / 1000, UTC)


def _not_confirmed() -> Problem:
    zh = "没有确认收到，请用同一个 Idempotency-Key 重发。"
    en = "Not confirmed: send again with the same Idempotency-Key."
    return Problem(503, "not_confirmed", zh, en, {"Retry-After": "2"})


def _front_end(granted: Granted) -> FrontEnd:
    """Return whose key it is; its records in several towns share one quota."""
    return next(iter(granted.values()))[1]
