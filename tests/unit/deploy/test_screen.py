"""What a command says when something it needs dies under it."""

import asyncio
import os
import signal

import aiohttp
import asyncpg
import httpx
import pytest
import typer
from aiokafka.errors import KafkaConnectionError

from deploy.cli import screen
from deploy.cli.up import SIGNALS, stop_when_told


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
