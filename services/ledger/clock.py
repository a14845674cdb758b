"""What time it is in a town: the database's, and in development so far ahead as its clock says."""

from datetime import date, datetime, timedelta, timezone
from typing import Any

from contracts.registry import TenantClock
from services.chassis.postgres import Connection
from services.ledger.domain.virtual_clock import Offset, now_of
from services.ledger.store import registry

_CHINA = timezone(timedelta(hours=8))  # where citizen numbers are given out


def today() -> date:
    """Return the day after which nobody can have been born."""
    return datetime.now(_CHINA).date()


async def offsets_of(conn: Connection, tenant_id: str) -> tuple[Offset, ...]:
    """Return a town's virtual clock."""
    _, clock = await registry.now(conn, tenant_id)
    return _offsets(clock)


async def town_now(conn: Connection, tenant_id: str) -> datetime:
    """Return a town's time."""
    real, clock = await registry.now(conn, tenant_id)
    return now_of(_offsets(clock), real)


def _offsets(clock: dict[str, Any] | None) -> tuple[Offset, ...]:
    offsets = TenantClock.model_validate(clock).offsets if clock else ()
    return tuple(Offset(one.from_at, timedelta(seconds=one.seconds)) for one in offsets)
