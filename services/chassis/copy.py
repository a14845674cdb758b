"""A reader's own copy of a compacted topic whose changes come in sets.

A set takes effect whole or not at all: until it has ended, its records wait in `registry_staged`.
It ends with its record marked `last`, or where a record of another set of the same tenant follows
(compaction may have taken its end away).
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

from services.chassis.postgres import Connection


class Change(Protocol):
    """One change of one record; `body` is None where the record is removed."""

    @property
    def tenant_id(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def record_id(self) -> str: ...
    @property
    def change_set(self) -> str: ...
    @property
    def last(self) -> bool: ...
    @property
    def valid_from(self) -> datetime: ...
    @property
    def body(self) -> bytes | None: ...


C = TypeVar("C", bound=Change)


def complete_sets(changes: Sequence[C]) -> tuple[Sequence[C], Sequence[C]]:
    """Split one tenant's changes, in order, into those of ended sets and the open tail."""
    ended = 0
    for n, change in enumerate(changes):
        if n and change.change_set != changes[n - 1].change_set:
            ended = n
        if change.last:
            ended = n + 1
    return changes[:ended], changes[ended:]


class OpenSets(Generic[C]):
    """The same rule, one change at a time: what waits for the rest of its set, by tenant."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[C]] = defaultdict(list)

    def feed(self, change: C) -> list[C]:
        """Take in a change; return those that take effect now, in order."""
        waiting = self._waiting[change.tenant_id]
        ended = []
        if waiting and waiting[0].change_set != change.change_set:
            ended, waiting = waiting, []
        waiting.append(change)
        if change.last:
            ended, waiting = [*ended, *waiting], []
        self._waiting[change.tenant_id] = waiting
        return ended


STAGE = """
INSERT INTO registry_staged (tenant_id, kind, record_id, change_set, last, valid_from, body)
SELECT tenant_id, kind, record_id, change_set, last, valid_from, body::jsonb
FROM unnest(
    $1::text[], $2::text[], $3::text[], $4::text[], $5::boolean[], $6::timestamptz[], $7::text[]
) WITH ORDINALITY AS given(tenant_id, kind, record_id, change_set, last, valid_from, body, n)
ORDER BY n
"""

# The same rule as `complete_sets`, for all tenants at once.
APPLY_ENDED = """
WITH tail AS (
    SELECT tenant_id,
        coalesce(max(n) FILTER (WHERE last), 0) AS last_n,
        (array_agg(change_set ORDER BY n DESC))[1] AS newest
    FROM registry_staged
    WHERE tenant_id = ANY($1::text[])
    GROUP BY tenant_id
), ended AS (
    DELETE FROM registry_staged
    USING tail
    WHERE registry_staged.tenant_id = tail.tenant_id
        AND (n <= tail.last_n OR change_set <> tail.newest)
    RETURNING registry_staged.*
), final AS (
    SELECT DISTINCT ON (tenant_id, kind, record_id) *
    FROM ended
    ORDER BY tenant_id, kind, record_id, n DESC
), removed AS (
    DELETE FROM registry_copy
    USING final
    WHERE registry_copy.tenant_id = final.tenant_id
        AND registry_copy.kind = final.kind
        AND registry_copy.record_id = final.record_id
        AND final.body IS NULL
), put AS (
    INSERT INTO registry_copy (tenant_id, kind, record_id, body, valid_from)
    SELECT tenant_id, kind, record_id, body, valid_from
    FROM final
    WHERE body IS NOT NULL
    ON CONFLICT (tenant_id, kind, record_id) DO UPDATE
    SET body = excluded.body, valid_from = excluded.valid_from
)
INSERT INTO registry_version AS kept (tenant_id, version)
SELECT DISTINCT tenant_id, 1
FROM final
ON CONFLICT (tenant_id) DO UPDATE
SET version = kept.version + 1
"""


async def apply_changes(conn: Connection, changes: Sequence[Change]) -> None:
    """Take in changes, in order: ended sets take effect, the open tail waits; one transaction."""
    names = ("tenant_id", "kind", "record_id", "change_set", "last", "valid_from")
    columns: list[list[Any]] = [[getattr(change, name) for change in changes] for name in names]
    bodies = [None if change.body is None else change.body.decode() for change in changes]
    await conn.execute(STAGE, *columns, bodies)
    await conn.execute(APPLY_ENDED, sorted(set(columns[0])))
