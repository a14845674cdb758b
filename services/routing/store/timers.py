"""Clocks: the moments that are kept, and which of them have come."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from services.chassis.postgres import Connection
from services.routing.domain.values import NewTimer, TimerKind
from services.routing.store.cases import Key

_LOCK = 4712  # the first half of the advisory lock; the gate's partition is the second


@dataclass(frozen=True, slots=True)
class Due:
    """A timer whose moment has come. `due_at` is the deadline's, also for a warning."""

    tenant_id: str
    timer_id: int
    case_id: UUID
    deadline: str
    kind: TimerKind
    fires_at: datetime
    due_at: datetime

    @property
    def key(self) -> Key:
        return self.tenant_id, self.case_id


ARM = """
INSERT INTO timer (
    tenant_id, case_id, deadline, kind, fires_at, due_at, started_at, calendar_version, provisional,
    gate_partition
)
SELECT tenant_id, case_id, deadline, kind, fires_at, due_at, started_at, calendar_version,
    provisional, gate_partition
FROM unnest(
    $1::text[], $2::uuid[], $3::text[], $4::text[], $5::timestamptz[], $6::timestamptz[],
    $7::timestamptz[], $8::integer[], $9::boolean[], $10::smallint[]
) WITH ORDINALITY AS given(
    tenant_id, case_id, deadline, kind, fires_at, due_at, started_at, calendar_version, provisional,
    gate_partition, n
)
ORDER BY n
"""


_KEPT = tuple(NewTimer.__dataclass_fields__)


async def arm(conn: Connection, timers: Iterable[tuple[str, UUID, NewTimer, int]]) -> None:
    """Keep moments: (tenant, case, timer, partition on which the case's records are handed in)."""
    given = list(timers)
    if not given:
        return
    await conn.execute(
        ARM,
        [tenant_id for tenant_id, _, _, _ in given],
        [case_id for _, case_id, _, _ in given],
        *([getattr(timer, name) for _, _, timer, _ in given] for name in _KEPT),
        [partition for _, _, _, partition in given],
    )


VOID = """
UPDATE timer
SET outcome = 'void', decided_at = clock_timestamp()
WHERE tenant_id = $1 AND case_id = $2 AND deadline = ANY($3::text[]) AND outcome IS NULL
"""


async def void(conn: Connection, tenant_id: str, case_id: UUID, deadlines: Iterable[str]) -> None:
    """End the clocks of a case that have been met; the caller holds the case's lock."""
    names = sorted(deadlines)
    if names:
        await conn.execute(VOID, tenant_id, case_id, names)


FREE_PARTITIONS = """
SELECT partition
FROM unnest($2::integer[]) AS partition
WHERE pg_try_advisory_xact_lock($1, partition)
"""

# A timer waits until all that was handed in before its moment has been read (`cleared`, real
# time), and until it has been reckoned by the newest table of official days. Tenants with a
# virtual clock are asked apart, each by its own time: `ahead` is in force since `from_at`, and what
# was cleared before that says nothing yet.
DUE = """
WITH gate AS (
    SELECT partition::smallint AS gate_partition, cleared
    FROM unnest($2::integer[], $3::timestamptz[]) AS given(partition, cleared)
), clock AS (
    SELECT tenant_id,
        (body -> 'offsets' -> -1 ->> 'from_at')::timestamptz AS from_at,
        make_interval(secs => (body -> 'offsets' -> -1 ->> 'seconds')::float8) AS ahead
    FROM registry_copy
    WHERE kind = 'clock'
)
SELECT tenant_id, timer_id, case_id, deadline, kind, fires_at, due_at
FROM (
    (
        SELECT timer.*
        FROM timer
        JOIN gate USING (gate_partition)
        WHERE timer.outcome IS NULL
            AND timer.fires_at <= $1
            AND timer.fires_at <= gate.cleared
            AND NOT EXISTS (SELECT FROM clock WHERE clock.tenant_id = timer.tenant_id)
            AND NOT EXISTS (
                SELECT
                FROM quarantine
                WHERE record_key = convert_to(timer.tenant_id || '|' || timer.case_id, 'UTF8')
            )
            AND NOT EXISTS (
                SELECT
                FROM calendar_taken AS taken
                WHERE taken.tenant_id = timer.tenant_id AND taken.version > timer.calendar_version
            )
        ORDER BY timer.fires_at, timer.timer_id
        LIMIT $4
    )
    UNION ALL
    (
        SELECT virtual.*
        FROM clock
        CROSS JOIN LATERAL (
            SELECT timer.*
            FROM timer
            JOIN gate USING (gate_partition)
            WHERE timer.tenant_id = clock.tenant_id
                AND timer.outcome IS NULL
                AND timer.fires_at <= $1 + clock.ahead
                AND gate.cleared >= clock.from_at
                AND timer.fires_at <= gate.cleared + clock.ahead
                AND NOT EXISTS (
                    SELECT
                    FROM quarantine
                    WHERE record_key = convert_to(timer.tenant_id || '|' || timer.case_id, 'UTF8')
                )
                AND NOT EXISTS (
                    SELECT
                    FROM calendar_taken AS taken
                    WHERE taken.tenant_id = timer.tenant_id
                        AND taken.version > timer.calendar_version
                )
            ORDER BY timer.fires_at, timer.timer_id
            LIMIT $4
        ) AS virtual
    )
) AS due
ORDER BY fires_at, timer_id
LIMIT $4
"""


async def due(
    conn: Connection, now: datetime, cleared: dict[int, datetime], limit: int
) -> list[Due]:
    """Return what has come by real time `now`, in order, for the partitions that are free.

    `cleared` tells for each partition the real time up to which all has been read.
    """
    rows = await conn.fetch(FREE_PARTITIONS, _LOCK, sorted(cleared))
    mine = [row["partition"] for row in rows]
    if not mine:
        return []
    found = await conn.fetch(DUE, now, mine, [cleared[partition] for partition in mine], limit)
    return [Due(**row) for row in found]


# An outcome is not asked for by IS NULL here: that would admit the indexes of open timers, which a
# plan made before the table's statistics takes for tiny, and reads from end to end for each timer.
DECIDE = """
UPDATE timer
SET outcome = given.outcome, decided_at = $4
FROM unnest($1::text[], $2::bigint[], $3::text[]) AS given(tenant_id, timer_id, outcome)
WHERE timer.tenant_id = given.tenant_id
    AND timer.timer_id = given.timer_id
    AND coalesce(timer.outcome, '') = ''
"""


async def decide(
    conn: Connection, outcomes: Sequence[tuple[Due, Literal["fired", "void"]]], at: datetime
) -> None:
    """Write each timer's one outcome; the caller holds the cases' locks."""
    tenants = [one.tenant_id for one, _ in outcomes]
    ids = [one.timer_id for one, _ in outcomes]
    await conn.execute(DECIDE, tenants, ids, [outcome for _, outcome in outcomes], at)


STILL_OPEN = """
SELECT tenant_id, timer_id
FROM timer
JOIN unnest($1::text[], $2::bigint[]) AS asked(tenant_id, timer_id) USING (tenant_id, timer_id)
LEFT JOIN calendar_taken AS taken USING (tenant_id)
WHERE coalesce(outcome, '') = ''
    AND (taken.version > timer.calendar_version) IS NOT TRUE
"""


async def still_open(conn: Connection, timers: Sequence[Due]) -> set[tuple[str, int]]:
    """Return which are open now that the cases are locked, and the tables of official days held."""
    tenants, ids = [one.tenant_id for one in timers], [one.timer_id for one in timers]
    rows = await conn.fetch(STILL_OPEN, tenants, ids)
    return {(row["tenant_id"], row["timer_id"]) for row in rows}


# Tenants in virtual time are left out: an advance makes theirs overdue by hours at once.
WAITING = """
SELECT extract(epoch FROM $1 - min(fires_at))::float8
FROM timer
WHERE outcome IS NULL
    AND fires_at <= $1
    AND NOT EXISTS (
        SELECT
        FROM registry_copy
        WHERE registry_copy.kind = 'clock' AND registry_copy.tenant_id = timer.tenant_id
    )
"""


async def waiting_s(conn: Connection, now: datetime) -> float:
    """Return for how long the oldest timer has been due without an outcome."""
    waited: float | None = await conn.fetchval(WAITING, now)
    return waited or 0.0


CLOCKS = """
SELECT deadline, due_at, provisional
FROM timer
WHERE tenant_id = $1 AND case_id = $2 AND kind = 'miss' AND outcome IS NULL
ORDER BY due_at NULLS LAST, deadline
LIMIT 100
"""


async def clocks(
    conn: Connection, tenant_id: str, case_id: UUID
) -> list[tuple[str, datetime | None, bool]]:
    """Return a case's running clocks, the nearest first, and which are provisional."""
    rows = await conn.fetch(CLOCKS, tenant_id, case_id)
    return [(row["deadline"], row["due_at"], row["provisional"]) for row in rows]
