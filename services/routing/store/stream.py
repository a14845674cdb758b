"""Departments' streams: each task gets its place in its department's stream when somebody looks.

A number drawn while a task is recorded could become visible after a higher one, and whoever
resumes behind the higher would never see it. So places are given afterwards, to what has been
committed, by one at a time for each department.
"""

from collections.abc import Mapping
from typing import Any

from services.chassis.postgres import Connection

_LOCK = 4715  # the first half of the advisory lock; the department is the second
TURN = "SELECT pg_advisory_xact_lock($1, hashtext($2 || '|' || $3))"
UNPLACED = """
SELECT EXISTS (
    SELECT
    FROM task
    WHERE tenant_id = $1 AND department = $2 AND position IS NULL
)
"""
PLACE = """
WITH fresh AS (
    SELECT case_id, task_seq, row_number() OVER (ORDER BY n) AS nth
    FROM (
        SELECT case_id, task_seq, n
        FROM task
        WHERE tenant_id = $1 AND department = $2 AND position IS NULL
        ORDER BY n
        LIMIT $3
    ) AS unplaced
), last AS (
    SELECT coalesce(max(position), 0) AS position
    FROM task
    WHERE tenant_id = $1 AND department = $2 AND position IS NOT NULL
)
UPDATE task
SET position = last.position + nth
FROM fresh, last
WHERE tenant_id = $1 AND department = $2
    AND task.case_id = fresh.case_id AND task.task_seq = fresh.task_seq
RETURNING task.position
"""


async def place(conn: Connection, tenant_id: str, department: str, limit: int) -> None:
    """Give every task that was committed its place, in order."""
    while await conn.fetchval(UNPLACED, tenant_id, department):
        async with conn.transaction():
            await conn.execute(TURN, _LOCK, tenant_id, department)
            # A statement of its own: it sees what whoever had the turn before has placed.
            await conn.fetch(PLACE, tenant_id, department, limit)


LAST = """
SELECT coalesce(max(position), 0)
FROM task
WHERE tenant_id = $1 AND department = $2 AND position IS NOT NULL
"""


async def last(conn: Connection, tenant_id: str, department: str) -> int:
    """Return the last place of a department's stream."""
    found: int = await conn.fetchval(LAST, tenant_id, department)
    return found


BEHIND = """
SELECT position, task_id, case_id, task_seq, type, occurred_at, body AS data
FROM task
WHERE tenant_id = $1 AND department = $2 AND position > $3
ORDER BY position
LIMIT $4
"""


async def behind(
    conn: Connection, tenant_id: str, department: str, position: int, limit: int
) -> list[Mapping[str, Any]]:
    """Read what stands behind a place, in order."""
    rows = await conn.fetch(BEHIND, tenant_id, department, position, limit)
    return [dict(row) for row in rows]
