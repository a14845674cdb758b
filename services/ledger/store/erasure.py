"""What is erased: a record's wrapped data key, in each of its versions; and who had it done."""

from dataclasses import dataclass
from datetime import datetime

from services.chassis.postgres import Connection


@dataclass(frozen=True, slots=True)
class Erasure:
    """A record whose personal texts nobody can read any more."""

    kind: str
    record_id: str
    erased_at: datetime
    erased_by: str
    reason: str


VERSIONS = """
SELECT count(*) AS versions, count(body #>> '{sealed,kid}') AS sealed
FROM registry_record
WHERE tenant_id = $1 AND kind = $2 AND record_id = $3
"""


async def versions(conn: Connection, tenant_id: str, kind: str, record_id: str) -> tuple[int, int]:
    """Count a record's versions, and those of them that hold anything sealed."""
    row = await conn.fetchrow(VERSIONS, tenant_id, kind, record_id)
    return (row["versions"], row["sealed"]) if row else (0, 0)


# What was to hold from a moment to come, holds no more.
DESTROY = """
UPDATE registry_record
SET body = CASE WHEN valid_from <= $4 THEN body - 'sealed' END
WHERE tenant_id = $1 AND kind = $2 AND record_id = $3 AND (body ? 'sealed' OR valid_from > $4)
"""


async def destroy(
    conn: Connection, tenant_id: str, kind: str, record_id: str, now: datetime
) -> None:
    """Take the wrapped data key, and what it sealed, out of every version of a record."""
    await conn.execute(DESTROY, tenant_id, kind, record_id, now)


NOTE = """
INSERT INTO erasure (tenant_id, change_set_id, kind, record_id, erased_by, reason)
VALUES ($1, $2, $3, $4, $5, $6)
"""


async def note(
    conn: Connection,
    tenant_id: str,
    change_set_id: str,
    kind: str,
    record_id: str,
    by: str,
    reason: str,
) -> None:
    """Keep who erased a record, when and why."""
    await conn.execute(NOTE, tenant_id, change_set_id, kind, record_id, by, reason)


LAST = """
SELECT kind, record_id, erased_at, erased_by, reason
FROM erasure
WHERE tenant_id = $1 AND kind = $2 AND record_id = $3
ORDER BY erased_at DESC
LIMIT 1
"""


async def last(conn: Connection, tenant_id: str, kind: str, record_id: str) -> Erasure | None:
    """Return when and why a record was erased last."""
    row = await conn.fetchrow(LAST, tenant_id, kind, record_id)
    return Erasure(**row) if row else None


EVERY = """
SELECT kind, record_id, erased_at, erased_by, reason
FROM erasure
WHERE tenant_id = $1
ORDER BY erased_at DESC, change_set_id
LIMIT $2
"""


async def every(conn: Connection, tenant_id: str, limit: int) -> list[Erasure]:
    """Return what was erased, the newest first."""
    return [Erasure(**row) for row in await conn.fetch(EVERY, tenant_id, limit)]
