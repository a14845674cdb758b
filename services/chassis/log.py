"""Structured logs: an event in snake_case and the past tense, its facts as fields.

Fields are taken from a list of allowed names; anything else is dropped and its name noted, so
that personal data cannot slip in by a new field.
"""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

# One name per meaning, in every service. Values are ids, names of ours, counts and durations.
FIELDS = frozenset({
    "applied", "assigned", "attempt", "case_id", "change_set", "channel", "code", "committed",
    "count", "delay_s", "duration_ms", "entries", "error", "event_id", "foreign", "group", "kind",
    "known", "lanes", "missing", "name", "offset", "parked", "partition", "path", "port", "reason",
    "records", "rejected", "seconds", "sent", "service", "share", "skipped", "status", "tenant_id",
    "timers", "topic", "version", "waiting",
})  # fmt: skip
_OWN = frozenset({"event", "level", "timestamp", "exc_info", "exception", "logger", "dropped"})


def allow_listed(
    _logger: object, _method: str, entry: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Keep the allowed fields; name the others without their values."""
    unknown = sorted(entry.keys() - FIELDS - _OWN)
    for name in unknown:
        del entry[name]
    if unknown:
        entry["dropped"] = unknown
    return entry


def configure(service: str, *, json: bool) -> None:
    """Send structlog and the standard library's loggers to standard output, in one form."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: Any = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if json
        else structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty())
    )
    structlog.configure(
        processors=[*shared, allow_listed, structlog.processors.format_exc_info, last],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, last],
            foreign_pre_chain=shared,
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
