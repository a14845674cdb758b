"""Every metric that a service counts, by one list of names: a name outside it does not type."""

from typing import Any, Literal, TypeVar

from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics

Name = Literal[
    # Counter: records read, by topic and end (applied, known, foreign, rejected, parked, replayed);
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
    # Counter: what was taken in with a 202: requests, and each line or event of a batch.
    "chuishao_accepted_total",
    # Counter: attachments removed, since no case had come to name them.
    "chuishao_attachments_swept_total",
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
    # Gauge: acts of the audit log that are not sealed yet.
    "chuishao_audit_unsealed_rows",
    # Gauge: for how long the oldest of them has waited.
    "chuishao_audit_unsealed_age_seconds",
    # Gauge: 1 while a consumer has stopped itself, by topic.
    "chuishao_consumer_halted",
    # Histogram: one batch, from read to committed, by topic.
    "chuishao_batch_seconds",
    # Histogram: HTTP, until the answer began, by method, route (a template) and status.
    "chuishao_http_seconds",
    # Histogram: records of one batch, by topic.
    "chuishao_batch_records",
    # Gauge: records not yet read, of the partitions that this process has, by topic and group.
    "chuishao_lag_records",
    # Gauge: for how long the oldest record not yet read has waited, by topic and group.
    "chuishao_lag_seconds",
    # Gauge: outbox rows that wait to be published.
    "chuishao_outbox_rows",
    # Gauge: for how long the oldest of them has waited.
    "chuishao_outbox_age_seconds",
    # Gauge: departments called whose report-in is awaited.
    "chuishao_slots_open",
    # Gauge: connections to the database that are in use.
    "chuishao_pool_in_use",
    # Gauge: connections that this process may have.
    "chuishao_pool_max",
    # Gauge: 1 while a check of `/ready` says that something is missing, by check.
    "chuishao_unready",
    # Counter: looks that failed as `/metrics` was asked, by what: gauges stay as last seen.
    "chuishao_looks_failed_total",
]
disable_created_metrics()  # type: ignore[no-untyped-call]  # when each began: as many again
_made: dict[str, Any] = {}  # each of one kind, as its name tells
K = TypeVar("K", Counter, Gauge, Histogram)
# Where the library's own (5 ms to 10 s) do not fit. Bounds: `CONSUME_BATCH_MAX`, and fewer series.
_BUCKETS: dict[Name, tuple[float, ...]] = {
    "chuishao_batch_records": (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000),
    "chuishao_http_seconds": (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
}


def _metric(kind: type[K], name: Name, labels: dict[str, str]) -> K:
    metric: K | None = _made.get(name)
    if metric is None:
        more: Any = {"buckets": _BUCKETS[name]} if name in _BUCKETS else {}
        metric = _made[name] = kind(name, name, tuple(labels), **more)
    return metric.labels(**labels) if labels else metric


def count(name: Name, amount: float = 1, **labels: str) -> None:
    _metric(Counter, name, labels).inc(amount)


def gauge(name: Name, value: float, **labels: str) -> None:
    _metric(Gauge, name, labels).set(value)


def observe(name: Name, value: float, **labels: str) -> None:
    _metric(Histogram, name, labels).observe(value)
