"""The whole service in a process of its own: facts on a real Kafka in, pages and streams out."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from aiokafka import AIOKafkaProducer

from contracts.events import Event
from contracts.registry import Change
from contracts.topics import LEDGER_REGISTRY, ROUTING_EVENTS, registry_partition
from deploy.local.migrate import migrate
from deploy.local.ports import unused_ports
from deploy.local.secrets import ensure_secrets
from deploy.local.topics import apply_topics
from services.chassis.seal import KeyRing
from tests import factories, servers
from tests.component.console.world import Story, news_of, real_now
from tests.servers import Postgres
from tests.waiting import PATIENCE_S

ROOT = Path(__file__).parents[2]
ENDED = (0, -signal.SIGTERM)  # uvicorn ends by the signal that ended it


@dataclass
class Stage:
    """A broker and a database that belong together, and how to start the service on them."""

    kafka: str
    dsn: str
    env: dict[str, str]
    url: str
    ring: KeyRing
    tenants: Iterator[str]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.subprocess.Process]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "services.console"), env={**os.environ, **self.env}, cwd=ROOT
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.terminate()
                assert await asyncio.wait_for(process.wait(), PATIENCE_S) in ENDED

    @asynccontextmanager
    async def reader(self) -> AsyncIterator[httpx.AsyncClient]:
        async with httpx.AsyncClient(base_url=self.url, trust_env=False, timeout=20) as http:
            yield http

    async def waiting(self) -> str:
        """Return what the service waits for; nothing once it is ready."""
        async with self.reader() as http:
            try:
                return str(answer.text) if (answer := await http.get("/ready")).is_error else ""
            except httpx.TransportError:
                return "to listen"

    async def until_ready(self) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while await self.waiting():
                await asyncio.sleep(0.05)

    async def town(self, **units: str) -> str:
        """Publish the registry of a town of its own; return its id."""
        tenant = next(self.tenants)
        lines = [
            {**line, "body": {**line["body"], "zh": units[line["id"]]}}
            if line["kind"] == "unit" and line["id"] in units
            else line
            for line in factories.town_lines(tenant=tenant)
        ]
        await self._publish(factories.registry_changes(self.ring, lines, tenant=tenant))
        async with self.reader() as http, asyncio.timeout(PATIENCE_S):
            while not await self._shows(http, tenant):
                await asyncio.sleep(0.05)
        return tenant

    async def _shows(self, http: httpx.AsyncClient, tenant: str) -> bool:
        try:
            return (await http.get(f"/board/{tenant}")).is_success
        except httpx.ConnectError:
            return False  # it has just been started

    async def publish(self, *stories: Story, times: int = 1) -> None:
        """Publish what has been told since the last time."""
        await self._publish([one for story in stories for one in story.told[story.heard :]] * times)
        for story in stories:
            story.heard = len(story.told)

    async def _publish(self, given: Sequence[Event | Change]) -> None:
        producer = AIOKafkaProducer(bootstrap_servers=self.kafka, acks="all")
        await producer.start()
        try:
            for one in given:
                registry = isinstance(one, Change)
                await producer.send(
                    LEDGER_REGISTRY.name if registry else ROUTING_EVENTS.name,
                    one.body,
                    key=one.key,
                    partition=registry_partition(one.tenant_id) if registry else None,
                    headers=[(name, value.encode()) for name, value in one.headers.items()],
                )
            await producer.flush()
        finally:
            await producer.stop()

    async def page_with(self, tenant: str, text: str, **params: str) -> str:
        """Wait until the board shows something; return the page."""
        async with self.reader() as http, asyncio.timeout(PATIENCE_S):
            while text not in (html := (await http.get(f"/board/{tenant}", params=params)).text):
                await asyncio.sleep(0.05)
        return html

    @asynccontextmanager
    async def watching(
        self, tenant: str, last_event_id: str = "", lang: str = "zh"
    ) -> AsyncIterator["Watcher"]:
        headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
        path, params = f"/board/{tenant}/events", {"lang": lang}
        async with (
            self.reader() as http,
            http.stream("GET", path, params=params, headers=headers) as answer,
        ):
            assert answer.headers["content-type"].startswith("text/event-stream")
            yield Watcher(answer.aiter_text())


class Watcher:
    """A browser's end of a stream."""

    def __init__(self, chunks: AsyncIterator[str]) -> None:
        self._chunks, self._rest = chunks, ""
        self.position = ""

    async def message(self) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE_S):
            while "\n\n" not in self._rest:
                self._rest += await anext(self._chunks)
        first, self._rest = self._rest.split("\n\n", 1)
        said = news_of(first.encode())
        self.position = said["id"] or self.position
        return said

    async def to_the_end(self) -> None:
        """Read until the stream ends by itself; one that the server cuts off raises."""
        async with asyncio.timeout(PATIENCE_S):
            async for _ in self._chunks:
                pass

    async def until(self, text: str) -> dict[str, Any]:
        """Wait for news that hold something."""
        while True:
            said = await self.message()
            if text in str(said.get("news", "")):
                return said


@pytest.fixture(scope="module")
async def stage(
    postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stage]:
    place = tmp_path_factory.mktemp("console")
    tenants = [f"town{n}" for n in range(20)]
    keys, port = ensure_secrets(place / "secrets", tenants), unused_ports(1)[0]
    async with servers.kafka(place) as bootstrap:
        await apply_topics(bootstrap)
        admin = await asyncpg.connect(postgres.dsn("postgres"))
        await admin.execute("CREATE DATABASE console_integration")
        dsn = postgres.dsn("console_integration")
        await migrate("console", dsn)
        given = {
            "mode": "development",
            "port": port,
            "replica": 0,  # a fixed seat: nobody waits for the one who died
            "kafka_bootstrap": bootstrap,
            "postgres_dsn": dsn,
            "key_file": keys.key_file,
            "token_key_file": keys.token_public,
            "look_wait_s": 0.1,
            "beat_s": 0.5,
        }
        env = {f"CONSOLE_{name.upper()}": str(value) for name, value in given.items()}
        url = f"http://127.0.0.1:{port}"
        yield Stage(bootstrap, dsn, env, url, KeyRing(keys.key_file), iter(tenants))
        await admin.execute("DROP DATABASE console_integration WITH (FORCE)")
        await admin.close()


async def test_before_it_knows_a_town_it_is_not_ready_and_says_so(stage: Stage) -> None:
    """The first one here: the others leave towns behind."""
    async with stage.running():
        async with asyncio.timeout(PATIENCE_S):
            while "registry" not in await stage.waiting():
                await asyncio.sleep(0.05)
        async with stage.reader() as http, asyncio.timeout(PATIENCE_S):
            while "还没有镇" not in (await http.get("/")).text:
                await asyncio.sleep(0.05)
            assert (await http.get("/live")).is_success
        tenant = await stage.town()
        await stage.until_ready()
        async with stage.reader() as http:
            assert f"/board/{tenant}/events" in (await http.get("/")).text  # the only town


async def test_facts_reach_the_page_and_two_browsers(stage: Stage) -> None:
    async with stage.running():
        await stage.until_ready()
        tenant = await stage.town()
        first = Story(tenant=tenant, at=real_now()).opened().clock(hours=2)
        await stage.publish(first)
        html = await stage.page_with(tenant, first.number)
        assert "还有 1 小时 59 分" in html
        async with stage.watching(tenant) as one, stage.watching(tenant, lang="en") as other:
            await one.until(first.number)
            await other.until(first.number)
            second = Story(tenant=tenant, at=real_now()).opened()
            await stage.publish(second, times=50)
            said = await one.until(second.number)
            assert len(said["news"]["order"]) == 2
            assert "在办 2 件" in said["news"]["head"]
            assert "2 open" in (await other.until(second.number))["news"]["head"]
            beat = await one.message()
            assert beat["event"] == "beat"
            assert beat["now"] - beat["heard"] < 10_000
        html = await stage.page_with(tenant, second.number)
        assert html.count(f'data-n="{second.number}"') == 1


async def test_a_reader_who_was_away_gets_what_changed_meanwhile(stage: Stage) -> None:
    async with stage.running():
        await stage.until_ready()
        tenant = await stage.town()
        stays, moves = (Story(tenant=tenant, at=real_now()).opened() for _ in range(2))
        await stage.publish(stays, moves)
        async with stage.watching(tenant) as watcher:
            said = await watcher.until(stays.number)
            while len(said["news"]["order"]) < 2:  # each may have come in a look of its own
                said = await watcher.until(moves.number)
        await stage.publish(moves.after(seconds=1).accepted())
        await stage.page_with(tenant, "已受理")
        async with stage.watching(tenant, last_event_id=watcher.position) as watcher:
            rows = (await watcher.until(moves.number))["news"]["rows"]
        assert [f'data-n="{moves.number}"' in row for row in rows] == [True]


async def test_a_restart_loses_nothing_and_tells_nothing_twice(stage: Stage) -> None:
    async with stage.running():
        await stage.until_ready()
        tenant = await stage.town()
        story = Story(tenant=tenant, at=real_now()).opened()
        await stage.publish(story)
        await stage.page_with(tenant, story.number)
        async with stage.watching(tenant) as watcher:
            await watcher.until(story.number)
    other = Story(tenant=tenant, at=real_now()).opened()
    await stage.publish(story.after(seconds=1).accepted(), other, times=3)
    async with stage.running():
        await stage.until_ready()
        html = await stage.page_with(tenant, other.number)
        assert html.count(" 接了 ") == 1
        async with stage.watching(tenant, last_event_id=watcher.position) as watcher:
            said = await watcher.until(other.number)
        assert said["news"]["order"] == [other.number, story.number]


async def test_hostile_names_are_shown_and_not_obeyed(stage: Stage) -> None:
    script, right_to_left = "<script>alert(1)</script>", "שלום\u202etfel"
    async with stage.running():
        await stage.until_ready()
        tenant = await stage.town(g01=script, g02=right_to_left, v1="很" * 60)
        first = Story(tenant=tenant, at=real_now()).opened()
        second = Story(tenant=tenant, at=real_now()).opened(grid="g02")
        await stage.publish(first, second)
        html = await stage.page_with(tenant, second.number)
        async with stage.watching(tenant) as watcher:
            news = str((await watcher.until(second.number))["news"])
    for text in (html, news):
        assert script not in text
        assert "<bdi>&lt;script&gt;alert(1)&lt;/script&gt;</bdi>" in text
        assert f"<bdi>{'很' * 60}</bdi>" in text
    assert f"<bdi>{right_to_left}</bdi>" in html


async def test_open_streams_do_not_hold_up_the_end(stage: Stage) -> None:
    async with stage.running() as process:
        tenant = await stage.town()
        await stage.until_ready()
        async with stage.watching(tenant) as watcher:
            await watcher.message()
            process.terminate()
            await watcher.to_the_end()
            assert await asyncio.wait_for(process.wait(), PATIENCE_S) in ENDED
