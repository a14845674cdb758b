"""A reader's own copy of a compacted topic whose changes come in sets.

A set takes effect whole or not at all: until it has ended, its records wait in `registry_staged`.
It ends with its record marked `last`, or where a record of another set of the same tenant follows
(compaction may have taken its end away).
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Generic, Protocol, TypeVar

from services.chassis.postgres import Connection


class Change(Protocol):
    """One change of one record, with `kind`, `record_id` and `valid_from`; no body: removed."""

    @property
    def tenant_id(self) -> str: ...
    @property
    def change_set(self) -> str: ...
    @property
    def last(self) -> bool: ...
    @property
    def body(self) -> bytes | None: ...


C = TypeVar("C", bound=Change)


class OpenSets(Generic[C]):
    """What waits for the rest of its set, by tenant."""

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


def complete_sets(changes: Sequence[C]) -> tuple[Sequence[C], Sequence[C]]:
    """Split one tenant's changes, in order, into those of ended sets and the open tail."""
    sets: OpenSets[C] = OpenSets()
    ended = [done for change in changes for done in sets.feed(change)]
    return ended, changes[len(ended) :]


STAGE = """
INSERT INTO registry_staged (tenant_id, kind, record_id, change_set, last, valid_from, body)
SELECT tenant_id, kind, record_id, change_set, last, valid_from, body::jsonb
FROM unnest(
    $1::text[], $2::text[], $3::text[], $4::text[], $5::boolean[], $6::timestamptz[], $7::text[]
) WITH ORDINALITY AS given(tenant_id, kind, record_id, change_set, last, valid_from, body, n)
ORDER BY n
"""

# The same rule as `OpenSets`, for all tenants at once: what lies before a set's last record, or
# before a record of another set than the newest, has ended.
APPLY_ENDED = """
WITH staged AS (
    SELECT tenant_id, n, last, change_set,
        first_value(change_set) OVER (PARTITION BY tenant_id ORDER BY n DESC) AS newest
    FROM registry_staged
    WHERE tenant_id = ANY($1::text[])
), reached AS (
    SELECT tenant_id, max(n) AS ended_n
    FROM staged
    WHERE last OR change_set <> newest
    GROUP BY tenant_id
), ended AS (
    DELETE FROM registry_staged
    USING reached
    WHERE registry_staged.tenant_id = reached.tenant_id
        AND n <= reached.ended_n
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
