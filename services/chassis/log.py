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
    "applied", "case_id", "channel", "code", "count", "delay_s", "error", "event_id", "foreign",
    "kind", "known", "offset", "parked", "reason", "rejected", "seconds", "service",
    "status", "tenant_id", "timers", "topic", "unit", "waiting",
})  # fmt: skip
_OWN = frozenset({"event", "level", "timestamp", "exc_info", "_record", "_from_structlog"})


def allow_listed(
    _logger: object, _method: str, entry: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Keep the allowed fields; name the others without their values."""
    unknown = sorted(entry.keys() - FIELDS - _OWN)
    kept = {name: value for name, value in entry.items() if name not in unknown}
    return {**kept, "dropped": unknown} if unknown else kept


def configure(service: str, *, json: bool) -> None:
    """Send structlog and the standard library's loggers to standard output, in one form."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        allow_listed,
    ]
    as_json, dev = structlog.processors.JSONRenderer(ensure_ascii=False), structlog.dev
    # A trace in full would show what each of its functions holds.
    text = dev.ConsoleRenderer(colors=sys.stdout.isatty(), exception_formatter=dev.plain_traceback)
    shown: list[Any] = [structlog.processors.format_exc_info, as_json if json else text]
    wrapper = structlog.make_filtering_bound_logger(logging.INFO)
    structlog.configure([*shared, *shown], wrapper, cache_logger_on_first_use=True)
    structlog.contextvars.bind_contextvars(service=service)
    form, handler = structlog.stdlib.ProcessorFormatter, logging.StreamHandler(sys.stdout)
    chain = [form.remove_processors_meta, *shown]
    handler.setFormatter(form(processors=chain, foreign_pre_chain=shared))
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
