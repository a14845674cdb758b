"""Misses of departments that were done with afterwards, as the facts of their cases tell."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from services.chassis.postgres import Connection
from services.routing.domain.recount import Ending
from services.routing.store.cases import Key

OF_MISSES = """
SELECT tenant_id, case_id, type, occurred_at AS at, (body ->> 'whistle_id')::uuid AS whistle_id,
    body ->> 'department' AS department, (body ->> 'due_at')::timestamptz AS due_at
FROM case_fact
JOIN unnest($1::text[], $2::uuid[]) AS wanted(tenant_id, case_id) USING (tenant_id, case_id)
WHERE type IN (
        'whistle.missed.v1', 'whistle.reported_in.v1', 'whistle.corrected.v1',
        'whistle.refused.v1', 'whistle.withdrawn.v1'
    )
    OR (type = 'whistle.deadline_moved.v1' AND body @> '{"miss_withdrawn": true}')
    OR (type = 'whistle.ruled.v1' AND body @> '{"ruling": "accept"}')
ORDER BY tenant_id, case_id, seq
"""
_ENDS = ("whistle.refused.v1", "whistle.withdrawn.v1")


async def of_misses(
    conn: Connection, keys: Sequence[Key]
) -> Mapping[tuple[Key, str, datetime], Ending]:
    """Return how misses of departments ended without a report-in, by department and due time.

    One whose refusal was accepted is none any more, and is left out.
    """
    if not keys:
        return {}
    standing: dict[tuple[Key, UUID, str], datetime] = {}
    ended: dict[tuple[Key, UUID, str], dict[datetime, Ending]] = defaultdict(dict)
    for row in await conn.fetch(OF_MISSES, [key[0] for key in keys], [key[1] for key in keys]):
        slot = (row["tenant_id"], row["case_id"]), row["whistle_id"], row["department"]
        if row["type"] == "whistle.missed.v1":
            standing[slot] = row["due_at"]
            continue
        due_at = standing.pop(slot, None)
        if row["type"] == "whistle.ruled.v1":
            ended.pop(slot, None)
        elif row["type"] in _ENDS and due_at is not None:
            ended[slot][due_at] = Ending(slot[1], slot[2], row["at"])
    return {
        (key, department, due_at): one
        for (key, _, department), of_slot in ended.items()
        for due_at, one in of_slot.items()
    }
