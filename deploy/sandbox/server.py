"""uvicorn with two additions: a connection can be reset, and open streams end at a stop."""

import asyncio
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI, Request
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from deploy.sandbox.settings import SandboxSettings
from services.telemetry.http import watched

TRANSPORT = "sandbox.transport"
LINGER_NOT = struct.pack("ii", 1, 0)  # on, for zero seconds: close by RST instead of FIN


class ResettableProtocol(HttpToolsProtocol):
    """Hands the connection to the request, so that a fault can cut it."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["state"][TRANSPORT] = self.transport


def reset_connection(request: Request) -> None:
    """The caller sees `connection reset by peer` in place of an answer."""
    transport: asyncio.Transport = request.scope["state"][TRANSPORT]
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
    transport.abort()


class SandboxServer(uvicorn.Server):
    """Stops when told to; says so to the streams first, which would otherwise never end."""

    def __init__(self, app: FastAPI, settings: SandboxSettings, closing: asyncio.Event) -> None:
        config = uvicorn.Config(
            watched(app),
            host=settings.host,
            port=settings.port,
            http=ResettableProtocol,
            ws="none",
            access_log=False,  # its lines would show phone numbers
            log_level="warning",
            server_header=False,
            timeout_graceful_shutdown=max(1, round(settings.stop_grace_s)),
        )
        super().__init__(config)
        self._closing = closing

    def stop(self) -> None:
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._closing.set()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to whoever runs us: uvicorn would end by the signal instead of status 0."""
        yield
