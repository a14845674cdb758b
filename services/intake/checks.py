"""What is checked before a report or an act is taken in; each refusal names the field."""

import asyncio
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import structlog
from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from contracts.registry import FrontEnd
from services.chassis.http import Json, Problem, read_json
from services.chassis.seal import CannotOpen
from services.doors.faults import invalid
from services.intake.registry import Granted, TownKnown
from services.intake.report import Report
from services.telemetry import traces

log = structlog.get_logger()

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)

LARGE_BYTES = 64 * 1024  # a body from here on is read beside the loop: it could be made to hold it

_OCCURRED_MIN = datetime(2000, 1, 1, tzinfo=UTC)
_AHEAD_MAX = timedelta(days=1)  # devices' clocks are wrong, but not by more
_IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,128}")
_TRACEPARENT = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


def idempotency_key(request: Request) -> str:
    return checked_key(request.headers.get("idempotency-key", ""), "Idempotency-Key")


def checked_key(key: object, field: str) -> str:
    """Return an idempotency key as it may be; `field` is where it stood."""
    if key is None or key == "":
        zh = f"缺少 {field}：每件事给一个自己的编号，重发时用同一个。"
        en = f"Missing {field}: give each request an id of its own, the same when resent."
        raise Problem(400, "idempotency_key_missing", zh, en, field=field)
    if not isinstance(key, str) or not _IDEMPOTENCY_KEY.fullmatch(key):
        zh = f"{field} 应为 1–128 个可见 ASCII 字符。"
        en = f"{field}: expected 1 to 128 visible ASCII characters."
        raise Problem(400, "idempotency_key_invalid", zh, en, field=field)
    return key


def traceparent(request: Request) -> str:
    """Return the trace that the request belongs to; one that is malformed is none."""
    given = traces.current().get(traces.HEADER) or request.headers.get(traces.HEADER, "")
    return given if _TRACEPARENT.fullmatch(given) else ""


def validated(model: type[M], body: bytes) -> M:
    return shaped(model, read_json(body))


async def read_apart(read: Callable[[bytes], T], body: bytes) -> T:
    """Read a body, beside the loop where it is a large one."""
    return read(body) if len(body) < LARGE_BYTES else await asyncio.to_thread(read, body)


def shaped(model: type[M], said: Json) -> M:
    """Return what JSON says as a model; 422 names each field that is wrong."""
    try:
        return model.model_validate(said)
    except ValidationError as error:
        raise invalid(error.errors(include_url=False, include_input=False)) from error


def named_tenant(name: str | None, granted: Granted) -> str:
    """Return the town that was named; a key for one town alone need not name it."""
    if name is None and len(granted) > 1:
        zh, en = (
            "这个密钥用于几个镇，请写明 tenant。",
            "This key is for several towns: name `tenant`.",
        )
        raise Problem(422, "tenant_missing", zh, en, field="tenant")
    return name or next(iter(granted))


def lapsed(front_end: FrontEnd, now: datetime) -> Problem | None:
    if front_end.revoked_at is not None and front_end.revoked_at <= now:
        zh, en = "接入密钥已被撤销，请联系镇里。", "This API key is revoked: ask the town."
        return Problem(401, "api_key_revoked", zh, en)
    if front_end.expires_at is not None and front_end.expires_at <= now:
        zh, en = "接入密钥已过期，请换新密钥。", "This API key has expired: ask for a new one."
        return Problem(401, "api_key_expired", zh, en)
    return None


def told_time(town: TownKnown, at: datetime) -> str:
    """Write a real moment as the town's time, as answers tell it."""
    return town.offsets.tenant_time(at).isoformat(timespec="milliseconds")


@contextmanager
def sealing(tenant_id: str) -> Iterator[None]:
    """Say 503 where the key file has yet to come, or to be mended."""
    try:
        yield
    except (CannotOpen, OSError) as error:
        log.error("report_not_sealed", tenant_id=tenant_id, error=type(error).__name__)  # noqa: TRY400 - the kind says it all
        raise not_ready() from error


def starting() -> Problem:
    zh, en = "正在启动，请稍后用同一幂等键重发。", "Starting: send again with the same key."
    return Problem(503, "starting", zh, en, {"Retry-After": "2"})


def not_ready() -> Problem:
    zh = "这个镇还没有就绪，请稍后用同一幂等键重发。"
    en = "This town is not ready yet: send again later with the same key."
    return Problem(503, "tenant_not_ready", zh, en, {"Retry-After": "5"})


def check_when(report: Report, town: TownKnown, now: datetime) -> None:
    """Refuse a time that no device can have meant. By our clock, as no broker has been asked yet.

    Where the town's clock is a virtual one, the later of both counts.
    """
    last = max(now, town.offsets.tenant_time(now)) + _AHEAD_MAX
    if report.occurred_at is not None and not _OCCURRED_MIN <= report.occurred_at <= last:
        zh = f"occurred_at 应在 {_OCCURRED_MIN.year} 年以后、现在之后一天以内，请核对设备的时钟。"
        en = f"occurred_at: expected {_OCCURRED_MIN.year} or later, and at most a day from now."
        raise Problem(422, "occurred_at_unlikely", zh, en, field="occurred_at")


def check_kind(report: Report, town: TownKnown, front_end: FrontEnd) -> None:
    """Refuse what the town's profile does not know, naming what it does."""
    profile = town.profile
    if profile is None or not town.units:  # nobody could be found to answer for it
        raise not_ready()
    asked = (
        ("category", report.category, profile.categories_by_id),
        ("severity", report.severity, profile.severities_by_id),
        ("class", report.case_class, profile.classes_by_id),
    )
    for name, value, known in asked:
        if value is not None and value not in known:
            names = ", ".join(known)
            zh, en = f"{name} 应为：{names}。", f"{name}: expected one of {names}."
            raise Problem(422, f"{name}_unknown", zh, en, field=name, expected=list(known))
    if front_end.categories and (report.category or "") not in front_end.categories:
        names = ", ".join(front_end.categories)
        zh, en = f"这个密钥只能上报：{names}。", f"This key may only report: {names}."
        raise Problem(403, "category_not_granted", zh, en, field="category")
    if report.reporter.anonymous and not profile.cases.anonymous:
        zh, en = "这个镇不收匿名上报。", "This town takes no anonymous reports."
        raise Problem(422, "anonymous_not_taken", zh, en, field="reporter.anonymous")
