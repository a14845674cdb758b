"""What the newest profile says of who may do what, and of the town's day."""

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from services.chassis.postgres import Connection

CAN = """
SELECT DISTINCT jsonb_array_elements_text(role.value -> 'can') AS may
FROM (
    SELECT body -> 'body' -> 'roles' AS roles
    FROM registry_record
    WHERE tenant_id = $1 AND kind = 'profile'
    ORDER BY (body ->> 'version')::integer DESC
    LIMIT 1
) AS newest
CROSS JOIN LATERAL jsonb_array_elements(roles) AS role
WHERE role.value ->> 'id' = ANY($2::text[])
LIMIT 100
"""


async def can(conn: Connection, tenant_id: str, roles: Iterable[str]) -> frozenset[str]:
    """Return what the newest profile lets these roles do, together; nothing without a profile."""
    return frozenset(row["may"] for row in await conn.fetch(CAN, tenant_id, list(roles)))


SPEND = """
INSERT INTO unmask_spent AS spent (tenant_id, staff, day, fields)
SELECT $1, $2, $3::date, $4::integer
WHERE $4 <= $5::integer
ON CONFLICT (tenant_id, staff, day) DO UPDATE SET fields = spent.fields + excluded.fields
WHERE spent.fields + excluded.fields <= $5
RETURNING fields
"""


async def spend(
    conn: Connection, whose: tuple[str, str, date], fields: int, fields_max: int
) -> int | None:
    """Take so many fields from somebody's budget of a town's day, and return what is spent by then.

    None, and none is taken, where they are not left. Whoever comes at the same time waits for the
    other's transaction.
    """
    spent: int | None = await conn.fetchval(SPEND, *whose, fields, fields_max)
    return spent


ZONE = """
SELECT body -> 'body' -> 'clock' ->> 'timezone'
FROM registry_record
WHERE tenant_id = $1 AND kind = 'profile'
ORDER BY (body ->> 'version')::integer DESC
LIMIT 1
"""
DAY = """
SELECT local.day, (local.day + 1)::timestamp AT TIME ZONE $2 AS ends
FROM (SELECT ($1::timestamptz AT TIME ZONE $2)::date AS day) AS local
"""
_CHINA = "Asia/Shanghai"


async def day(conn: Connection, tenant_id: str, now: datetime) -> tuple[date, datetime]:
    """Return a town's day at a moment, by its own zone, and when the next begins."""
    zone: Any = await conn.fetchval(ZONE, tenant_id)
    (row,) = await conn.fetch(DAY, now, zone or _CHINA)
    return row["day"], row["ends"].astimezone(ZoneInfo(zone or _CHINA))
