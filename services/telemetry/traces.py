"""Traces: one report seen on its whole way, as spans of all the services that it passes.

Off unless `OTEL_EXPORTER_OTLP_ENDPOINT` (or `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`) says where spans
go: then OpenTelemetry is not even imported, and each call here returns at once. What travels is
W3C `traceparent`, in HTTP headers, record headers, outbox rows and intents. A span holds names of
ours, ids and codes; never a path, a body, an address or the text of an error.
"""

import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self, TypeAlias, TypeVar

if TYPE_CHECKING:
    from services.telemetry.spans import Tracing

HEADER = "traceparent"
Kind: TypeAlias = Literal["server", "client", "producer", "consumer"]
About: TypeAlias = Mapping[str, str | int]
R = TypeVar("R", bound="Carrying")
M = TypeVar("M")
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_tracing: "Tracing | None" = None


class Carrying(Protocol):
    """A record as far as a trace needs it."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def headers(self) -> Mapping[str, bytes]: ...


class Span:
    """What is under way; this one leaves no trace."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None: ...

    def tell(self, name: str | None = None, **about: str | int) -> None:
        """Add what is known by now; in names of attributes `__` stands for a dot."""

    def carried(self, headers: dict[str, str]) -> dict[str, str]:
        """Return headers by which whoever gets them goes on under this span."""
        return headers

    def until(self, future: "Any") -> None:  # noqa: ANN401 - the producer's future has no type
        """End when this is done."""


_NONE = Span()


def configure(service: str) -> None:
    """Begin to trace if the environment says where spans go; `OTEL_SDK_DISABLED` wins."""
    global _tracing  # noqa: PLW0603 - set once, at the start
    wanted = any(os.environ.get(name) for name in _ENDPOINTS)
    if not wanted or os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return
    from services.telemetry.spans import Tracing  # noqa: PLC0415 - 0.7 s, for those who want it

    _tracing = Tracing(service)


def is_on() -> bool:
    return _tracing is not None


def span(name: str, kind: Kind, parent: str | None = None, about: About | None = None) -> Span:
    """Begin a span; as a context it is the current one and ends with the block.

    `parent` is a traceparent; None: the current span, empty: none.
    """
    return _NONE if _tracing is None else _tracing.span(name, kind, parent, about or {})


def sending(topic: str, headers: Mapping[str, str]) -> Span:
    """Begin to send a record, under the span that its headers name."""
    return _NONE if _tracing is None else _tracing.sending(topic, headers)


def current() -> Mapping[str, str]:
    """Return the header that carries the current span; nothing where there is none."""
    return {} if _tracing is None else _tracing.current()


def joined(headers: Mapping[str, str]) -> Mapping[str, str]:
    """Return a record's headers; one without a trace belongs to the current span."""
    if _tracing is None or HEADER in headers:
        return headers
    return {**headers, **_tracing.current()}


def processing(
    batch: Sequence[tuple[R, M]],
) -> AbstractContextManager[Sequence[tuple[R, M]]]:
    """Trace a batch that is handled in one transaction, and give it back to be handled.

    Each record has a span of its own under the one that sent it, to which it is linked as well,
    and below it one for the transaction that all share. A message with a `traceparent` goes on
    under the span of its own handling. Source: OpenTelemetry's semantic conventions, messaging
    spans, "Consumer spans": a process span may account for a single message, and links to the
    message's creation context.
    """
    return nullcontext(batch) if _tracing is None else _tracing.processing(batch)
