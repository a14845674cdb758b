"""Cases with their numbers and queues."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from asyncpg import Record, UniqueViolationError

from services.chassis.postgres import Connection
from services.routing.domain.values import Border, Case, OpenCall, Owner

Key = tuple[str, UUID]  # tenant, case


@dataclass(frozen=True, slots=True)
class NewCase:
    """A case to be inserted, with what the rules do not need to see."""

    tenant_id: str
    number: str
    profile_version: int
    case: Case
    front_end: str
    location: Mapping[str, object]
    sealed: Mapping[str, object]
    why: Sequence[Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class Kept:
    """A case as it is kept."""

    tenant_id: str
    number: str
    profile_version: int
    case: Case
    front_end: str
    sealed: Mapping[str, Any]
    why: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Pinned:
    """A case as its clocks need it, with the version of the profile to which it is pinned."""

    profile_version: int
    case: Case


LOCK = """
SELECT cases.tenant_id, cases.case_id, cases.seq
FROM cases
JOIN unnest($1::text[], $2::uuid[]) AS wanted(tenant_id, case_id) USING (tenant_id, case_id)
ORDER BY cases.tenant_id, cases.case_id
FOR UPDATE OF cases
"""


async def lock(conn: Connection, keys: Iterable[Key]) -> dict[Key, int]:
    """Lock those cases that exist, in key order; return the sequence of each."""
    rows = await conn.fetch(LOCK, *_columns(set(keys)))
    return {(row["tenant_id"], row["case_id"]): row["seq"] for row in rows}


DRAW_NUMBERS = """
INSERT INTO case_counter AS kept (tenant_id, day, last)
SELECT tenant_id, day, amount
FROM unnest($1::text[], $2::date[], $3::integer[]) AS given(tenant_id, day, amount)
ORDER BY tenant_id, day
ON CONFLICT (tenant_id, day) DO UPDATE
SET last = kept.last + excluded.last
RETURNING tenant_id, day, last
"""


async def draw_numbers(
    conn: Connection, amounts: Mapping[tuple[str, date], int]
) -> dict[tuple[str, date], int]:
    """Reserve numbers per tenant and local day; return the last of each reserved run.

    The counter's row is locked until the transaction ends: draw last.
    """
    tenants, days = [tenant for tenant, _ in amounts], [day for _, day in amounts]
    rows = await conn.fetch(DRAW_NUMBERS, tenants, days, list(amounts.values()))
    return {(row["tenant_id"], row["day"]): row["last"] for row in rows}


INSERT = """
INSERT INTO cases (
    tenant_id, case_id, number, profile_version, flow, category, severity, class, grid, village,
    placed_by, fallback, front_end, state, owner_unit, owner_role, owner_staff, received_at,
    seq, human_seq, closed, accepted, done, running, location, sealed, why, joint, open_call, border
)
SELECT
    tenant_id, case_id, number, profile_version, flow, category, severity, class, grid, village,
    placed_by, fallback, front_end, state, owner_unit, owner_role, owner_staff, received_at,
    seq, 0, false, false, '[]', running::jsonb, location::jsonb, sealed::jsonb, why::jsonb,
    joint::jsonb, open_call::jsonb, border::jsonb
FROM unnest(
    $1::text[], $2::uuid[], $3::text[], $4::integer[], $5::text[], $6::text[], $7::text[],
    $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[],
    $15::text[], $16::text[], $17::text[], $18::timestamptz[], $19::integer[], $20::text[],
    $21::text[], $22::text[], $23::text[], $24::text[], $25::text[], $26::text[]
) AS given(
    tenant_id, case_id, number, profile_version, flow, category, severity, class, grid, village,
    placed_by, fallback, front_end, state, owner_unit, owner_role, owner_staff, received_at,
    seq, running, location, sealed, why, joint, open_call, border
)
ORDER BY tenant_id, case_id
"""


class Raced(ConnectionError):  # noqa: N818 - a state
    """Another consumer has just opened the same case: not now, the batch comes again."""


async def insert(conn: Connection, new: Sequence[NewCase]) -> None:
    """Insert cases.

    Raises:
        Raced: one of them has come into being since its key was locked.
    """
    rows = [
        (
            one.tenant_id, one.case.case_id, one.number, one.profile_version, one.case.flow,
            one.case.category, one.case.severity, one.case.case_class, one.case.grid,
            one.case.village, one.case.placed_by, one.case.fallback, one.front_end, one.case.state,
            one.case.owner.unit, one.case.owner.role, one.case.owner.staff, one.case.received_at,
            one.case.seq, *map(json.dumps, (sorted(one.case.running), one.location)),
            json.dumps(one.sealed), json.dumps(one.why, ensure_ascii=False),
            json.dumps(_places(one.case.joint)), _json_or_none(_parts(one.case.call)),
            _json_or_none(one.case.border and asdict(one.case.border)),
        )
        for one in new
    ]  # fmt: skip
    try:
        await conn.execute(INSERT, *(list(column) for column in zip(*rows, strict=True)))
    except UniqueViolationError as error:
        raise Raced("a case was opened by another consumer") from error


UPDATE = """
UPDATE cases
SET state = given.state, owner_unit = given.owner_unit, owner_role = given.owner_role,
    owner_staff = given.owner_staff, seq = given.seq, human_seq = given.human_seq,
    closed = given.closed, accepted = given.accepted, done = given.done::jsonb,
    running = given.running::jsonb, joint = given.joint::jsonb, first_asked = given.first_asked,
    open_call = given.open_call::jsonb
FROM unnest(
    $1::text[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::integer[],
    $8::integer[], $9::boolean[], $10::boolean[], $11::text[], $12::text[], $13::text[],
    $14::text[], $15::text[]
) AS given(
    tenant_id, case_id, state, owner_unit, owner_role, owner_staff, seq, human_seq, closed,
    accepted, done, running, joint, first_asked, open_call
)
WHERE cases.tenant_id = given.tenant_id AND cases.case_id = given.case_id
"""


async def advance(conn: Connection, moved: Mapping[Key, Case]) -> None:
    """Record what cases have become; the caller holds their locks."""
    rows = [
        (
            *key, case.state, case.owner.unit, case.owner.role, case.owner.staff, case.seq,
            case.human_seq, case.closed, case.accepted, json.dumps(case.done),
            json.dumps(sorted(case.running)), json.dumps(_places(case.joint)), case.first_asked,
            _json_or_none(_parts(case.call)),
        )
        for key, case in moved.items()
    ]  # fmt: skip
    if rows:
        await conn.execute(UPDATE, *(list(column) for column in zip(*rows, strict=True)))


async def update(conn: Connection, tenant_id: str, case: Case) -> None:
    """Record what one case has become; the caller holds its lock."""
    await advance(conn, {(tenant_id, case.case_id): case})


def _places(owners: Iterable[Owner]) -> list[list[str | None]]:
    return [[one.unit, one.role, one.staff] for one in owners]


def _json_or_none(value: object) -> str | None:
    return None if value is None else json.dumps(value)


def _parts(call: OpenCall | None) -> list[object] | None:
    if call is None:
        return None
    due_at = call.due_at.isoformat() if call.due_at else None
    return [call.reason, call.number, _places(call.called), due_at]


def _open_call(kept: list[Any] | None) -> OpenCall | None:
    if kept is None:
        return None
    reason, number, called, due_at = kept
    due = datetime.fromisoformat(due_at) if due_at else None
    return OpenCall(reason, number, tuple(Owner(*one) for one in called), due)


NEXT_SEQ = """
UPDATE cases
SET seq = seq + 1
WHERE tenant_id = $1 AND case_id = $2
RETURNING seq
"""


async def next_seq(conn: Connection, tenant_id: str, case_id: UUID) -> int:
    """Count one more fact of a case; the caller holds its lock."""
    seq: int = await conn.fetchval(NEXT_SEQ, tenant_id, case_id)
    return seq


CASES = """
SELECT tenant_id, case_id, number, profile_version, flow, category, severity, class, grid, village,
    placed_by, fallback, front_end, state, owner_unit, owner_role, owner_staff, received_at, seq,
    human_seq, closed, accepted, done, running, sealed, why, joint, first_asked, open_call,
    border
FROM cases
JOIN unnest($1::text[], $2::uuid[]) AS wanted(tenant_id, case_id) USING (tenant_id, case_id)
ORDER BY tenant_id, case_id
"""
CASES_FOR_UPDATE = CASES + "FOR UPDATE OF cases\n"
# Words and reasons are the most of a case, and no clock asks for them.
PINNED_FOR_UPDATE = CASES_FOR_UPDATE.replace(" sealed, why,", "")


async def get_locked(conn: Connection, keys: Iterable[Key]) -> dict[Key, Pinned]:
    """Lock and read cases, in key order."""
    return {
        (row["tenant_id"], row["case_id"]): Pinned(row["profile_version"], _case(row))
        for row in await conn.fetch(PINNED_FOR_UPDATE, *_columns(set(keys)))
    }


async def get(
    conn: Connection, tenant_id: str, case_id: UUID, *, for_update: bool = False
) -> Kept | None:
    """Read one case, or nothing."""
    query = CASES_FOR_UPDATE if for_update else CASES
    row = await conn.fetchrow(query, [tenant_id], [case_id])
    if row is None:
        return None
    names = ("tenant_id", "number", "profile_version", "front_end", "sealed", "why")
    return Kept(case=_case(row), **{name: row[name] for name in names})


def _columns(keys: Collection[Key]) -> tuple[list[str], list[UUID]]:
    return [tenant for tenant, _ in keys], [id_ for _, id_ in keys]


# What a unit owns, and what it has been called to from below and has yet to answer.
QUEUE = """
SELECT case_id, number, state, seq, owner_unit, owner_role, owner_staff, category,
    class AS case_class, severity, received_at, border IS NOT NULL AS near_border
FROM (
    (
        SELECT cases.*
        FROM cases
        WHERE tenant_id = $1 AND owner_unit = $2 AND NOT closed
            AND (received_at, case_id) > ($3, $4)
        ORDER BY received_at, case_id
        LIMIT $5
    )
    UNION ALL
    (
        SELECT cases.*
        FROM upward_call
        JOIN cases USING (tenant_id, case_id)
        WHERE tenant_id = $1 AND upward_call.unit = $2 AND answered_at IS NULL
            AND owner_unit <> $2 AND NOT closed
            AND (received_at, case_id) > ($3, $4)
        ORDER BY received_at, case_id
        LIMIT $5
    )
) AS waiting
ORDER BY received_at, case_id
LIMIT $5
"""
Place = tuple[datetime, UUID]  # in a queue: the oldest first
FRONT: Place = (datetime.min.replace(tzinfo=UTC), UUID(int=0))


async def queue(
    conn: Connection, tenant_id: str, unit: str, after: Place, limit: int
) -> list[Mapping[str, Any]]:
    """Read a unit's open cases behind a place in its queue, the oldest first.

    A case to which it was called from below stands there until it has answered.
    """
    return [dict(row) for row in await conn.fetch(QUEUE, tenant_id, unit, *after, limit)]


# Of a unit's partners' cases those that it has jointly: few are open at a time.
JOINT_QUEUE = """
SELECT case_id, number, state, seq, owner_unit, owner_role, owner_staff, category,
    class AS case_class, severity, received_at, border IS NOT NULL AS near_border
FROM cases
WHERE tenant_id = $1 AND owner_unit = ANY($2::text[]) AND NOT closed
    AND joint @> jsonb_build_array(jsonb_build_array($3::text))
ORDER BY received_at, case_id
LIMIT $4
"""


async def joint_queue(
    conn: Connection, tenant_id: str, unit: str, partners: Sequence[str], limit: int
) -> list[Mapping[str, Any]]:
    """Read the open cases that a unit has together with its partners, the oldest first."""
    found = await conn.fetch(JOINT_QUEUE, tenant_id, list(partners), unit, limit)
    return [dict(row) for row in found]


def _case(row: Record) -> Case:
    return Case(
        case_id=row["case_id"],
        flow=row["flow"],
        category=row["category"],
        severity=row["severity"],
        case_class=row["class"],
        grid=row["grid"],
        village=row["village"],
        state=row["state"],
        owner=Owner(row["owner_unit"], row["owner_role"], row["owner_staff"]),
        received_at=row["received_at"],
        placed_by=row["placed_by"],
        fallback=row["fallback"],
        seq=row["seq"],
        human_seq=row["human_seq"],
        closed=row["closed"],
        accepted=row["accepted"],
        done=tuple((step, staff) for step, staff in row["done"]),
        running=frozenset(row["running"]),
        joint=tuple(Owner(*one) for one in row["joint"]),
        first_asked=row["first_asked"],
        call=_open_call(row["open_call"]),
        border=Border(row["border"]["metres"], tuple(row["border"]["near"]))
        if row["border"]
        else None,
    )
