"""The board's projection: cases, the last acts, and one version per tenant."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from operator import attrgetter
from typing import Any

from asyncpg import Record

from services.chassis.postgres import Connection
from services.console.domain.acts import Act, ActKey
from services.console.domain.board import BoardCase, Clock, Key
from services.console.domain.slots import Slot, SlotKey

# The version row is the tenant's lock: whoever writes its board holds it until the end.
BUMP = """
INSERT INTO board_version AS kept (tenant_id, version, fact_at)
SELECT tenant_id, 1, fact_at
FROM unnest($1::text[], $2::timestamptz[]) AS given(tenant_id, fact_at)
ORDER BY tenant_id
ON CONFLICT (tenant_id) DO UPDATE
SET version = kept.version + 1, fact_at = GREATEST(kept.fact_at, excluded.fact_at)
"""


async def bump(conn: Connection, newest: Mapping[str, datetime]) -> None:
    """Lock the boards of tenants and note that they change; `newest` has each one's last fact."""
    await conn.execute(BUMP, list(newest), list(newest.values()))


CASES = """
SELECT tenant_id, case_id, number, profile_version, flow, category, class, severity, grid, village,
    state, owner_unit, owner_role, received_at, changed_at, seq, accepted, closed_at, clocks,
    provisional
FROM board_case
JOIN unnest($1::text[], $2::uuid[]) AS wanted(tenant_id, case_id) USING (tenant_id, case_id)
"""

SLOTS = """
SELECT tenant_id, case_id, whistle_id, department, lead, place, blown_at, due_at, lamp, came_at,
    provisional
FROM board_slot
JOIN unnest($1::text[], $2::uuid[]) AS wanted(tenant_id, case_id) USING (tenant_id, case_id)
"""


async def cases(conn: Connection, keys: Iterable[Key]) -> dict[Key, BoardCase]:
    """Read the cases that are known already."""
    wanted = list(set(keys))
    columns = [tenant for tenant, _ in wanted], [id_ for _, id_ in wanted]
    slots: dict[Key, dict[SlotKey, Slot]] = defaultdict(dict)
    for row in await conn.fetch(SLOTS, *columns):
        values = dict(row)
        key = values.pop("tenant_id"), values.pop("case_id")
        slot = Slot(**values)
        slots[key][slot.key] = slot
    rows = await conn.fetch(CASES, *columns)
    keyed = {(row["tenant_id"], row["case_id"]): row for row in rows}
    return {key: _case(row, slots.get(key, {})) for key, row in keyed.items()}


def _case(row: Record, slots: Mapping[SlotKey, Slot]) -> BoardCase:
    values = dict(row)
    values["case_class"] = values.pop("class")
    clocks = values.pop("clocks")
    guessed = values.pop("provisional")
    running = {
        name: replace(_clock(*parts), provisional=name in guessed) for name, parts in clocks.items()
    }
    return BoardCase(**values, clocks=running, slots=slots)


def _clock(kind: Any, due_at: str | None, soon_at: str | None) -> Clock:  # noqa: ANN401 - from JSON
    return Clock(kind, _moment(due_at), _moment(soon_at))


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _clocks_json(case: BoardCase) -> str:
    def text(at: datetime | None) -> str | None:
        return None if at is None else at.isoformat()

    return json.dumps(
        {
            name: (clock.kind, text(clock.due_at), text(clock.soon_at))
            for name, clock in case.clocks.items()
        }
    )


def _provisional_json(case: BoardCase) -> str:
    return json.dumps([name for name, clock in case.clocks.items() if clock.provisional])


PUT = """
INSERT INTO board_case (
    tenant_id, case_id, number, profile_version, flow, category, class, severity, grid, village,
    state, owner_unit, owner_role, received_at, changed_at, seq, accepted, closed_at,
    clocks, provisional, deadline, clock, due_at, soon_at
)
SELECT
    tenant_id, case_id, number, profile_version, flow, category, class, severity, grid, village,
    state, owner_unit, owner_role, received_at, changed_at, seq, accepted, closed_at,
    clocks::jsonb, provisional::jsonb, deadline, clock, due_at, soon_at
FROM unnest(
    $1::text[], $2::uuid[], $3::text[], $4::integer[], $5::text[], $6::text[], $7::text[],
    $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[],
    $14::timestamptz[], $15::timestamptz[], $16::integer[], $17::boolean[], $18::timestamptz[],
    $19::text[], $20::text[], $21::text[], $22::text[], $23::timestamptz[], $24::timestamptz[]
) AS given(
    tenant_id, case_id, number, profile_version, flow, category, class, severity, grid, village,
    state, owner_unit, owner_role, received_at, changed_at, seq, accepted, closed_at,
    clocks, provisional, deadline, clock, due_at, soon_at
)
ORDER BY tenant_id, case_id
ON CONFLICT (tenant_id, case_id) DO UPDATE
SET state = excluded.state, owner_unit = excluded.owner_unit, owner_role = excluded.owner_role,
    changed_at = excluded.changed_at, seq = excluded.seq, accepted = excluded.accepted,
    closed_at = excluded.closed_at, clocks = excluded.clocks, provisional = excluded.provisional,
    deadline = excluded.deadline,
    clock = excluded.clock, due_at = excluded.due_at, soon_at = excluded.soon_at
"""

_PLAIN = attrgetter(
    "tenant_id", "case_id", "number", "profile_version", "flow", "category", "case_class",
    "severity", "grid", "village", "state", "owner_unit", "owner_role", "received_at",
    "changed_at", "seq", "accepted", "closed_at",
)  # fmt: skip


async def put(conn: Connection, changed: Sequence[BoardCase]) -> None:
    """Write cases as they stand now; the caller holds the lock of their tenants."""
    if changed:
        rows = [
            (*_PLAIN(case), _clocks_json(case), _provisional_json(case), *_next(case))
            for case in changed
        ]
        await conn.execute(PUT, *(list(column) for column in zip(*rows, strict=True)))


def _next(case: BoardCase) -> tuple[object, ...]:
    if case.next_clock is None:
        return None, None, None, None
    deadline, clock = case.next_clock
    return deadline, clock.kind, clock.due_at, clock.soon_at


PUT_SLOTS = """
INSERT INTO board_slot (
    tenant_id, case_id, whistle_id, department, lead, place, blown_at, due_at, lamp, came_at,
    provisional
)
SELECT tenant_id, case_id, whistle_id, department, lead, place, blown_at, due_at, lamp, came_at,
    provisional
FROM unnest(
    $1::text[], $2::uuid[], $3::uuid[], $4::text[], $5::boolean[], $6::integer[],
    $7::timestamptz[], $8::timestamptz[], $9::text[], $10::timestamptz[], $11::boolean[]
) AS given(
    tenant_id, case_id, whistle_id, department, lead, place, blown_at, due_at, lamp, came_at,
    provisional
)
ORDER BY tenant_id, case_id, whistle_id, department
ON CONFLICT (tenant_id, case_id, whistle_id, department) DO UPDATE
SET lead = excluded.lead, due_at = excluded.due_at, lamp = excluded.lamp,
    came_at = excluded.came_at, provisional = excluded.provisional
"""

_SLOT = attrgetter(*Slot.__dataclass_fields__)


async def put_slots(conn: Connection, changed: Sequence[tuple[Key, Slot]]) -> None:
    """Write departments as they stand now; the caller holds the lock of their tenants."""
    if changed:
        rows = [(*key, *_SLOT(slot)) for key, slot in changed]
        await conn.execute(PUT_SLOTS, *(list(column) for column in zip(*rows, strict=True)))


DROP_SLOTS = """
DELETE FROM board_slot
USING unnest($1::text[], $2::uuid[], $3::uuid[], $4::text[])
    AS gone(tenant_id, case_id, whistle_id, department)
WHERE board_slot.tenant_id = gone.tenant_id
    AND board_slot.case_id = gone.case_id
    AND board_slot.whistle_id = gone.whistle_id
    AND board_slot.department = gone.department
"""


async def drop_slots(conn: Connection, gone: Sequence[tuple[Key, SlotKey]]) -> None:
    """Remove departments; the caller holds the lock of their tenants."""
    if gone:
        rows = [(*key, *slot) for key, slot in gone]
        await conn.execute(DROP_SLOTS, *(list(column) for column in zip(*rows, strict=True)))


_ACT_COLUMNS = tuple(Act.__dataclass_fields__)

ACTS_AT = """
SELECT tenant_id, case_id, at, kind, step, unit, role, to_unit, to_role, satisfied, ended,
    departments, to_level
FROM board_act
JOIN unnest($1::text[], $2::uuid[], $3::timestamptz[])
    AS wanted(tenant_id, case_id, at) USING (tenant_id, case_id, at)
"""


async def acts_at(conn: Connection, keys: Sequence[ActKey]) -> dict[ActKey, Act]:
    """Read acts of which some facts have come already."""
    columns = [list(column) for column in zip(*keys, strict=True)] or [[], [], []]
    acts = [act_of(dict(row)) for row in await conn.fetch(ACTS_AT, *columns)]
    return {act.key: act for act in acts}


def act_of(values: dict[str, Any]) -> Act:
    """Make an act of its columns."""
    return Act(**{**values, "departments": tuple(values["departments"])})


PUT_ACTS = """
INSERT INTO board_act (
    tenant_id, case_id, at, kind, step, unit, role, to_unit, to_role, satisfied, ended,
    departments, to_level
)
SELECT tenant_id, case_id, at, kind, step, unit, role, to_unit, to_role, satisfied, ended,
    departments::jsonb, to_level
FROM unnest(
    $1::text[], $2::uuid[], $3::timestamptz[], $4::text[], $5::text[], $6::text[], $7::text[],
    $8::text[], $9::text[], $10::boolean[], $11::text[], $12::text[], $13::text[]
) AS given(
    tenant_id, case_id, at, kind, step, unit, role, to_unit, to_role, satisfied, ended,
    departments, to_level
)
ORDER BY tenant_id, case_id, at
ON CONFLICT (tenant_id, case_id, at) DO UPDATE
SET kind = excluded.kind, step = excluded.step, unit = excluded.unit, role = excluded.role,
    to_unit = excluded.to_unit, to_role = excluded.to_role, satisfied = excluded.satisfied,
    ended = excluded.ended, departments = excluded.departments, to_level = excluded.to_level
"""

TRIM_ACTS = """
DELETE FROM board_act
USING (
    SELECT wanted.tenant_id, first.at, first.case_id
    FROM unnest($1::text[]) AS wanted(tenant_id)
    CROSS JOIN LATERAL (
        SELECT at, case_id
        FROM board_act
        WHERE board_act.tenant_id = wanted.tenant_id
        ORDER BY at DESC, case_id DESC
        OFFSET $2
        LIMIT 1
    ) AS first
) AS too_old
WHERE board_act.tenant_id = too_old.tenant_id
    AND (board_act.at, board_act.case_id) <= (too_old.at, too_old.case_id)
"""


async def put_acts(conn: Connection, acts: Sequence[Act], kept_max: int) -> None:
    """Write acts and remove those that are too old to be told."""
    if acts:
        columns = {name: [getattr(act, name) for act in acts] for name in _ACT_COLUMNS}
        columns["departments"] = [json.dumps(act.departments) for act in acts]
        await conn.execute(PUT_ACTS, *columns.values())
        await conn.execute(TRIM_ACTS, sorted({act.tenant_id for act in acts}), kept_max)
