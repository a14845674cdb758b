"""What the service's role is granted: all that its statements need, and nothing that none does."""

import re

import asyncpg
import pytest

from services.ledger.store.wall import turn_to
from tests.component.routing.test_routing_sql import statements
from tests.conftest import Database
from tests.factories import TENANT
from tests.servers import as_service

# Modules of the chassis that ledger does not call: it has no copy of the registry.
ELSEWHERE = ("services.chassis.copy.", "services.quarantine.store.OPEN_SETS")
OWN = {
    name: statement
    for package in ("ledger", "chassis", "quarantine")
    for name, statement in statements(package)
    if not name.startswith(ELSEWHERE)
}
WRITES = {
    "INSERT": r"INSERT INTO {}\b",
    "UPDATE": r"UPDATE {}\b|INSERT INTO {}\b[^;]*DO UPDATE|FROM {}\b[^;]*FOR UPDATE",
    "DELETE": r"DELETE FROM {}\b",
    "SELECT": r"\b{}\b",
}
GRANTED = """
SELECT table_name, privilege_type
FROM information_schema.role_table_grants
WHERE grantee = 'ledger_service'
UNION
SELECT table_name, privilege_type
FROM information_schema.role_column_grants
WHERE grantee = 'ledger_service'
"""


@pytest.fixture
async def dsn(database: Database) -> str:
    return await database("ledger")


async def test_the_role_may_do_whatever_a_statement_of_its_service_does(dsn: str) -> None:
    conn, refused = await asyncpg.connect(as_service(dsn, "ledger")), {}
    for name, statement in OWN.items():
        await conn.execute("BEGIN")
        await turn_to(conn, TENANT)
        try:
            await conn.execute(f"EXPLAIN (GENERIC_PLAN) {statement}")
        except asyncpg.InsufficientPrivilegeError as error:
            refused[name] = str(error)
        await conn.execute("ROLLBACK")
    await conn.close()
    assert len(OWN) > 80
    assert refused == {}


async def test_nothing_is_granted_that_no_statement_needs(dsn: str) -> None:
    conn = await asyncpg.connect(dsn)
    granted = {(row["table_name"], row["privilege_type"]) for row in await conn.fetch(GRANTED)}
    await conn.close()
    text = ";\n".join(OWN.values())
    idle = {
        (table, act)
        for table, act in granted
        if not re.search(WRITES[act].replace("{}", table), text)
    }
    assert idle == set()
    assert {act for _, act in granted} == WRITES.keys()
