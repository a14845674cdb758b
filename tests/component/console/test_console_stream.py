"""The stream that keeps a page up to date: what differs from what a browser has, and no more."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from datetime import timedelta
from typing import Any

from services.console.domain.words import Language
from tests.component.console.world import Story, World, news_of, real_now
from tests.factories import START, TENANT
from tests.waiting import PATIENCE_S


class Browser:
    """One who watches: takes messages, and keeps lines as the page does."""

    def __init__(self, messages: AsyncIterator[bytes]) -> None:
        self._messages = messages
        self.position = ""
        self.order: list[str] = []
        self.parts: dict[str, str] = {}

    async def message(self) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE_S):
            return news_of(await anext(self._messages))

    async def news(self) -> dict[str, Any]:
        """Wait for something that has changed."""
        while True:
            said = await self.message()
            if said["event"] == "board":
                self.position = said["id"]
                news: dict[str, Any] = said["news"]
                self.order = news["order"]
                self.parts |= {
                    name: news[name] for name in ("head", "foot", "acts") if name in news
                }
                return news


@asynccontextmanager
async def watching(
    world: World, since: str = "", language: Language = "zh"
) -> AsyncIterator[Browser]:
    town = world.towns.get(TENANT)
    assert town is not None
    messages = world.streams.follow(TENANT, town, language, since)
    async with aclosing(messages):  # type: ignore[type-var]  # an async generator closes
        yield Browser(messages)


@asynccontextmanager
async def looking(world: World) -> AsyncIterator[None]:
    stopping = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(world.boards.run(stopping))
        yield
        stopping.set()


def numbers(news: dict[str, Any], *stories: Story) -> list[str]:
    """Return whose lines came."""
    return [
        one.number for one in stories if any(f'data-n="{one.number}"' in r for r in news["rows"])
    ]


async def test_a_watcher_gets_the_whole_board_and_then_what_changes(world: World) -> None:
    world.town()
    first, second = Story().opened(), Story(at=real_now()).opened()
    await world.hear(first)
    async with looking(world), watching(world) as browser:
        news = await browser.news()
        assert (numbers(news, first, second), news["order"]) == ([first.number], [first.number])
        await world.hear(second)
        news = await browser.news()
        assert numbers(news, first, second) == [second.number]
        assert news["order"] == [first.number, second.number]
        await world.hear(first.after(minutes=1).accepted())
        news = await browser.news()
        assert numbers(news, first, second) == [first.number]
        assert news["order"] == [second.number, first.number]
        assert "接了" in news["acts"]
        await world.hear(first.settled().visited())
        assert (await browser.news())["order"] == [second.number]


async def test_where_nothing_changes_a_beat_tells_the_time_and_how_far_all_is_known(
    world: World,
) -> None:
    world.town()
    await world.hear(Story().opened())
    world.hearing.silent = 4.0
    async with looking(world), watching(world) as browser:
        await browser.news()
        beat = await browser.message()
        assert beat["event"] == "beat"
        assert abs(beat["now"] - beat["heard"] - 4_000) < 100
        assert abs(beat["now"] / 1000 - real_now().timestamp()) < 5


async def test_a_page_that_is_open_learns_that_the_clock_was_moved(world: World) -> None:
    world.town()
    async with looking(world), watching(world) as browser:
        assert (await browser.message())["demo"] is False
        world.run_ahead(real_now(), START)
        while not (await browser.message())["demo"]:
            pass  # each message is waited for, and none for longer than a browser would


async def test_a_page_goes_on_from_the_look_that_it_was_made_of(world: World) -> None:
    town = world.town()
    first, second = Story().opened(), Story().opened()
    await world.hear(first)
    shown = await world.boards.board(TENANT, town)
    async with looking(world), watching(world, since=shown.id) as browser:
        assert (await browser.message())["event"] == "beat"
        await world.hear(second)
        assert numbers(await browser.news(), first, second) == [second.number]
        position = browser.position
    await world.hear(first.accepted())
    async with looking(world), watching(world, since=position) as browser:
        assert numbers(await browser.news(), first, second) == [first.number]


async def test_after_a_restart_all_lines_come_and_the_page_sees_what_differs(world: World) -> None:
    world.town()
    first, second = Story().opened(), Story().opened()
    await world.hear(first, second)
    async with looking(world), watching(world, since="another-process-7") as browser:
        assert numbers(await browser.news(), first, second) == [first.number, second.number]


async def test_two_browsers_are_one_look_and_each_has_its_language(world: World) -> None:
    world.town()
    await world.hear(Story().opened())
    async with looking(world), watching(world) as one, watching(world, language="en") as other:
        await one.news()
        await other.news()
        await world.hear(Story().opened())
        chinese, english = await one.news(), await other.news()
        assert one.position == other.position
        assert ("在办" in chinese["head"], "open" in english["head"]) == (True, True)


async def test_somebody_slow_gets_the_newest_board_and_not_each_on_the_way(world: World) -> None:
    world.town()
    await world.hear(Story().opened())
    async with looking(world), watching(world) as slow, watching(world) as quick:
        await slow.news()
        await quick.news()
        for _ in range(5):
            await world.hear(Story().opened())
            await quick.news()
        assert len((await slow.news())["order"]) == 6


async def test_time_alone_moves_a_case_to_the_overdue(world: World) -> None:
    world.town()
    story = Story(at=real_now()).opened().clock(minutes=61)
    await world.hear(story)
    async with looking(world), watching(world) as browser:
        assert "快到时限" not in (await browser.news())["head"]
        for minutes, word in ((32, "快到时限"), (62, "超时")):
            world.run_ahead(real_now(), real_now() + timedelta(minutes=minutes))
            async with asyncio.timeout(PATIENCE_S):
                while word not in browser.parts["head"]:
                    await browser.news()


async def test_streams_end_when_the_service_does(world: World) -> None:
    world.town()
    await world.hear(Story().opened())
    async with looking(world), watching(world) as browser:
        await browser.news()
        assert world.boards.streams == 1
        world.boards.close()
        ended = [chunk async for chunk in browser._messages]  # noqa: SLF001 - the rest of it
        assert all(chunk.startswith(b"event: beat") for chunk in ended)
    assert world.boards.streams == 0


async def test_a_stream_is_not_compressed_so_that_nothing_in_it_waits(world: World) -> None:
    world.town()
    await world.hear(*(Story().opened() for _ in range(20)))
    path = f"/board/{TENANT}/events"
    scope = {
        "type": "http", "method": "GET", "path": path, "raw_path": path.encode(),
        "query_string": b"", "headers": [(b"accept-encoding", b"gzip")], "http_version": "1.1",
        "server": ("console", 80), "client": ("127.0.0.1", 1), "scheme": "http", "root_path": "",
    }  # fmt: skip
    sent: asyncio.Queue[Any] = asyncio.Queue()
    silent: asyncio.Queue[Any] = asyncio.Queue()
    async with looking(world), asyncio.timeout(PATIENCE_S):
        serving = asyncio.create_task(world.app()(scope, silent.get, sent.put))
        headers = dict((await sent.get())["headers"])
        first = await sent.get()
        serving.cancel()
    assert b"content-encoding" not in headers
    assert first["body"].startswith(b"event: board")


async def test_too_many_streams_are_refused_and_told_when_to_come_again(world: World) -> None:
    world.town()
    few = World(
        world.pool,
        world.ring,
        world.settings.model_copy(update={"streams_max": 2}),
        towns=world.towns,
    )
    with few.boards.watching(TENANT), few.boards.watching(TENANT):
        async with few.browser() as http:
            answer = await http.get(f"/board/{TENANT}/events")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")
    assert answer.json()["code"] == "too_many_streams"


async def test_nobody_watching_means_nothing_is_looked_at(world: World) -> None:
    town = world.town()
    await world.hear(Story().opened())
    found = await world.boards.board(TENANT, town)
    await world.hear(Story().opened())
    await world.boards.look()
    assert world.boards.newest(TENANT) is found
    with world.boards.watching(TENANT):
        await world.boards.look()
        assert world.boards.newest(TENANT) is not found
