"""The slots of whistles. A message of one is begun only under a share of its slot's lock."""

from collections.abc import Iterable, Mapping
from uuid import UUID

from asyncpg import Record

from services.chassis.postgres import Connection
from services.notify.domain.whistle import Slot
from services.notify.store import cases
from services.notify.store.intents import SlotKey as Key

OF_CASES = """
SELECT tenant_id, whistle_id, department, state, due_at, told_at, code, absent_since, blown_by
FROM slot
JOIN unnest($1::text[], $2::uuid[]) AS wanted(tenant_id, case_id) USING (tenant_id, case_id)
"""


async def of_cases(conn: Connection, keys: Iterable[cases.Key]) -> dict[Key, Slot]:
    """Return the slots of cases; the caller holds the cases' locks, so nobody else writes them."""
    wanted = list(set(keys))
    rows = await conn.fetch(OF_CASES, [tenant for tenant, _ in wanted], [id_ for _, id_ in wanted])
    return {_key(row): _slot(row) for row in rows}


PUT = """
INSERT INTO slot (
    tenant_id, whistle_id, department, case_id, state, due_at, told_at, code, absent_since, blown_by
)
SELECT
    tenant_id, whistle_id, department, case_id, state, due_at, told_at, code, absent_since, blown_by
FROM unnest(
    $1::text[], $2::uuid[], $3::text[], $4::uuid[], $5::text[], $6::timestamptz[],
    $7::timestamptz[], $8::text[], $9::timestamptz[], $10::text[]
) AS given(
    tenant_id, whistle_id, department, case_id, state, due_at, told_at, code, absent_since, blown_by
)
ORDER BY tenant_id, whistle_id, department
ON CONFLICT (tenant_id, whistle_id, department) DO UPDATE
SET state = excluded.state, due_at = excluded.due_at, told_at = excluded.told_at,
    absent_since = excluded.absent_since
"""


async def put(conn: Connection, slots: Mapping[Key, tuple[UUID, Slot]]) -> None:
    """Write slots, each with its case, as they stand now, in key order.

    A code stays, and so does who called. It waits for whoever is beginning a message of one; what
    has been begun is seen afterwards.
    """
    await conn.execute(
        PUT,
        [tenant_id for tenant_id, _, _ in slots],
        [whistle_id for _, whistle_id, _ in slots],
        [department for _, _, department in slots],
        [case_id for case_id, _ in slots.values()],
        [slot.state for _, slot in slots.values()],
        [slot.due_at for _, slot in slots.values()],
        [slot.told_at for _, slot in slots.values()],
        [slot.code for _, slot in slots.values()],
        [slot.absent_since for _, slot in slots.values()],
        [slot.blown_by for _, slot in slots.values()],
    )


SHARE = """
SELECT slot.*
FROM slot
JOIN unnest($1::text[], $2::uuid[], $3::text[]) AS wanted(tenant_id, whistle_id, department)
    USING (tenant_id, whistle_id, department)
ORDER BY slot.tenant_id, slot.whistle_id, slot.department
FOR SHARE OF slot
"""


async def share(conn: Connection, keys: Iterable[Key]) -> dict[Key, Slot]:
    """Return how slots stand, and hold them so, in key order, until the transaction ends."""
    wanted = list(set(keys))
    if not wanted:
        return {}
    rows = await conn.fetch(
        SHARE,
        [tenant_id for tenant_id, _, _ in wanted],
        [whistle_id for _, whistle_id, _ in wanted],
        [department for _, _, department in wanted],
    )
    return {_key(row): _slot(row) for row in rows}


CROSS = """
UPDATE attempt
SET crossed = true
FROM intent
JOIN unnest($1::text[], $2::uuid[], $3::text[]) AS ended(tenant_id, whistle_id, department)
    USING (tenant_id, whistle_id, department)
WHERE intent.case_id = ANY($4::uuid[])
    AND attempt.tenant_id = intent.tenant_id
    AND attempt.intent_id = intent.intent_id
    AND attempt.state IN ('sending', 'unknown')
RETURNING attempt.attempt_id
"""


async def cross(conn: Connection, ended: Mapping[Key, UUID]) -> int:
    """Mark what is under way for slots that have just ended; return how much that is.

    Intents are read, not locked: whoever begins a message holds its lock and waits for the slot's.
    """
    rows = await conn.fetch(
        CROSS,
        [tenant_id for tenant_id, _, _ in ended],
        [whistle_id for _, whistle_id, _ in ended],
        [department for _, _, department in ended],
        list(set(ended.values())),
    )
    return len(rows)


def _slot(row: Record) -> Slot:
    return Slot(**{name: row[name] for name in Slot.__dataclass_fields__})


def _key(row: Record) -> Key:
    return row["tenant_id"], row["whistle_id"], row["department"]
