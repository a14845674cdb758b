"""What the dashboards show: each panel names its metrics from the one list, or does not type."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from services.telemetry.metrics import Name

SERVICES = ("intake", "routing", "notify", "ledger", "console")
Unit = Literal["short", "s", "reqps", "percentunit"]


@dataclass(frozen=True, slots=True)
class Query:
    """A line, or several: `$m` in `text` is the metric, `$job` the service."""

    name: Name
    text: str
    legend: str


@dataclass(frozen=True, slots=True)
class Panel:
    """One graph on the dashboards of these services."""

    title: str
    unit: Unit
    queries: Sequence[Query]
    services: Sequence[str] = SERVICES


def _rate(name: Name, *by: str) -> Query:
    labels = ", ".join(by)
    grouped = f"sum by ({labels})" if by else "sum"
    legend = " ".join(f"{{{{{one}}}}}" for one in by) or name.removeprefix("chuishao_")
    return Query(name, f'{grouped} (rate($m{{job="$job"}}[1m]))', legend)


def _share(name: Name, quantile: float, *by: str, where: str = "") -> Query:
    inner = f'sum by ({", ".join((*by, "le"))}) (rate($m_bucket{{job="$job"{where}}}[1m]))'
    legend = " ".join((f"p{quantile * 100:g}", *(f"{{{{{one}}}}}" for one in by)))
    return Query(name, f"histogram_quantile({quantile:g}, {inner})", legend)


def _now(name: Name, how: Literal["max", "sum"], *by: str) -> Query:
    grouped = f"{how} by ({', '.join(by)})" if by else how
    legend = " ".join(f"{{{{{one}}}}}" for one in by) or name.removeprefix("chuishao_")
    return Query(name, f'{grouped} ($m{{job="$job"}})', legend)


_REQUESTS = ', route!~"/live|/ready|/metrics"'
_RELAYING = ("routing", "notify", "ledger")
PANELS = (
    Panel(
        "受理、清理的附件 · Accepted, attachments swept",
        "reqps",
        [_rate("chuishao_accepted_total"), _rate("chuishao_attachments_swept_total")],
        ["intake"],
    ),
    Panel(
        "请求 · Requests",
        "reqps",
        [
            Query(
                "chuishao_http_seconds",
                f'sum by (route, status) (rate($m_count{{job="$job"{_REQUESTS}}}[1m]))',
                "{{route}} {{status}}",
            )
        ],
    ),
    Panel(
        "请求用时 · Time until the answer",
        "s",
        [
            _share("chuishao_http_seconds", 0.5, where=_REQUESTS),
            _share("chuishao_http_seconds", 0.99, where=_REQUESTS),
        ],
    ),
    Panel(
        "落后多久 · Behind, seconds", "s", [_now("chuishao_lag_seconds", "max", "group", "topic")]
    ),
    Panel(
        "落后多少 · Behind, records",
        "short",
        [_now("chuishao_lag_records", "sum", "group", "topic")],
    ),
    Panel(
        "读到的记录 · Records read",
        "reqps",
        [
            Query(
                "chuishao_records_total",
                'sum by (topic, end) (rate($m{job="$job"}[1m])) > 0',  # most ends are rare
                "{{topic}} {{end}}",
            )
        ],
    ),
    Panel(
        "一批多少 · Batch size",
        "short",
        [
            _share("chuishao_batch_records", 0.5, "topic"),
            _share("chuishao_batch_records", 0.99, "topic"),
        ],
    ),
    Panel(
        "一批多久 · Batch time",
        "s",
        [
            _share("chuishao_batch_seconds", 0.5, "topic"),
            _share("chuishao_batch_seconds", 0.99, "topic"),
        ],
    ),
    Panel(
        "待发多久 · Outbox age",
        "s",
        [_now("chuishao_outbox_age_seconds", "max")],
        _RELAYING,
    ),
    Panel(
        "待发与发出 · Outbox rows, and published",
        "short",
        [_now("chuishao_outbox_rows", "max"), _rate("chuishao_relay_sent_total")],
        _RELAYING,
    ),
    Panel(
        "时钟最久等待 · Timer that has waited longest",
        "s",
        [_now("chuishao_timer_waiting_seconds", "max")],
        ["routing"],
    ),
    Panel(
        "没人管的 · Promises broken",
        "short",
        [_now("chuishao_audit_found", "max", "what")],
        ["routing"],
    ),
    Panel(
        "等报到的部门 · Departments awaited",
        "short",
        [_now("chuishao_slots_open", "max")],
        ["routing"],
    ),
    Panel(
        "审计待封 · Audit, not sealed yet",
        "s",
        [_now("chuishao_audit_unsealed_age_seconds", "max")],
        ["ledger"],
    ),
    Panel(
        "审计待封行数 · Audit rows, not sealed yet",
        "short",
        [_now("chuishao_audit_unsealed_rows", "max")],
        ["ledger"],
    ),
    Panel("消息 · Messages", "reqps", [_rate("chuishao_messages_total", "state")], ["notify"]),
    Panel(
        "发送 · Sends", "reqps", [_rate("chuishao_sends_total", "channel", "outcome")], ["notify"]
    ),
    Panel("回执 · Receipts", "reqps", [_rate("chuishao_receipts_total", "end")], ["notify"]),
    Panel(
        "数据库连接 · Database connections",
        "short",
        [_now("chuishao_pool_in_use", "sum"), _now("chuishao_pool_max", "sum")],
    ),
    Panel(
        "故障 · Trouble",
        "short",
        [
            _rate("chuishao_outages_total", "topic"),
            _rate("chuishao_commit_failures_total", "topic"),
            _rate("chuishao_relay_failures_total"),
            _rate("chuishao_outbox_parked_total"),
            _rate("chuishao_looks_failed_total", "what"),
            _now("chuishao_consumer_halted", "max", "topic"),
            _now("chuishao_unready", "sum", "check"),
        ],
    ),
)
