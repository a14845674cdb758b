"""Looks into the registry as of a moment: what a record names, who names it, and a town's bones."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from services.chassis.http import Problem
from services.chassis.postgres import Connection

ROWS_MAX = 1_000_000  # of a town in one look


class TooMany(Problem):
    """A look would not show all there is: it is refused rather than cut."""

    def __init__(self, most: int) -> None:
        zh = f"一次最多看 {most} 条记录，这个镇超过了，不作残缺的答复。"
        en = f"One look takes {most} records and there are more: a part is not given as the whole."
        super().__init__(409, "registry_too_large", zh, en, records_max=most)


BODIES = """
SELECT wanted.kind, wanted.record_id, latest.body - 'sealed' - 'polygon' AS body
FROM unnest($2::text[], $3::text[]) AS wanted(kind, record_id)
CROSS JOIN LATERAL (
    SELECT kept.body
    FROM registry_record AS kept
    WHERE kept.tenant_id = $1
        AND kept.kind = wanted.kind
        AND kept.record_id = wanted.record_id
        AND kept.valid_from <= $4
    ORDER BY kept.valid_from DESC, kept.version DESC
    LIMIT 1
) AS latest
WHERE latest.body IS NOT NULL
LIMIT 1000000
"""
Key = tuple[str, str]  # kind and id


async def bodies(
    conn: Connection, tenant_id: str, wanted: Sequence[Key], at: datetime
) -> dict[Key, dict[str, Any]]:
    """Return those of these records that are there as of a moment, without what is sealed."""
    kinds, ids = [kind for kind, _ in wanted], [record_id for _, record_id in wanted]
    rows = await conn.fetch(BODIES, tenant_id, kinds, ids, at)
    return {(row["kind"], row["record_id"]): row["body"] for row in rows}


_MANY = ("person", "household", "link")
# Persons, households and links are many, and found by an index; of the other kinds there are few.
NAMING = """
WITH gone AS (
    SELECT kind, record_id FROM unnest($5::text[], $6::text[]) AS named(kind, record_id)
), given AS (
    SELECT kind, field, named_kind
    FROM unnest($2::text[], $3::text[], $4::text[]) AS given(kind, field, named_kind)
    WHERE named_kind IN (SELECT kind FROM gone)
), candidate AS (
    SELECT kind, record_id
    FROM registry_record
    WHERE tenant_id = $1 AND kind = ANY($8::text[])
    UNION
    SELECT person.kind, person.record_id
    FROM gone
    JOIN registry_record AS person ON person.tenant_id = $1 AND person.kind = 'person'
        AND person.place = gone.record_id
    WHERE gone.kind = 'household'
    UNION
    SELECT home.kind, home.record_id
    FROM gone
    JOIN registry_record AS home ON home.tenant_id = $1 AND home.kind = 'household'
        AND home.head = gone.record_id
    WHERE gone.kind = 'person'
    UNION
    SELECT link.kind, link.record_id
    FROM gone
    JOIN registry_record AS link ON link.tenant_id = $1 AND link.kind = 'link'
        AND link.link_to = gone.record_id
    UNION
    SELECT link.kind, link.record_id
    FROM gone
    JOIN registry_record AS link ON link.tenant_id = $1 AND link.kind = 'link'
        AND link.link_staff = gone.record_id
    WHERE gone.kind = 'staff'
)
SELECT named.kind AS named_kind, named.record_id AS named_id, latest.kind,
    count(DISTINCT latest.record_id) AS records
FROM (
    SELECT candidate.kind, candidate.record_id, held.body
    FROM candidate
    CROSS JOIN LATERAL (
        SELECT body
        FROM registry_record AS record
        WHERE record.tenant_id = $1 AND record.kind = candidate.kind
            AND record.record_id = candidate.record_id AND valid_from <= $7
        ORDER BY valid_from DESC, version DESC
        LIMIT 1
    ) AS held
) AS latest
CROSS JOIN LATERAL (
    SELECT given.named_kind, latest.body ->> given.field AS id
    FROM given
    WHERE given.kind = latest.kind AND jsonb_typeof(latest.body -> given.field) = 'string'
    UNION ALL
    SELECT given.named_kind, jsonb_array_elements_text(latest.body -> given.field)
    FROM given
    WHERE given.kind = latest.kind AND jsonb_typeof(latest.body -> given.field) = 'array'
    UNION ALL
    SELECT latest.body ->> 'to_kind', latest.body ->> 'to'
    WHERE latest.kind = 'link'
) AS refers(kind, id)
JOIN gone AS named
    ON named.kind = refers.kind AND named.record_id = refers.id
GROUP BY named.kind, named.record_id, latest.kind
ORDER BY named.kind, named.record_id, latest.kind
LIMIT 1000
"""


async def naming(
    conn: Connection,
    tenant_id: str,
    fields: Sequence[tuple[str, str, str]],
    named: Sequence[Key],
    at: datetime,
) -> list[tuple[Key, str, int]]:
    """Count the records that name these as of a moment.

    `fields` tells by what: kind, field, kind of what it names.
    """
    columns = [[one[n] for one in fields] for n in range(3)]
    keys = [kind for kind, _ in named], [record_id for _, record_id in named]
    few = {kind for kind, _, of in fields if kind not in _MANY and of in keys[0]}
    rows = await conn.fetch(NAMING, tenant_id, *columns, *keys, at, sorted(few))
    return [((row["named_kind"], row["named_id"]), row["kind"], row["records"]) for row in rows]


# Who lived in it before; of whoever did not, it is an old fault.
LEFT_BEHIND = """
SELECT leaving.person, home.record_id AS household
FROM unnest($2::text[], $3::text[]) AS leaving(person, home)
CROSS JOIN LATERAL (
    SELECT DISTINCT record_id
    FROM registry_record AS record
    WHERE tenant_id = $1 AND kind = 'household' AND record.head = leaving.person
) AS home
CROSS JOIN LATERAL (
    SELECT head
    FROM registry_record AS record
    WHERE tenant_id = $1 AND kind = 'household' AND record.record_id = home.record_id
        AND valid_from <= $4
    ORDER BY valid_from DESC, version DESC
    LIMIT 1
) AS held
CROSS JOIN LATERAL (
    SELECT place
    FROM registry_record AS record
    WHERE tenant_id = $1 AND kind = 'person' AND record.record_id = leaving.person
        AND valid_from <= $4
    ORDER BY valid_from DESC, version DESC
    OFFSET 1
    LIMIT 1
) AS before
WHERE held.head = leaving.person AND before.place = home.record_id
    AND home.record_id IS DISTINCT FROM leaving.home
ORDER BY leaving.person, home.record_id
LIMIT 1000
"""


async def left_behind(
    conn: Connection, tenant_id: str, homes: Mapping[str, str | None], at: datetime
) -> list[tuple[str, str]]:
    """Return persons who leave a household of which they stay the head, with that household.

    `homes` is where each person lives by a set that the transaction has appended.
    """
    columns = [*homes], [*homes.values()]
    rows = await conn.fetch(LEFT_BEHIND, tenant_id, *columns, at)
    return [(row["person"], row["household"]) for row in rows]


RECORDS = """
SELECT kind, record_id, body
FROM (
    SELECT DISTINCT ON (kind, record_id) kind, record_id, body
    FROM registry_record
    WHERE tenant_id = $1 AND kind = ANY($2::text[]) AND valid_from <= $4
    ORDER BY kind, record_id, valid_from DESC, version DESC
) AS latest
WHERE body IS NOT NULL
    AND (
        $3::text[] IS NULL
        OR body ->> 'household' = ANY($3)
        OR (kind IN ('household', 'person') AND record_id = ANY($3))
        OR (kind = 'link' AND body ->> 'to' = ANY($3))
    )
LIMIT $5
"""


async def records(
    conn: Connection,
    tenant_id: str,
    kinds: Sequence[str],
    at: datetime,
    about: Sequence[str] | None = None,
    *,
    most: int = ROWS_MAX,
) -> dict[Key, dict[str, Any]]:
    """Return records of these kinds as of a moment, as they are kept.

    With `about` only those of these households and persons.

    Raises:
        TooMany: there are more than that.
    """
    rows = await conn.fetch(RECORDS, tenant_id, kinds, about, at, most + 1)
    _whole(rows, most)
    return {(row["kind"], row["record_id"]): row["body"] for row in rows}


NEWEST_PROFILE = """
SELECT (body ->> 'version')::integer AS version, body -> 'body' AS body
FROM registry_record
WHERE tenant_id = $1 AND kind = 'profile'
ORDER BY (body ->> 'version')::integer DESC
LIMIT 1
"""


async def newest_profile(conn: Connection, tenant_id: str) -> tuple[int, dict[str, Any]] | None:
    """Return the newest version of a town's profile: its number, and as it was written."""
    row = await conn.fetchrow(NEWEST_PROFILE, tenant_id)
    return (row["version"], row["body"]) if row else None


CODES = """
SELECT DISTINCT item ->> 'code' AS code
FROM (
    SELECT DISTINCT ON (record_id) body
    FROM registry_record
    WHERE tenant_id = $1 AND kind = 'code_list'
    ORDER BY record_id, version DESC
) AS latest
CROSS JOIN LATERAL jsonb_array_elements(body -> 'items') AS item
WHERE body ->> 'list' = $2
LIMIT 100000
"""


async def codes(conn: Connection, tenant_id: str, code_list: str) -> set[str]:
    """Return the codes of any version of a list: a number keeps the place it was given in."""
    return {row["code"] for row in await conn.fetch(CODES, tenant_id, code_list)}


BONES = """
SELECT kind, record_id, body - 'sealed' - 'polygon' AS body
FROM (
    SELECT DISTINCT ON (kind, record_id) kind, record_id, body
    FROM registry_record
    WHERE tenant_id = $1 AND kind IN ('unit', 'staff', 'household', 'link', 'party_unit')
        AND valid_from <= $2
    ORDER BY kind, record_id, valid_from DESC, version DESC
) AS latest
WHERE body IS NOT NULL
ORDER BY kind, record_id
LIMIT $3
"""

# One who belongs nowhere and one who is gone have no place alike: only of these a body is read.
LODGERS = """
SELECT coalesce(place, '') AS household, count(*) AS persons
FROM (
    SELECT DISTINCT ON (record_id) record_id, version, place
    FROM registry_record
    WHERE tenant_id = $1 AND kind = 'person' AND valid_from <= $2
    ORDER BY record_id, valid_from DESC, version DESC
) AS latest
WHERE place IS NOT NULL
    OR EXISTS (
        SELECT
        FROM registry_record AS record
        WHERE tenant_id = $1 AND kind = 'person' AND record.record_id = latest.record_id
            AND record.version = latest.version AND body IS NOT NULL
    )
GROUP BY place
LIMIT $3
"""


async def bones(
    conn: Connection, tenant_id: str, at: datetime, *, most: int = ROWS_MAX
) -> tuple[dict[Key, dict[str, Any]], dict[str, int]]:
    """Return a town's units, staff, households, links and party units, and count its persons.

    Persons are counted by household; those of none are under the empty name.

    Raises:
        TooMany: there are more than that.
    """
    rows = await conn.fetch(BONES, tenant_id, at, most + 1)
    lodgers = await conn.fetch(LODGERS, tenant_id, at, most + 1)
    _whole(rows, most)
    _whole(lodgers, most)
    bodies = {(row["kind"], row["record_id"]): row["body"] for row in rows}
    return bodies, {row["household"]: row["persons"] for row in lodgers}


def _whole(rows: Sequence[Any], most: int) -> None:
    if len(rows) > most:
        raise TooMany(most)


FORMERLY = """
SELECT record_id, body ->> 'zh' AS zh, alias.value AS alias
FROM (
    SELECT DISTINCT ON (record_id) record_id, body
    FROM registry_record
    WHERE tenant_id = $1 AND kind = 'unit' AND valid_from <= $3
    ORDER BY record_id, valid_from DESC, version DESC
) AS latest
CROSS JOIN LATERAL jsonb_array_elements(body -> 'aliases') AS alias
WHERE alias.value ->> 'code' = $2
ORDER BY record_id
LIMIT 100
"""


async def formerly(
    conn: Connection, tenant_id: str, code: str, at: datetime
) -> list[tuple[str, str, Any]]:
    """Return the units that have taken over a code: id, name and the alias itself."""
    rows = await conn.fetch(FORMERLY, tenant_id, code, at)
    return [(row["record_id"], row["zh"], row["alias"]) for row in rows]
