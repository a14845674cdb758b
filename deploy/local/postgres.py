"""One real PostgreSQL 18 on this machine: loopback only, under a password of its own."""

import os
import re
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

import asyncpg
import psutil

from deploy.local.databases import ensure_login
from deploy.local.errors import LocalStackError
from deploy.local.postgres_home import Home, erase_home, find_home, make_home
from deploy.local.process import Command
from deploy.local.secrets import write_once

MAJOR = "18"
SUPERUSER = "chuishao"
INITDB_TIMEOUT_S = 120
ANSWER_TIMEOUT_S = 2.0
LAST_USE_S = 3.0
POLL_S = 0.05
DATABASE_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "max_wal_size": "512MB",
    "idle_in_transaction_session_timeout": "15s",
    # Personal data is not to reach the log: no parameters, no row that broke a constraint.
    "log_parameter_max_length": "0",
    "log_error_verbosity": "terse",
    "log_timezone": "UTC",
    "timezone": "UTC",
}
DATABASES = "SELECT datname FROM pg_database"
# With `synchronous_commit` off a kill would lose commits; it costs little once fsync is off.
THROWAWAY = {"fsync": "off", "full_page_writes": "off"}


class PostgresServer:
    """Prepare it, then let a supervisor run its command; without `durable` it is for tests."""

    def __init__(self, data_dir: Path, port: int, *, durable: bool = True) -> None:
        self._data_dir = data_dir.absolute()
        self._port = port
        self._durable = durable

    @property
    def ports(self) -> Mapping[str, int]:
        return {"PostgreSQL": self._port}

    def prepare(self, report: Callable[[str], None]) -> None:
        """Make the cluster once, and clear what a crash may have left; blocks meanwhile."""
        home = make_home(self._data_dir)
        if home.data.exists():
            _check_cluster(home)
            _clear_stale_pid(home.data)
        else:
            report("初始化 PostgreSQL · making the PostgreSQL cluster")
            self._initdb(home)

    def command(self) -> Command:
        home = find_home(self._data_dir)
        settings = {**SETTINGS, **({} if self._durable else THROWAWAY), "port": str(self._port)}
        options = (part for key, value in settings.items() for part in ("-c", f"{key}={value}"))
        return Command(
            name="postgres",
            argv=(str(home.bin_dir / "postgres"), "-D", str(home.data), *options),
            env={"LC_ALL": "C"},
            log_path=self._data_dir / "postgres.log",
            cwd=home.root,
            user=home.user,
            # Its "fast" shutdown; on SIGTERM it would wait for the clients to leave.
            stop_signal=signal.SIGINT,
        )

    async def ready(self) -> bool:
        try:
            connection = await asyncpg.connect(self.dsn("postgres"), timeout=ANSWER_TIMEOUT_S)
            await connection.close(timeout=ANSWER_TIMEOUT_S)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return False
        return True

    def dsn(self, database: str) -> str:
        password = find_home(self._data_dir).password_path.read_text()
        return self._dsn(SUPERUSER, password, database)

    def dsn_as(self, role: str, database: str) -> str:
        """Return how a role enters that `ensure_role` has made."""
        password = find_home(self._data_dir).password_of(role).read_text()
        return self._dsn(role, password, database)

    async def ensure_role(self, role: str) -> None:
        """Make a role that may enter, under a password of its own, and that owns nothing."""
        password = find_home(self._data_dir).password_of(role)
        write_once(password, secrets.token_urlsafe(24))
        connection = await asyncpg.connect(self.dsn("postgres"), timeout=ANSWER_TIMEOUT_S)
        try:
            await ensure_login(connection, role, password.read_text())
        finally:
            await connection.close(timeout=ANSWER_TIMEOUT_S)

    async def ensure_databases(self, names: Iterable[str]) -> None:
        wanted = list(names)
        for name in wanted:
            if not DATABASE_NAME.fullmatch(name):
                raise ValueError(f"not a database name: {name!r}")
        connection = await asyncpg.connect(self.dsn("postgres"), timeout=ANSWER_TIMEOUT_S)
        try:
            existing = {row["datname"] for row in await connection.fetch(DATABASES)}
            for name in wanted:
                if name in existing:
                    continue
                # Somebody else may be making it at this very moment.
                with suppress(asyncpg.DuplicateDatabaseError, asyncpg.UniqueViolationError):
                    await connection.execute(f"CREATE DATABASE {name}")
        finally:
            await connection.close(timeout=ANSWER_TIMEOUT_S)

    def erase(self) -> None:
        """Remove the cluster, wherever it lies; the server must be stopped."""
        erase_home(self._data_dir)

    def _dsn(self, role: str, password: str, database: str) -> str:
        return f"postgresql://{role}:{password}@127.0.0.1:{self._port}/{database}"

    def _initdb(self, home: Home) -> None:
        home.password_path.touch(mode=0o600)
        home.password_path.write_text(secrets.token_urlsafe(24))
        home.give(home.password_path)
        # Under another name until it is done: half a cluster would never start.
        partial = home.root / "data.partial"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(mode=0o700)
        home.give(partial)
        done = _run_initdb(home, partial, sync=self._durable)
        if done.returncode != 0:
            raise LocalStackError(
                f"PostgreSQL 数据目录 {partial} 初始化失败。没有动任何已有数据；原因见下。",
                f"Making the PostgreSQL cluster {partial} failed. No data was touched; the reason:",
                done.stdout,
            )
        partial.rename(home.data)


def _run_initdb(home: Home, target: Path, *, sync: bool) -> subprocess.CompletedProcess[str]:
    # The built-in locale: the embedded build has no ICU, and the order of text must not depend
    # on the machine's C library.
    locale = ("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C")
    login = (f"--username={SUPERUSER}", f"--pwfile={home.password_path}", "--auth=scram-sha-256")
    return subprocess.run(
        [
            *(str(home.bin_dir / "initdb"), "-D", str(target), "--encoding=UTF8", *locale, *login),
            *(() if sync else ("--no-sync",)),
        ],
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=INITDB_TIMEOUT_S,
        cwd=home.root,
        env={**os.environ, "LC_ALL": "C"},
        user=home.user,
        group=home.group,
        extra_groups=[] if home.user else None,
    )


def _check_cluster(home: Home) -> None:
    if not home.owns(home.data):
        raise LocalStackError(
            f"数据目录 {home.data} 属于另一个系统用户。什么都没有动；"
            "请换回上次启动的用户，或用 --data-dir 指定别的目录。",
            f"The data directory {home.data} belongs to another system user. Nothing was touched; "
            "run it as the user of the last time, or choose another one with --data-dir.",
        )
    found = (home.data / "PG_VERSION").read_text().strip()
    if found != MAJOR:
        raise LocalStackError(
            f"数据目录 {home.data} 是 PostgreSQL {found} 建的，这里是 {MAJOR}。什么都没有动；"
            f"请用 pg_dump 从 {found} 迁出，或用 --data-dir 指定别的目录。",
            f"The data directory {home.data} was made by PostgreSQL {found}; this is {MAJOR}. "
            f"Nothing was touched; dump it with {found}, or choose another with --data-dir.",
        )


def _clear_stale_pid(data: Path) -> None:
    """Let a restart pass whose predecessor's process number now belongs to somebody else."""
    deadline = time.monotonic() + LAST_USE_S
    while users := _processes_in(data.resolve()):
        if time.monotonic() > deadline:
            raise LocalStackError(
                f"数据目录 {data} 正由进程 {users} 使用。什么都没有动；请先停掉那一套，"
                "或用 --data-dir 指定别的目录。",
                f"The data directory {data} is in use by process {users}. Nothing was touched; "
                "stop that stack first, or choose another directory with --data-dir.",
            )
        time.sleep(POLL_S)
    (data / "postmaster.pid").unlink(missing_ok=True)


def _processes_in(data: Path) -> list[int]:
    """The server and each of its helpers work in their data directory."""
    found = psutil.process_iter(["pid", "cwd"])
    return [process.info["pid"] for process in found if process.info["cwd"] == str(data)]
