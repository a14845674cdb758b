"""The second wall: what PostgreSQL itself refuses to the role that ledger runs as."""

from collections.abc import AsyncIterator, Mapping

import asyncpg
import pytest

from services.chassis.postgres import Connection, Pool, open_pool
from services.ledger.settings import LedgerSettings
from services.ledger.store import wall
from tests import factories
from tests.component.ledger.office import Office
from tests.servers import as_service

ROLE = "ledger_service"
# Tables that tell a tenant and have no policy, and why.
OPEN = {"inbox": "ids alone, asked for those of several tenants in one statement"}
# Tables that tell no tenant in a column, and so cannot have one.
OF_NO_TENANT = {
    "audit_unsealed": "numbers of acts",
    "outbox": "what waits to be published, of all tenants, by lanes",
    "outbox_parked": "what could not be published",
    "processed_offset": "how far topics are read",
    "quarantine": "records as they came, maybe unreadable, by their place",
    "quarantine_act": "what operators did with those",
    "quarantine_release": "which of those operators let go",
    "schema_migrations": "the schema's own",
}
OF_EVERY_TENANT = {"audit", "audit_seal", "change_due"}

SET = """
INSERT INTO change_set (tenant_id, change_set_id, recorded_by, valid_from, entries)
VALUES ($1, 's', 'x', now(), 1)
"""
RECORD = """
INSERT INTO registry_record (tenant_id, kind, record_id, version, body, change_set_id, valid_from)
VALUES ($1, 'person', 'p1', 1, '{}', 's', now())
"""
FACT = """
INSERT INTO case_ledger (
    tenant_id, event_id, topic, partition, record_offset, at, type, subject, seq, occurred_at,
    headers
)
VALUES ($1, gen_random_uuid(), 't', 0, 0, now(), 't', 's', 1, '', '{}')
"""
CASE = """
INSERT INTO case_now (
    tenant_id, case_id, number, category, class, state, owner_unit, owner_role, closed, late
)
VALUES ($1, gen_random_uuid(), '1', 'c', 'c', 's', 'u', 'r', FALSE, FALSE)
"""
SLOT = """
INSERT INTO slot (
    tenant_id, whistle_id, department, case_id, called_at, counts_from, arrival_missed
)
VALUES ($1, gen_random_uuid(), 'd', gen_random_uuid(), now(), now(), FALSE)
"""
DUE = """
INSERT INTO change_due (tenant_id, valid_from, change_set_id, n, kind, record_id)
VALUES ($1, now() + interval '1 day', 's', 1, 'person', 'p1')
"""
ERASURE = """
INSERT INTO erasure (tenant_id, change_set_id, kind, record_id, erased_by, reason)
VALUES ($1, 's', 'person', 'p1', 'x', 'y')
"""
SPENT = "INSERT INTO unmask_spent (tenant_id, staff, day, fields) VALUES ($1, 'x', now(), 1)"
INDEXED = """
INSERT INTO registry_index (tenant_id, token, kind, record_id)
VALUES ($1, decode(repeat('00', 16), 'hex'), 'person', 'p1')
"""
SENSITIVE = """
INSERT INTO sensitive_entry (tenant_id, place, person, sealed, version, recorded_by)
VALUES ($1, 'sensitive|x', 'y', '{}', 1, 'x')
"""
ACT = """
INSERT INTO audit (tenant_id, actor, verb, object, fields, decision)
VALUES ($1, 'x', 'v', 'o', '{}', 'allowed')
"""
SEAL = """
INSERT INTO audit_seal (tenant_id, n, seq, hash)
VALUES ($1, 1, (SELECT max(seq) FROM audit), '')
"""
COPIED = """
INSERT INTO registry_copy (tenant_id, kind, record_id, body, valid_from)
VALUES ($1, 'unit', 'u1', '{}', now())
"""
STAGED = """
INSERT INTO registry_staged (tenant_id, kind, record_id, change_set, last, valid_from)
VALUES ($1, 'unit', 'u1', 's', TRUE, now())
"""
VERSION = "INSERT INTO registry_version (tenant_id, version) VALUES ($1, 1)"
ROWS: Mapping[str, str] = {
    "change_set": SET,
    "registry_record": RECORD,
    "case_ledger": FACT,
    "case_now": CASE,
    "slot": SLOT,
    "change_due": DUE,
    "erasure": ERASURE,
    "unmask_spent": SPENT,
    "registry_index": INDEXED,
    "sensitive_entry": SENSITIVE,
    "audit": ACT,
    "audit_seal": SEAL,
    "registry_copy": COPIED,
    "registry_staged": STAGED,
    "registry_version": VERSION,
}
NOT_THE_SERVICES = {"registry_copy", "registry_staged", "registry_version"}  # readers' copies
SERVED = sorted(ROWS.keys() - NOT_THE_SERVICES)
GROWING = ["audit", "audit_seal", "case_ledger", "change_set", "erasure"]


@pytest.fixture
async def filled(office: Office, neighbour: Office) -> Office:
    """Ledger, with a row in each table for a town and for its neighbour."""
    for town in (office, neighbour):
        for statement in ROWS.values():
            await town.pool.execute(statement, town.tenant)
    return office


@pytest.fixture
async def narrow(office: Office, ledger_dsn: str) -> AsyncIterator[Pool]:
    """The service's pool, of one connection: whoever comes next is given the same."""
    dsn = as_service(ledger_dsn, "ledger")
    settings = factories.settings(LedgerSettings, office.secrets, dsn=dsn, postgres_pool_max=1)
    async with open_pool(settings, "ledger") as pool:
        yield pool


async def towns(conn: Connection | Pool, table: str) -> set[str]:
    """Return whose rows are seen."""
    query = f"SELECT DISTINCT tenant_id FROM {table}"  # noqa: S608 - a table of ours
    return {row["tenant_id"] for row in await conn.fetch(query)}


TELLS = """
SELECT relname, relrowsecurity, attname IS NOT NULL AS tells, relforcerowsecurity
FROM pg_class
LEFT JOIN pg_attribute ON attrelid = pg_class.oid AND attname = 'tenant_id' AND NOT attisdropped
WHERE relkind IN ('r', 'p', 'm', 'v') AND relnamespace = 'public'::regnamespace
"""


async def test_each_table_that_tells_a_tenant_has_a_policy_or_a_reason(office: Office) -> None:
    found = await office.pool.fetch(TELLS)
    told = {row["relname"]: row["relrowsecurity"] for row in found if row["tells"]}
    assert {name for name, secured in told.items() if not secured} == OPEN.keys()
    assert {name for name, secured in told.items() if secured} == ROWS.keys()
    assert {row["relname"] for row in found if not row["tells"]} == OF_NO_TENANT.keys()


POLICIES = "SELECT tablename, policyname, cmd, permissive, roles, qual, with_check FROM pg_policies"
TENANT = "(tenant_id = current_setting('chuishao.tenant'::text, true))"
EVERY = "(current_setting('chuishao.every_tenant'::text, true) = 'on'::text)"


async def test_a_policy_is_one_of_two(office: Office) -> None:
    found = {
        (row["tablename"], row["policyname"]): row for row in await office.pool.fetch(POLICIES)
    }
    tenant = {(table, "tenant") for table in ROWS}
    every = {(table, "every_tenant") for table in OF_EVERY_TENANT}
    assert found.keys() == tenant | every
    assert {found[one]["roles"][0] for one in found} == {"public"}
    said = {(found[one]["cmd"], found[one]["qual"], found[one]["with_check"]) for one in tenant}
    assert said == {("ALL", TENANT, TENANT)}
    said = {(found[one]["cmd"], found[one]["qual"], found[one]["with_check"]) for one in every}
    assert said == {("SELECT", EVERY, None)}


ATTRIBUTES = """
SELECT rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication
FROM pg_roles
WHERE rolname = $1
"""
OWNED = "SELECT objid FROM pg_shdepend WHERE refobjid = $1::regrole AND deptype = 'o'"
MEMBER = "SELECT roleid FROM pg_auth_members WHERE member = $1::regrole"


async def test_the_role_has_no_privilege_of_its_own_and_owns_nothing(office: Office) -> None:
    (attributes,) = await office.pool.fetch(ATTRIBUTES, ROLE)
    assert set(attributes) == {False}
    assert await office.pool.fetch(OWNED, ROLE) == []
    assert await office.pool.fetch(MEMBER, ROLE) == []
    assert await office.served.fetchval("SELECT current_user") == ROLE


BY_EXPRESSION = """
SELECT indexrelid::regclass::text AS name
FROM pg_index
JOIN pg_class ON pg_class.oid = indrelid
WHERE indexprs IS NOT NULL AND relrowsecurity
"""


async def test_no_index_is_by_an_expression(office: Office) -> None:
    """Behind a policy none is read whose operators might tell of a row: those of `jsonb` do."""
    assert await office.pool.fetch(BY_EXPRESSION) == []


async def test_ledger_is_not_ready_under_a_role_that_passes_the_wall(office: Office) -> None:
    assert await wall.check(office.served) is None
    assert "enter as ledger_service" in (await wall.check(office.pool) or "")


@pytest.mark.parametrize("table", SERVED)
async def test_who_names_no_tenant_sees_nothing(filled: Office, table: str) -> None:
    assert len(await towns(filled.pool, table)) > 1
    assert await towns(filled.served, table) == set()


@pytest.mark.parametrize("table", SERVED)
async def test_who_names_a_tenant_sees_his_rows_alone(filled: Office, table: str) -> None:
    async with wall.within(filled.served, filled.tenant) as conn:
        assert await towns(conn, table) == {filled.tenant}


@pytest.mark.parametrize("table", SERVED)
async def test_a_row_of_another_tenant_is_refused(
    filled: Office, neighbour: Office, table: str
) -> None:
    await filled.pool.execute("DELETE FROM unmask_spent WHERE tenant_id = $1", neighbour.tenant)
    async with wall.within(filled.served, filled.tenant) as conn:
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
            await conn.execute(ROWS[table], neighbour.tenant)


async def test_rows_of_another_tenant_are_neither_changed_nor_removed(
    filled: Office, neighbour: Office
) -> None:
    async with wall.within(filled.served, filled.tenant) as conn:
        for statement in (
            "UPDATE registry_record SET body = NULL WHERE tenant_id = $1",
            "UPDATE case_now SET closed = TRUE WHERE tenant_id = $1",
            "UPDATE slot SET outcome = 'missed' WHERE tenant_id = $1",
            "UPDATE unmask_spent SET fields = 9 WHERE tenant_id = $1",
        ):
            assert await conn.execute(statement, neighbour.tenant) == "UPDATE 0"
            assert await conn.execute(statement, filled.tenant) == "UPDATE 1"
        for statement in (
            "DELETE FROM registry_index WHERE tenant_id = $1",
            "DELETE FROM change_due WHERE tenant_id = $1",
        ):
            assert await conn.execute(statement, neighbour.tenant) == "DELETE 0"
            assert await conn.execute(statement, filled.tenant) == "DELETE 1"
        moved = "UPDATE case_now SET tenant_id = $1 WHERE tenant_id = $2"
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
            await conn.execute(moved, neighbour.tenant, filled.tenant)


@pytest.mark.parametrize("table", GROWING)
async def test_what_only_grows_is_not_the_services_to_change(filled: Office, table: str) -> None:
    async with wall.within(filled.served, filled.tenant) as conn:
        for act in (f"UPDATE {table} SET tenant_id = ''", f"DELETE FROM {table}"):  # noqa: S608 - of ours
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied"):
                await conn.execute(act)


@pytest.mark.parametrize(
    "act",
    [
        "DELETE FROM registry_record",
        "UPDATE registry_record SET valid_from = now()",
        "TRUNCATE registry_record",
        "ALTER TABLE registry_record DISABLE ROW LEVEL SECURITY",
        "DROP POLICY tenant ON registry_record",
        "ALTER TABLE audit DISABLE TRIGGER ALL",
        "CREATE TABLE own (n integer)",
        "CREATE FUNCTION look() RETURNS integer LANGUAGE sql RETURN 1",
        "SELECT * FROM registry_copy",
    ],
)
async def test_the_service_cannot_open_the_wall(office: Office, act: str) -> None:
    async with wall.within(office.served, office.tenant) as conn:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await conn.execute(act)


async def test_who_reads_across_sees_acts_seals_and_what_is_due_alone(
    filled: Office, neighbour: Office
) -> None:
    both = {filled.tenant, neighbour.tenant}
    async with wall.across(filled.served) as conn:
        seen = {table for table in SERVED if await towns(conn, table) >= both}
        assert seen == OF_EVERY_TENANT
        assert {table for table in SERVED if await towns(conn, table)} == OF_EVERY_TENANT
        for table in OF_EVERY_TENANT:
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
                await conn.execute(ROWS[table], filled.tenant)


async def test_a_connection_that_was_given_back_carries_no_tenant(
    filled: Office, narrow: Pool
) -> None:
    async with wall.within(narrow, filled.tenant) as conn:
        assert await towns(conn, "registry_record") == {filled.tenant}
    assert await towns(narrow, "registry_record") == set()
    with pytest.raises(ZeroDivisionError):
        async with wall.within(narrow, filled.tenant) as conn, conn.transaction():
            raise ZeroDivisionError
    assert await towns(narrow, "registry_record") == set()
    async with wall.across(narrow) as conn:
        assert await towns(conn, "audit")
    assert await towns(narrow, "audit") == set()


async def test_who_turns_to_a_tenant_has_turned_away_with_the_transaction(
    filled: Office, neighbour: Office, narrow: Pool
) -> None:
    async with narrow.acquire() as conn:
        async with conn.transaction():
            await wall.turn_to(conn, filled.tenant)
            assert await towns(conn, "registry_record") == {filled.tenant}
            await wall.turn_to(conn, neighbour.tenant)
            assert await towns(conn, "registry_record") == {neighbour.tenant}
        assert await towns(conn, "registry_record") == set()
