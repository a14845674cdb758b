"""One door for all replicas of a service: `gate.py 8102=routing:8102 …`.

Compose gives a replica another port on the host whenever it starts again, and one name for all
of them inside. So this alone is published: each connection goes to one of those that the name
stands for now, and to the next where one does not answer. It looks into nothing that it carries.
"""

import asyncio
import contextlib
import random
import signal
import socket
import sys
from functools import partial
from typing import TypeAlias

CONNECT_S, CHUNK_BYTES = 2.0, 64 * 1024

Reader: TypeAlias = asyncio.StreamReader
Writer: TypeAlias = asyncio.StreamWriter


async def main(doors: list[str]) -> None:
    stopped, loop = asyncio.Event(), asyncio.get_running_loop()
    for one in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(one, stopped.set)
    async with contextlib.AsyncExitStack() as open_doors:
        for door in doors:
            port, _, where = door.partition("=")
            host, _, inner = where.partition(":")
            carry = partial(_carry, host=host, port=int(inner))
            server = await asyncio.start_server(carry, port=int(port))
            open_doors.callback(server.close)
        await stopped.wait()


async def _carry(reader: Reader, writer: Writer, *, host: str, port: int) -> None:
    """Carry a connection; where nobody answers it is closed, and the caller comes again."""
    with contextlib.closing(writer), contextlib.suppress(OSError):
        inner_reader, inner_writer = await _connect(host, port)
        with contextlib.closing(inner_writer):
            asking = asyncio.create_task(_copy(reader, inner_writer))
            try:
                await _copy(inner_reader, writer)
            finally:
                asking.cancel()


async def _connect(host: str, port: int) -> tuple[Reader, Writer]:
    """Connect to one of those that a name stands for.

    Raises:
        OSError: none of them answers.
    """
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    random.shuffle(found)
    for *_, address in found:
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(CONNECT_S):
                return await asyncio.open_connection(str(address[0]), port)
    raise OSError(f"{host}:{port}: nobody answers")


async def _copy(reader: Reader, writer: Writer) -> None:
    with contextlib.suppress(OSError):
        while part := await reader.read(CHUNK_BYTES):
            writer.write(part)
            await writer.drain()
        writer.write_eof()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
