"""The spans of `traces`, by OpenTelemetry's SDK, sent over OTLP/HTTP in the background."""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import Token
from dataclasses import is_dataclass, replace
from types import TracebackType
from typing import Any, Self

from opentelemetry import context, trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from services.telemetry.traces import HEADER, About, Kind, M, R, Span

_PROPAGATOR = TraceContextTextMapPropagator()
_KINDS: Mapping[Kind, SpanKind] = {
    "server": SpanKind.SERVER,
    "client": SpanKind.CLIENT,
    "producer": SpanKind.PRODUCER,
    "consumer": SpanKind.CONSUMER,
}
_KAFKA = {"messaging.system": "kafka"}


class LiveSpan(Span):
    """A span that is told of."""

    def __init__(self, given: trace.Span) -> None:
        self._span = given
        self._token: Token[Context] | None = None

    def __enter__(self) -> Self:
        self._token = context.attach(trace.set_span_in_context(self._span))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        if self._token is not None:
            context.detach(self._token)
        self.end(error)

    def tell(self, name: str | None = None, **about: str | int) -> None:
        if name is not None:
            self._span.update_name(name)
        self._span.set_attributes({k.replace("__", "."): one for k, one in about.items()})

    def carried(self, headers: dict[str, str]) -> dict[str, str]:
        return {**headers, HEADER: _text(self._span.get_span_context())}

    def until(self, future: Any) -> None:  # noqa: ANN401 - as in `Span`
        future.add_done_callback(self._done)

    def _done(self, future: Any) -> None:  # noqa: ANN401 - as in `Span`
        self.end(TimeoutError() if future.cancelled() else future.exception())

    def end(self, error: BaseException | None = None, at: int | None = None) -> None:
        """End; of an error its kind alone is told, since its text may hold what is personal."""
        if error is not None:
            self._span.set_attribute("error.type", type(error).__name__)
            self._span.set_status(Status(StatusCode.ERROR))
        self._span.end(at)


class Tracing:
    """Makes spans. Sampling, limits and the exporter obey the standard `OTEL_…` variables."""

    def __init__(self, service: str) -> None:
        named = {} if os.environ.get("OTEL_SERVICE_NAME") else {SERVICE_NAME: f"chuishao-{service}"}
        provider = TracerProvider(resource=Resource.create(named))  # flushed as the process ends
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = provider.get_tracer("chuishao")

    def span(self, name: str, kind: Kind, parent: str | None, about: About) -> LiveSpan:
        under = None if parent is None else _context(parent)
        return LiveSpan(self._tracer.start_span(name, under, _KINDS[kind], about))

    def sending(self, topic: str, headers: Mapping[str, str]) -> LiveSpan:
        about = {
            **_KAFKA,
            "messaging.operation.type": "send",
            "messaging.operation.name": "send",
            "messaging.destination.name": topic,
            "cloudevents.event_type": headers.get("ce_type", ""),
            "cloudevents.event_subject": headers.get("ce_subject", ""),
        }
        return self.span(f"send {_short(topic)}", "producer", headers.get(HEADER), about)

    def current(self) -> Mapping[str, str]:
        now = trace.get_current_span().get_span_context()
        return {HEADER: _text(now)} if now.is_valid else {}

    @contextmanager
    def processing(self, batch: Sequence[tuple[R, M]]) -> Iterator[Sequence[tuple[R, M]]]:
        began = time.time_ns()
        given, spans = [], []
        for record, message in batch:
            if message is not None:
                span = self._process(record, began)
                spans.append(LiveSpan(span))
                message = _under(message, _text(span.get_span_context()))  # noqa: PLW2901 - it goes on under its span
            given.append((record, message))
        error: BaseException | None = None
        try:
            yield given
        except BaseException as raised:
            error = raised
            raise
        finally:
            ended = time.time_ns()
            for one in spans:
                self._transaction(one, began, len(batch)).end(error, ended)
                one.end(error, ended)

    def _process(self, record: R, began: int) -> trace.Span:
        about: dict[str, str | int] = {
            **_KAFKA,
            "messaging.operation.type": "process",
            "messaging.operation.name": "process",
            "messaging.destination.name": record.topic,
            "messaging.destination.partition.id": str(record.partition),
            "messaging.kafka.offset": record.offset,
            "cloudevents.event_type": _plain(record.headers.get("ce_type", b"")),
            "cloudevents.event_subject": _plain(record.headers.get("ce_subject", b"")),
        }
        under = _context(_plain(record.headers.get(HEADER, b"")))
        sender = trace.get_current_span(under).get_span_context()
        links = [Link(sender)] if sender.is_valid else []
        return self._tracer.start_span(
            f"process {_short(record.topic)}", under, SpanKind.CONSUMER, about, links, began
        )

    def _transaction(self, of: LiveSpan, began: int, records: int) -> LiveSpan:
        about: dict[str, str | int] = {
            "db.system.name": "postgresql",
            "db.operation.batch.size": records,
        }
        under = trace.set_span_in_context(of._span, Context())  # noqa: SLF001 - our own
        span = self._tracer.start_span("transaction", under, SpanKind.CLIENT, about, (), began)
        return LiveSpan(span)


def _context(parent: str) -> Context:
    return _PROPAGATOR.extract({HEADER: parent} if parent else {}, Context())


def _text(given: SpanContext) -> str:
    return f"00-{given.trace_id:032x}-{given.span_id:016x}-{int(given.trace_flags):02x}"


def _plain(header: bytes) -> str:
    return header.decode(errors="replace")[:200]


def _short(topic: str) -> str:
    """Return a name that all departments' topics share: there are as many as departments."""
    return "dept" if topic.startswith("dept.") else topic


def _under(message: M, traceparent: str) -> M:
    if is_dataclass(message) and not isinstance(message, type) and hasattr(message, HEADER):
        return replace(message, traceparent=traceparent)
    return message
