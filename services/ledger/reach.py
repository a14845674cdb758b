"""Where a record belongs."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from services.chassis.postgres import Connection
from services.ledger.store import history

# A record that names one of these belongs where that one does.
_BELONGS_TO = ("household", "staff")


async def units_of(
    conn: Connection, tenant_id: str, kind: str, record_id: str, now: datetime
) -> list[str]:
    """Return the units to which a record belongs now, or did last."""
    if kind == "unit":
        return [record_id]
    body = await history.last_body(conn, tenant_id, kind, record_id, now) or {}
    for other in _BELONGS_TO:
        if isinstance(body.get(other), str):
            body = await history.last_body(conn, tenant_id, other, body[other], now) or {}
            break
    return list(units_in(body))


def units_in(body: Mapping[str, Any]) -> Iterable[str]:
    """Yield the units that a record names by itself."""
    yield from (body[one] for one in ("group", "grid", "unit") if body.get(one))
    yield from (post["unit"] for post in body.get("posts", ()))
    yield from body.get("grids", ())
