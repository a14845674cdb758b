"""What is off costs next to nothing: no import, and a fraction of a microsecond or so a span."""

import subprocess
import sys
import time
import timeit
from collections.abc import Callable

import pytest

from services.telemetry import traces

ROUNDS = 20_000
HEADERS = {"ce_type": "case.opened.v1"}


def a_span() -> None:
    with traces.span("send sms", "client", "") as span:
        span.tell(chuishao__outcome="accepted")


def a_record() -> None:
    span = traces.sending("routing.events", HEADERS)
    span.carried(HEADERS)


def a_batch() -> None:
    with traces.processing([]):
        pass


@pytest.mark.parametrize("what", [a_span, a_record, a_batch, traces.current])
def test_what_is_off_costs_less_than_ten_microseconds(what: Callable[[], object]) -> None:
    spent = timeit.repeat(what, number=ROUNDS, repeat=5, timer=time.process_time)
    best = min(spent) / ROUNDS
    print(f"{what.__name__}: {best * 1e9:.0f} ns")  # noqa: T201 - to be read
    assert best < 10e-6


def test_opentelemetry_is_not_imported_unless_spans_have_somewhere_to_go() -> None:
    code = (
        "import sys; from services.telemetry import traces; traces.configure('test');"
        "sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"
    )
    argv = [sys.executable, "-c", code]
    off = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_SDK_DISABLED": "true"}
    for env in ({}, off):
        assert subprocess.run(argv, env=env, check=False).returncode == 0  # noqa: S603 - our own code
