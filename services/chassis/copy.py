"""A reader's own copy of a compacted topic whose changes come in sets.

A set takes effect whole or not at all: until it has ended, its records wait in `registry_staged`.
It ends with its record marked `last`, or where a record of another set of the same tenant follows
(compaction may have taken its end away).
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from services.chassis.postgres import Connection, Pool

Copied: TypeAlias = Callable[[Connection | Pool], Awaitable[bool]]  # is the copy whole?


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


ANY = "SELECT EXISTS (SELECT FROM registry_copy WHERE kind = $1)"


async def until_any(pool: Pool, kind: str, copied: Copied) -> None:
    """Wait until the copy is whole and holds some record of a kind; another process writes it."""
    while not (await copied(pool) and await pool.fetchval(ANY, kind)):  # noqa: ASYNC110
        await asyncio.sleep(0.2)


VERSIONS = """
SELECT tenant_id, version
FROM registry_version
WHERE tenant_id = ANY($1::text[])
"""


async def versions(conn: Connection, tenant_ids: Iterable[str]) -> dict[str, int]:
    """Return how many times each tenant's copy has changed; an unknown tenant is missing."""
    return dict(map(tuple, await conn.fetch(VERSIONS, list(tenant_ids))))


# One statement, so that all of it is of one version: between two, a whole set may take effect.
SNAPSHOT = """
SELECT version, kind, record_id, registry_copy.body - $3::text[] AS body
FROM registry_version
JOIN registry_copy USING (tenant_id)
WHERE tenant_id = $1 AND kind = ANY($2::text[])
ORDER BY kind, record_id
LIMIT 200000
"""


async def snapshot(
    conn: Connection, tenant_id: str, kinds: Sequence[str], without: Sequence[str] = ()
) -> tuple[int, Mapping[str, dict[str, Any]]]:
    """Read a tenant's copy at one version: records by kind and id, less some fields."""
    rows = await conn.fetch(SNAPSHOT, tenant_id, kinds, without)
    records: dict[str, dict[str, Any]] = {kind: {} for kind in kinds}
    for row in rows:
        records[row["kind"]][row["record_id"]] = row["body"]
    return rows[0]["version"] if rows else 0, records


RECORD = """
SELECT body
FROM registry_copy
WHERE tenant_id = $1 AND kind = $2 AND record_id = $3
"""


async def record(
    conn: Connection, tenant_id: str, kind: str, record_id: str
) -> dict[str, Any] | None:
    """Return one record."""
    body: dict[str, Any] | None = await conn.fetchval(RECORD, tenant_id, kind, record_id)
    return body
