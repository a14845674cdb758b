"""What is offered to somebody, and what waits to be signed for."""

from collections.abc import Collection, Iterable, Sequence
from uuid import UUID

from asyncpg import Record

from services.chassis.postgres import Connection
from services.routing.domain.values import Owner, Sheet, Transfer
from services.routing.store.cases import Key

PUT_TRANSFER = """
INSERT INTO transfer (
    tenant_id, transfer_id, case_id, owner_unit, owner_role, owner_staff, to_unit, to_role,
    to_staff, offered_at, outcome
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
ON CONFLICT (tenant_id, transfer_id) DO UPDATE
SET outcome = excluded.outcome
"""


async def put_transfer(conn: Connection, tenant_id: str, case_id: UUID, one: Transfer) -> None:
    """Keep an offer, a new one or one that has ended; the caller holds the case's lock."""
    owner, to = one.owner, one.to
    places = (owner.unit, owner.role, owner.staff, to.unit, to.role, to.staff)
    kept = (one.offered_at, one.outcome)
    await conn.execute(PUT_TRANSFER, tenant_id, one.transfer_id, case_id, *places, *kept)


MOOT = """
UPDATE transfer
SET outcome = 'moot'
FROM unnest($1::text[], $2::uuid[]) AS given(tenant_id, case_id)
WHERE transfer.tenant_id = given.tenant_id
    AND transfer.case_id = given.case_id
    AND transfer.outcome IS NULL
"""


async def moot(conn: Connection, keys: Collection[Key]) -> None:
    """End the open offers of cases that have gone on otherwise; the caller holds their locks."""
    if keys:
        await conn.execute(MOOT, [tenant for tenant, _ in keys], [id_ for _, id_ in keys])


TRANSFER = """
SELECT *
FROM transfer
WHERE tenant_id = $1 AND transfer_id = $2
"""


async def transfer(
    conn: Connection, tenant_id: str, transfer_id: UUID
) -> tuple[UUID, Transfer] | None:
    """Read an offer and its case."""
    row = await conn.fetchrow(TRANSFER, tenant_id, transfer_id)
    return (row["case_id"], _transfer(row)) if row else None


OPEN_TRANSFER = """
SELECT *
FROM transfer
WHERE tenant_id = $1 AND case_id = $2 AND outcome IS NULL
"""


async def open_transfer(conn: Connection, tenant_id: str, case_id: UUID) -> Transfer | None:
    """Read the open offer of a case."""
    row = await conn.fetchrow(OPEN_TRANSFER, tenant_id, case_id)
    return _transfer(row) if row else None


TRANSFERS_TO = """
SELECT transfer.*, cases.number
FROM transfer
JOIN cases USING (tenant_id, case_id)
WHERE transfer.tenant_id = $1 AND transfer.to_unit = $2 AND transfer.outcome IS NULL
ORDER BY transfer.offered_at, transfer.transfer_id
LIMIT $3
"""


async def transfers_to(
    conn: Connection, tenant_id: str, unit: str, limit: int
) -> list[tuple[UUID, str, Transfer]]:
    """Read what is offered to a unit, the oldest first: case, its number, offer."""
    rows = await conn.fetch(TRANSFERS_TO, tenant_id, unit, limit)
    return [(row["case_id"], row["number"], _transfer(row)) for row in rows]


def _transfer(row: Record) -> Transfer:
    return Transfer(
        row["transfer_id"],
        _owner(row),
        Owner(row["to_unit"], row["to_role"], row["to_staff"]),
        row["offered_at"],
        row["outcome"],
    )


def _owner(row: Record) -> Owner:
    return Owner(row["owner_unit"], row["owner_role"], row["owner_staff"])


PUT_SHEETS = """
INSERT INTO handover (
    tenant_id, case_id, handover_id, unit, owner_unit, owner_role, owner_staff, filed_at, due_at,
    received_at, received_by
)
SELECT *
FROM unnest(
    $1::text[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[],
    $8::timestamptz[], $9::timestamptz[], $10::timestamptz[], $11::text[]
)
ON CONFLICT (tenant_id, handover_id) DO UPDATE
SET received_at = excluded.received_at, received_by = excluded.received_by
"""


async def put_sheets(conn: Connection, sheets: Iterable[tuple[str, UUID, Sheet]]) -> None:
    """Keep hand-over sheets, filed or signed for; the caller holds the cases' locks."""
    rows = [
        (
            tenant_id, case_id, one.handover_id, one.unit, one.filed_by.unit, one.filed_by.role,
            one.filed_by.staff, one.filed_at, one.due_at, one.received_at, one.received_by,
        )
        for tenant_id, case_id, one in sheets
    ]  # fmt: skip
    if rows:
        await conn.execute(PUT_SHEETS, *(list(column) for column in zip(*rows, strict=True)))


SHEET = """
SELECT *
FROM handover
WHERE tenant_id = $1 AND handover_id = $2
"""


async def sheet(conn: Connection, tenant_id: str, handover_id: UUID) -> tuple[UUID, Sheet] | None:
    """Read a sheet and its case."""
    row = await conn.fetchrow(SHEET, tenant_id, handover_id)
    return (row["case_id"], _sheet(row)) if row else None


SHEET_OF = """
SELECT *
FROM handover
WHERE tenant_id = $1 AND case_id = $2
"""


async def sheet_of(conn: Connection, tenant_id: str, case_id: UUID) -> Sheet | None:
    """Read the sheet of a case."""
    row = await conn.fetchrow(SHEET_OF, tenant_id, case_id)
    return _sheet(row) if row else None


SHEETS_AT = """
SELECT handover.*, cases.number
FROM handover
JOIN cases USING (tenant_id, case_id)
WHERE handover.tenant_id = $1 AND handover.unit = $2 AND handover.received_at IS NULL
    AND NOT cases.closed
ORDER BY handover.filed_at, handover.handover_id
LIMIT $3
"""


async def sheets_at(
    conn: Connection, tenant_id: str, unit: str, limit: int
) -> Sequence[tuple[UUID, str, Sheet]]:
    """Read what is to be signed for at a unit, the oldest first: case, its number, sheet."""
    rows = await conn.fetch(SHEETS_AT, tenant_id, unit, limit)
    return [(row["case_id"], row["number"], _sheet(row)) for row in rows]


def _sheet(row: Record) -> Sheet:
    return Sheet(
        row["handover_id"],
        row["unit"],
        _owner(row),
        row["filed_at"],
        row["due_at"],
        row["received_at"],
        row["received_by"],
    )
