"""Starts programs, keeps them running, and leaves none behind."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import psutil

from deploy.local.errors import LocalStackError

FIRST_DELAY_S = 0.2
LONGEST_DELAY_S = 5.0
STEADY_LIFE_S = 30.0
DEATHS_WHILE_STARTING = 4
POLL_S = 0.05
GRACE_S = 10.0
LOG_BYTES_MAX = 20_000_000
TAIL_LINES = 20
TAIL_BYTES = 16_384
LAUNCHER = str(Path(__file__).with_name("launch.py"))


@dataclass(frozen=True, slots=True)
class Command:
    """A program to run; `env` is added to our own environment."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    log_path: Path
    cwd: Path | None = None
    user: str | None = None
    stop_signal: signal.Signals = signal.SIGTERM


@dataclass(frozen=True, slots=True)
class Restart:
    """A child ended on its own and comes back after `delay_s`; `count` is of this child."""

    name: str
    exit_code: int
    count: int
    delay_s: float


class _Child:
    def __init__(self, command: Command) -> None:
        self.command = command
        self.process: asyncio.subprocess.Process | None = None
        self.keeper: asyncio.Task[None] | None = None
        self.restarts = 0
        self.stopping = False

    def pid(self) -> int | None:
        if self.process is None or self.process.returncode is not None:
            return None
        return self.process.pid


class Supervisor:
    """Restarts what ends unexpectedly; after `stop_all` nothing that it started is alive."""

    def __init__(self, on_restart: Callable[[Restart], None] = lambda _: None) -> None:
        self._on_restart = on_restart
        self._children: dict[str, _Child] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        await self.stop_all()

    async def start(
        self, command: Command, ready: Callable[[], Awaitable[bool]], timeout_s: float
    ) -> None:
        """Return once the child lives and answers; a child that does not is stopped again."""
        if command.name in self._children:
            raise ValueError(f"{command.name} is already kept")
        child = self._children[command.name] = _Child(command)
        child.keeper = asyncio.create_task(self._keep(child), name=f"keep {command.name}")
        try:
            async with asyncio.timeout(timeout_s):
                is_up = await _wait_ready(child, ready)
        except TimeoutError:
            is_up = False
        if not is_up:
            deaths = child.restarts
            await self.stop(command.name, grace_s=0.0)
            raise _not_ready(command, deaths, timeout_s)

    async def stop(self, name: str, grace_s: float = GRACE_S) -> None:
        """End one child and all that it started, and do not bring it back."""
        child = self._children.pop(name, None)
        if child is None or child.keeper is None:
            return
        child.stopping = True
        pid = child.pid()
        if child.process is not None and pid is not None:
            await _end(child.process, child.command.stop_signal, grace_s)
        child.keeper.cancel()
        await asyncio.wait([child.keeper])
        if not child.keeper.cancelled() and (error := child.keeper.exception()):
            raise error

    async def stop_all(self, grace_s: float = GRACE_S) -> None:
        """End every child, the one started last first."""
        errors = []
        for name in reversed(list(self._children)):
            try:
                await self.stop(name, grace_s)
            except Exception as error:  # noqa: BLE001 - the others must end too
                errors.append(error)
        if errors:
            raise errors[0]

    def pids(self) -> dict[str, int]:
        living = {name: child.pid() for name, child in self._children.items()}
        return {name: pid for name, pid in living.items() if pid is not None}

    def restarts(self) -> dict[str, int]:
        return {name: child.restarts for name, child in self._children.items()}

    async def _keep(self, child: _Child) -> None:
        delay_s = FIRST_DELAY_S
        while True:
            born = time.monotonic()
            exit_code = await _live(child)
            if child.stopping:
                return
            if time.monotonic() - born >= STEADY_LIFE_S:
                delay_s = FIRST_DELAY_S
            child.restarts += 1
            self._on_restart(Restart(child.command.name, exit_code, child.restarts, delay_s))
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 2, LONGEST_DELAY_S)


async def _live(child: _Child) -> int:
    """One life of the child, from its start to its end; its exit code."""
    try:
        with _open_log(child.command.log_path) as log:
            child.process = await _spawn(child.command, log)
    except OSError as error:
        # No process to be had or no log to be written: try again later, like after a death.
        return error.errno or 1
    exit_code = await child.process.wait()
    if not child.stopping:
        _kill_group(child.process.pid)
    return exit_code


async def _spawn(command: Command, log: BinaryIO) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", LAUNCHER, str(os.getpid()), command.user or ""),
        *command.argv,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=log,
        stderr=asyncio.subprocess.STDOUT,
        cwd=command.cwd,
        env={**os.environ, **command.env},
        start_new_session=True,
    )


async def _wait_ready(child: _Child, ready: Callable[[], Awaitable[bool]]) -> bool:
    while child.restarts < DEATHS_WHILE_STARTING:
        # Alive before and after: another program may answer in place of a child that just died.
        if child.pid() is not None and await ready() and child.pid() is not None:
            return True
        await asyncio.sleep(POLL_S)
    return False


async def _end(
    process: asyncio.subprocess.Process, stop_signal: signal.Signals, grace_s: float
) -> None:
    family = _descendants(process.pid)
    with suppress(ProcessLookupError):
        process.send_signal(stop_signal)
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await process.wait()
    finally:
        # Also when we are cancelled here: the wait is cut short, the promise is not.
        _kill_group(process.pid)
        for member in family:
            with suppress(psutil.NoSuchProcess):
                member.kill()
    await process.wait()
    for _ in range(int(GRACE_S / POLL_S)):
        if not any(_is_alive(member) for member in family):
            return
        await asyncio.sleep(POLL_S)


def _descendants(pid: int) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).children(recursive=True)
    return []


def _is_alive(member: psutil.Process) -> bool:
    # A zombie is dead; it waits for whoever adopted it, which in a container may be for ever.
    with suppress(psutil.NoSuchProcess):
        return member.is_running() and member.status() != psutil.STATUS_ZOMBIE
    return False


def _kill_group(pid: int) -> None:
    """Kill what a child left in its session; the number is not reused while a member lives."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _open_log(path: Path) -> BinaryIO:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > LOG_BYTES_MAX:
        path.replace(path.with_name(path.name + ".1"))
    return path.open("ab")


def log_tail(path: Path) -> str:
    try:
        with path.open("rb") as log:
            log.seek(max(0, path.stat().st_size - TAIL_BYTES))
            text = log.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-TAIL_LINES:])


def _not_ready(command: Command, deaths: int, timeout_s: float) -> LocalStackError:
    if deaths:
        zh, en = f"启动时退出了 {deaths} 次", f"ended {deaths} times while starting"
    else:
        zh, en = f"{timeout_s:g} 秒内没有就绪", f"was not ready within {timeout_s:g} s"
    return LocalStackError(
        f"{command.name} {zh}。数据未动；日志 {command.log_path} 的末尾见下，排除后重新运行。",
        f"{command.name} {en}. Its data is untouched; the end of its log {command.log_path} "
        "is below. Remove the cause and run it again.",
        log_tail(command.log_path),
    )
