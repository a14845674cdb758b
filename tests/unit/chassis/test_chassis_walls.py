"""What keeps the chassis small and the only way in: each rule by a test of its own."""

import ast
import io
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from faststream import AckPolicy
from faststream.kafka import TopicPartition
from faststream.kafka.subscriber.usecase import BatchSubscriber
from prometheus_client import REGISTRY

from contracts import topics
from services.chassis import kafka
from services.chassis.settings import ServiceSettings
from services.telemetry import metrics
from tests import factories

CHASSIS = Path(kafka.__file__).parent
SERVICES = CHASSIS.parent
CODE_LINES_MAX = 1_000
VERBS = [["SELECT"], ["INSERT"], ["DELETE"], ["WITH"]]
LAYOUT = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}


def text_lines(tree: ast.Module) -> Iterator[ast.stmt]:
    """Yield docstrings, and the statements that name a piece of SQL."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and ast.get_docstring(node) is not None:
                yield first
    for one in tree.body:
        text = one.value if isinstance(one, ast.Assign) else None
        if isinstance(text, ast.Constant) and str(text.value).split()[:1] in VERBS:
            yield one


def code_lines(path: Path) -> int:
    """Count the lines that hold code: no blank line, comment, docstring or SQL."""
    source = path.read_text()
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    coded = {
        line
        for token in tokens
        if token.type not in LAYOUT
        for line in range(token.start[0], token.end[0] + 1)
    }
    for one in text_lines(ast.parse(source)):
        coded -= set(range(one.lineno, (one.end_lineno or 0) + 1))
    return len(coded)


def test_the_chassis_can_be_read_in_half_an_hour() -> None:
    counted = {path.name: code_lines(path) for path in sorted(CHASSIS.glob("*.py"))}
    assert sum(counted.values()) <= CODE_LINES_MAX, counted


def test_nobody_subscribes_but_the_chassis() -> None:
    found = [
        str(path.relative_to(SERVICES))
        for path in sorted(SERVICES.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in {"subscriber", "publisher", "publish_batch"}
    ]
    assert found == ["chassis/kafka.py"]


def test_nobody_makes_a_consumer_or_commits_by_hand() -> None:
    made = {"AIOKafkaConsumer", "AIOKafkaProducer"}
    found = {
        node.id
        for path in SERVICES.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Name)
    }
    assert not found & made


@pytest.fixture
def settings(tmp_path: Path) -> ServiceSettings:
    return factories.settings(ServiceSettings, factories.secrets(tmp_path), replica=3)


@pytest.mark.parametrize(
    "where", [{"group_id": "routing"}, {"partitions": [TopicPartition("topic", 0)]}]
)
def test_a_subscriber_commits_nothing_by_itself_and_reads_from_the_beginning(
    settings: ServiceSettings, where: dict[str, Any]
) -> None:
    async def handle(*_: object) -> None: ...

    broker = kafka.make_broker(settings, "test")
    topics_of = () if "partitions" in where else ("topic",)
    made = kafka._subscriber(broker, settings, handle, *topics_of, **where)  # noqa: SLF001
    assert broker.subscribers == [made]
    assert isinstance(made, BatchSubscriber)
    assert made.ack_policy is AckPolicy.MANUAL
    assert made._call_options.parser is not None  # noqa: SLF001
    assert made._call_options.decoder is not None  # noqa: SLF001
    connection = made._connection_args  # noqa: SLF001
    assert connection["auto_offset_reset"] == "earliest"
    assert connection["enable_auto_commit"] is False
    assert made.batch_timeout_ms <= 50
    # A frozen session must be over before a frozen transaction is, and polls must outlast both.
    assert connection["session_timeout_ms"] < connection["max_poll_interval_ms"]
    assert settings.handler_deadline_s * 1000 < connection["max_poll_interval_ms"]


def test_the_producer_waits_for_all_replicas_and_refuses_what_the_topics_refuse(
    settings: ServiceSettings,
) -> None:
    connection = kafka.make_broker(settings, "test")._connection_kwargs  # noqa: SLF001
    assert connection["acks"] == "all"
    assert connection["enable_idempotence"] is True
    assert connection["max_request_size"] == topics.RECORD_BYTES_MAX


def test_the_relays_round_ends_before_its_session_is_taken_for_frozen() -> None:
    from services.chassis import outbox, postgres  # noqa: PLC0415 - two numbers that must agree

    (longest,) = [
        one.le
        for one in ServiceSettings.model_fields["relay_deadline_s"].metadata
        if hasattr(one, "le")
    ]
    assert longest + outbox._PUBLISH_WAIT_S < postgres.IDLE_IN_TRANSACTION_S  # noqa: SLF001


def test_each_metric_is_named_once_for_its_unit_and_kind() -> None:
    names = get_args(metrics.Name)
    assert len(set(names)) == len(names)
    assert all(name.startswith("chuishao_") for name in names)
    metrics.count("chuishao_records_total", 2, topic="a", end="applied")
    metrics.count("chuishao_records_total", topic="a", end="applied")
    metrics.gauge("chuishao_consumer_halted", 1, topic="a")
    metrics.observe("chuishao_batch_seconds", 0.2, topic="a")
    labels = {"topic": "a", "end": "applied"}
    assert REGISTRY.get_sample_value("chuishao_records_total", labels) == 3
    assert REGISTRY.get_sample_value("chuishao_consumer_halted", {"topic": "a"}) == 1
    assert REGISTRY.get_sample_value("chuishao_batch_seconds_count", {"topic": "a"}) == 1
