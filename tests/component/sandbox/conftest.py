"""One gateway for the session, on a real port; tests that need other settings start their own."""

import asyncio
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest

# Tests are no package, so their common caller is found from the root.
sys.path.insert(0, str(Path(__file__).parents[3]))

import httpx
import uvicorn

from deploy.sandbox.app import build_app
from deploy.sandbox.server import SandboxServer
from deploy.sandbox.settings import SandboxSettings
from tests.component.sandbox.caller import KEY, SECRET, Callback, Caller, Clock

TEMPLATES = [
    {"code": "SMS_1", "name": "受理", "content": "已受理：${matter}", "variables": {"matter": 480}},
    {"code": "SMS_2", "name": "到期", "content": "今天到期，请处理。"},
    {
        "code": "SMS_3",
        "name": "两项",
        "content": "${who}：${what}",
        "variables": {"who": 6, "what": 20},
    },
    {"code": "SMS_4", "name": "他签", "content": "好", "sign_names": ["别处"]},
]

# Nothing here is https, and to load the authorities anew for each client takes 40 ms.
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

Start = Callable[..., AbstractAsyncContextManager[Caller]]


def make_settings(**changes: Any) -> SandboxSettings:
    values: dict[str, Any] = {
        "port": 0,
        "access_keys": {KEY: SECRET},
        "sign_names": ["吹哨", "别处"],
        "templates": TEMPLATES,
        "limits": {"per_day_max": None},
        "receipts": {"delay_s": 0, "retry_first_s": 0.01, "retry_longest_s": 0.02},
    }
    return SandboxSettings(**(values | changes))


@asynccontextmanager
async def serve(server: uvicorn.Server) -> AsyncIterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        # asyncio sees to this only where it has made the listener itself; without, 40 ms a call.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await serving


@asynccontextmanager
async def start_sandbox(**changes: Any) -> AsyncIterator[Caller]:
    settings, clock, closing = make_settings(**changes), Clock(), asyncio.Event()
    app = build_app(settings, closing, clock)
    async with (
        serve(SandboxServer(app, settings, closing)) as url,
        httpx.AsyncClient(base_url=url, trust_env=False, verify=NO_TLS, timeout=10) as http,
    ):
        yield Caller(http, clock, app.state.provider)


@pytest.fixture(scope="session")
def start() -> Start:
    return start_sandbox


@pytest.fixture(scope="session")
async def receiver() -> AsyncIterator[Callback]:
    callback = Callback()
    config = uvicorn.Config(callback, log_level="warning", ws="none", lifespan="off")
    async with serve(SilentServer(config)) as url:
        callback.url = f"{url}/receipts"
        yield callback


class SilentServer(uvicorn.Server):
    """Leaves the signals to pytest."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@pytest.fixture
def callback(receiver: Callback) -> Callback:
    receiver.reset()
    return receiver


@pytest.fixture(scope="session")
async def shared(receiver: Callback) -> AsyncIterator[Caller]:
    receipts = {
        "callback_url": receiver.url,
        "delay_s": 0,
        "retry_first_s": 0.01,
        "retry_longest_s": 0.02,
    }
    async with start_sandbox(receipts=receipts) as caller:
        yield caller


@pytest.fixture
async def sandbox(shared: Caller, callback: Callback) -> Caller:
    del callback  # it must take receipts again before the next test begins
    shared.clock.now = Clock().now
    await shared.http.delete("/sandbox/faults")
    await shared.http.delete("/sandbox/messages")
    shared.http.cookies.clear()
    return shared
