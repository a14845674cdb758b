"""What time it is in a town: the database's, and in development so far ahead as its clock says."""

from datetime import datetime, timedelta
from typing import Any

from contracts.registry import TenantClock
from services.chassis.clock import database_now
from services.chassis.postgres import Connection
from services.ledger.domain.virtual_clock import Offset, now_of
from services.ledger.store import registry


async def offsets_of(conn: Connection, tenant_id: str) -> tuple[Offset, ...]:
    """Return a town's virtual clock."""
    body: dict[str, Any] | None = await registry.newest(conn, tenant_id, "clock", "clock")
    offsets = TenantClock.model_validate(body).offsets if body else ()
    return tuple(Offset(one.from_at, timedelta(seconds=one.seconds)) for one in offsets)


async def town_now(conn: Connection, tenant_id: str) -> datetime:
    """Return a town's time."""
    return now_of(await offsets_of(conn, tenant_id), await database_now(conn))
