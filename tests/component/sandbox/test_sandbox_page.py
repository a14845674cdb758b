"""The page as a reader gets it, and the stream that keeps it up to date."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.sandbox.truth import Receipt
from deploy.sandbox.words import WORDS, ago, clock_time, exact_time
from tests.component.sandbox.caller import LI, WANG, Caller, Clock
from tests.component.sandbox.conftest import Start
from tests.waiting import PATIENCE_S

HOSTILE = "<script>alert(1)</script> \"'&{{7*7}} 𠮷 \u202etfel\u202c שלום\n第二行"


async def page(caller: Caller, **params: str) -> str:
    answer = await caller.http.get("/phones", params=params)
    answer.raise_for_status()
    return answer.text


async def test_an_empty_page_says_what_to_do_first(sandbox: Caller) -> None:
    html = await page(sandbox)
    assert "还没有短信" in html
    assert "吹一次哨" in html
    assert 'id="empty">' in html
    assert str(sandbox.http.base_url).rstrip("/") in html
    assert 'class="phone"' not in html


async def test_a_card_shows_the_text_the_lamp_the_time_and_the_segments(sandbox: Caller) -> None:
    await sandbox.send(TemplateParam=json.dumps({"matter": "字" * 70}))
    await sandbox.until_reported(1)
    html = await page(sandbox)
    assert f"【吹哨】已受理：{'字' * 70}" in html
    assert 'class="lamp delivered">已送达' in html
    assert 'title="2026-03-03 09:30:00+08:00"' in html
    assert "刚刚</span>（03-03 09:30）" in html
    assert "2 段" in html
    assert "1 部手机，现存 1 条短信" in html
    assert 'id="empty" hidden>' in html


async def test_each_end_of_a_receipt_has_its_lamp(sandbox: Caller) -> None:
    await sandbox.fault(kind="receipt_failed", next=1)
    await sandbox.send()
    await sandbox.fault(kind="receipt_lost", next=1)
    await sandbox.send()
    await sandbox.until_reported(1)
    html = await page(sandbox)
    assert 'class="lamp waiting">待回执' in html
    assert 'class="lamp failed">失败 <code>UNDELIV</code>' in html


async def test_no_whole_number_stands_on_the_page(sandbox: Caller) -> None:
    await sandbox.send()
    html = await page(sandbox)
    assert "138****0012" in html
    assert WANG not in html


async def test_the_phone_last_written_to_comes_first(sandbox: Caller) -> None:
    for phone in (WANG, LI, WANG):
        await sandbox.send(PhoneNumbers=phone)
    html = await page(sandbox)
    assert html.index("138****0012") < html.index("139****0110")


async def test_hostile_text_is_shown_and_not_obeyed(sandbox: Caller) -> None:
    await sandbox.send(TemplateParam=json.dumps({"matter": HOSTILE}))
    html = await page(sandbox)
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &#34;&#39;&amp;{{7*7}} 𠮷 \u202etfel" in html
    assert 'class="text" dir="auto"' in html
    assert "שלום\n第二行" in html


async def test_names_are_for_display_and_escaped_too(start: Start, tmp_path: Path) -> None:
    names = tmp_path / "phones.json"
    names.write_text(json.dumps({WANG: "第12网格 <b>王五</b>"}), "utf-8")
    async with start(names_file=names) as caller:
        await caller.send()
        await caller.send(PhoneNumbers=LI)
        html = await page(caller)
        assert "<bdi>第12网格 &lt;b&gt;王五&lt;/b&gt;</bdi>" in html
        assert "<bdi>未登记的号码</bdi>" in html


async def test_a_group_s_phones_are_looked_at_apart(start: Start) -> None:
    async with start(page={"groups": {"x": [WANG], "y": ["199999"]}}) as caller:
        await caller.send()
        await caller.send(PhoneNumbers=LI)
        mine = await page(caller, group="x")
        assert (mine.count('class="phone"'), "1 部手机，现存 1 条短信" in mine) == (1, True)
        assert "/phones/events?lang=zh&amp;group=x" in mine
        assert 'class="phone"' not in await page(caller, group="y")
        for everybody in (await page(caller), await page(caller, group="nobody set it up")):
            assert everybody.count('class="phone"') == 2


async def test_english_is_asked_for_once_and_remembered(sandbox: Caller) -> None:
    await sandbox.send()
    await sandbox.until_reported(1)
    for params in ({"lang": "en"}, {}):
        html = await page(sandbox, **params)
        assert '<html lang="en"' in html
        assert "Sandbox phones" in html
        assert "Delivered" in html
        assert "just now</span> (03-03 09:30)" in html
    html = await page(sandbox, lang="zh")
    assert '<html lang="zh-CN"' in html
    assert "沙箱手机" in await page(sandbox)


async def test_large_type_is_remembered_and_embedding_is_not(sandbox: Caller) -> None:
    assert 'class="large embed"' in await page(sandbox, size="large", embed="1")
    assert 'class="large"' in await page(sandbox)


def test_both_languages_say_everything() -> None:
    assert WORDS["zh"].keys() == WORDS["en"].keys()


@pytest.mark.parametrize(
    ("age", "zh", "en"),
    [
        (timedelta(seconds=-5), "刚刚", "just now"),
        (timedelta(seconds=59), "刚刚", "just now"),
        (timedelta(seconds=60), "1 分钟前", "1 min ago"),
        (timedelta(minutes=59, seconds=59), "59 分钟前", "59 min ago"),
        (timedelta(hours=1), "1 小时前", "1 h ago"),
        (timedelta(hours=23, minutes=59), "23 小时前", "23 h ago"),
        (timedelta(days=3), "3 天前", "3 d ago"),
    ],
)
def test_ago(age: timedelta, zh: str, en: str) -> None:
    now = datetime(2026, 3, 3, 1, 30, tzinfo=UTC)
    assert (ago(now - age, now, WORDS["zh"]), ago(now - age, now, WORDS["en"])) == (zh, en)


def test_times_are_chinas() -> None:
    at = datetime(2026, 3, 3, 16, 15, 9, tzinfo=UTC)
    assert (clock_time(at), exact_time(at)) == ("03-04 00:15", "2026-03-04 00:15:09+08:00")


async def test_nothing_comes_from_elsewhere(start: Start) -> None:
    framing = {"frame_ancestors": ["'self'", "http://127.0.0.1:8100"]}
    async with start(page=framing) as caller:
        answer = await caller.http.get("/phones")
        policy = answer.headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "frame-ancestors 'self' http://127.0.0.1:8100" in policy
        for path in ("phones.js", "phones.css", "icon.svg"):
            assert f'"/static/{path}"' in answer.text
            assert (await caller.http.get(f"/static/{path}")).status_code == 200
        assert "http" not in answer.text.replace(str(caller.http.base_url).rstrip("/"), "")


async def test_the_page_has_a_bound(start: Start) -> None:
    async with start(page={"phones_max": 2, "texts_per_phone_max": 1}) as caller:
        for phone in (WANG, LI, LI, "13700000001"):
            await caller.send(PhoneNumbers=phone)
        html = await page(caller)
        assert html.count('class="phone"') == 2
        assert "138****0012" not in html
        assert html.count('class="text"') == 2
        assert "3 部手机，现存 4 条短信，只显示最近收到短信的 2 部" in html
        assert "只显示最近 1 条" in html


class Events:
    """Reads one stream, event by event."""

    def __init__(self, response: httpx.Response) -> None:
        self._lines = response.aiter_lines()
        self.last_id = ""

    async def next(self) -> tuple[str, dict[str, Any]]:
        name, data = "", "{}"
        async with asyncio.timeout(PATIENCE_S):
            async for line in self._lines:
                key, _, value = line.partition(": ")
                if key == "event":
                    name = value
                elif key == "data":
                    data = value
                elif key == "id":
                    self.last_id = value
                elif not line and name:
                    return name, json.loads(data)
        raise AssertionError("the stream has ended")

    async def next_cards(self) -> list[str]:
        while True:
            name, data = await self.next()
            assert name == "news"
            if data["cards"]:
                cards: list[str] = data["cards"]
                return cards


@asynccontextmanager
async def listen(caller: Caller, since: str, **headers: str) -> AsyncIterator[Events]:
    params = {"lang": "zh", "since": since}
    async with caller.http.stream(
        "GET", "/phones/events", params=params, headers=headers
    ) as response:
        response.raise_for_status()
        assert response.headers["content-type"].startswith("text/event-stream")
        yield Events(response)


async def position(caller: Caller) -> str:
    html = await page(caller)
    return html.partition('data-since="')[2].partition('"')[0]


async def test_changed_cards_arrive_by_themselves(sandbox: Caller) -> None:
    async with listen(sandbox, await position(sandbox)) as events:
        assert (await events.next())[1]["cards"] == []
        await sandbox.fault(kind="receipt_lost", next=1)
        await sandbox.send()
        [sent] = await events.next_cards()
        assert "待回执" in sent
        assert "138****0012" in sent
        assert WANG not in sent
        [message] = sandbox.provider.messages.every()
        receipt = Receipt(success=True, err_code="DELIVERED", err_msg="", reported_at=Clock().now)
        sandbox.provider.messages.report(message.message_id, receipt)
        [reported] = await events.next_cards()
        assert "已送达" in reported


async def test_a_page_that_was_away_gets_what_it_missed_and_no_more(sandbox: Caller) -> None:
    await sandbox.fault(kind="receipt_lost", next=2)
    await sandbox.send(PhoneNumbers=WANG)
    before = await position(sandbox)
    await sandbox.send(PhoneNumbers=LI)
    async with listen(sandbox, before) as events:
        [card] = await events.next_cards()
        assert "139****0110" in card
        last_id = events.last_id
    headers = {"Last-Event-ID": last_id}
    async with listen(sandbox, before, **headers) as events:
        assert await events.next() == (
            "news",
            {"cards": [], "counts": "2 部手机，现存 2 条短信"},
        )


@pytest.mark.parametrize("since", ["", "0-0-0", "other-0-0", "x"])
async def test_a_page_of_another_life_is_told_to_reload(sandbox: Caller, since: str) -> None:
    async with listen(sandbox, since) as events:
        assert (await events.next())[0] == "reset"


async def test_a_page_is_told_to_reload_when_all_is_forgotten(sandbox: Caller) -> None:
    async with listen(sandbox, await position(sandbox)) as events:
        await events.next()
        await sandbox.http.delete("/sandbox/messages")
        name = "news"
        while name == "news":
            name, _ = await events.next()
        assert name == "reset"


async def test_the_heart_beats_when_nothing_happens(start: Start) -> None:
    async with (
        start(page={"heartbeat_s": 0.02}) as caller,
        listen(caller, await position(caller)) as events,
    ):
        for _ in range(3):
            assert await events.next() == (
                "news",
                {"cards": [], "counts": "0 部手机，现存 0 条短信"},
            )


async def test_open_pages_have_a_bound_and_a_closed_one_makes_room(start: Start) -> None:
    async with start(page={"streams_max": 1, "heartbeat_s": 0.02}) as caller:
        since = await position(caller)
        async with listen(caller, since) as events:
            await events.next()
            answer = await caller.http.get("/phones/events", params={"since": since})
            assert answer.status_code == 503
        async with asyncio.timeout(PATIENCE_S):
            while await status_of_stream(caller, since) != 200:
                continue


async def status_of_stream(caller: Caller, since: str) -> int:
    async with caller.http.stream("GET", "/phones/events", params={"since": since}) as response:
        return response.status_code
