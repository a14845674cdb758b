"""A registry of a million persons as the door would have left it, sealed with the town's keys.

It is written past the door: what is measured on it is reading.
"""

import asyncio
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import asyncpg

from deploy.seed.names import Names
from deploy.seed.numbers import FEMALE, MALE
from deploy.seed.town import Entry
from services.chassis.seal import KeyRing
from services.ledger.domain import blind
from services.ledger.domain.numbers import citizen_check

PER_HOME, HOMES_PER_GRID, GRIDS_PER_VILLAGE = 3, 500, 10
_CHUNK = 12_000  # persons; whole households
_SET, _SINCE = "bench-fill", datetime(2025, 1, 1, tzinfo=UTC)
_ROLES = ("grid_worker", "grid_leader")
_FIRST_BIRTH, _DAYS = date(1935, 1, 1), 30_000
_RECORD = ("tenant_id", "kind", "record_id", "version", "body", "change_set_id", "valid_from")
_INDEX = ("tenant_id", "token", "kind", "record_id")
Body = Mapping[str, Any]

OPEN_SET = """
INSERT INTO change_set (tenant_id, change_set_id, recorded_by, valid_from, entries)
VALUES ($1, $2, 'bench', $3, 1)
"""
# Filled row by row, the index of nine million digests takes longer than all else.
INDEX_DEFINITIONS = """
SELECT coalesce(
        'ALTER TABLE registry_index ADD CONSTRAINT ' || con.conname || ' '
        || pg_get_constraintdef(con.oid),
        pg_get_indexdef(indexrelid)
    ) AS made,
    CASE WHEN con.oid IS NULL THEN 'DROP INDEX ' || index.relname
        ELSE 'ALTER TABLE registry_index DROP CONSTRAINT ' || con.conname END AS dropped
FROM pg_index
JOIN pg_class AS index ON index.oid = indexrelid
LEFT JOIN pg_constraint AS con ON con.conindid = indexrelid
WHERE indrelid = 'registry_index'::regclass
ORDER BY con.oid NULLS LAST
"""


@dataclass(frozen=True, slots=True)
class Shape:
    """How a town calls its units, and where those that are filled in hang."""

    root: str
    village_level: str
    grid_level: str


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who was filled in, in the clear: what can be looked for."""

    id: str
    household: str
    grid: str
    texts: Mapping[str, str]

    @property
    def address(self) -> str:
        village, door = divmod(int(self.household[2:]), HOMES_PER_GRID)
        return f"{village}村望禾街{door % 40 + 1}巷{door}号"


@dataclass(frozen=True, slots=True)
class Target:
    """Where it is filled in; it can be sent to another process."""

    dsn: str
    key_file: Path
    tenant: str


def shape_of(entries: Sequence[Entry]) -> Shape:
    """Read from a seeded town how its units are called."""
    units = {one.record_id: one.body for one in entries if one.kind == "unit"}
    grid = next(one.body["grid"] for one in entries if one.kind == "household")
    village = units[grid]["parent"]
    root = next(name for name, body in units.items() if not body.get("parent"))
    return Shape(root, units[village]["level"], units[grid]["level"])


def person(n: int) -> Person:
    """Make up the n-th person; his numbers are his alone, his name is many others'."""
    draw = Random(n)  # noqa: S311 - no secret
    sex = (MALE, FEMALE)[n % 2]
    born = _FIRST_BIRTH + timedelta(days=draw.randrange(_DAYS))
    county, order = divmod(n // 2, 500)
    number = f"79{county // 100 % 100:02d}{county % 100:02d}{born:%Y%m%d}{2 * order % 1_000:03d}"
    texts = {
        "name": Names(draw, ()).full(sex, born.year),
        "id_number": number + citizen_check(number),
        "phone": f"160{n:08d}",
        "birth_date": born.isoformat(),
        "sex": sex,
    }
    home = n // PER_HOME
    return Person(f"bp{n:08d}", home_id(home), grid_id(home // HOMES_PER_GRID), texts)


def home_id(n: int) -> str:
    return f"bh{n:08d}"


def grid_id(n: int) -> str:
    return f"bg{n:05d}"


def village_id(n: int) -> str:
    return f"bv{n:04d}"


async def fill(target: Target, shape: Shape, persons: int) -> None:
    """Fill in so many persons with their homes, grids and villages, and what finds them."""
    conn = await asyncpg.connect(target.dsn)
    await conn.execute(OPEN_SET, target.tenant, _SET, _SINCE)
    definitions = await conn.fetch(INDEX_DEFINITIONS)
    for one in definitions:
        await conn.execute(one["dropped"])
    ring = KeyRing(target.key_file)
    await _copy(conn, target.tenant, [*_units(shape, persons), *_staff(ring, target, persons)])
    loop, chunks = asyncio.get_running_loop(), range(0, persons, _CHUNK)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        parts = ((first, min(first + _CHUNK, persons)) for first in chunks)
        jobs = [loop.run_in_executor(pool, partial(_fill_part, target, *part)) for part in parts]
        await asyncio.gather(*jobs)
    for one in definitions:
        await conn.execute(one["made"])
    await conn.execute("VACUUM ANALYZE registry_record")
    await conn.execute("VACUUM ANALYZE registry_index")
    await conn.close()


def _fill_part(target: Target, first: int, last: int) -> None:
    asyncio.run(_fill_persons(target, first, last))


async def _fill_persons(target: Target, first: int, last: int) -> None:
    ring, records, found = KeyRing(target.key_file), list[tuple[str, str, Body]](), []
    for n in range(first, last):
        one = person(n)
        if n % PER_HOME == 0:
            texts = {"address": one.address}
            body = {"grid": one.grid, "head": one.id}
            records.append(_sealed(ring, target, "household", one.household, body, texts))
            found += _tokens(ring, target, "household", one.household, texts)
        body = {"household": one.household}
        records.append(_sealed(ring, target, "person", one.id, body, one.texts))
        found += _tokens(ring, target, "person", one.id, one.texts)
    conn = await asyncpg.connect(target.dsn)
    await _copy(conn, target.tenant, records)
    await conn.copy_records_to_table("registry_index", records=found, columns=_INDEX)
    await conn.close()


def _units(shape: Shape, persons: int) -> Iterator[tuple[str, str, Body]]:
    grids = -(-persons // (PER_HOME * HOMES_PER_GRID))
    for n in range(-(-grids // GRIDS_PER_VILLAGE)):
        body = {"level": shape.village_level, "zh": f"{n}村", "parent": shape.root}
        yield "unit", village_id(n), body
    for n in range(grids):
        parent = village_id(n // GRIDS_PER_VILLAGE)
        yield "unit", grid_id(n), {"level": shape.grid_level, "zh": f"{n}格", "parent": parent}


def _staff(ring: KeyRing, target: Target, persons: int) -> Iterator[tuple[str, str, Body]]:
    for n in range(-(-persons // (PER_HOME * HOMES_PER_GRID))):
        for role in _ROLES:
            body = {"posts": [{"unit": grid_id(n), "role": role, "rank": 1}]}
            texts = {"name": "王伟", "phone": f"161{n:08d}"}
            yield _sealed(ring, target, "staff", f"bs-{role}-{n}", body, texts)


def _sealed(
    ring: KeyRing, target: Target, kind: str, name: str, body: Body, texts: Mapping[str, str]
) -> tuple[str, str, Body]:
    sealed = ring.seal(target.tenant, name, texts)
    fields = {"kid": sealed.kid, "key": sealed.key, "fields": sealed.fields}
    return kind, name, {**body, "sealed": fields}


def _tokens(
    ring: KeyRing, target: Target, kind: str, name: str, texts: Mapping[str, str]
) -> list[tuple[str, bytes, str, str]]:
    key = ring.tenant(target.tenant).index
    return [(target.tenant, token, kind, name) for token in blind.tokens(key, kind, texts)]


async def _copy(
    conn: "asyncpg.Connection[asyncpg.Record]",
    tenant: str,
    records: Sequence[tuple[str, str, Body]],
) -> None:
    rows = (
        (tenant, kind, name, 1, json.dumps(body, ensure_ascii=False), _SET, _SINCE)
        for kind, name, body in records
    )
    await conn.copy_records_to_table("registry_record", records=rows, columns=_RECORD)
