"""Tasks: what each department was told of its cases, and what still waits for its topic."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from contracts.events import Event
from services.chassis.postgres import Connection, Pool
from services.routing.store.cases import Key

Place = tuple[str, str, UUID]  # tenant, department, case
Whose = tuple[str, str]  # tenant, department

BRIEFS = """
SELECT cases.tenant_id, cases.case_id, number, category, severity, class, village,
    in_village.body ->> 'zh' AS village_name, grid, in_grid.body ->> 'zh' AS grid_name
FROM cases
JOIN unnest($1::text[], $2::uuid[]) AS wanted(tenant_id, case_id) USING (tenant_id, case_id)
LEFT JOIN registry_copy AS in_village
    ON in_village.tenant_id = cases.tenant_id AND in_village.kind = 'unit'
    AND in_village.record_id = cases.village
LEFT JOIN registry_copy AS in_grid
    ON in_grid.tenant_id = cases.tenant_id AND in_grid.kind = 'unit'
    AND in_grid.record_id = cases.grid
"""


async def briefs(conn: Connection, keys: Iterable[Key]) -> dict[Key, Mapping[str, Any]]:
    """Return what anybody who is called may know of a case: no words, nobody's name."""
    rows = await conn.fetch(BRIEFS, *_columns(keys))
    return {(row["tenant_id"], row["case_id"]): dict(row) for row in rows}


LAST = """
SELECT tenant_id, department, case_id, last.task_seq
FROM unnest($1::text[], $2::text[], $3::uuid[]) AS wanted(tenant_id, department, case_id)
CROSS JOIN LATERAL (
    SELECT task_seq
    FROM task
    WHERE task.tenant_id = wanted.tenant_id AND task.department = wanted.department
        AND task.case_id = wanted.case_id
    ORDER BY task_seq DESC
    LIMIT 1
) AS last
"""


async def last(conn: Connection, places: Iterable[Place]) -> dict[Place, int]:
    """Return the last `task_seq` of departments and cases; the caller holds the cases' locks."""
    rows = await conn.fetch(LAST, *_columns(places))
    return {(row["tenant_id"], row["department"], row["case_id"]): row["task_seq"] for row in rows}


# What is told behind something that waits for its topic waits too, or it would overtake it.
PUT = """
INSERT INTO task (
    tenant_id, department, case_id, task_seq, task_id, type, occurred_at, body, sent
)
SELECT given.tenant_id, given.department, case_id, task_seq, task_id, type, occurred_at,
    body::jsonb,
    there.tenant_id IS NOT NULL AND NOT EXISTS (
        SELECT
        FROM task AS held
        WHERE held.tenant_id = given.tenant_id AND held.department = given.department
            AND held.case_id = given.case_id AND NOT held.sent
    )
FROM unnest(
    $1::text[], $2::text[], $3::uuid[], $4::integer[], $5::uuid[], $6::text[],
    $7::timestamptz[], $8::text[]
) WITH ORDINALITY AS given(
    tenant_id, department, case_id, task_seq, task_id, type, occurred_at, body, ordinal
)
LEFT JOIN department_topic AS there USING (tenant_id, department)
ORDER BY ordinal
RETURNING task_id, sent
"""


async def put(conn: Connection, tasks: Sequence[tuple[str, Event]]) -> set[UUID]:
    """Keep tasks, each with its department; return those whose topic is there."""
    rows = [
        (
            event.tenant_id, department, event.subject_id, event.seq, event.event_id,
            event.data.TYPE, event.occurred_at, event.body.decode(),
        )
        for department, event in tasks
    ]  # fmt: skip
    kept = await conn.fetch(PUT, *(list(column) for column in zip(*rows, strict=True)))
    return {row["task_id"] for row in kept if row["sent"]}


# --- topics --------------------------------------------------------------------------------------

# Whoever is in the registry, and whoever was told something before it came there.
WITHOUT_TOPIC = """
SELECT tenant_id, department
FROM (
    SELECT tenant_id, record_id AS department
    FROM registry_copy
    WHERE kind = 'department'
    UNION
    SELECT tenant_id, department
    FROM task
    WHERE NOT sent
) AS every
WHERE NOT EXISTS (
    SELECT
    FROM department_topic AS there
    WHERE there.tenant_id = every.tenant_id AND there.department = every.department
)
ORDER BY tenant_id, department
LIMIT 10000
"""


async def without_topic(conn: Connection | Pool) -> list[Whose]:
    """Return the departments whose topic was not seen yet."""
    return [(row["tenant_id"], row["department"]) for row in await conn.fetch(WITHOUT_TOPIC)]


SEE_TOPICS = """
INSERT INTO department_topic (tenant_id, department)
SELECT tenant_id, department
FROM unnest($1::text[], $2::text[]) AS given(tenant_id, department)
ON CONFLICT DO NOTHING
"""


async def see_topics(conn: Connection | Pool, departments: Iterable[Whose]) -> None:
    """Note that the topics of departments are there: from now on they are told at once."""
    await conn.execute(SEE_TOPICS, *_columns(departments))


HELD_CASES = """
SELECT DISTINCT tenant_id, case_id
FROM task
JOIN department_topic USING (tenant_id, department)
WHERE NOT sent
ORDER BY tenant_id, case_id
LIMIT $1
"""


async def held_cases(conn: Connection | Pool, limit: int) -> list[Key]:
    """Return cases of which a department has yet to be told, though its topic is there now."""
    return [(row["tenant_id"], row["case_id"]) for row in await conn.fetch(HELD_CASES, limit)]


SEND_HELD = """
UPDATE task
SET sent = true
FROM unnest($1::text[], $2::uuid[]) AS wanted(tenant_id, case_id), department_topic AS there
WHERE task.tenant_id = wanted.tenant_id AND task.case_id = wanted.case_id AND NOT task.sent
    AND there.tenant_id = task.tenant_id AND there.department = task.department
RETURNING task.tenant_id, task.department, task.case_id, task.task_seq, task.task_id, task.n,
    task.type, task.occurred_at, task.body
"""


async def send_held(conn: Connection, keys: Iterable[Key]) -> list[Mapping[str, Any]]:
    """Take what waited for a topic that is there now, in order; the caller holds the locks."""
    rows = await conn.fetch(SEND_HELD, *_columns(keys))
    return sorted((dict(row) for row in rows), key=lambda row: row["n"])


HELD = """
SELECT count(*) AS held, min(tenant_id || '.' || department) AS first
FROM task
WHERE NOT sent
"""


async def held(conn: Connection | Pool) -> tuple[int, str | None]:
    """Return how much waits for a topic, and one department for which it does."""
    row = await conn.fetchrow(HELD)
    return (row["held"], row["first"]) if row else (0, None)


def _columns(rows: Iterable[tuple[Any, ...]]) -> list[list[Any]]:
    """Turn rows into columns for `unnest`; every caller has one row at least."""
    return [list(column) for column in zip(*rows, strict=True)]
