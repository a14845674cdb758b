"""The pages as a reader gets them, from a real database and without Kafka."""

import asyncio
import re
from datetime import timedelta
from typing import Any

import pytest

from services.chassis.postgres import open_pool
from services.console.live import Boards
from tests.component.console.world import Story, World, real_now
from tests.factories import START, TENANT, town_lines

HOSTILE = "<script>alert(1)</script>\"'&{{7*7}} 𠮷 \u202etfel\u202c שלום"
LONG = "很" * 60


def unit(id_: str, name: str) -> dict[str, Any]:
    line = next(one for one in town_lines() if (one["kind"], one["id"]) == ("unit", id_))
    return {**line, "body": {**line["body"], "zh": name}}


async def page(world: World, path: str = "/", **params: str) -> str:
    async with world.browser() as http:
        answer = await http.get(path, params=params)
    assert answer.status_code == 200, answer.text
    return answer.text


def plain(html: str) -> str:
    """Return what is read, without the markup."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


async def test_before_any_report_the_page_says_what_to_do_first(world: World) -> None:
    world.town()
    html = await page(world)
    assert "还没有收到过事情" in html
    assert "<code>chuishao demo</code>" in html
    assert 'id="cases" hidden' in html


async def test_when_all_is_done_the_page_says_that_nobody_waits(world: World) -> None:
    world.town()
    await world.hear(Story().opened().accepted().settled().visited())
    html = await page(world)
    assert "没有人在等" in html
    assert "chuishao demo" not in html


async def test_a_line_says_what_where_who_how_far_and_how_long(world: World) -> None:
    world.town()
    at = real_now() - timedelta(minutes=12)
    story = Story(at=at, number="250303-0012").opened(severity="major").clock(hours=2, minutes=17)
    await world.hear(story)
    text = plain(await page(world))
    assert "250303-0012 人居环境 一般 · 大事 菊黄洼网格 柿红新村 基础网格员 菊黄洼网格" in text
    assert "已登记 还没人接 还有 2 小时 0" in text
    assert "12 分钟前" in text
    text = plain(await page(world, lang="en"))
    assert "Living environment General · Large matter" in text
    assert "Grid worker 菊黄洼网格 Registered nobody yet 2 h 0" in text
    assert "12 min ago" in text


async def test_the_sentence_and_the_states_are_counted(world: World) -> None:
    world.town()
    long_ago = real_now() - timedelta(days=3)
    await world.hear(
        Story(at=long_ago).opened().clock(hours=1),
        Story(at=long_ago).opened().accepted().clock(days=9),
        Story(at=long_ago).opened().accepted().clock(days=9),
    )
    text = plain(await page(world)).replace(" ", "")
    assert "今日收0件，在办3件，还没人接1件，超时1件。" in text
    assert "已登记1已受理2" in text
    assert "超时1·义和镇看板" in text


async def test_a_mark_of_the_sentence_stays_with_its_part(world: World) -> None:
    world.town()
    await world.hear(Story(at=real_now()).opened())
    sentence = (await page(world)).partition('class="sentence">')[2].partition("</p>")[0]
    parts = re.findall(r"<span><b[^>]*>[^<]+</b>[，。]</span>", sentence)
    assert len(parts) > 2
    assert "".join(parts) == sentence


async def test_clocks_that_cannot_be_told_are_named_and_never_called_calm(world: World) -> None:
    world.town()
    await world.hear(Story(at=real_now()).opened().clock("step.first_ask"))
    text = plain(await page(world))
    assert "按工作时间计 （30 分钟）" in text
    assert "算得出时限的都没超时" in text
    assert "都在时限内" not in text


async def test_the_towns_own_time_is_shown_and_named_when_it_is_moved(world: World) -> None:
    world.town()
    assert re.search(r'id="demo"[^>]* hidden>演示时钟', await page(world))
    world.run_ahead(real_now(), START)
    await asyncio.sleep(world.settings.look_wait_s)  # a look serves all who ask so soon after it
    html = await page(world)
    assert re.search(r'id="demo"[^>]*(?<! hidden)>演示时钟', html)
    assert "3月3日 周一 10:00" in html
    assert "Mon 3 Mar 10:00" in await page(world, lang="en")


async def test_names_are_shown_and_not_obeyed(world: World) -> None:
    world.town(unit("g01", HOSTILE), unit("g02", LONG), unit("town", HOSTILE))
    await world.hear(Story().opened().clock(days=1), Story().opened(grid="g02"))
    html = await page(world)
    assert "<script>alert" not in html
    assert (
        "<bdi>&lt;script&gt;alert(1)&lt;/script&gt;&#34;&#39;&amp;{{7*7}} 𠮷 \u202etfel\u202c שלום"
        in html
    )
    assert f"<bdi>{LONG}</bdi>" in html
    assert "49" not in plain(html).split("刚才")[1]


async def test_what_a_profile_does_not_name_is_shown_by_its_id(world: World) -> None:
    world.town()
    await world.hear(
        Story().opened(
            category="aliens",
            severity="huge",
            state="odd",
            flow="none",
            profile_version=9,
            grid="g99",
            owner={"unit": "g99", "role": "wizard"},
            **{"class": "weird"},
        )
    )
    text = plain(await page(world))
    assert "aliens weird · huge g99 柿红新村 wizard g99 odd" in text


async def test_no_place_and_half_a_place_are_said(world: World) -> None:
    world.town()
    await world.hear(
        Story().opened(grid=None, village=None, fallback="nothing_given"),
        Story().opened(grid=None, fallback="no_grid"),
    )
    text = plain(await page(world))
    assert "地点不明" in text
    assert "柿红新村 网格不明" in text


async def test_language_and_size_are_remembered(world: World) -> None:
    world.town()
    async with world.browser() as http:
        assert '<html lang="zh-CN" class="normal">' in (await http.get("/")).text
        await http.get("/", params={"lang": "en"})
        await http.get("/", params={"size": "large"})
        assert '<html lang="en" class="large">' in (await http.get(f"/board/{TENANT}")).text
        answer = await http.get("/", params={"lang": "klingon", "size": "<b>"})
        assert '<html lang="zh-CN" class="normal">' in answer.text
        assert "set-cookie" not in answer.headers


async def test_nothing_comes_from_elsewhere_but_the_sandbox_where_there_is_one(
    world: World,
) -> None:
    world.town()
    async with world.browser() as http:
        answer = await http.get("/")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'self';")
    assert policy.endswith("frame-src 'none'")
    assert "iframe" not in answer.text
    assert answer.headers["cache-control"] == "no-store"

    settings = world.settings.model_validate(
        {**world.settings.model_dump(), "sandbox_url": "http://127.0.0.1:8105/"}
    )
    beside = World(world.pool, world.ring, settings, towns=world.towns)
    async with beside.browser() as http:
        answer = await http.get("/", params={"lang": "en"})
    policy = answer.headers["content-security-policy"]
    assert policy.endswith("frame-src http://127.0.0.1:8105")
    phones = "http://127.0.0.1:8105/phones?embed=1&amp;lang=en&amp;size=normal"
    assert f'src="{phones}&amp;group={TENANT}"' in answer.text


async def test_everything_that_the_page_loads_is_there_and_small(world: World) -> None:
    world.town()
    await world.hear(*(Story().opened().clock(days=1) for _ in range(230)))
    async with world.browser() as http:
        answer = await http.get("/")
        html, weight = answer.text, len(answer.content)
        sent = int(answer.headers["content-length"])
        assert "还有 30 件没有列出" in html
        assert (answer.headers["content-encoding"], sent < weight / 8) == ("gzip", True)
        for path in re.findall(r'(?:href|src)="(/static/[^"]+)"', html):
            answer = await http.get(path)
            assert answer.status_code == 200
            weight += len(answer.content)
    assert weight < 300_000
    assert not re.findall(r'(?:href|src)="(?:https?:)?//', html)
    assert "style=" not in html
    assert not re.findall(r"<script(?![^>]* src=)", html)


async def test_several_towns_are_listed_and_each_has_its_board(world: World) -> None:
    world.town()
    world.town(tenant="gucheng", profile="gucheng")
    await world.hear(Story().opened().clock(minutes=1), Story(tenant="gucheng").opened())
    html = await page(world)
    assert re.search(
        r'href="/board/yihe"><bdi>义和镇</bdi></a> <span class="late">在办 1 件，超时 1 件', html
    )
    assert re.search(
        r'href="/board/gucheng"><bdi>故城镇</bdi></a> <span>在办 1 件，超时 0 件', html
    )
    assert '<a href="/">各镇看板</a>' in await page(world, "/board/yihe")


async def test_an_unknown_town_is_said_to_be_unknown(world: World) -> None:
    world.town()
    async with world.browser() as http:
        answer = await http.get("/board/nowhere")
        assert (answer.status_code, "没有这个镇" in answer.text) == (404, True)
        answer = await http.get("/board/nowhere/events")
        assert (answer.status_code, answer.json()["code"]) == (404, "town_not_found")


async def test_until_the_towns_are_known_the_page_says_that_it_starts(world: World) -> None:
    world.towns.complete = False
    async with world.browser() as http:
        for path in ("/", "/board/yihe"):
            answer = await http.get(path)
            assert (answer.status_code, answer.headers["refresh"]) == (503, "5")
            assert "看板正在启动" in answer.text
    world.towns.complete = True
    assert "<code>chuishao demo</code>" in await page(world)


async def test_without_the_database_the_page_says_so_and_tries_again(world: World) -> None:
    world.town()
    nowhere = world.settings.model_copy(
        update={"postgres_dsn": "postgresql://nobody@127.0.0.1:1/none"}
    )
    async with open_pool(nowhere, "console") as pool:
        cut = World(pool, world.ring, world.settings, towns=world.towns)
        cut.boards = Boards(world.settings, pool, world.towns)
        async with cut.browser() as http:
            answer = await http.get("/")
    assert (answer.status_code, answer.headers["refresh"]) == (503, "5")
    assert "数据库没有应答" in answer.text


async def test_a_hundred_readers_at_once_are_one_look(world: World) -> None:
    world.town()
    await world.hear(Story().opened())
    async with world.browser() as http:
        pages = await asyncio.gather(*(http.get("/") for _ in range(100)))
    ids = {re.search(r'data-since="([^"]+)"', one.text) for one in pages}
    assert len({found[1] for found in ids if found}) == 1


@pytest.mark.parametrize("language", ["zh", "en"])
async def test_what_is_told_lately_is_said_in_both_languages(world: World, language: Any) -> None:
    world.town()
    story = Story(number="250303-0012").opened(grid=None, village=None).after(minutes=1).accepted()
    await world.hear(story)
    expected = {
        "zh": [
            "菊黄洼网格 接了 250303-0012 人居环境",
            "有人 报来 250303-0012 人居环境，交给 菊黄洼网格",
        ],
        "en": [
            "菊黄洼网格 took on 250303-0012 Living environment",
            "somebody reported 250303-0012 Living environment, handed to 菊黄洼网格",
        ],
    }
    assert await world.lines(language) == expected[language]
