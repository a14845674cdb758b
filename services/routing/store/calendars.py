"""The newest table of official days, and the clocks that were reckoned by older ones."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.chassis.postgres import Connection
from services.routing.domain.recount import Told
from services.routing.domain.values import TimerKind
from services.routing.store.cases import Key

CALENDAR = "cn"  # the id of the official table
_LOCK = 4714  # of the advisory lock: one process at a time reckons anew


@dataclass(frozen=True, slots=True)
class Stale:
    """A case with a clock that was reckoned by an older table; a miss of its own is named."""

    tenant_id: str
    case_id: UUID
    missed: int | None

    @property
    def key(self) -> Key:
        return self.tenant_id, self.case_id


@dataclass(frozen=True, slots=True)
class KeptClock:
    """A timer on duty time as it is kept: an open one, or the miss that it ended with."""

    tenant_id: str
    timer_id: int
    case_id: UUID
    deadline: str
    kind: TimerKind
    due_at: datetime | None
    started_at: datetime | None
    calendar_version: int | None
    provisional: bool
    missed: bool

    @property
    def key(self) -> Key:
        return self.tenant_id, self.case_id

    def stale(self, version: int) -> bool:
        return is_stale(self.calendar_version, self.due_at, version)


def is_stale(reckoned: int | None, due_at: datetime | None, version: int) -> bool:
    """Tell whether a clock was reckoned by an older table; an unarmed one by none."""
    return due_at is None if reckoned is None else reckoned < version


# It waits for whoever is firing timers by the table before.
TAKE = """
WITH told AS (
    SELECT tenant_id, (body ->> 'version')::integer AS version
    FROM registry_copy
    WHERE tenant_id = ANY($1::text[]) AND kind = 'calendar' AND record_id = $2
), gone AS (
    DELETE FROM calendar_taken
    WHERE tenant_id = ANY($1::text[]) AND tenant_id NOT IN (SELECT tenant_id FROM told)
)
INSERT INTO calendar_taken AS taken (tenant_id, version, taken_at)
SELECT tenant_id, version, clock_timestamp()
FROM told
ORDER BY tenant_id
ON CONFLICT (tenant_id) DO UPDATE
SET version = excluded.version, taken_at = excluded.taken_at, armed = 0, moved = 0, withdrawn = 0
WHERE taken.version <> excluded.version
"""


async def take(conn: Connection, tenant_ids: Iterable[str]) -> None:
    """Note the tables that our copy of the registry holds now, in the transaction of the copy."""
    await conn.execute(TAKE, sorted(set(tenant_ids)), CALENDAR)


HOLD = """
SELECT tenant_id, version
FROM calendar_taken
WHERE tenant_id = ANY($1::text[])
ORDER BY tenant_id
FOR SHARE
"""


HOLD_ALONE = HOLD.replace("SHARE", "NO KEY UPDATE")


async def hold(
    conn: Connection, tenant_ids: Iterable[str], *, alone: bool = False
) -> dict[str, int]:
    """Return the tables that hold, and keep newer ones away until the transaction ends.

    The caller has locked its cases before. `alone`: who will count what has come of them; a share
    could not become that lock while a newer table waits.
    """
    query = HOLD_ALONE if alone else HOLD
    return dict(map(tuple, await conn.fetch(query, sorted(set(tenant_ids)))))


TAKE_TURN = "SELECT pg_try_advisory_xact_lock($1)"

STALE = """
SELECT taken.tenant_id, stale.case_id, stale.missed
FROM calendar_taken AS taken
CROSS JOIN LATERAL (
    (
        SELECT case_id, CASE WHEN outcome IS NOT NULL THEN timer_id END AS missed
        FROM timer
        WHERE tenant_id = taken.tenant_id
            AND calendar_version < taken.version
            AND (outcome IS NULL OR (outcome = 'fired' AND kind = 'miss'))
        LIMIT $1
    )
    UNION
    (
        SELECT case_id, NULL
        FROM timer
        WHERE tenant_id = taken.tenant_id
            AND outcome IS NULL
            AND fires_at IS NULL
            AND calendar_version IS NULL
        LIMIT $1
    )
    UNION
    (
        SELECT case_id, NULL
        FROM slot
        WHERE tenant_id = taken.tenant_id
            AND calendar_version < taken.version
            AND (outcome IS NULL OR outcome IN ('missed', 'reported_late'))
        LIMIT $1
    )
) AS stale
LIMIT $1
"""


async def stale(conn: Connection, limit: int) -> list[Stale]:
    """Return some of what is to be reckoned anew; nothing while another process does it."""
    if not await conn.fetchval(TAKE_TURN, _LOCK):
        return []
    return [Stale(**row) for row in await conn.fetch(STALE, limit)]


CLOCKS = """
SELECT tenant_id, timer_id, case_id, deadline, kind, due_at, started_at, calendar_version,
    provisional, false AS missed
FROM timer
JOIN unnest($1::text[], $2::uuid[]) AS wanted(tenant_id, case_id) USING (tenant_id, case_id)
WHERE outcome IS NULL AND (calendar_version IS NOT NULL OR fires_at IS NULL)
UNION ALL
SELECT tenant_id, timer_id, case_id, deadline, kind, due_at, started_at, calendar_version,
    provisional, true
FROM timer
JOIN unnest($3::text[], $4::bigint[]) AS named(tenant_id, timer_id) USING (tenant_id, timer_id)
WHERE outcome = 'fired' AND calendar_version IS NOT NULL
ORDER BY tenant_id, timer_id
"""


async def clocks(conn: Connection, found: Sequence[Stale]) -> list[KeptClock]:
    """Read the clocks of cases whose locks the caller holds, and the misses that are named."""
    keys = sorted({one.key for one in found})
    missed = [(one.tenant_id, one.missed) for one in found if one.missed is not None]
    columns = [[key[0] for key in keys], [key[1] for key in keys]]
    named = [[tenant_id for tenant_id, _ in missed], [id_ for _, id_ in missed]]
    return [KeptClock(**row) for row in await conn.fetch(CLOCKS, *columns, *named)]


STARTED = """
SELECT DISTINCT ON (tenant_id, case_id, deadline)
    tenant_id, case_id, body ->> 'deadline' AS deadline, occurred_at
FROM case_fact
JOIN unnest($1::text[], $2::uuid[]) AS wanted(tenant_id, case_id) USING (tenant_id, case_id)
WHERE type = 'case.deadline_set.v1'
ORDER BY tenant_id, case_id, deadline, seq DESC
"""


async def started(conn: Connection, keys: Sequence[Key]) -> dict[tuple[Key, str], datetime]:
    """Return when clocks started that do not keep it themselves: when they were announced."""
    if not keys:
        return {}
    rows = await conn.fetch(STARTED, [key[0] for key in keys], [key[1] for key in keys])
    return {
        ((row["tenant_id"], row["case_id"]), row["deadline"]): row["occurred_at"] for row in rows
    }


SINCE = """
SELECT tenant_id, case_id, type, occurred_at AS at, body ->> 'step' AS step,
    body ->> 'from_state' AS from_state, body ->> 'to_state' AS to_state,
    body ->> 'deadline' AS deadline, (body ->> 'due_at')::timestamptz AS due_at
FROM case_fact
JOIN unnest($1::text[], $2::uuid[]) AS wanted(tenant_id, case_id) USING (tenant_id, case_id)
WHERE type IN (
    'case.deadline_missed.v1', 'case.step_taken.v1', 'case.accepted.v1', 'case.resolved.v1',
    'case.reopened.v1', 'case.closed.v1'
)
ORDER BY tenant_id, case_id, seq
"""


async def since_missed(
    conn: Connection, keys: Sequence[Key]
) -> Mapping[tuple[Key, str, datetime], Sequence[Told]]:
    """Return what followed each miss of cases, in order, by its deadline and due time."""
    found: dict[Key, dict[tuple[str, datetime], list[Told]]] = {key: {} for key in keys}
    columns = [key[0] for key in keys], [key[1] for key in keys]
    for row in await conn.fetch(SINCE, *columns) if keys else ():
        missed = found[row["tenant_id"], row["case_id"]]
        if row["deadline"] is not None:
            missed[row["deadline"], row["due_at"]] = []
            continue
        told = Told(*(row[name] for name in ("type", "at", "step", "from_state", "to_state")))
        for since in missed.values():
            since.append(told)
    return {(key, *miss): told for key, of in found.items() for miss, told in of.items()}


VOID = """
UPDATE timer
SET outcome = 'void', decided_at = clock_timestamp()
FROM unnest($1::text[], $2::uuid[], $3::text[]) AS given(tenant_id, case_id, deadline)
WHERE timer.tenant_id = given.tenant_id
    AND timer.case_id = given.case_id
    AND timer.deadline = given.deadline
    AND timer.outcome IS NULL
"""


async def void(conn: Connection, ended: Sequence[tuple[Key, str]]) -> None:
    """End clocks that are armed anew; the caller holds the cases' locks."""
    if ended:
        columns = zip(*((*key, deadline) for key, deadline in ended), strict=True)
        await conn.execute(VOID, *(list(column) for column in columns))


# A miss that was withdrawn is done with: no table looks at it again.
STAMP = """
UPDATE timer
SET calendar_version = given.version, provisional = given.provisional
FROM unnest($1::text[], $2::bigint[], $3::integer[], $4::boolean[])
    AS given(tenant_id, timer_id, version, provisional)
WHERE timer.tenant_id = given.tenant_id AND timer.timer_id = given.timer_id
"""
Stamp = tuple[str, int, int | None, bool]


async def stamp(conn: Connection, stamps: Sequence[Stamp]) -> None:
    """Note by which table timers have been reckoned: (tenant, timer, table, provisional)."""
    if stamps:
        await conn.execute(STAMP, *(list(column) for column in zip(*stamps, strict=True)))


TALLY = """
UPDATE calendar_taken
SET armed = calendar_taken.armed + given.armed, moved = calendar_taken.moved + given.moved,
    withdrawn = calendar_taken.withdrawn + given.withdrawn
FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[])
    AS given(tenant_id, armed, moved, withdrawn)
WHERE calendar_taken.tenant_id = given.tenant_id
"""


async def tally(conn: Connection, counts: Sequence[tuple[str, int, int, int]]) -> None:
    """Add to what has come of the tables: (tenant, armed, moved, withdrawn)."""
    if counts:
        await conn.execute(TALLY, *(list(column) for column in zip(*sorted(counts), strict=True)))
