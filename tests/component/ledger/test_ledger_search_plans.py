"""Hot look-ups use their indexes where a town has 100,000 persons, whatever the values are."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from deploy.local.set_aside import opened
from services.chassis.postgres import Connection
from services.ledger.store import history, search
from services.ledger.store.wall import turn_to
from tests import factories
from tests.conftest import Database

PERSONS = 100_000
SET = """
INSERT INTO change_set (tenant_id, change_set_id, recorded_by, valid_from, entries)
VALUES ($1, 's', 'x', $2, 1)
"""
RECORDS = """
INSERT INTO registry_record (tenant_id, kind, record_id, version, body, change_set_id, valid_from)
SELECT $1, kind, kind || n, 1, body, 's', $2
FROM generate_series(1, $3::integer) AS n
CROSS JOIN LATERAL (
    VALUES
        ('person', jsonb_build_object('household', 'h' || n % 30000)),
        (
            'link',
            jsonb_build_object('staff', 'w' || n % 400, 'to_kind', 'person', 'to', 'person' || n)
        )
) AS given(kind, body)
WHERE kind = 'person' OR n <= 10000
"""
TOKENS = """
INSERT INTO registry_index (tenant_id, token, kind, record_id)
SELECT $1, substr(sha256(word::bytea), 1, 16), 'person', 'person' || n
FROM generate_series(1, $2::integer) AS n
CROSS JOIN LATERAL (
    VALUES ('phone' || n), ('id' || n), ('name' || n % 9000), ('begins' || n % 40), ('b' || n % 999)
) AS given(word)
"""
HOUSES = """
INSERT INTO registry_record (tenant_id, kind, record_id, version, body, change_set_id, valid_from)
SELECT $1, 'household', 'h' || n, 1, jsonb_build_object('grid', 'g' || n % 300), 's', $2
FROM generate_series(0, 29999) AS n
"""
_NO_TABLE = ("Subquery", "Function", "CTE")
TOKEN = "SELECT substr(sha256($1::bytea), 1, 16)"


def scans(plan: dict[str, Any]) -> list[str]:
    """Return by which index a plan reads each of its tables."""
    below = [one for part in plan.get("Plans", ()) for one in scans(part)]
    here = "Scan" in plan["Node Type"] and not plan["Node Type"].startswith(_NO_TABLE)
    return [*below, *([plan.get("Index Name", "none")] if here else [])]


async def indexes(conn: Connection, query: str, *given: object) -> set[str]:
    """Return by which indexes a statement reads, for the service behind its wall."""
    await conn.execute("SET LOCAL ROLE ledger_service")
    await turn_to(conn, str(given[0]))
    told = await conn.fetchval(f"EXPLAIN (FORMAT JSON) {query}", *given)
    await conn.execute("RESET ROLE")
    (plan,) = json.loads(told)
    return set(scans(plan["Plan"]))


@asynccontextmanager
async def rolled_back(conn: Connection) -> AsyncIterator[None]:
    """Leave nothing behind for the tests beside this one."""
    loaded = conn.transaction()
    await loaded.start()
    yield
    await loaded.rollback()


async def test_each_hot_statement_reads_by_its_index(database: Database) -> None:
    town, when = factories.TENANT, factories.START
    async with opened(await database("ledger")) as conn, rolled_back(conn):
        await conn.execute(SET, town, when)
        await conn.execute(RECORDS, town, when, PERSONS)
        await conn.execute(TOKENS, town, PERSONS)
        await conn.execute("ANALYZE registry_record, registry_index")
        version = {"registry_record_time", "registry_record_pkey", "registry_record_lodger"}
        for word in (b"phone7", b"begins7"):
            token = await conn.fetchval(TOKEN, word)
            found = await indexes(conn, search.FOUND, town, token, "person", "", 50)
            assert found == {"registry_index_pkey"}
        for many in (1, 5_000):  # a set of one person, and a batch of an import
            tokens = [await conn.fetchval(TOKEN, f"phone{n}".encode()) for n in range(many)]
            asked = (town, "person", tokens, [f"new{n}" for n in range(many)])
            assert "registry_index_pkey" in await indexes(conn, search.SHARING, *asked)
            (plan,) = json.loads(
                await conn.fetchval(f"EXPLAIN (FORMAT JSON) {search.SHARING}", *asked)
            )
            assert plan["Plan"]["Plans"][0]["Node Type"] == "Nested Loop"
        batch = ["person"] * 5_000, [f"person{n}" for n in range(5_000)]
        newest = await indexes(conn, history.VERSIONS, town, *batch)
        assert newest == {"registry_record_pkey"}
        versions = await indexes(conn, search.SPELLS, town, "person", ["person7", "person8"])
        assert versions <= version
        several = [f"person{n}" for n in range(50)]
        held = await indexes(conn, search.HELD, town, "person", several, when, None)
        assert held <= version
        given = (town, "w7", "person", "", 50, when, None)
        looked_after = await indexes(conn, search.LINKED, *given)
        assert looked_after <= {"registry_record_link_staff", *version}
        assert "registry_record_link_staff" in looked_after
        of_home = (town, "person", "", when, None, 50, "h7")
        assert "registry_record_in_place" in await indexes(conn, history.PAGE_OF_PLACE, *of_home)


async def test_a_common_digest_in_a_grid_is_looked_for_by_who_lives_there(
    database: Database,
) -> None:
    town, when = factories.TENANT, factories.START
    async with opened(await database("ledger")) as conn, conn.transaction():
        await conn.execute(SET, town, when)
        await conn.execute(RECORDS, town, when, PERSONS)
        await conn.execute(HOUSES, town, when)
        await conn.execute(TOKENS, town, PERSONS)
        await conn.execute("ANALYZE registry_record, registry_index")
        await conn.execute("SET LOCAL ROLE ledger_service")
        await turn_to(conn, town)
        # A plan for whatever digest and grids, as is kept after five times.
        await conn.execute("SET LOCAL plan_cache_mode = force_generic_plan")
        await conn.execute(
            f"PREPARE lodgers(text, bytea, text, text, int, text[]) AS {search.LODGERS}"
        )
        asked = "sha256('begins7')::bytea, 'person', '', 51, '{g7}'"
        told = await conn.fetchval(f"EXPLAIN (FORMAT JSON) EXECUTE lodgers('{town}', {asked})")
    (plan,) = json.loads(told)
    first, *_ = scans(plan["Plan"])
    assert first == "registry_record_in_place"
    assert "registry_index_pkey" in scans(plan["Plan"])
