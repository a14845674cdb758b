"""What messages tell that is so no more: none of them is begun from then on."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from uuid import UUID

from services.chassis.postgres import Connection
from services.notify.store.intents import Intent


@dataclass(frozen=True, slots=True)
class Moot:
    """What messages of a case tell of one of its clocks, and is so no more."""

    tenant_id: str
    case_id: UUID
    notice: str
    clock: str

    def taken(self, intents: Iterable[Intent]) -> list[Intent]:
        """Return intents as they are now that it is so no more."""
        return [replace(one, moot=True) if self._told_by(one) else one for one in intents]

    def _told_by(self, one: Intent) -> bool:
        return self == Moot(one.tenant_id, one.case_id, one.notice, one.clock or "")


MOOT = """
UPDATE intent
SET moot = true
FROM unnest($1::text[], $2::uuid[], $3::text[], $4::text[])
    AS given(tenant_id, case_id, notice, clock)
WHERE intent.tenant_id = given.tenant_id
    AND intent.case_id = given.case_id
    AND intent.notice = given.notice
    AND intent.clock = given.clock
    AND intent.state = 'open'
RETURNING intent.tenant_id, intent.intent_id
"""
# By a snapshot of its own: it sees what was begun while we waited for the intents.
CROSS_MOOT = """
UPDATE attempt
SET crossed = true
FROM unnest($1::text[], $2::uuid[]) AS moot(tenant_id, intent_id)
WHERE attempt.tenant_id = moot.tenant_id
    AND attempt.intent_id = moot.intent_id
    AND attempt.state IN ('sending', 'unknown')
RETURNING attempt.attempt_id
"""


async def put(conn: Connection, every: Iterable[Moot]) -> int:
    """Let messages not be begun; mark what is under way, and return how much that is.

    The caller holds the cases' locks, and none yet of a slot: who begins a message waits for those.
    """
    rows = [(one.tenant_id, one.case_id, one.notice, one.clock) for one in every]
    if not rows:
        return 0
    found = await conn.fetch(MOOT, *(list(column) for column in zip(*rows, strict=True)))
    ids = [row["tenant_id"] for row in found], [row["intent_id"] for row in found]
    return len(await conn.fetch(CROSS_MOOT, *ids))
