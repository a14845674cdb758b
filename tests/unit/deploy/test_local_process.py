import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from deploy.local.errors import LocalStackError
from deploy.local.process import Command, Restart, Supervisor
from tests.waiting import PATIENCE_S

LONG = "import time; time.sleep(600)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {LONG}"


@pytest.fixture
async def supervisor() -> AsyncIterator[Supervisor]:
    async with Supervisor() as supervisor:
        yield supervisor


def python(tmp_path: Path, name: str, code: str) -> Command:
    """A child that runs the code, then says that it is up, then sleeps."""
    script = f"{code}\nopen({str(tmp_path / name)!r}, 'w').write('up'); {LONG}"
    return Command(name, (sys.executable, "-c", script), {}, tmp_path / f"{name}.log")


def is_up(tmp_path: Path, name: str) -> Callable[[], Awaitable[bool]]:
    async def ready() -> bool:
        return (tmp_path / name).exists()

    return ready


async def at_once() -> bool:
    return True


async def never() -> bool:
    return False


async def until(condition: Callable[[], bool], timeout_s: float = PATIENCE_S) -> None:
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.01)


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def test_a_killed_child_comes_back_and_is_reported(tmp_path: Path) -> None:
    reports: list[Restart] = []
    async with Supervisor(reports.append) as supervisor:
        await supervisor.start(python(tmp_path, "a", ""), is_up(tmp_path, "a"), 10)
        first = supervisor.pids()["a"]
        os.kill(first, signal.SIGKILL)
        await until(lambda: supervisor.pids().get("a", first) != first)
        assert reports == [Restart("a", -signal.SIGKILL, count=1, delay_s=0.2)]
        assert supervisor.restarts() == {"a": 1}


async def test_each_death_in_a_row_doubles_the_delay(tmp_path: Path) -> None:
    reports: list[Restart] = []
    command = Command("a", (sys.executable, "-c", "exit(3)"), {}, tmp_path / "log")
    async with Supervisor(reports.append) as supervisor:
        await supervisor.start(command, at_once, 10)
        await until(lambda: len(reports) == 3)
    assert [(report.exit_code, report.delay_s) for report in reports] == [
        (3, 0.2),
        (3, 0.4),
        (3, 0.8),
    ]


async def test_a_child_stopped_on_purpose_stays_down_until_it_is_started_again(
    tmp_path: Path, supervisor: Supervisor
) -> None:
    command = python(tmp_path, "a", "")
    await supervisor.start(command, is_up(tmp_path, "a"), 10)
    first = supervisor.pids()["a"]

    await supervisor.stop("a")
    assert not alive(first)
    assert supervisor.pids() == {}
    assert supervisor.restarts() == {}

    await supervisor.start(command, at_once, 10)
    assert supervisor.pids()["a"] != first


async def test_a_child_waiting_for_its_next_life_can_be_stopped(tmp_path: Path) -> None:
    reports: list[Restart] = []
    command = Command("a", (sys.executable, "-c", ""), {}, tmp_path / "log")
    async with Supervisor(reports.append) as supervisor:
        await supervisor.start(command, at_once, 10)
        await until(lambda: len(reports) == 1)
        await supervisor.stop("a")
        assert len(reports) == 1


async def test_the_same_name_is_not_started_twice(tmp_path: Path, supervisor: Supervisor) -> None:
    await supervisor.start(python(tmp_path, "a", ""), at_once, 10)
    with pytest.raises(ValueError, match="already kept"):
        await supervisor.start(python(tmp_path, "a", ""), at_once, 10)


async def test_the_last_started_ends_first(tmp_path: Path) -> None:
    ends = tmp_path / "ends"
    on_term = textwrap.dedent(f"""
        import signal, sys
        def end(*_):
            open({str(ends)!r}, "a").write(NAME)
            sys.exit()
        signal.signal(signal.SIGTERM, end)
    """)
    async with Supervisor() as supervisor:
        for name in "abc":
            command = python(tmp_path, name, f"NAME = {name!r}\n{on_term}")
            await supervisor.start(command, is_up(tmp_path, name), 10)
    assert ends.read_text() == "cba"


async def test_nothing_survives_the_end_even_what_ignores_it(tmp_path: Path) -> None:
    code = textwrap.dedent(f"""
        import signal, subprocess, sys
        helper = [sys.executable, "-c", {STUBBORN!r}]
        subprocess.Popen(helper)
        subprocess.Popen(helper, start_new_session=True)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    """)
    supervisor = Supervisor()
    await supervisor.start(python(tmp_path, "a", code), is_up(tmp_path, "a"), 10)
    pid = supervisor.pids()["a"]
    family = [pid, *(child.pid for child in psutil.Process(pid).children())]
    assert len(family) == 3

    await supervisor.stop_all(grace_s=0.1)

    assert [member for member in family if alive(member)] == []


async def test_what_a_crashed_child_left_behind_is_ended_before_its_next_life(
    tmp_path: Path, supervisor: Supervisor
) -> None:
    code = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {STUBBORN!r}])"
    await supervisor.start(python(tmp_path, "a", code), is_up(tmp_path, "a"), 10)
    first = psutil.Process(supervisor.pids()["a"])
    (helper,) = first.children()
    first.kill()
    await until(lambda: not alive(helper.pid))


async def test_nothing_survives_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    script = textwrap.dedent(f"""
        import asyncio, sys
        from pathlib import Path
        from deploy.local.process import Command, Supervisor

        async def always():
            return True

        async def main():
            supervisor = Supervisor()
            command = Command("a", (sys.executable, "-c", {LONG!r}), {{}}, Path("log").absolute())
            await supervisor.start(command, always, 10)
            print(supervisor.pids()["a"], flush=True)
            await asyncio.sleep(600)

        asyncio.run(main())
    """)
    with running_script(script, tmp_path) as starter:
        assert starter.stdout is not None
        child = int(await asyncio.to_thread(starter.stdout.readline))
        assert alive(child)
        starter.kill()
        await until(lambda: not alive(child))


@contextmanager
def running_script(script: str, cwd: Path) -> Iterator["subprocess.Popen[str]"]:
    root = str(Path(__file__).parents[3])
    with subprocess.Popen(  # noqa: S603 - the script is ours
        [sys.executable, "-c", script],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": root},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


async def test_a_child_that_keeps_dying_is_given_up_with_the_end_of_its_log(
    tmp_path: Path, supervisor: Supervisor
) -> None:
    code = "for n in range(30): print('line', n)\nexit(1)"
    command = Command("broken", (sys.executable, "-c", code), {}, tmp_path / "log")
    with pytest.raises(LocalStackError) as raised:
        await supervisor.start(command, never, 60)
    text = str(raised.value)
    assert "broken ended 4 times while starting" in text
    assert "启动时退出了 4 次" in text
    assert text.splitlines()[-20:] == [f"line {n}" for n in range(10, 30)]
    assert supervisor.pids() == {}


async def test_a_child_that_never_answers_is_given_up_in_time_and_ended(
    tmp_path: Path, supervisor: Supervisor
) -> None:
    pids: list[int] = []

    async def not_yet() -> bool:
        pids.extend(supervisor.pids().values())
        return False

    with pytest.raises(LocalStackError, match=r"mute was not ready within 0\.5 s"):
        await supervisor.start(python(tmp_path, "mute", ""), not_yet, 0.5)
    assert pids
    assert not alive(pids[0])


async def test_a_program_that_is_not_there_is_named(tmp_path: Path, supervisor: Supervisor) -> None:
    command = Command("gone", (str(tmp_path / "no-such-program"),), {}, tmp_path / "log")
    with pytest.raises(LocalStackError, match=r"cannot run .*no-such-program"):
        await supervisor.start(command, never, 60)
