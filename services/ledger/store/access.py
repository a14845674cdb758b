"""Who may do what by the newest profile, the town's day by it, and where a record belongs."""

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


# What a record says now, or said last; of one that lives or serves elsewhere, where that is.
BELONGING = """
SELECT known, coalesce(home.body, last.body) AS body
FROM (
    SELECT EXISTS (
        SELECT FROM registry_record WHERE tenant_id = $1 AND kind = $2 AND record_id = $3
    ) AS known
) AS there
LEFT JOIN LATERAL (
    SELECT body - 'sealed' - 'polygon' AS body,
        CASE WHEN body ->> 'household' IS NULL THEN 'staff' ELSE 'household' END AS other,
        coalesce(body ->> 'household', body ->> 'staff') AS other_id
    FROM registry_record
    WHERE tenant_id = $1 AND kind = $2 AND record_id = $3 AND body IS NOT NULL
    ORDER BY valid_from <= $4 DESC, valid_from DESC, version DESC
    LIMIT 1
) AS last ON TRUE
LEFT JOIN LATERAL (
    SELECT body - 'sealed' AS body
    FROM registry_record AS record
    WHERE tenant_id = $1 AND kind = last.other AND record.record_id = last.other_id
        AND record.body IS NOT NULL
    ORDER BY valid_from <= $4 DESC, valid_from DESC, version DESC
    LIMIT 1
) AS home ON TRUE
"""


async def belonging(
    conn: Connection, tenant_id: str, kind: str, record_id: str, now: datetime
) -> dict[str, Any] | None:
    """Return the body that tells where a record belongs; None if there never was such a record."""
    (row,) = await conn.fetch(BELONGING, tenant_id, kind, record_id, now)
    return (row["body"] or {}) if row["known"] else None


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


TRY = """
INSERT INTO unmask_spent AS spent (tenant_id, staff, day, fields, searches)
SELECT $1, $2, $3::date, 0, 1
WHERE $4::integer > 0
ON CONFLICT (tenant_id, staff, day) DO UPDATE SET searches = spent.searches + 1
WHERE spent.searches < $4
RETURNING searches
"""


async def try_search(conn: Connection, whose: tuple[str, str, date], searches_max: int) -> bool:
    """Count a look-up as one that found nothing; False, and it does not count, if none is left.

    Whoever comes at the same time waits for the other's transaction, so that no more are tried.
    """
    return await conn.fetchval(TRY, *whose, searches_max) is not None


GIVE_BACK = """
UPDATE unmask_spent
SET searches = searches - 1
WHERE tenant_id = $1 AND staff = $2 AND day = $3::date
"""


async def give_back(conn: Connection, whose: tuple[str, str, date]) -> None:
    """Count a look-up no more, in the same transaction: it has found something."""
    await conn.execute(GIVE_BACK, *whose)


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
