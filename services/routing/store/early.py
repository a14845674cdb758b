"""Records about cases that have yet to be opened: kept as they came, until their report does."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg

from services.chassis.inbox import Record
from services.chassis.postgres import Connection
from services.routing.store.cases import Key


@dataclass(frozen=True, slots=True)
class Early:
    """One record that came before the report that it is about."""

    tenant_id: str
    case_id: UUID
    event_id: UUID
    record: Record


KEEP = """
INSERT INTO early_record (
    tenant_id, case_id, event_id, topic, partition, record_offset, at, record_key, headers, body
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
ON CONFLICT DO NOTHING
"""


async def keep(conn: Connection, one: Early) -> None:
    """Keep a record until its case is opened."""
    record = one.record
    headers = {name: value.decode() for name, value in record.headers.items()}
    place = (record.topic, record.partition, record.offset, record.at, record.key)
    ids = (one.tenant_id, one.case_id, one.event_id)
    await conn.execute(KEEP, *ids, *place, headers, record.value)


TAKE = """
DELETE FROM early_record
USING unnest($1::text[], $2::uuid[]) AS opened(tenant_id, case_id)
WHERE early_record.tenant_id = opened.tenant_id AND early_record.case_id = opened.case_id
RETURNING early_record.*
"""


async def take(conn: Connection, opened: Collection[Key]) -> list[Early]:
    """Return what has waited for these cases, in the order in which it came, and keep it no more.

    The caller has just opened them, in this transaction.
    """
    tenants, ids = [tenant for tenant, _ in opened], [id_ for _, id_ in opened]
    return _in_order(await conn.fetch(TAKE, tenants, ids))


# A partition's `cleared` is the real time up to which all that was handed in has been read: whoever
# is behind gives nothing up. Nobody waits for a row that somebody else has in hand.
OVERDUE = """
DELETE FROM early_record
WHERE (tenant_id, case_id, event_id) IN (
    SELECT tenant_id, case_id, event_id
    FROM early_record
    JOIN unnest($1::integer[], $2::timestamptz[]) AS read(partition, cleared) USING (partition)
    WHERE at <= read.cleared - $3::interval
    ORDER BY at
    LIMIT 100
    FOR UPDATE OF early_record SKIP LOCKED
)
RETURNING *
"""


async def take_overdue(
    conn: Connection, cleared: Mapping[int, datetime], wait: timedelta
) -> list[Early]:
    """Return what has waited for so long that its report will not come, and keep it no more."""
    return _in_order(await conn.fetch(OVERDUE, list(cleared), list(cleared.values()), wait))


FORGET = """
DELETE FROM inbox
USING unnest($1::text[], $2::uuid[]) AS given(tenant_id, event_id)
WHERE inbox.tenant_id = given.tenant_id AND inbox.event_id = given.event_id
"""


async def forget(conn: Connection, given_up: Sequence[Early]) -> None:
    """Let records be taken once more: they have had no effect."""
    tenants, ids = [one.tenant_id for one in given_up], [one.event_id for one in given_up]
    await conn.execute(FORGET, tenants, ids)


def _in_order(rows: Iterable[asyncpg.Record]) -> list[Early]:
    found = [
        Early(
            row["tenant_id"],
            row["case_id"],
            row["event_id"],
            Record(
                row["topic"],
                row["partition"],
                row["record_offset"],
                row["at"],
                row["record_key"],
                row["body"],
                {name: text.encode() for name, text in row["headers"].items()},
            ),
        )
        for row in rows
    ]
    return sorted(found, key=lambda one: (one.record.partition, one.record.offset))
