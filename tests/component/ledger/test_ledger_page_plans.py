"""What pages, look-ups, the guard, coverage and the clock ask costs what it returns."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from deploy.local.migrate import migrate
from deploy.local.set_aside import opened
from services.chassis.postgres import Connection
from services.ledger.store import access, due, elements, history, pages, registry, search
from services.ledger.store.wall import turn_to
from tests.component.ledger.test_ledger_history import _nodes, _rows_read, many
from tests.servers import Postgres

# `many` has 50,000 households of two versions in 300 grids, and somebody in each.
NOW, TOWN, TOKEN = datetime(2025, 3, 1, tzinfo=UTC), "many", b"k" * 16
MORE = """
INSERT INTO registry_record (tenant_id, kind, record_id, version, body, change_set_id, valid_from)
SELECT 'many', kind, record_id, 1, body, 's', '2025-01-02'::timestamptz
FROM (
    SELECT 'unit' AS kind, 'town' AS record_id, '{"level": "town", "zh": "x"}'::jsonb AS body
    UNION ALL
    SELECT 'unit', 'v' || n, '{"level": "village", "zh": "x", "parent": "town"}'
    FROM generate_series(0, 29) AS n
    UNION ALL
    SELECT 'unit', 'g' || n,
        jsonb_build_object('level', 'grid', 'zh', 'x', 'parent', 'v' || n % 30)
    FROM generate_series(0, 299) AS n
    UNION ALL
    SELECT 'staff', 'w' || n,
        jsonb_build_object('posts', jsonb_build_array(jsonb_build_object('unit', 'g' || n % 300)))
    FROM generate_series(0, 599) AS n
    UNION ALL
    SELECT 'link', 'l' || n, jsonb_build_object(
        'link', 'x', 'staff', 'w' || n % 600, 'to_kind', 'household',
        'to', 'h' || to_char(n, 'FM000000')
    )
    FROM generate_series(1, 20000) AS n
    UNION ALL
    SELECT 'clock', 'clock', '{"offsets": []}'
) AS given
"""
TOKENS = """
INSERT INTO registry_index (tenant_id, token, kind, record_id)
SELECT 'many', $1::bytea, 'person', 'p' || n
FROM generate_series(1, 50000, 2) AS n
UNION ALL
SELECT 'many', $1, 'household', 'h' || to_char(n, 'FM000000')
FROM generate_series(1, 50000, 2) AS n
UNION ALL
SELECT 'many', substr(sha256(('p' || n)::bytea), 1, 16), 'person', 'p' || n
FROM generate_series(1, 50000) AS n
"""
DUE = """
INSERT INTO change_due (tenant_id, valid_from, change_set_id, n, kind, record_id)
SELECT 'many', '2030-01-01'::timestamptz, 's', n, 'household', 'h' || to_char(n, 'FM000000')
FROM generate_series(1, 5000) AS n
UNION ALL
SELECT 'many', '2025-02-01'::timestamptz, 's1', n, 'household', 'h' || to_char(n, 'FM000000')
FROM generate_series(1, 3) AS n
"""
CASES = """
INSERT INTO case_now (
    tenant_id, case_id, number, grid, category, class, state, owner_unit, owner_role, closed, late
)
SELECT 'many', lpad(n::text, 32, '0')::uuid, n::text, 'g' || n % 300, 'x', 'x', 'x', 'x', 'x',
    n % 10 > 0, false
FROM generate_series(1, 30000) AS n
"""
FACTS = """
INSERT INTO case_ledger (
    tenant_id, event_id, topic, partition, record_offset, at, type, subject, seq, occurred_at,
    headers, body
)
SELECT 'many', gen_random_uuid(), 't', 0, n, now(), 'case.reported.v1',
    lpad((n / 3)::text, 32, '0')::uuid::text, n, '', '{}',
    convert_to('{"location": {"household_id": "h' || to_char(n / 6, 'FM000000') || '"}}', 'UTF8')
FROM generate_series(1, 30000) AS n
"""
HOMES = [f"h{n:06}" for n in range(7, 50_000, 300)]  # of grid g7
PEOPLE = [f"p{n}" for n in range(7, 50_000, 300)]
KEYS = ["household"] * 100, HOMES[:100]

# A statement, what it is asked, and how many rows it may read for that.
READS: dict[str, tuple[str, tuple[Any, ...], int]] = {
    "the town's time": (registry.NOW, (TOWN,), 1),
    "a unit's path": (registry.PATHS, (TOWN, ["g7"], NOW, True), 10),
    "the town's own units": (registry.PATHS, (TOWN, [], NOW, True), 5),
    "units below": (registry.BELOW, (TOWN, ["v7"], NOW), 400),
    "where a person belongs": (access.BELONGING, (TOWN, "person", "p777", NOW), 4),
    "where a unit belongs": (access.BELONGING, (TOWN, "unit", "g7", NOW), 4),
    "every unit": (registry.PARENTS, (TOWN, NOW), 331),
    "a grid and its kin": (pages.KIN, (TOWN, "g7", NOW, None), 10),
    "a village and its kin": (pages.KIN, (TOWN, "v7", NOW, None), 400),
    "households of a grid": (pages.HOMES, (TOWN, "g7", NOW, None, 1_001), 700),
    "who lives in a grid": (pages.LIVE_IN, (TOWN, "g7", NOW, None), 900),
    "heads of households": (pages.HEADS, (TOWN, PEOPLE, NOW, None), 200),
    "staff of a grid": (pages.STAFF_OF, (TOWN, ["g7"], NOW, None), 600),
    "links to households": (pages.LINKS_TO, (TOWN, HOMES, NOW, None), 200),
    "a hundred records": (pages.HELD_MANY, (TOWN, *KEYS, NOW, None), 200),
    "open cases of a grid": (pages.CASES_OF, (TOWN, ["g7"], 501), 120),
    "for whom cases were reported": (
        pages.REPORTED_FOR, (TOWN, [str(UUID(int=n)) for n in range(10)], "t"), 40
    ),
    "cases of a household": (pages.CASES_FOR, (TOWN, "h000007", ["g7"], "t", 501), 30),
    "whom a household is about": (pages.EVER_ABOUT, (TOWN, "h000007"), 5),
    "versions of records": (pages.VERSIONS_OF, (TOWN, *KEYS, None, 301), 600),
    "who leaves and stays head": (
        elements.LEFT_BEHIND, (TOWN, PEOPLE, ["h000000"] * len(PEOPLE), NOW), 1_000
    ),
    "by a digest": (search.FOUND, (TOWN, TOKEN, "person", "p3", 51), 60),
    "persons of a grid by a digest": (
        search.LODGERS, (TOWN, TOKEN, "person", "", 51, ["g7"]), 800
    ),
    "households of a grid by a digest": (
        search.HOUSES, (TOWN, TOKEN, "household", "", 51, ["g7"]), 600
    ),
    "what holds of them": (search.HELD, (TOWN, "person", PEOPLE, NOW, None), 200),
    "what holds of them in a grid": (
        search.HELD_IN, (TOWN, "person", PEOPLE, NOW, None, NOW, ["g7"]), 700
    ),
    "whom somebody looks after": (
        search.LINKED, (TOWN, "w7", "household", "", 51, NOW, None), 80
    ),
    "persons of a grid, a page": (history.PAGE_OF_HOMES, (TOWN, "", NOW, None, 51, "g7"), 900),
    "towns with something to come": (due.TENANTS, (), 4),
    "the set which fell due first": (due.NEXT, (TOWN, NOW), 10),
}  # fmt: skip
# These look at every record of a kind, by its index.
WHOLE = {
    "who names a unit": (registry.REFERRERS, (TOWN, ["g7"], NOW)),
    "a town's bones": (elements.BONES, (TOWN, NOW, 1_000_001)),
    "records of kinds": (elements.RECORDS, (TOWN, ["staff"], None, NOW, 1_000_001)),
    "what a due set holds": (due.TAKE, (TOWN, "s1", NOW)),
}


async def plan_of(conn: Connection, statement: str, given: tuple[Any, ...]) -> list[dict[str, Any]]:
    """Tell how the service, behind its wall, comes by what it asks; what it does is undone."""
    asked = conn.transaction()
    await asked.start()
    await conn.execute("SET LOCAL ROLE ledger_service")
    await turn_to(conn, TOWN)
    await conn.execute("SELECT set_config('chuishao.every_tenant', 'on', true)")
    said = await conn.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", *given)
    await asked.rollback()
    (plan,) = json.loads(said)
    return list(_nodes(plan["Plan"]))


@pytest.fixture(scope="module")
async def town(postgres: Postgres) -> AsyncIterator[Connection]:
    """Connect to a database with a large town, apart from those of other tests."""
    async with opened(postgres.dsn("postgres")) as admin:
        await admin.execute("CREATE DATABASE ledger_large")
        await migrate("ledger", postgres.dsn("ledger_large"))
        async with opened(postgres.dsn("ledger_large")) as conn:
            await many(conn)
            for fill in (MORE, DUE, CASES, FACTS):
                await conn.execute(fill)
            await conn.execute(TOKENS, TOKEN)
            await conn.execute("VACUUM ANALYZE")
            yield conn
        await admin.execute("DROP DATABASE ledger_large WITH (FORCE)")


@pytest.mark.timeout(180)
@pytest.mark.parametrize("name", READS)
async def test_a_read_of_a_large_town_costs_what_it_returns(town: Connection, name: str) -> None:
    statement, given, rows_max = READS[name]
    nodes = await plan_of(town, statement, given)
    assert "Seq Scan" not in {one["Node Type"] for one in nodes}
    assert sum(map(_rows_read, nodes)) <= rows_max


@pytest.mark.timeout(180)
@pytest.mark.parametrize("name", WHOLE)
async def test_a_look_at_all_of_a_kind_reads_no_other(town: Connection, name: str) -> None:
    nodes = await plan_of(town, *WHOLE[name])
    assert "Seq Scan" not in {one["Node Type"] for one in nodes}


async def test_coverage_counts_persons_without_their_bodies(town: Connection) -> None:
    nodes = await plan_of(town, elements.LODGERS, (TOWN, NOW, 1_000_001))
    (whole,) = (one for one in nodes if one.get("Index Name") == "registry_record_lodger")
    assert whole["Node Type"] == "Index Only Scan"
