"""The gate carries both ways, closes where nobody answers, and ends when told to."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from deploy.local.ports import answers, unused_ports
from tests.unit.deploy.test_healthy import asked
from tests.waiting import PATIENCE_S, until

PROGRAM = Path(__file__).resolve().parents[3] / "deploy" / "docker" / "gate.py"


@asynccontextmanager
async def gate(port: int, inner: int) -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(PROGRAM), f"{port}=localhost:{inner}")
    )
    try:
        await until(lambda: answers(port), "the gate listens")
        yield
    finally:
        process.terminate()
        code = await asyncio.wait_for(process.wait(), PATIENCE_S)
    assert code == 0


async def said_at(port: int, words: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(words)
    writer.write_eof()
    said = await asyncio.wait_for(reader.read(), PATIENCE_S)
    writer.close()
    return said


async def test_what_is_asked_and_answered_passes_whole_though_the_asker_ends_first() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.read()).upper())
        writer.close()

    port, inner = unused_ports(2)
    async with await asyncio.start_server(echo, "127.0.0.1", inner), gate(port, inner):
        words = b"whistle" * 100_000
        assert await said_at(port, words) == words.upper()


async def test_where_nobody_answers_the_connection_is_closed() -> None:
    port, inner = unused_ports(2)
    async with gate(port, inner):
        assert await said_at(port, b"?") == b""


async def test_its_health_is_that_of_the_door_behind_it() -> None:
    async def ready(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nready")
        writer.close()

    port, inner = unused_ports(2)
    async with gate(port, inner):
        code, _ = await asked(port)
        assert code == 1
        async with await asyncio.start_server(ready, "127.0.0.1", inner):
            assert await asked(port) == (0, "ready\n")
