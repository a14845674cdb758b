"""What must hold at any moment, counted where it does not."""

from collections.abc import Mapping

from services.chassis.postgres import Connection

# Of each promise, how often it is broken now; nothing is, one hopes.
#
# A clock that runs has an open timer, armed or (for want of a calendar) not. A department that is
# awaited and has not been missed has one too, armed as soon as it is known by when it is due; and
# so has a call that is awaited: to the level above, or to those who are to answer.
# Whether an arrival, a release or a ruling has been missed, no slot says: until it is due it has a
# timer.
# By real clocks alone are these two, and what is overdue: an advance lets hours pass at once.
AUDIT = """
SELECT
    (
        SELECT count(*)
        FROM cases
        WHERE NOT closed AND (owner_role = '' OR owner_unit = '')
    ) AS case_without_owner,
    (
        SELECT count(*)
        FROM cases
        CROSS JOIN jsonb_array_elements_text(running) AS clock(deadline)
        WHERE NOT closed
            AND NOT EXISTS (
                SELECT
                FROM timer
                WHERE timer.tenant_id = cases.tenant_id
                    AND timer.case_id = cases.case_id
                    AND timer.deadline = clock.deadline
                    AND timer.kind = 'miss'
                    AND timer.outcome IS NULL
            )
    ) AS case_without_timer,
    (
        SELECT count(*)
        FROM slot
        JOIN cases USING (tenant_id, case_id)
        WHERE NOT cases.closed
            AND slot.released_at IS NULL
            AND slot.outcome IS NULL
            AND NOT EXISTS (
                SELECT
                FROM timer
                WHERE timer.tenant_id = slot.tenant_id
                    AND timer.case_id = slot.case_id
                    AND timer.deadline = 'report_in/' || slot.department
                    AND timer.kind = 'miss'
                    AND timer.outcome IS NULL
                    AND (timer.fires_at IS NOT NULL OR slot.due_at IS NULL)
            )
    ) AS slot_without_timer,
    (
        SELECT count(*)
        FROM slot
        JOIN cases USING (tenant_id, case_id)
        CROSS JOIN LATERAL (
            VALUES
                ('arrive/', slot.arrive_due_at, slot.arrived_at),
                ('release/', slot.release_due_at, slot.released_at),
                ('rule/', slot.ruling_due_at, NULL)
        ) AS stage(clock, due_at, done_at)
        WHERE NOT cases.closed
            AND slot.released_at IS NULL
            AND CASE
                WHEN stage.clock = 'rule/' THEN slot.outcome = 'refused' AND slot.ruling IS NULL
                ELSE slot.outcome IN ('reported', 'reported_late', 'corrected')
            END
            AND stage.done_at IS NULL
            AND stage.due_at > clock_timestamp()
            AND NOT EXISTS (
                SELECT
                FROM registry_copy
                WHERE registry_copy.kind = 'clock'
                    AND registry_copy.tenant_id = slot.tenant_id
            )
            AND NOT EXISTS (
                SELECT
                FROM timer
                WHERE timer.tenant_id = slot.tenant_id
                    AND timer.case_id = slot.case_id
                    AND timer.deadline = stage.clock || slot.department
                    AND timer.kind = 'miss'
                    AND timer.outcome IS NULL
            )
    ) AS stage_without_timer,
    (
        SELECT count(*)
        FROM (
            SELECT tenant_id, case_id, 'call_upward/' || unit AS deadline
            FROM upward_call
            WHERE answered_at IS NULL AND outcome IS NULL
            UNION ALL
            SELECT tenant_id, case_id, 'answer'
            FROM cases
            WHERE NOT closed AND open_call ->> 3 IS NOT NULL
        ) AS call
        JOIN cases USING (tenant_id, case_id)
        WHERE NOT cases.closed
            AND NOT EXISTS (
                SELECT
                FROM timer
                WHERE timer.tenant_id = call.tenant_id
                    AND timer.case_id = call.case_id
                    AND timer.deadline = call.deadline
                    AND timer.kind = 'miss'
                    AND timer.outcome IS NULL
            )
    ) AS call_without_timer,
    (
        SELECT count(*)
        FROM timer
        WHERE outcome IS NULL
            AND fires_at < clock_timestamp() - make_interval(secs => $1)
            AND NOT EXISTS (
                SELECT
                FROM registry_copy
                WHERE registry_copy.kind = 'clock'
                    AND registry_copy.tenant_id = timer.tenant_id
            )
    ) AS timer_overdue
LIMIT 1
"""


# Departments that are called and awaited: how much is open, not what is wrong.
OPEN_SLOTS = """
SELECT count(*)
FROM slot
JOIN cases USING (tenant_id, case_id)
WHERE NOT cases.closed
    AND slot.released_at IS NULL
    AND slot.outcome IS NULL
LIMIT 1
"""


async def open_slots(conn: Connection) -> int:
    """Count the departments whose report-in is awaited."""
    number: int = await conn.fetchval(OPEN_SLOTS)
    return number


async def audit(conn: Connection, overdue_s: float) -> Mapping[str, int]:
    """Count what is broken, by name; a timer is overdue once it has waited so long (real time)."""
    row = await conn.fetchrow(AUDIT, overdue_s)
    assert row is not None  # noqa: S101 - it counts, so there is always one
    return dict(row)
