"""One database per service, each with a role of its own that owns it, and no other's may enter.

A service whose rows PostgreSQL itself is to guard runs as a second role, which owns nothing: to the
owner its policies do not apply.
"""

import re
import secrets
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias
from urllib.parse import urlsplit

import asyncpg

from deploy.local.errors import LocalStackError
from deploy.local.secrets import write_once, write_private

SUPERUSER = "postgres"
SERVICE_ROLES = {"ledger": "ledger_service"}  # the others run as the owner
Conn: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_ROLE = "SELECT FROM pg_roles WHERE rolname = $1"
_DATABASE = "SELECT FROM pg_database WHERE datname = $1"
# A role's statement takes no arguments: the server itself quotes the password for it.
_QUOTED = "SELECT quote_literal($1)"


def ensure_passwords(data_dir: Path, roles: Iterable[str]) -> None:
    """Make a password file in libpq's form for each role that has none, beside the other keys.

    `pgpass-all` opens for all of them and the superuser; `postgres-password` is his, bare.
    """
    place = data_dir / "secrets"
    write_once(place / "postgres-password", secrets.token_urlsafe(24))
    lines = [f"*:*:*:{SUPERUSER}:{(place / 'postgres-password').read_text()}\n"]
    for role in roles:
        write_once(place / f"pgpass-{role}", f"*:*:*:{role}:{secrets.token_urlsafe(24)}\n")
        lines.append((place / f"pgpass-{role}").read_text())
    write_private(place / "pgpass-all", "".join(lines).encode())


async def ensure_databases(admin_dsn: str, dsns: Mapping[str, str], pgpass: Path) -> None:
    """Make each service's role and database where they are missing; set each role's password.

    Raises:
        LocalStackError: a DSN does not name its role and database, or has no password.
    """
    conn = await asyncpg.connect(admin_dsn)
    try:
        for service, dsn in dsns.items():
            role, database = _parts(service, dsn)
            await ensure_login(conn, role, _password(pgpass, role))
            await _ensure(conn, role, database)
            if service in SERVICE_ROLES:
                guest = SERVICE_ROLES[service]
                await ensure_login(conn, guest, _password(pgpass, guest))
                await conn.execute(f"GRANT CONNECT ON DATABASE {database} TO {guest}")
    finally:
        await conn.close()


async def ensure_login(conn: Conn, role: str, password: str) -> None:
    """Make a role where it is missing, and let it enter by this password."""
    quoted = await conn.fetchval(_QUOTED, password)
    known = await conn.fetch(_ROLE, role)
    await conn.execute(f"{'ALTER' if known else 'CREATE'} ROLE {role} LOGIN PASSWORD {quoted}")


async def _ensure(conn: Conn, role: str, database: str) -> None:
    if not await conn.fetch(_DATABASE, database):
        with suppress(asyncpg.DuplicateDatabaseError):
            await conn.execute(f"CREATE DATABASE {database} OWNER {role}")
    await conn.execute(f"REVOKE CONNECT ON DATABASE {database} FROM PUBLIC")


def _parts(service: str, dsn: str) -> tuple[str, str]:
    parts = urlsplit(dsn)
    role, database = parts.username or "", parts.path.lstrip("/")
    if not (_NAME.fullmatch(role) and _NAME.fullmatch(database)):
        raise LocalStackError(
            f"postgres.{service}：{dsn} 应写明用户和数据库，如 postgresql://{service}@host/{service}"
            "，名称用小写字母、数字和 _。",
            f"postgres.{service}: {dsn} should name a role and a database, as in "
            f"postgresql://{service}@host/{service}, of small letters, digits and _.",
        )
    return role, database


def _password(pgpass: Path, role: str) -> str:
    try:
        lines = [line.split(":", 4) for line in pgpass.read_text().splitlines()]
    except OSError as error:
        raise LocalStackError(
            f"PGPASSFILE：{pgpass} 读不了（{error.strerror}）。",
            f"PGPASSFILE: {pgpass} cannot be read ({error.strerror}).",
        ) from error
    for line in lines:
        if line[3:4] == [role]:
            return line[4]
    raise LocalStackError(
        f"PGPASSFILE：{pgpass} 里没有用户 {role} 的密码。",
        f"PGPASSFILE: {pgpass} has no password for the role {role}.",
    )
