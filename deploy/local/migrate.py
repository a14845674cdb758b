"""Migrations: plain SQL by dbmate, the chassis's own first, then the service's."""

import asyncio
import os
import sys
from pathlib import Path

from deploy.local.errors import LocalStackError

ROOT = Path(__file__).resolve().parents[2]
SERVICES = ("intake", "routing", "notify", "ledger", "console")


def migration_dirs(service: str) -> list[Path]:
    """Return the folders of a service's migrations that exist."""
    places = [ROOT / "services" / "chassis" / "sql", ROOT / "services" / service / "sql"]
    return [place for place in places if place.is_dir()]


async def migrate(service: str, dsn: str) -> None:
    """Bring a service's database to its newest schema.

    Raises:
        LocalStackError: a migration failed; its transaction was rolled back.
    """
    dirs = [f"--migrations-dir={place}" for place in migration_dirs(service)]
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("dbmate")),
        *dirs,
        "--no-dump-schema",
        "up",
        env={"DATABASE_URL": _with_sslmode(dsn), "PATH": "/usr/bin:/bin", **_password_file()},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    if process.returncode:
        raise LocalStackError(
            f"{service} 的数据库迁移没有成功，已退回到迁移之前。",
            f"A migration of {service} failed; its transaction was rolled back.",
            output.decode(errors="replace")[-2000:],
        )


def _with_sslmode(dsn: str) -> str:
    """Ask for no TLS, as the driver of the services does not, unless the DSN says otherwise."""
    if "sslmode=" in dsn:
        return dsn
    return f"{dsn}{'&' if '?' in dsn else '?'}sslmode=disable"


def _password_file() -> dict[str, str]:
    return {name: os.environ[name] for name in ("PGPASSFILE",) if name in os.environ}
