"""Where a record belongs."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from services.chassis.postgres import Connection
from services.ledger.store import access


async def units_of(
    conn: Connection, tenant_id: str, kind: str, record_id: str, now: datetime
) -> list[str] | None:
    """Return the units to which a record belongs now, or did last; None if there is no such."""
    body = await access.belonging(conn, tenant_id, kind, record_id, now)
    if body is None:
        return None
    return [record_id] if kind == "unit" else list(units_in(body))


def units_in(body: Mapping[str, Any]) -> Iterable[str]:
    """Yield the units that a record names by itself."""
    yield from (body[one] for one in ("group", "grid", "unit") if body.get(one))
    yield from (post["unit"] for post in body.get("posts", ()))
    yield from body.get("grids", ())
