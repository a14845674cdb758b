"""Every metric that a service counts, by one list of names: a name outside it does not type."""

from typing import Any, Literal, TypeVar

from prometheus_client import Counter, Gauge, Histogram

Name = Literal[
    # Counter: records read, by topic and end (applied, known, foreign, rejected, parked);
    # `orphan`: applied without effect, since the case's opening is older than the topic.
    "chuishao_records_total",
    # Counter: batches given back because something was down, by topic.
    "chuishao_outages_total",
    # Counter: offsets that could not be committed, by topic.
    "chuishao_commit_failures_total",
    # Counter: outbox rows published and deleted.
    "chuishao_relay_sent_total",
    # Counter: relay rounds that ended in an outage.
    "chuishao_relay_failures_total",
    # Counter: outbox rows that can never be sent: an operator must look.
    "chuishao_outbox_parked_total",
    # Counter: requests answered with 202.
    "chuishao_accepted_total",
    # Counter: messages to people, by the state they came into (planned, accepted, crossed …).
    "chuishao_messages_total",
    # Counter: calls to providers, by channel and outcome.
    "chuishao_sends_total",
    # Counter: receipts of providers, by end (delivered, undelivered, known, foreign, rejected).
    "chuishao_receipts_total",
    # Gauge: for how long the oldest timer that is due has waited; real time alone.
    "chuishao_timer_waiting_seconds",
    # Gauge: what no open case may lack and does, by what.
    "chuishao_audit_found",
    # Gauge: 1 while a consumer has stopped itself, by topic.
    "chuishao_consumer_halted",
    # Histogram: one batch, from read to committed, by topic.
    "chuishao_batch_seconds",
    # Histogram: HTTP, until the answer began, by method, route (a template) and status.
    "chuishao_http_seconds",
]
_made: dict[str, Any] = {}  # each of one kind, as its name tells
K = TypeVar("K", Counter, Gauge, Histogram)


def _metric(kind: type[K], name: Name, labels: dict[str, str]) -> K:
    metric: K = _made.get(name) or _made.setdefault(name, kind(name, name, tuple(labels)))
    return metric.labels(**labels) if labels else metric


def count(name: Name, amount: float = 1, **labels: str) -> None:
    _metric(Counter, name, labels).inc(amount)


def gauge(name: Name, value: float, **labels: str) -> None:
    _metric(Gauge, name, labels).set(value)


def observe(name: Name, value: float, **labels: str) -> None:
    _metric(Histogram, name, labels).observe(value)
