"""Each service's role and database: made where missing, closed to the others."""

from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from deploy.local.databases import SERVICE_ROLES, ensure_databases, ensure_passwords
from deploy.local.errors import LocalStackError
from deploy.local.migrate import migrate
from services.ledger.domain.audit import Act, Link, beginning, linked
from services.ledger.store import audit
from services.ledger.verifying import verify
from tests.servers import Postgres

ROLES = ("box_console", "box_intake", "box_ledger")
GUEST = SERVICE_ROLES["ledger"]


@pytest.fixture
async def admin(postgres: Postgres) -> AsyncIterator[str]:
    yield postgres.dsn("postgres")
    conn = await asyncpg.connect(postgres.dsn("postgres"))
    for role in ROLES:
        await conn.execute(f"DROP DATABASE IF EXISTS {role} WITH (FORCE)")
        await conn.execute(f"DROP ROLE IF EXISTS {role}")
    await conn.close()


@pytest.fixture
def pgpass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "secrets").mkdir()
    ensure_passwords(tmp_path, (*ROLES, GUEST))
    file = tmp_path / "secrets" / "pgpass-all"
    monkeypatch.setenv("PGPASSFILE", str(file))
    return file


def dsns_of(admin: str) -> dict[str, str]:
    place = admin.rpartition("@")[2].rpartition("/")[0]
    return {role.removeprefix("box_"): f"postgresql://{role}@{place}/{role}" for role in ROLES}


async def test_a_role_migrates_its_own_database_and_enters_no_other(
    admin: str, pgpass: Path
) -> None:
    dsns = dsns_of(admin)
    await ensure_databases(admin, dsns, pgpass)
    await ensure_databases(admin, dsns, pgpass)
    await migrate("console", dsns["console"])
    conn = await asyncpg.connect(dsns["console"])
    assert await conn.fetchval("SELECT count(*) FROM board_case") == 0
    await conn.close()
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await asyncpg.connect(dsns["console"].removesuffix("box_console") + "box_intake")


async def test_ledgers_role_writes_its_audit_log_and_may_not_change_it(
    admin: str, pgpass: Path
) -> None:
    dsns = dsns_of(admin)
    await ensure_databases(admin, dsns, pgpass)
    await migrate("ledger", dsns["ledger"])
    conn = await asyncpg.connect(dsns["ledger"])
    await audit.write(conn, Act("town", "w1", "registry.record", "change_set/s1"))
    (row,) = await audit.unsealed(conn, 10)
    await audit.seal(conn, [Link("town", 1, row.seq, linked(beginning("town"), row), row)])
    for table in ("audit", "audit_seal"):
        await conn.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
        for act in ("DELETE FROM {}", "TRUNCATE {}", "UPDATE {} SET tenant_id = ''"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied"):
                await conn.execute(act.format(table))
    assert (await verify(conn, {})).breaks == []
    await conn.close()


async def test_ledger_enters_as_a_role_that_cannot_become_another(admin: str, pgpass: Path) -> None:
    dsns = dsns_of(admin)
    await ensure_databases(admin, dsns, pgpass)
    await migrate("ledger", dsns["ledger"])
    entered = dsns["ledger"].replace("box_ledger@", f"{GUEST}@")
    conn = await asyncpg.connect(entered)
    (who,) = await conn.fetch("SELECT session_user, current_user")
    assert set(who) == {GUEST}
    for become in ("ROLE box_ledger", "SESSION AUTHORIZATION box_ledger", "row_security = off"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await conn.execute(f"SET {become}; SELECT FROM registry_record")
    await conn.close()
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await asyncpg.connect(entered.removesuffix("box_ledger") + "box_intake")


async def test_without_a_superuser_the_migration_names_the_role_it_needs(
    admin: str, pgpass: Path
) -> None:
    dsns = dsns_of(admin)
    await ensure_databases(admin, dsns, pgpass)
    conn = await asyncpg.connect(admin)
    await conn.execute(f"REVOKE CONNECT ON DATABASE box_ledger FROM {GUEST}")
    await conn.execute(f"ALTER ROLE {GUEST} RENAME TO box_away")
    try:
        with pytest.raises(LocalStackError, match=f"no role {GUEST}"):
            await migrate("ledger", dsns["ledger"])
    finally:
        await conn.execute(f"ALTER ROLE box_away RENAME TO {GUEST}")
        await conn.close()


async def test_a_new_password_holds_once_the_job_has_run_again(admin: str, pgpass: Path) -> None:
    dsns = dsns_of(admin)
    await ensure_databases(admin, dsns, pgpass)
    (pgpass.parent / "pgpass-box_intake").unlink()
    ensure_passwords(pgpass.parent.parent, (*ROLES, GUEST))
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(dsns["intake"])
    await ensure_databases(admin, dsns, pgpass)
    await (await asyncpg.connect(dsns["intake"])).close()


async def test_a_dsn_without_a_role_or_a_password_is_refused_by_name(
    admin: str, pgpass: Path
) -> None:
    with pytest.raises(LocalStackError, match=r"postgres\.intake"):
        await ensure_databases(admin, {"intake": "postgresql://localhost/intake"}, pgpass)
    with pytest.raises(LocalStackError, match="no password for the role other"):
        await ensure_databases(admin, {"intake": "postgresql://other@localhost/x"}, pgpass)
