"""What a container's health is by: its own readiness, and the words of it."""

import asyncio
import sys
from pathlib import Path

import pytest

from deploy.local.ports import unused_ports

PROGRAM = Path(__file__).resolve().parents[3] / "deploy" / "docker" / "healthy.py"


async def asked(port: int) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", str(PROGRAM), str(port)), stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    return process.returncode, said.decode()


@pytest.mark.parametrize(
    ("status", "code"), [("200 OK", 0), ("503 Service Unavailable", 1), ("404 x 200 ", 1)]
)
async def test_ready_alone_is_healthy_and_what_is_waited_for_is_shown(
    status: str, code: int
) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f'HTTP/1.1 {status}\r\n\r\n{{"waiting": {{}}}}'.encode())
        writer.close()

    (port,) = unused_ports(1)
    async with await asyncio.start_server(answer, "127.0.0.1", port):
        assert await asked(port) == (code, '{"waiting": {}}\n')


async def test_a_closed_door_is_not_healthy() -> None:
    code, said = await asked(unused_ports(1)[0])
    assert code == 1
    assert "refused" in said
