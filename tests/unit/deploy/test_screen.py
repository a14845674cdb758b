"""What a command says when something it needs dies under it."""

import asyncio
import os
import re
import signal

import aiohttp
import asyncpg
import httpx
import pytest
import typer
from aiokafka.errors import KafkaConnectionError

from deploy.cli import screen
from deploy.cli.main import app, main
from deploy.cli.up import SIGNALS, stop_when_told
from deploy.local.errors import LocalStackError


@pytest.mark.parametrize(
    "error",
    [
        ConnectionRefusedError(111, "refused"),
        KafkaConnectionError("gone"),
        asyncpg.CannotConnectNowError("starting"),
        asyncpg.InterfaceError("closed"),
        httpx.ConnectError("gone"),
        aiohttp.ServerDisconnectedError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_server_that_is_gone_is_told_without_a_trace(
    error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    async def work() -> None:
        raise error

    with pytest.raises(typer.Exit) as ended:
        screen.run(work)
    assert ended.value.exit_code == 1
    said = capsys.readouterr().err
    assert "chuishao doctor" in said
    assert type(error).__name__ in said


@pytest.mark.parametrize(
    "error",
    [LocalStackError("没有 [/x] 和 [y]。", "No [/x], no [y]."), TimeoutError("[/x] and [y]")],
)
def test_what_was_typed_is_repeated_as_it_is(
    error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    async def work() -> None:
        raise error

    with pytest.raises(typer.Exit):
        screen.run(work)
    assert str(error) in capsys.readouterr().err


@pytest.mark.parametrize("sent", SIGNALS)
def test_a_stop_while_it_starts_is_told_at_once(
    sent: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    async def work() -> None:
        stop_when_told()
        os.kill(os.getpid(), sent)
        await asyncio.sleep(30)

    with pytest.raises(typer.Exit) as ended:
        screen.run(work)
    assert ended.value.exit_code == 130
    assert "正在停止 · stopping" in capsys.readouterr().err


def test_a_fault_of_ours_keeps_its_trace() -> None:
    async def work() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        screen.run(work)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("demo --foo", "没有这个选项：--foo"),
        ("nope", "没有这个命令：nope"),
        ("clock nope", "没有这个命令：nope"),
        ("token --role", "选项 --role 后面要写值"),
        ("up --fresh=1", "选项 --fresh 后面不写值"),
        ("clock set", "还缺参数：moment"),
        ("up --port-base x", "--port-base 的值不对"),
        ("replay /nope", "file 的值不对"),
        ("demo extra", "多了参数：extra"),
    ],
)
def test_wrong_usage_is_told_in_chinese_and_in_english(
    given: str, said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["chuishao", *given.split()])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert told.startswith(f"{said} · ")
    assert re.search(r"^用法 · usage：chuishao( [a-z ]+)? --help$", told, re.MULTILINE)
    assert "nope --help" not in told
    assert "Traceback" not in told


def test_a_command_without_words_shows_its_usage(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["chuishao", "clock"])
    with pytest.raises(SystemExit):
        main()
    assert "Usage: " in capsys.readouterr().err


@pytest.mark.parametrize("name", typer.main.get_command(app).commands)  # type: ignore[attr-defined]
def test_every_command_explains_itself(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["chuishao", name, "--help"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    said = capsys.readouterr().out
    assert f"Usage: chuishao {name}" in said
    assert re.search("[一-鿿]", said)
