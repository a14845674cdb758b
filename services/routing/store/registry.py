"""What routing alone reads of its own copy of the registry."""

from collections.abc import Iterable

from services.chassis.postgres import Connection

HOUSEHOLD_GRIDS = """
SELECT tenant_id, record_id, body ->> 'grid' AS grid
FROM registry_copy
JOIN unnest($1::text[], $2::text[]) AS wanted(tenant_id, record_id) USING (tenant_id, record_id)
WHERE kind = 'household'
"""


async def household_grids(
    conn: Connection, households: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], str]:
    """Return where households belong; an unknown one is missing."""
    wanted = list(households)
    if not wanted:
        return {}
    rows = await conn.fetch(
        HOUSEHOLD_GRIDS, [tenant for tenant, _ in wanted], [h for _, h in wanted]
    )
    return {(row["tenant_id"], row["record_id"]): row["grid"] for row in rows}
