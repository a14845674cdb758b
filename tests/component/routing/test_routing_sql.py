"""Every statement of every service against its schema; their migrations; their hot queries."""

import ast
import asyncio
import importlib
import json
import pkgutil
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

import services
from deploy.local.migrate import ROOT, migrate, migration_dirs
from services.chassis import outbox, postgres
from services.chassis.postgres import Connection, open_pool
from services.chassis.settings import ServiceSettings
from services.routing.store import calendars, cases, queue, stream, tasks, timers
from tests import factories
from tests.conftest import Database
from tests.factories import START
from tests.servers import Postgres
from tests.waiting import PATIENCE_S, until

SERVICES = ("intake", "routing", "notify", "ledger", "console")
STATEMENT = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\s")
LOOSE = re.compile(r"\s*(SELECT|INSERT INTO|UPDATE|DELETE FROM|WITH)\s+[a-z(]")


def statements(package: str) -> Iterator[tuple[str, str]]:
    """Yield every statement of a package's modules, by name."""
    root = importlib.import_module(f"services.{package}")
    for found in pkgutil.walk_packages(root.__path__, f"{root.__name__}."):
        if found.name.endswith("__main__"):
            continue
        module = importlib.import_module(found.name)
        for name, value in vars(module).items():
            if name.isupper() and isinstance(value, str) and STATEMENT.match(value):
                yield f"{found.name}.{name}", value


@pytest.mark.parametrize("service", SERVICES)
async def test_every_statement_prepares_against_the_migrated_schema(
    service: str, database: Database
) -> None:
    conn = await asyncpg.connect(await database(service))
    found = {**dict(statements(service)), **dict(statements("chassis"))}
    assert len(found) > 10
    faults = {}
    for name, statement in found.items():
        try:
            await conn.prepare(statement)
        except asyncpg.PostgresError as error:
            faults[name] = str(error)
    await conn.close()
    assert faults == {}


def loose_statements(path: Path) -> Iterator[str]:
    """Yield statements that are no constant of their module."""
    tree = ast.parse(path.read_text())
    constants = {
        id(part)
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for part in ast.walk(node)
    }
    texts = [node for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    for node in texts:
        if id(node) not in constants and LOOSE.match(str(node.value)):
            yield f"{path.name}:{node.lineno}"


def test_every_statement_stands_as_a_constant_where_these_tests_find_it() -> None:
    root = Path(services.__path__[0])
    files = [path for name in (*SERVICES, "chassis") for path in (root / name).rglob("*.py")]
    assert [found for path in files for found in loose_statements(path)] == []


SHAPE = """
SELECT table_name, column_name, data_type, is_nullable
FROM information_schema.columns
WHERE table_schema = 'public'
ORDER BY 1, 2
"""


@pytest.mark.parametrize("service", SERVICES)
async def test_migrations_apply_twice_without_harm(service: str, database: Database) -> None:
    dsn = await database(service)
    conn = await asyncpg.connect(dsn)
    before = await conn.fetch(SHAPE)
    applied = await conn.fetch("SELECT version FROM schema_migrations ORDER BY 1")
    await migrate(service, dsn)
    assert await conn.fetch(SHAPE) == before
    assert await conn.fetch("SELECT version FROM schema_migrations ORDER BY 1") == applied
    await conn.close()
    files = [file for place in migration_dirs(service) for file in place.glob("*.sql")]
    assert len(applied) == len(files)


def test_migrations_pass_the_linter() -> None:
    files = sorted(str(path) for path in (ROOT / "services").glob("*/sql/*.sql"))
    squawk = Path(sys.executable).with_name("squawk")
    done = subprocess.run(  # noqa: S603 - our own tool on our own files
        [str(squawk), "--config", str(ROOT / ".squawk.toml"), *files],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("service", SERVICES)
def test_each_migration_says_what_it_is_and_how_long_it_may_wait(service: str) -> None:
    for place in migration_dirs(service):
        for file in place.glob("*.sql"):
            assert re.fullmatch(r"\d{4}_(expand|backfill|contract)_[a-z_]+\.sql", file.name)
            text = file.read_text()
            assert "SET LOCAL lock_timeout" in text
            assert "SET LOCAL statement_timeout" in text


# --- hot queries on filled tables ----------------------------------------------------------------

FILL = (
    # One tenant in virtual time beside 999 in real time; one timer in 500 is overdue.
    """
    INSERT INTO timer (tenant_id, case_id, deadline, kind, fires_at, due_at, gate_partition)
    SELECT 'town' || n % 1000, gen_random_uuid(), 'class', 'miss', t, t, n % 24
    FROM generate_series(1, 100000) AS n,
        LATERAL (SELECT now() + CASE WHEN n % 500 = 0 THEN -n ELSE n END * interval '1 minute' AS t)
    """,
    """
    INSERT INTO timer (
        tenant_id, case_id, deadline, kind, fires_at, due_at, gate_partition, outcome, decided_at
    )
    SELECT 'town' || n % 1000, gen_random_uuid(), 'class', 'miss', now(), now(), n % 24, 'fired',
        now()
    FROM generate_series(1, 100000) AS n
    """,
    """
    INSERT INTO registry_copy (tenant_id, kind, record_id, body, valid_from)
    SELECT 'town' || n % 1000, 'household', 'h' || n, '{"grid": "g1"}', now()
    FROM generate_series(1, 100000) AS n
    """,
    """
    INSERT INTO registry_copy (tenant_id, kind, record_id, body, valid_from)
    VALUES ('town1', 'clock', 'clock',
        '{"offsets": [{"from_at": "2025-01-01T00:00:00Z", "seconds": 0}]}', now())
    """,
    """
    INSERT INTO calendar_taken (tenant_id, version, taken_at)
    SELECT 'town' || n, 2, now()
    FROM generate_series(0, 999) AS n
    """,
    """
    INSERT INTO cases (
        tenant_id, case_id, number, profile_version, flow, category, severity, class, grid,
        front_end, state, owner_unit, owner_role, received_at, seq, human_seq, closed, accepted,
        done, running, location, sealed, why
    )
    SELECT 'town1', gen_random_uuid(), n::text, 1, 'f', 'c', 's', 'c', 'g', 'f', 's', 'u' || n % 50,
        'r', now() - n * interval '1 minute', 1, 0, n % 20 > 0, false, '[]', '[]', '{}', '{}', '[]'
    FROM generate_series(1, 100000) AS n
    """,
    # One call upward in twenty is still open.
    """
    INSERT INTO upward_call (
        tenant_id, whistle_id, case_id, unit, called_at, outcome, answered_at
    )
    SELECT 'town' || n % 1000, gen_random_uuid(), gen_random_uuid(), 'u0', now(), o,
        CASE WHEN o IS NULL THEN NULL ELSE now() END
    FROM generate_series(1, 20000) AS n,
        LATERAL (SELECT CASE WHEN n % 20 > 0 THEN 'answered' END AS o)
    """,
    """
    INSERT INTO outbox (lane, topic, record_key, headers, body)
    SELECT n % 64, 't', convert_to('town' || n % 1000, 'UTF8'), '{}', '\\x00'
    FROM generate_series(1, 100000) AS n
    """,
    """
    INSERT INTO task (
        tenant_id, department, case_id, task_seq, task_id, type, occurred_at, body, sent, acked_at,
        position
    )
    SELECT 'town1', 'd' || n % 5, gen_random_uuid(), 1, gen_random_uuid(), 'task.changed.v1', now(),
        '{}', true, CASE WHEN n % 20 > 0 THEN now() END, nullif(n, 19999)
    FROM generate_series(1, 20000) AS n
    """,
    "ANALYZE",
)


@pytest.fixture(scope="module")
async def filled(postgres: Postgres) -> AsyncIterator[Connection]:
    admin = await asyncpg.connect(postgres.dsn("postgres"))
    await admin.execute("CREATE DATABASE routing_filled")
    await migrate("routing", postgres.dsn("routing_filled"))
    conn = await asyncpg.connect(postgres.dsn("routing_filled"))
    for statement in FILL:
        await conn.execute(statement)
    yield conn
    await conn.close()
    await admin.execute("DROP DATABASE routing_filled WITH (FORCE)")
    await admin.close()


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from nodes(part)


async def plan_of(conn: Connection, query: str, *given: Any) -> list[dict[str, Any]]:
    async with asyncio.timeout(PATIENCE_S):
        row = await conn.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {query}", *given)
    return list(nodes(json.loads(row)[0]["Plan"]))


def indexes(plan: list[dict[str, Any]]) -> set[str]:
    return {node["Index Name"] for node in plan if "Index Name" in node}


def scanned(plan: list[dict[str, Any]]) -> set[str]:
    """Return the tables that were read from end to end."""
    return {node["Relation Name"] for node in plan if node["Node Type"] == "Seq Scan"}


def rows_read(plan: list[dict[str, Any]], table: str) -> float:
    read = 0.0
    for node in plan:
        if node.get("Relation Name") == table:
            each = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
            read += each * node["Actual Loops"]
    return read


async def test_the_timers_query_reads_what_is_due_and_no_more(
    filled: Connection,
) -> None:
    now = await filled.fetchval("SELECT now()")
    plan = await plan_of(filled, timers.DUE, now, list(range(24)), [now] * 24, 200)
    assert {"timer_due", "timer_due_tenant"} <= indexes(plan)
    assert "registry_copy_clock" in indexes(plan)
    assert scanned(plan) & {"timer", "registry_copy", "quarantine"} <= {"quarantine"}
    assert rows_read(plan, "timer") <= 500


async def test_a_quiet_tick_costs_next_to_nothing(filled: Connection) -> None:
    long_ago = [START.replace(year=2000)] * 24
    plan = await plan_of(filled, timers.DUE, long_ago[0], list(range(24)), long_ago, 200)
    assert rows_read(plan, "timer") == 0


@pytest.mark.parametrize("statement", [timers.STILL_OPEN, timers.DECIDE])
async def test_due_timers_are_found_by_their_key_though_nobody_has_counted_the_rows(
    statement: str, database: Database
) -> None:
    """A burst of cases comes before their statistics do, and a plan is kept from then on."""
    conn = await asyncpg.connect(await database("routing"))
    await conn.execute("ALTER TABLE timer SET (autovacuum_enabled = false)")
    await conn.execute(FILL[0].replace("100000", "5000").replace("n % 1000", "1"))
    query = f"EXPLAIN (GENERIC_PLAN, FORMAT JSON) {statement}"
    given = [None] * len((await conn.prepare(query)).get_parameters())
    plan = list(nodes(json.loads(await conn.fetchval(query, *given))[0]["Plan"]))
    await conn.close()
    assert {one for one in indexes(plan) if one.startswith("timer")} == {"timer_pkey"}


CASE = "SELECT case_id FROM cases LIMIT 1"
READ = """
SELECT seq_tup_read + idx_tup_fetch
FROM pg_stat_xact_user_tables
WHERE relname = 'cases'
"""


async def rows_read_for(conn: Connection, case_id: UUID) -> int:
    """Look a case up, by whichever plan is kept, and count the rows that were read for it."""
    async with conn.transaction():
        before: int = await conn.fetchval(READ)
        await conn.fetch(cases.CASES, ["town1"], [case_id])
        after: int = await conn.fetchval(READ)
        return after - before


async def test_a_plan_kept_from_an_empty_table_does_not_stay(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "PLAN_KEPT_S", 1)
    keys = factories.secrets(tmp_path)
    settings = factories.settings(ServiceSettings, keys, dsn=await database("routing"))
    async with open_pool(settings, "test") as pool, pool.acquire() as conn:
        await conn.execute("ALTER TABLE cases SET (autovacuum_enabled = false)")
        for _ in range(10):
            await rows_read_for(conn, uuid4())
        await conn.execute(FILL[5].replace("100000", "3000"))
        case_id = await conn.fetchval(CASE)
        assert await rows_read_for(conn, case_id) > 1_000

        async def found_by_its_key() -> bool:
            return await rows_read_for(conn, case_id) == 1

        await until(found_by_its_key, "a plan for the table as it is")


async def test_a_look_for_clocks_of_an_older_table_costs_next_to_nothing(
    filled: Connection,
) -> None:
    plan = await plan_of(filled, calendars.STALE, 200)
    assert "timer_reckoned" in indexes(plan)
    assert rows_read(plan, "timer") == 0
    assert scanned(plan) <= {"calendar_taken", "slot"}


async def test_a_queue_reads_one_page(filled: Connection) -> None:
    for after in (cases.FRONT, (await filled.fetchval("SELECT now()"), cases.FRONT[1])):
        plan = await plan_of(filled, cases.QUEUE, "town1", "u0", *after, 200)
        assert indexes(plan) == {"cases_queue", "upward_call_open", "cases_pkey"}
        assert rows_read(plan, "cases") <= 201


async def test_a_departments_queue_and_stream_read_one_page(filled: Connection) -> None:
    for query, department, given, most in (
        (queue.LEASE, "d0", (50, timedelta(seconds=60)), 3 * 50),
        (stream.BEHIND, "d0", (10_000, 50), 50),
        (stream.LAST, "d0", (), 1),
        (stream.UNPLACED, "d4", (), 1),
        (stream.PLACE, "d4", (50,), 5),
    ):
        async with filled.transaction():
            plan = await plan_of(filled, query, "town1", department, *given)
        assert "task" not in scanned(plan), query
        assert rows_read(plan, "task") <= most, query
    plan = await plan_of(filled, tasks.HELD)
    assert indexes(plan) == {"task_held"}


async def test_a_relay_finds_its_lanes_and_rows_by_the_key(
    filled: Connection,
) -> None:
    lanes = await plan_of(filled, outbox.FREE_LANES, 4711)
    assert "outbox_pkey" in indexes(lanes)
    assert scanned(lanes) == set()
    rows = await plan_of(filled, outbox.ROWS, list(range(64)), 8, [])
    assert "outbox_pkey" in indexes(rows)
    assert "outbox" not in scanned(rows)
    assert rows_read(rows, "outbox") <= 64 * 8
    some = await filled.fetch("SELECT lane, id FROM outbox ORDER BY lane, id LIMIT 200")
    async with filled.transaction():
        done = await plan_of(
            filled, outbox.DELETE, [row["lane"] for row in some], [row["id"] for row in some]
        )
    assert scanned(done) & {"outbox"} == set()
