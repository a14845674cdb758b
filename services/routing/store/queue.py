"""Departments' queues: tasks that are lent, acknowledged, or lent again."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from services.chassis.postgres import Connection

# Of a case only the first that is not acknowledged. Whoever asks at the same time passes over
# what is just being lent; once that is committed, the conditions are looked at again.
LEASE = """
WITH free AS (
    SELECT tenant_id, department, case_id, task_seq
    FROM task
    WHERE tenant_id = $1 AND department = $2 AND acked_at IS NULL
        AND (lease_until IS NULL OR lease_until <= clock_timestamp())
        AND NOT EXISTS (
            SELECT
            FROM task AS before
            WHERE before.tenant_id = $1 AND before.department = $2
                AND before.case_id = task.case_id AND before.task_seq < task.task_seq
                AND before.acked_at IS NULL
        )
    ORDER BY n
    LIMIT $3
    FOR UPDATE SKIP LOCKED
)
UPDATE task
SET lease_id = gen_random_uuid(), lease_until = clock_timestamp() + $4::interval
FROM free
WHERE task.tenant_id = free.tenant_id AND task.department = free.department
    AND task.case_id = free.case_id AND task.task_seq = free.task_seq
RETURNING n, task.task_id, task.case_id, task.task_seq, type, occurred_at, body AS data, lease_id,
    lease_until
"""


async def lease(
    conn: Connection, tenant_id: str, department: str, limit: int, lease_s: int
) -> list[Mapping[str, Any]]:
    """Lend tasks that nobody holds, the oldest first; after `lease_s` they are anybody's again."""
    lent = timedelta(seconds=lease_s)
    rows = await conn.fetch(LEASE, tenant_id, department, limit, lent)
    return sorted((dict(row) for row in rows), key=lambda row: row["n"])


ACK = """
UPDATE task
SET acked_at = coalesce(acked_at, clock_timestamp())
WHERE tenant_id = $1 AND department = $2 AND task_id = $3 AND lease_id = $4
    AND (acked_at IS NOT NULL OR lease_until > clock_timestamp())
RETURNING task_id
"""


async def ack(
    conn: Connection, tenant_id: str, department: str, task_id: UUID, lease_id: UUID
) -> bool:
    """Take a task off the queue; a repeat changes nothing. False: the lease does not hold."""
    return bool(await conn.fetch(ACK, tenant_id, department, task_id, lease_id))


NACK = """
UPDATE task
SET lease_id = NULL, lease_until = clock_timestamp() + $5::interval
WHERE tenant_id = $1 AND department = $2 AND task_id = $3 AND lease_id = $4
    AND acked_at IS NULL AND lease_until > clock_timestamp()
RETURNING task_id
"""


async def nack(
    conn: Connection,
    tenant_id: str,
    department: str,
    task_id: UUID,
    lease_id: UUID,
    after_s: int,
) -> bool:
    """Give a task back, to be lent again after a while. False: the lease does not hold."""
    after = timedelta(seconds=after_s)
    return bool(await conn.fetch(NACK, tenant_id, department, task_id, lease_id, after))


THERE = """
SELECT EXISTS (SELECT FROM task WHERE tenant_id = $1 AND department = $2 AND task_id = $3)
"""


async def there(conn: Connection, tenant_id: str, department: str, task_id: UUID) -> bool:
    found: bool = await conn.fetchval(THERE, tenant_id, department, task_id)
    return found
