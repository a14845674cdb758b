"""Spans as a collector gets them: under whom, about what, and nothing that is personal."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import pytest

from services.telemetry import traces
from tests.system.collector import Collector, Seen, collecting
from tests.waiting import until

SENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
UNSAMPLED = SENT[:-1] + "0"


@dataclass(frozen=True)
class Record:
    headers: Mapping[str, bytes]
    topic: str = "intake.events"
    partition: int = 3
    offset: int = 42


@dataclass(frozen=True)
class Message:
    traceparent: str = ""
    words: str = field(default="", repr=False)


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    monkeypatch.setattr(traces, "_tracing", None)
    with collecting() as one:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", one.url)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
        traces.configure("test")
        yield one


async def seen(collector: Collector, count: int) -> dict[str, Seen]:
    async def there() -> bool:
        return len(collector.spans) >= count

    await until(there, f"{count} spans have come", 20)
    return {one.name: one for one in collector.spans}


async def test_a_message_goes_on_under_the_span_of_its_own_handling(collector: Collector) -> None:
    record = Record({"traceparent": SENT.encode(), "ce_type": b"case.reported.v1"})
    with traces.processing([(record, Message(SENT)), (record, None)]) as batch:
        given = [message.traceparent if message else None for _, message in batch]
    spans = await seen(collector, 2)
    process, transaction = spans["process intake.events"], spans["transaction"]
    assert given == [f"00-{process.trace_id}-{process.span_id}-01", None]
    assert (process.trace_id, process.parent_id) == (SENT[3:35], SENT[36:52])
    assert process.links == (SENT[36:52],)
    assert transaction.parent_id == process.span_id
    assert transaction.about["db.operation.batch.size"] == 2
    assert process.about["messaging.kafka.offset"] == 42


async def test_a_batch_that_fails_tells_the_kind_of_the_error_alone(collector: Collector) -> None:
    record = Record({"traceparent": b"nonsense \xff"})
    with (
        pytest.raises(ConnectionError),
        traces.processing([(record, Message(words="李四"))]),
    ):
        raise ConnectionError("13800001234 李四")
    process = (await seen(collector, 2))["process intake.events"]
    assert process.failed
    assert process.about["error.type"] == "ConnectionError"
    assert (process.parent_id, process.links) == ("", ()), "a trace of its own"
    assert not [text for text in ("李四", "1380000") if text in repr(collector.spans)]


async def test_what_is_written_during_a_request_belongs_to_it(collector: Collector) -> None:
    own = {"traceparent": SENT}
    with traces.span("POST", "server", "") as span:
        joined = traces.joined({"ce_id": "1"})
        assert traces.joined(own) == own
        span.tell("POST /v1/cases/{case_id}/steps")
    (request,) = (await seen(collector, 1)).values()
    assert joined["traceparent"].startswith(f"00-{request.trace_id}-{request.span_id}-")
    assert request.service == "chuishao-test"
    assert not traces.current()


async def test_who_asks_not_to_be_sampled_is_not(collector: Collector) -> None:
    with traces.span("POST", "server", UNSAMPLED):
        carried = traces.current()["traceparent"]
        traces.sending("dept.town.police", {"traceparent": carried})
    with traces.span("GET", "server", ""):
        pass
    assert carried.endswith("-00")
    assert list(await seen(collector, 1)) == ["GET"]
