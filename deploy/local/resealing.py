"""What is sealed, by which key: counted and sealed anew, in every table and on every topic.

Only the wrapped data key and its `kid` change, never a sealed text, so no word is opened. A table's
rows are taken in blocks, those that nobody holds just now; what is passed over comes next time.
"""

import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import asyncpg
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from contracts.topics import TOPICS
from deploy.local.lying import lying_on
from deploy.local.set_aside import Conn, Dsns, opened
from deploy.local.topics import registered_topics
from services.chassis.seal import CannotOpen, KeyRing, SealedFields, encrypt

_BLOCKS = 64  # half a megabyte of a table is one transaction
Use: TypeAlias = tuple[str, str]  # a tenant and a kid
Sealed: TypeAlias = dict[str, Any]

COLUMNS = """
SELECT c.table_name, c.column_name, c.data_type,
    bool_or(c.column_name = 'tenant_id') OVER whole AS has_tenant,
    bool_or(c.column_name = 'headers') OVER whole AS has_headers
FROM information_schema.columns c
JOIN information_schema.tables t USING (table_schema, table_name)
WHERE c.table_schema = 'public' AND t.table_type = 'BASE TABLE'
WINDOW whole AS (PARTITION BY c.table_name)
ORDER BY c.table_name, c.column_name
"""


@dataclass(frozen=True, slots=True)
class Column:
    """A column that may hold something sealed, of rows that say whose it is."""

    table: str
    name: str
    is_json: bool
    tenant: str  # SQL

    @property
    def wrapped(self) -> str:
        """SQL: whether a row holds anything sealed."""
        found = f"""strpos({self.name}::text, '"kid"')"""
        if not self.is_json:
            found = f"""position('"kid"'::bytea IN {self.name})"""
        return f"{found} > 0"

    @property
    def put(self) -> str:
        """SQL: give a row, by its place, another value."""
        return f"UPDATE {self.table} SET {self.name} = $2 WHERE ctid = $1::text::tid"  # noqa: S608 - names of ours


async def columns(conn: Conn) -> list[Column]:
    """Return every column of a database that may hold something sealed."""
    rows = await conn.fetch(COLUMNS)
    return [
        Column(
            row["table_name"],
            row["column_name"],
            row["data_type"] == "jsonb",
            "tenant_id" if row["has_tenant"] else "coalesce(headers ->> 'ce_tenant', '?')",
        )
        for row in rows
        if row["data_type"] in ("jsonb", "bytea") and (row["has_tenant"] or row["has_headers"])
    ]


async def used_in(dsn: str) -> dict[str, Counter[Use]]:
    """Count what each table of a database holds sealed, by tenant and key."""
    used: dict[str, Counter[Use]] = {}
    async with opened(dsn) as conn:
        for column in await columns(conn):
            async for rows in _blocks(conn, column, None):
                for row in rows:
                    for one in sealed_in(_parsed(row["held"])):
                        if one["key"]:  # an erased one has no data key any more
                            counted = used.setdefault(column.table, Counter())
                            counted[row["tenant"], one["kid"]] += 1
    return used


async def used_on_topics(bootstrap: str) -> dict[str, Counter[Use]]:
    """Count what lies sealed on topics; of a compacted one, what its readers keep."""
    used: dict[str, Counter[Use]] = {}
    topics = (*TOPICS, *await registered_topics(bootstrap))
    kept: dict[tuple[str, bytes], Any] = {}
    compacted = {topic.name for topic in topics if topic.retention_ms is None}
    async for record in lying_on(bootstrap, *topics):
        if record.topic in compacted:
            kept[record.topic, record.key] = record
        else:
            _count(used, record)
    for record in kept.values():
        _count(used, record)
    return used


def _count(used: dict[str, Counter[Use]], record: Any) -> None:  # noqa: ANN401 - untyped
    tenant = dict(record.headers).get("ce_tenant", b"?").decode(errors="replace")
    for one in sealed_in(_parsed(record.value)):
        used.setdefault(record.topic, Counter())[tenant, one["kid"]] += 1


def sealed_in(value: object) -> Iterator[Sealed]:
    """Yield everything sealed in a JSON value, however deep; each may be changed in its place."""
    if isinstance(value, dict):
        if {"kid", "key", "fields"} <= value.keys():
            yield value
        else:
            for part in value.values():
                yield from sealed_in(part)
    elif isinstance(value, list):
        for part in value:
            yield from sealed_in(part)


def rewrapped(
    ring: KeyRing, tenant: str, subjects: set[str], sealed: SealedFields
) -> SealedFields | None:
    """Wrap a data key by the tenant's present key; None if it is that of none of the subjects."""
    present = ring.tenant(tenant)
    for subject in sorted(subjects):
        try:
            data_key = ring.data_key(tenant, subject, sealed)
        except CannotOpen:
            continue
        wrapped = encrypt(AESGCM(present.keys[present.kid]), data_key, f"{tenant}|{subject}")
        return replace(sealed, kid=present.kid, key=wrapped)
    return None


async def reseal(
    dsn: str, ring: KeyRing, tenant: str, tell: Callable[[int], None]
) -> tuple[int, Counter[str]]:
    """Wrap all of a tenant's data keys of a database by its present key; tell of each batch.

    Returns how many were wrapped anew, and how many no key opens, by kid.
    """
    done, lost = 0, Counter[str]()
    async with opened(dsn) as conn:
        for column in await columns(conn):
            async for rows in _blocks(conn, column, tenant):
                changed = [new for row in rows if (new := _anew(row, ring, tenant, lost))]
                if changed:
                    await conn.executemany(column.put, changed)
                done += len(changed)
                tell(len(changed))
    return done, lost


def _anew(
    row: asyncpg.Record, ring: KeyRing, tenant: str, lost: Counter[str]
) -> tuple[str, Any] | None:
    value, present = _parsed(row["held"]), ring.tenant(tenant).kid
    subjects, changed = set(_texts(row["around"])), False
    if isinstance(value, dict):
        subjects |= set(_texts({name: value[name] for name in value if name.endswith("_id")}))
    for one in sealed_in(value):
        if one["kid"] == present or not one["key"]:
            continue
        new = rewrapped(ring, tenant, subjects, SealedFields(**one))
        if new is None:
            lost[one["kid"]] += 1
        else:
            one["kid"], one["key"], changed = new.kid, new.key, True
    if not changed:
        return None
    if isinstance(row["held"], bytes):
        compact = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        return row["at"], compact.encode()
    return row["at"], value


def _texts(around: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a row may be about: any of its texts, and the subject that its headers name."""
    for name, value in around.items():
        if name == "headers":
            yield str((value or {}).get("ce_subject", "")).rpartition("/")[2]
        elif isinstance(value, str):
            yield value


def _parsed(held: object) -> object:
    """Read JSON; what is none holds nothing sealed."""
    if not isinstance(held, bytes):
        return held
    try:
        return json.loads(held)
    except ValueError:
        return None


async def _blocks(
    conn: Conn, column: Column, tenant: str | None
) -> AsyncIterator[list[asyncpg.Record]]:
    """Yield a table's rows with something sealed; a tenant's are held in a transaction for each."""
    pages = await conn.fetchval(
        "SELECT pg_relation_size($1::regclass) / current_setting('block_size')::integer",
        column.table,
    )
    query = f"""
        SELECT ctid::text AS at, {column.tenant} AS tenant, {column.name} AS held,
            to_jsonb(kept) - '{column.name}' AS around
        FROM {column.table} AS kept
        WHERE ctid >= $1::text::tid AND ctid < $2::text::tid
            AND {column.wrapped}
            AND ($3::text IS NULL OR {column.tenant} = $3)
    """  # noqa: S608 - names of ours
    if tenant is not None:
        query += " FOR UPDATE SKIP LOCKED"
    for start in range(0, pages, _BLOCKS):
        async with conn.transaction():
            yield await conn.fetch(query, f"({start},0)", f"({start + _BLOCKS},0)", tenant)


async def used_everywhere(dsns: Dsns) -> dict[str, Counter[Use]]:
    """Count what is sealed in all databases, by `service.table`."""
    return {
        f"{service}.{table}": used
        for service, dsn in dsns.items()
        for table, used in (await used_in(dsn)).items()
    }
