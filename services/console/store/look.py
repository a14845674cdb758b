"""What the board shows: the open cases in order, counts, the last acts."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from services.chassis.postgres import Connection
from services.console.domain.acts import Act
from services.console.domain.board import BoardRow
from services.console.domain.slots import Slot, shown
from services.console.store.projection import act_of

VERSIONS = """
SELECT tenant_id, version
FROM board_version
WHERE tenant_id = ANY($1::text[])
"""


async def versions(conn: Connection, tenants: Iterable[str]) -> dict[str, int]:
    """Return how often each tenant's board has changed."""
    rows = await conn.fetch(VERSIONS, list(tenants))
    return {row["tenant_id"]: row["version"] for row in rows}


FACT_AT = """
SELECT fact_at
FROM board_version
WHERE tenant_id = $1
"""


async def fact_at(conn: Connection, tenant_id: str) -> datetime | None:
    """Return the moment of the last fact that was taken in."""
    at: datetime | None = await conn.fetchval(FACT_AT, tenant_id)
    return at


# The order of `domain.board.place_in_order`; a test holds the two together.
ROWS = """
WITH awaited AS (
    SELECT case_id, min(blown_at) AS since
    FROM board_slot
    WHERE tenant_id = $1 AND lamp IN ('waiting', 'missed')
    GROUP BY case_id
)
SELECT case_id, number, profile_version, flow, category, class AS case_class, severity, grid,
    village, state, owner_unit, owner_role, received_at, accepted, deadline, clock, due_at, soon_at,
    coalesce(provisional ? deadline, false) AS provisional, since AS awaited_since, joined
FROM board_case
LEFT JOIN awaited USING (case_id)
CROSS JOIN LATERAL (
    SELECT EXISTS (
        SELECT
        FROM board_slot
        WHERE board_slot.tenant_id = board_case.tenant_id
            AND board_slot.case_id = board_case.case_id
            AND lamp IN ('reported', 'late')
    ) AS joined
) AS come
WHERE tenant_id = $1 AND closed_at IS NULL
ORDER BY
    CASE
        WHEN since IS NOT NULL THEN -1
        WHEN due_at <= $2 THEN 0
        WHEN soon_at <= $2 THEN 1
        WHEN joined THEN 2
        WHEN NOT accepted THEN 3
        ELSE 4
    END,
    date_trunc(
        'minute',
        CASE
            WHEN since IS NOT NULL THEN since
            WHEN due_at <= $2 OR soon_at <= $2 THEN due_at
            ELSE received_at
        END
    ),
    number COLLATE "C"
LIMIT $3
"""


async def rows(conn: Connection, tenant_id: str, now: datetime, limit: int) -> list[BoardRow]:
    """Read the open cases in the order in which they want to be seen."""
    found = [BoardRow(**row) for row in await conn.fetch(ROWS, tenant_id, now, limit)]
    called = await slots(conn, tenant_id, [row.case_id for row in found])
    return [replace(row, slots=shown(called.get(row.case_id, ()))) for row in found]


# A department that was called again is shown by its last call.
SLOTS = """
SELECT DISTINCT ON (case_id, department)
    case_id, whistle_id, department, lead, place, blown_at, due_at, lamp, came_at, provisional
FROM board_slot
WHERE tenant_id = $1 AND case_id = ANY($2::uuid[])
ORDER BY case_id, department, blown_at DESC
LIMIT 20000
"""


async def slots(conn: Connection, tenant_id: str, cases: Sequence[UUID]) -> dict[UUID, list[Slot]]:
    """Read the departments called to cases."""
    found: dict[UUID, list[Slot]] = defaultdict(list)
    for row in await conn.fetch(SLOTS, tenant_id, cases):
        values = dict(row)
        found[values.pop("case_id")].append(Slot(**values))
    return found


AWAITED = """
SELECT count(*) FILTER (WHERE lamp = 'waiting') AS awaited,
    count(*) FILTER (WHERE lamp = 'missed') AS missed
FROM board_slot
JOIN board_case USING (tenant_id, case_id)
WHERE tenant_id = $1 AND lamp IN ('waiting', 'missed') AND closed_at IS NULL
"""


async def awaited(conn: Connection, tenant_id: str) -> tuple[int, int]:
    """Count the departments that have yet to report in: in time, and too late."""
    row = await conn.fetchrow(AWAITED, tenant_id)
    return (row["awaited"], row["missed"]) if row else (0, 0)


@dataclass(frozen=True, slots=True)
class StateCount:
    """Open cases in one state. `next_at` is when a clock of theirs strikes next."""

    flow: str
    profile_version: int
    state: str
    open: int
    late: int
    soon: int
    untaken: int
    untold: int  # their clock counts time that cannot be told yet
    next_at: datetime | None


STATES = """
SELECT flow, profile_version, state,
    count(*) AS open,
    count(*) FILTER (WHERE due_at <= $2) AS late,
    count(*) FILTER (WHERE soon_at <= $2 AND due_at > $2) AS soon,
    count(*) FILTER (WHERE NOT accepted) AS untaken,
    count(*) FILTER (WHERE clock IS NOT NULL AND due_at IS NULL) AS untold,
    LEAST(
        min(due_at) FILTER (WHERE due_at > $2), min(soon_at) FILTER (WHERE soon_at > $2)
    ) AS next_at
FROM board_case
WHERE tenant_id = $1 AND closed_at IS NULL
GROUP BY flow, profile_version, state
ORDER BY flow, profile_version, state
LIMIT 1000
"""


async def states(conn: Connection, tenant_id: str, now: datetime) -> list[StateCount]:
    """Count the open cases by state."""
    return [StateCount(**row) for row in await conn.fetch(STATES, tenant_id, now)]


DAY = """
SELECT
    (
        SELECT count(*)
        FROM board_case
        WHERE tenant_id = $1 AND received_at >= $2 AND received_at < $3
    ) AS received,
    (
        SELECT count(*)
        FROM board_case
        WHERE tenant_id = $1 AND closed_at >= $2 AND closed_at < $3
    ) AS closed
"""


async def day(
    conn: Connection, tenant_id: str, begins: datetime, ends: datetime
) -> tuple[int, int]:
    """Count what came in and what was closed between two moments."""
    row = await conn.fetchrow(DAY, tenant_id, begins, ends)
    return (row["received"], row["closed"]) if row else (0, 0)


@dataclass(frozen=True, slots=True)
class ToldAct:
    """An act with what must be known of its case to tell it."""

    act: Act
    number: str
    category: str
    flow: str
    profile_version: int
    grid: str | None
    village: str | None
    owner_unit: str


ACTS = """
SELECT act.tenant_id, act.case_id, act.at, act.kind, act.step, act.unit, act.role, act.to_unit,
    act.to_role, act.satisfied, act.ended, act.departments, act.to_level,
    number, category, flow, profile_version, grid, village, owner_unit
FROM board_act AS act
JOIN board_case USING (tenant_id, case_id)
WHERE act.tenant_id = $1
ORDER BY act.at DESC, act.case_id DESC
LIMIT $2
"""

_ACT_COLUMNS = tuple(Act.__dataclass_fields__)


async def acts(conn: Connection, tenant_id: str, limit: int) -> list[ToldAct]:
    """Read the last acts, the newest first."""
    found = []
    for row in await conn.fetch(ACTS, tenant_id, limit):
        values = dict(row)
        act = act_of({name: values.pop(name) for name in _ACT_COLUMNS})
        found.append(ToldAct(act, **values))
    return found


@dataclass(frozen=True, slots=True)
class TownCount:
    """One town in the list of towns."""

    tenant_id: str
    open: int
    late: int


TOWNS = """
SELECT wanted.tenant_id,
    count(case_id) AS open,
    count(case_id) FILTER (WHERE due_at <= now) AS late
FROM unnest($1::text[], $2::timestamptz[]) WITH ORDINALITY AS wanted(tenant_id, now, n)
LEFT JOIN board_case
    ON board_case.tenant_id = wanted.tenant_id AND board_case.closed_at IS NULL
GROUP BY n, wanted.tenant_id
ORDER BY n
"""


async def towns(conn: Connection, given: Sequence[tuple[str, datetime]]) -> list[TownCount]:
    """Count what is open and overdue in each town, at its own time, in the order given."""
    tenants, nows = [tenant for tenant, _ in given], [now for _, now in given]
    return [TownCount(**row) for row in await conn.fetch(TOWNS, tenants, nows)]
