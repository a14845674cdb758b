"""The command itself, as somebody starts, stops and kills it."""

import asyncio
import json
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from deploy.sandbox.__main__ import main
from tests.component.sandbox.caller import KEY, SECRET, How, encode, notice, signed_headers
from tests.component.sandbox.conftest import TEMPLATES
from tests.waiting import PATIENCE_S

ROOT = Path(__file__).parents[3]


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        free: int = listener.getsockname()[1]
    return free


@pytest.fixture
def config(tmp_path: Path, port: int) -> Path:
    path = tmp_path / "sandbox.json"
    settings = {
        "port": port,
        "access_keys": {KEY: SECRET},
        "sign_names": ["吹哨"],
        "templates": [TEMPLATES[0]],
        "truth_file": "truth.ndjson",
    }
    path.write_text(json.dumps(settings), "utf-8")
    return path


@asynccontextmanager
async def running(
    config: Path, http: httpx.AsyncClient
) -> AsyncIterator[asyncio.subprocess.Process]:
    command = ("-m", "deploy.sandbox", "--config", str(config))
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, cwd=ROOT, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(PATIENCE_S):
            # Another process sets no event of ours, so its door must be tried.
            while not await is_ready(http):
                await asyncio.sleep(0.02)
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def is_ready(http: httpx.AsyncClient) -> bool:
    try:
        return (await http.get("/ready")).is_success
    except httpx.TransportError:
        return False


async def send(http: httpx.AsyncClient) -> httpx.Response:
    fields = notice().items()
    headers = signed_headers(fields, http.base_url.netloc.decode(), datetime.now(UTC), How())
    return await http.post(f"/?{encode(fields)}", headers=headers)


async def reached(http: httpx.AsyncClient) -> int:
    total: int = (await http.get("/sandbox/messages")).json()["total"]
    return total


async def test_a_killed_gateway_loses_no_evidence_and_a_stopped_one_ends_well(
    config: Path, port: int
) -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:
        async with running(config, http) as process:
            assert (await send(http)).json()["Code"] == "OK"
            process.kill()
        async with running(config, http) as process:
            assert await reached(http) == 1
            fault = {"faults": [{"kind": "reset", "when": "after", "next": 1}]}
            await http.post("/sandbox/faults", json=fault)
            with pytest.raises(httpx.ReadError):
                await send(http)
            assert await reached(http) == 2
            page = (await http.get("/phones")).text
            since = page.partition('data-since="')[2].partition('"')[0]
            path = f"/phones/events?since={since}"
            async with http.stream("GET", path) as stream:
                assert await anext(stream.aiter_lines()) == "event: news"
                process.send_signal(signal.SIGTERM)
                assert await asyncio.wait_for(process.wait(), PATIENCE_S) == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"acces_keys": {}}', "acces_keys"),
        ('{"access_keys": ', "Expecting value"),
        ('{"access_keys": {"a": "b"}, "sign_names": ["吹哨"], "names_file": "no"}', "No such file"),
    ],
    ids=["unknown-key", "no-json", "no-file"],
)
def test_a_wrong_configuration_is_told_in_words_and_ends_with_2(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    text: str,
    words: str,
) -> None:
    path = tmp_path / "sandbox.json"
    path.write_text(text, "utf-8")
    monkeypatch.setattr(sys, "argv", ["sandbox", "--config", str(path)])
    assert main() == 2
    assert words in capsys.readouterr().err
