"""What staff find in their app."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from asyncpg import Record

from services.chassis.postgres import Connection, Pool


@dataclass(frozen=True, slots=True)
class Kept:
    """One message to one person. Times are real."""

    message_id: UUID
    case_id: UUID
    notice: str
    words: str
    stored_at: datetime
    read_at: datetime | None


STORE = """
INSERT INTO inbox_message (tenant_id, staff, message_id, case_id, notice, words)
SELECT intent.tenant_id, intent.recipient, intent.intent_id, intent.case_id, intent.notice, $2
FROM attempt
JOIN intent USING (tenant_id, intent_id)
WHERE attempt.attempt_id = $1
ON CONFLICT DO NOTHING
"""


async def store(pool: Pool, attempt_id: UUID, words: str) -> None:
    """Keep a message of an attempt, once."""
    await pool.execute(STORE, attempt_id, words)


IS_STORED = """
SELECT EXISTS (
    SELECT
    FROM attempt
    JOIN intent USING (tenant_id, intent_id)
    JOIN inbox_message ON inbox_message.tenant_id = intent.tenant_id
        AND inbox_message.staff = intent.recipient
        AND inbox_message.message_id = intent.intent_id
    WHERE attempt.attempt_id = $1
)
"""


async def is_stored(pool: Pool, attempt_id: UUID) -> bool:
    """Tell whether an attempt's message is kept."""
    return bool(await pool.fetchval(IS_STORED, attempt_id))


UNREAD = """
SELECT message_id, case_id, notice, words, stored_at, read_at
FROM inbox_message
WHERE tenant_id = $1 AND staff = $2 AND read_at IS NULL
    AND ($3::timestamptz IS NULL OR (stored_at, message_id) < ($3, $4::uuid))
ORDER BY stored_at DESC, message_id DESC
LIMIT $5
"""

READ = """
SELECT message_id, case_id, notice, words, stored_at, read_at
FROM inbox_message
WHERE tenant_id = $1 AND staff = $2 AND read_at IS NOT NULL
    AND ($3::timestamptz IS NULL OR (stored_at, message_id) < ($3, $4::uuid))
ORDER BY stored_at DESC, message_id DESC
LIMIT $5
"""


@dataclass(frozen=True, slots=True)
class Place:
    """Behind which message a page begins, among those that are read or those that are not."""

    read: bool
    stored_at: datetime
    message_id: UUID


async def page(
    conn: Connection, tenant_id: str, staff: str, behind: Place | None, limit: int
) -> Sequence[Kept]:
    """Return somebody's messages: those unread first, then the others, each the newest first."""
    found: list[Kept] = []
    for query, read in ((UNREAD, False), (READ, True)):
        if behind is not None and behind.read and not read:
            continue
        mine = behind if behind is not None and behind.read is read else None
        place = (mine.stored_at, mine.message_id) if mine else (None, None)
        rows = await conn.fetch(query, tenant_id, staff, *place, limit - len(found))
        found += map(_kept, rows)
        if len(found) == limit:
            break
    return found


# Counted no further than anybody wants to know.
COUNT_UNREAD = """
SELECT count(*)
FROM (
    SELECT
    FROM inbox_message
    WHERE tenant_id = $1 AND staff = $2 AND read_at IS NULL
    LIMIT 1000
) AS unread
"""


async def count_unread(conn: Connection, tenant_id: str, staff: str) -> int:
    """Return how many messages somebody has not read, 1,000 at the most."""
    return int(await conn.fetchval(COUNT_UNREAD, tenant_id, staff))


MARK_READ = """
UPDATE inbox_message
SET read_at = coalesce(read_at, now())
WHERE tenant_id = $1 AND staff = $2 AND message_id = $3
RETURNING true
"""


async def mark_read(conn: Connection, tenant_id: str, staff: str, message_id: UUID) -> bool:
    """Note that somebody has read a message; false where he has no such one."""
    return await conn.fetchval(MARK_READ, tenant_id, staff, message_id) is not None


def _kept(row: Record) -> Kept:
    return Kept(**row)
