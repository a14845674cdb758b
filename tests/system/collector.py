"""A collector of traces: takes OTLP over HTTP as any does, and keeps the spans."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True, slots=True)
class Seen:
    """One span, as it was sent."""

    service: str
    name: str
    kind: int
    trace_id: str
    span_id: str
    parent_id: str
    about: Mapping[str, Any]
    began_ns: int
    ended_ns: int
    failed: bool
    links: tuple[str, ...]


@dataclass
class Collector:
    """What has come in."""

    url: str
    spans: list[Seen] = field(default_factory=list)

    def take(self, body: bytes) -> None:
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            named = {one.key: one.value.string_value for one in resource.resource.attributes}
            for scope in resource.scope_spans:
                self.spans += [_seen(named["service.name"], span) for span in scope.spans]


def _seen(service: str, span: Any) -> Seen:
    about = {one.key: one.value.string_value or one.value.int_value for one in span.attributes}
    ids = (span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex())
    times = (span.start_time_unix_nano, span.end_time_unix_nano)
    links = tuple(link.span_id.hex() for link in span.links)
    return Seen(service, span.name, span.kind, *ids, about, *times, span.status.code == 2, links)


@contextmanager
def collecting() -> Iterator[Collector]:
    """Collect while the block lasts."""

    class Door(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            collector.take(body)
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    server.daemon_threads = True
    collector = Collector(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def tree(spans: list[Seen]) -> str:
    """Draw one trace, each span below the one that it goes on from."""
    first = min(one.began_ns for one in spans)
    ids = {one.span_id for one in spans}

    def lines(parent: str, indent: str) -> Iterator[str]:
        for one in sorted(spans, key=lambda one: one.began_ns):
            if one.parent_id == parent or (not indent and one.parent_id not in ids):
                at, took = (one.began_ns - first) / 1e6, (one.ended_ns - one.began_ns) / 1e6
                what = one.about.get("cloudevents.event_type") or one.about.get("http.route") or ""
                yield f"{at:7.1f} ms +{took:6.1f}  {indent}{one.service[9:]}: {one.name}  {what}"
                yield from lines(one.span_id, indent + "  ")

    return "\n".join(lines("", ""))
