"""Ports on this machine: are they free, does somebody answer, and who holds them."""

import asyncio
import random
import socket
from collections.abc import Mapping
from contextlib import suppress

import psutil

from deploy.local.errors import LocalStackError

ANSWER_TIMEOUT_S = 1.0


def free_or_raise(ports: Mapping[str, int]) -> None:
    """Refuse to start while somebody else listens where one of ours (name to port) must."""
    taken = {name: port for name, port in ports.items() if not _is_free(port)}
    if not taken:
        return
    zh = "；".join(
        f"{name} 要用的端口 {port} 已被 {_holder(port)} 占用" for name, port in taken.items()
    )
    en = "; ".join(
        f"port {port}, wanted by {name}, is held by {_holder(port)}" for name, port in taken.items()
    )
    raise LocalStackError(
        f"{zh}。什么都没有启动；请停掉它，或用 --port-base 换一段端口。",
        f"{en}. Nothing was started; stop the holder or choose other ports with --port-base.",
    )


def unused_ports(count: int) -> range:
    """Neighbouring ports that nobody listens on, below those the kernel hands out to clients."""
    while True:
        first = random.randrange(10_000, 32_000 - count)  # noqa: S311 - not a secret
        if all(_is_free(port) for port in range(first, first + count)):
            return range(first, first + count)


async def answers(port: int) -> bool:
    """Whether somebody accepts connections on this port."""
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return True


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _holder(port: int) -> str:
    with suppress(psutil.Error, OSError):
        for connection in psutil.net_connections("tcp"):
            if connection.status != psutil.CONN_LISTEN or not connection.laddr:
                continue
            if connection.laddr.port == port and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
    return "?"
