"""What notify alone reads of its own copy of the registry."""

from collections.abc import Iterable, Mapping
from typing import Any

from services.chassis.postgres import Connection

CONTACTS = """
SELECT tenant_id, record_id, body -> 'sealed' AS sealed
FROM registry_copy
JOIN unnest($1::text[], $2::text[]) AS wanted(tenant_id, record_id) USING (tenant_id, record_id)
WHERE kind = 'staff'
"""


async def staff_contacts(
    conn: Connection, staff: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], Mapping[str, Any] | None]:
    """Return the sealed contacts of staff as they are now, if any; whoever has left is missing."""
    wanted = list(set(staff))
    rows = await conn.fetch(CONTACTS, [tenant for tenant, _ in wanted], [s for _, s in wanted])
    return {(row["tenant_id"], row["record_id"]): row["sealed"] for row in rows}
