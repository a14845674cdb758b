"""What notify knows of each case: enough to tell who is to be told, and in which words."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from asyncpg import Record

from services.chassis.postgres import Connection
from services.notify.domain.recipients import Case, Owner

Key = tuple[str, UUID]  # tenant, case


@dataclass(frozen=True, slots=True)
class Kept:
    """A case as it is kept. `reporter` holds sealed contacts with their wrapped key."""

    tenant_id: str
    case_id: UUID
    case: Case
    reporter: Mapping[str, Any] | None


LOCK = """
SELECT cases.*
FROM cases
JOIN unnest($1::text[], $2::uuid[]) AS wanted(tenant_id, case_id) USING (tenant_id, case_id)
ORDER BY cases.tenant_id, cases.case_id
FOR UPDATE OF cases
"""


async def lock(conn: Connection, keys: Iterable[Key]) -> dict[Key, Kept]:
    """Lock those cases that are known, in key order, and return them."""
    wanted = list(set(keys))
    rows = await conn.fetch(LOCK, [tenant for tenant, _ in wanted], [id_ for _, id_ in wanted])
    return {(row["tenant_id"], row["case_id"]): _kept(row) for row in rows}


HOLD = """
SELECT cases.case_id
FROM cases
JOIN unnest($1::text[], $2::uuid[]) AS wanted(tenant_id, case_id) USING (tenant_id, case_id)
ORDER BY cases.tenant_id, cases.case_id
FOR UPDATE OF cases
"""


async def hold(conn: Connection, keys: Iterable[Key]) -> None:
    """Lock cases, in key order, without reading them."""
    wanted = list(set(keys))
    await conn.execute(HOLD, [tenant for tenant, _ in wanted], [id_ for _, id_ in wanted])


SOME = """
SELECT cases.*
FROM cases
JOIN unnest($1::text[], $2::uuid[]) AS wanted(tenant_id, case_id) USING (tenant_id, case_id)
"""


async def some(conn: Connection, keys: Iterable[Key]) -> dict[Key, Kept]:
    """Return those cases that are known."""
    wanted = list(set(keys))
    rows = await conn.fetch(SOME, [tenant for tenant, _ in wanted], [id_ for _, id_ in wanted])
    return {(row["tenant_id"], row["case_id"]): _kept(row) for row in rows}


PUT = """
INSERT INTO cases (
    tenant_id, case_id, number, category, severity, class, grid, village,
    owner_unit, owner_role, owner_staff, profile_version, closed, reporter
)
SELECT
    tenant_id, case_id, number, category, severity, class, grid, village,
    owner_unit, owner_role, owner_staff, profile_version, closed, reporter
FROM unnest(
    $1::text[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
    $9::text[], $10::text[], $11::text[], $12::integer[], $13::boolean[], $14::jsonb[]
) AS given(
    tenant_id, case_id, number, category, severity, class, grid, village,
    owner_unit, owner_role, owner_staff, profile_version, closed, reporter
)
ORDER BY tenant_id, case_id
ON CONFLICT (tenant_id, case_id) DO UPDATE
SET owner_unit = excluded.owner_unit, owner_role = excluded.owner_role,
    owner_staff = excluded.owner_staff, closed = excluded.closed
"""


async def put(conn: Connection, cases: Sequence[Kept]) -> None:
    """Write cases as they stand now; the caller holds the locks of those that were there."""
    rows = [
        (
            one.tenant_id, one.case_id, one.case.number, one.case.category, one.case.severity,
            one.case.case_class, one.case.grid, one.case.village, one.case.owner.unit,
            one.case.owner.role, one.case.owner.staff, one.case.profile_version, one.case.closed,
            one.reporter,
        )
        for one in cases
    ]  # fmt: skip
    await conn.execute(PUT, *(list(column) for column in zip(*rows, strict=True)))


def _kept(row: Record) -> Kept:
    case = Case(
        number=row["number"],
        category=row["category"],
        severity=row["severity"],
        case_class=row["class"],
        grid=row["grid"],
        village=row["village"],
        owner=Owner(row["owner_unit"], row["owner_role"], row["owner_staff"]),
        profile_version=row["profile_version"],
        closed=row["closed"],
    )
    return Kept(row["tenant_id"], row["case_id"], case, row["reporter"])
