"""All SQL of attachments that were posted of late, until it is clear whether a case names them."""

from collections.abc import Iterable
from dataclasses import dataclass

from services.chassis.postgres import Connection


@dataclass(frozen=True, slots=True)
class Due:
    """One that is to be decided upon: does a case name it, and is it hidden already?"""

    tenant_id: str
    attachment_id: str
    named: bool
    hidden: bool


RENEW = """
UPDATE attachment_posted
SET due_at = clock_timestamp() + make_interval(days => $3)
WHERE tenant_id = $1 AND attachment_id = $2
"""


async def renew(conn: Connection, tenant_id: str, id_: str, days: int) -> None:
    """Let what is posted again stay as long as if it were new."""
    await conn.execute(RENEW, tenant_id, id_, days)


UNNAMED_BYTES = """
SELECT coalesce(sum(bytes), 0)::bigint
FROM attachment_posted
WHERE tenant_id = $1 AND front_end = $2 AND NOT named
"""


async def unnamed_bytes(conn: Connection, tenant_id: str, front_end: str) -> int:
    """Tell how much of a front end's no case names yet."""
    used: int = await conn.fetchval(UNNAMED_BYTES, tenant_id, front_end)
    return used


NOTE = """
INSERT INTO attachment_posted (tenant_id, attachment_id, front_end, bytes, named, due_at)
SELECT $1::text, $2::text, $3::text, $4::bigint,
    EXISTS (SELECT FROM case_attachment WHERE tenant_id = $1 AND attachment_id = $2),
    clock_timestamp() + make_interval(days => $5)
ON CONFLICT (tenant_id, attachment_id) DO UPDATE
SET front_end = excluded.front_end, bytes = excluded.bytes, hidden = false, due_at = excluded.due_at
"""


async def note(
    conn: Connection, tenant_id: str, id_: str, front_end: str, size: int, days: int
) -> None:
    """Note what is about to be kept."""
    await conn.execute(NOTE, tenant_id, id_, front_end, size, days)


# In order, so that two who hear of the same ones do not wait for each other.
NOTE_NAMED = """
WITH held AS (
    SELECT tenant_id, attachment_id
    FROM attachment_posted
    JOIN unnest($1::text[], $2::text[]) AS given(tenant_id, attachment_id)
        USING (tenant_id, attachment_id)
    ORDER BY tenant_id, attachment_id
    FOR UPDATE OF attachment_posted
)
UPDATE attachment_posted AS posted
SET named = true, due_at = CASE WHEN hidden THEN clock_timestamp() ELSE due_at END
FROM held
WHERE posted.tenant_id = held.tenant_id AND posted.attachment_id = held.attachment_id
"""


async def note_named(conn: Connection, which: Iterable[tuple[str, str]]) -> None:
    """Note that a case names these; what is hidden is to be shown again."""
    await conn.execute(NOTE_NAMED, *zip(*which, strict=True))


DUE = """
SELECT tenant_id, attachment_id, named, hidden
FROM attachment_posted
WHERE due_at <= clock_timestamp()
ORDER BY due_at
LIMIT 1
FOR UPDATE SKIP LOCKED
"""


async def due(conn: Connection) -> Due | None:
    """Lock the one that has been due for longest and that nobody else is about."""
    row = await conn.fetchrow(DUE)
    return Due(**row) if row else None


HIDDEN = """
UPDATE attachment_posted
SET hidden = true, due_at = clock_timestamp() + interval '1 day'
WHERE tenant_id = $1 AND attachment_id = $2
"""


async def hidden(conn: Connection, one: Due) -> None:
    """Note that no report can name it any more; what named it before is heard of within a day."""
    await conn.execute(HIDDEN, one.tenant_id, one.attachment_id)


PUT_OFF = """
UPDATE attachment_posted
SET due_at = clock_timestamp() + interval '10 minutes'
WHERE tenant_id = $1 AND attachment_id = $2
"""


async def put_off(conn: Connection, one: Due) -> None:
    """Let others come before one for which nothing can be done now."""
    await conn.execute(PUT_OFF, one.tenant_id, one.attachment_id)


DONE = """
DELETE FROM attachment_posted
WHERE tenant_id = $1 AND attachment_id = $2
"""


async def done(conn: Connection, one: Due) -> None:
    """Forget one that is decided upon."""
    await conn.execute(DONE, one.tenant_id, one.attachment_id)
