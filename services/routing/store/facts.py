"""What has happened to cases, and what else came in for them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from services.chassis.postgres import Connection


@dataclass(frozen=True, slots=True)
class KeptFact:
    """One fact of a case, as it was announced."""

    tenant_id: str
    case_id: UUID
    seq: int
    event_id: UUID
    type: str
    occurred_at: datetime
    body: str  # JSON


PUT_FACTS = """
INSERT INTO case_fact (tenant_id, case_id, seq, event_id, type, occurred_at, body)
SELECT tenant_id, case_id, seq, event_id, type, occurred_at, body::jsonb
FROM unnest(
    $1::text[], $2::uuid[], $3::integer[], $4::uuid[], $5::text[], $6::timestamptz[], $7::text[]
) AS given(tenant_id, case_id, seq, event_id, type, occurred_at, body)
"""


async def put_facts(conn: Connection, facts: Sequence[KeptFact]) -> None:
    """Keep facts as they were announced."""
    names = ("tenant_id", "case_id", "seq", "event_id", "type", "occurred_at", "body")
    await conn.execute(PUT_FACTS, *([getattr(fact, name) for fact in facts] for name in names))


HISTORY = """
SELECT seq, type, occurred_at, body
FROM case_fact
WHERE tenant_id = $1 AND case_id = $2
ORDER BY seq
LIMIT $3
"""


async def history(
    conn: Connection, tenant_id: str, case_id: UUID, limit: int
) -> list[Mapping[str, Any]]:
    """Read what happened to a case, in order."""
    return [dict(row) for row in await conn.fetch(HISTORY, tenant_id, case_id, limit)]


SAID = """
SELECT seq, type, occurred_at, body
FROM case_fact
WHERE tenant_id = $1 AND case_id = $2 AND type = ANY($3::text[])
    AND jsonb_typeof(body -> 'sealed') = 'object'
ORDER BY seq DESC
LIMIT $4
"""


async def said(
    conn: Connection, tenant_id: str, case_id: UUID, types: Sequence[str], limit: int
) -> list[Mapping[str, Any]]:
    """Read the last facts of these types that hold sealed words, in order."""
    rows = await conn.fetch(SAID, tenant_id, case_id, types, limit)
    return [dict(row) for row in reversed(rows)]


ATTACHMENTS = """
SELECT id, min(ARRAY[seq, nth]) AS place
FROM case_fact
CROSS JOIN jsonb_array_elements_text(
    coalesce(body -> 'attachments', body -> 'proof', '[]')
) WITH ORDINALITY AS attached(id, nth)
WHERE tenant_id = $1 AND case_id = $2
    AND type IN ('case.opened.v1', 'case.follow_up_kept.v1', 'case.step_taken.v1')
GROUP BY id
ORDER BY place
LIMIT $3
"""


async def attachments(conn: Connection, tenant_id: str, case_id: UUID, limit: int) -> list[str]:
    """Read the ids of what is attached to a case, in the order in which they came."""
    return [row["id"] for row in await conn.fetch(ATTACHMENTS, tenant_id, case_id, limit)]


@dataclass(frozen=True, slots=True)
class FollowUp:
    """More from the reporter, kept beside the case."""

    tenant_id: str
    follow_up_id: UUID
    case_id: UUID
    reason: str
    received_at: datetime
    sealed: Mapping[str, object]
    attachments: Sequence[str] = ()


KEEP_FOLLOW_UP = """
INSERT INTO follow_up (
    tenant_id, follow_up_id, case_id, reason, received_at, sealed, attachments
)
VALUES ($1, $2, $3, $4, $5, $6, $7)
"""


async def keep_follow_up(conn: Connection, one: FollowUp) -> None:
    """Keep a follow-up; the caller announces it."""
    what = (one.reason, one.received_at, one.sealed, list(one.attachments))
    await conn.execute(KEEP_FOLLOW_UP, one.tenant_id, one.follow_up_id, one.case_id, *what)


FOLLOW_UPS = """
SELECT tenant_id, follow_up_id, case_id, reason, received_at, sealed, attachments
FROM follow_up
WHERE tenant_id = $1 AND case_id = $2
ORDER BY received_at, follow_up_id
LIMIT $3
"""


async def follow_ups(conn: Connection, tenant_id: str, case_id: UUID, limit: int) -> list[FollowUp]:
    """Read what else came in for a case, in order."""
    return [FollowUp(**row) for row in await conn.fetch(FOLLOW_UPS, tenant_id, case_id, limit)]
