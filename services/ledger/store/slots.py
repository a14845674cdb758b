"""Departments' slots as the facts have left them, and the sheets that are drawn from them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from services.chassis.postgres import Connection

Outcome = Literal["reported", "reported_late", "corrected", "missed", "refused", "withdrawn"]
SlotKey = tuple[str, UUID, str]  # tenant, whistle, department
Period = tuple[datetime | None, datetime | None]  # called at or after, and before; None: any time


@dataclass(frozen=True, slots=True)
class SlotNow:
    """One department's part in one whistle. `counts_from` is when its clock began."""

    tenant_id: str
    whistle_id: UUID
    department: str
    case_id: UUID
    called_at: datetime
    counts_from: datetime
    due_at: datetime | None
    reported_in_at: datetime | None = None
    outcome: Outcome | None = None
    arrival_missed: bool = False

    @property
    def key(self) -> SlotKey:
        return self.tenant_id, self.whistle_id, self.department


NOW = """
SELECT tenant_id, whistle_id, department, case_id, called_at, counts_from, due_at, reported_in_at,
    outcome, arrival_missed
FROM slot
JOIN unnest($1::text[], $2::uuid[], $3::text[]) AS wanted(tenant_id, whistle_id, department)
    USING (tenant_id, whistle_id, department)
"""


async def now(conn: Connection, keys: Iterable[SlotKey]) -> dict[SlotKey, SlotNow]:
    """Read slots as the facts have left them so far; one that is not known is left out."""
    rows = await conn.fetch(NOW, *([*column] for column in zip(*keys, strict=True)))
    found = (SlotNow(**row) for row in rows)
    return {slot.key: slot for slot in found}


PUT = """
INSERT INTO slot (
    tenant_id, whistle_id, department, case_id, called_at, counts_from, due_at, reported_in_at,
    outcome, arrival_missed
)
SELECT tenant_id, whistle_id, department, case_id, called_at, counts_from, due_at, reported_in_at,
    outcome, arrival_missed
FROM unnest(
    $1::text[], $2::uuid[], $3::text[], $4::uuid[], $5::timestamptz[], $6::timestamptz[],
    $7::timestamptz[], $8::timestamptz[], $9::text[], $10::boolean[]
) AS given(
    tenant_id, whistle_id, department, case_id, called_at, counts_from, due_at, reported_in_at,
    outcome, arrival_missed
)
ORDER BY tenant_id, whistle_id, department
ON CONFLICT (tenant_id, whistle_id, department) DO UPDATE
SET counts_from = excluded.counts_from, due_at = excluded.due_at,
    reported_in_at = excluded.reported_in_at, outcome = excluded.outcome,
    arrival_missed = excluded.arrival_missed
"""

_COLUMNS = tuple(SlotNow.__dataclass_fields__)


async def put(conn: Connection, slots: Iterable[SlotNow]) -> None:
    """Write slots as the facts have left them."""
    kept = [*slots]
    await conn.execute(PUT, *([getattr(slot, name) for slot in kept] for name in _COLUMNS))


SUMS = """
SELECT department, count(*) AS called,
    count(*) FILTER (WHERE outcome IS NULL) AS awaited,
    count(*) FILTER (WHERE outcome = 'reported') AS reported,
    count(*) FILTER (WHERE outcome = 'reported_late') AS reported_late,
    count(*) FILTER (WHERE outcome = 'corrected') AS corrected,
    count(*) FILTER (WHERE outcome = 'missed') AS missed,
    count(*) FILTER (WHERE outcome = 'refused') AS refused,
    count(*) FILTER (WHERE outcome = 'withdrawn') AS withdrawn,
    count(*) FILTER (WHERE arrival_missed) AS arrivals_missed,
    avg(extract(EPOCH FROM greatest(reported_in_at, counts_from) - counts_from))
        FILTER (WHERE reported_in_at IS NOT NULL)::float8 AS report_in_s_avg,
    max(extract(EPOCH FROM greatest(reported_in_at, counts_from) - counts_from))
        FILTER (WHERE reported_in_at IS NOT NULL)::float8 AS report_in_s_max
FROM slot
WHERE tenant_id = $1 AND ($2::text IS NULL OR department = $2)
    AND called_at >= coalesce($3, '-infinity'::timestamptz)
    AND called_at < coalesce($4, 'infinity'::timestamptz)
GROUP BY department
ORDER BY department
LIMIT 1000
"""


async def sums(
    conn: Connection, tenant_id: str, department: str | None, period: Period
) -> list[Mapping[str, Any]]:
    """Sum up what became of the calls of a period, a row for each department that was called."""
    return [dict(row) for row in await conn.fetch(SUMS, tenant_id, department, *period)]


PAGE = """
SELECT case_id, number, whistle_id, called_at, due_at, reported_in_at, outcome, arrival_missed
FROM slot
LEFT JOIN case_now USING (tenant_id, case_id)
WHERE tenant_id = $1 AND department = $2
    AND called_at >= coalesce($3, '-infinity'::timestamptz)
    AND called_at < coalesce($4, 'infinity'::timestamptz)
    AND (called_at, whistle_id) < (
        coalesce($5, 'infinity'::timestamptz),
        coalesce($6, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid)
    )
ORDER BY called_at DESC, whistle_id DESC
LIMIT $7
"""


async def page(
    conn: Connection,
    tenant_id: str,
    department: str,
    period: Period,
    behind: SlotNow | None,
    limit: int,
) -> list[Mapping[str, Any]]:
    """Read a department's slots of a period, the newest first; those `behind` one of them."""
    place = (behind.called_at, behind.whistle_id) if behind else (None, None)
    rows = await conn.fetch(PAGE, tenant_id, department, *period, *place, limit)
    return [dict(row) for row in rows]
