import re
from datetime import UTC, datetime, timedelta
from string import Formatter
from zoneinfo import ZoneInfo

import pytest

from services.console.domain import spoken
from services.console.domain.summary import Counts, sentence
from services.console.domain.words import WORDS, Text, Words

ZH, EN = WORDS["zh"], WORDS["en"]
TOWN = ZoneInfo("Asia/Shanghai")
NOW = datetime(2025, 3, 3, 2, 21, tzinfo=UTC)  # Monday 10:21 in the town
TEXTS = {name: text for name, text in vars(Words).items() if isinstance(text, Text)}


def names(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_both_languages_say_the_same(text: Text) -> None:
    assert text.zh
    assert text.en
    # A month is a number in Chinese and a word in English: the same names all the same.
    assert names(text.zh) == names(text.en)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_no_text_shouts_or_mixes_its_punctuation(text: Text) -> None:
    assert not re.search("[!！]", text.zh + text.en)
    assert not re.search(r"[,;?()]", text.zh)
    assert not re.search(r"[，。；？（）]", text.en)


def test_a_text_is_said_in_the_language_of_its_reader() -> None:
    assert (ZH.state, EN.state) == ("到哪一步", "Stage")


@pytest.mark.parametrize(
    ("left", "zh", "en"),
    [
        (timedelta(hours=2, minutes=5), "还有 2 小时 05 分", "2 h 05 min left"),
        (timedelta(hours=2, seconds=59), "还有 2 小时", "2 h left"),
        (timedelta(minutes=35), "还有 35 分", "35 min left"),
        (timedelta(seconds=60), "还有 1 分", "1 min left"),
        (timedelta(seconds=59), "还有不到 1 分", "less than 1 min left"),
        (timedelta(0), "刚刚超时", "overdue just now"),
        (timedelta(seconds=-59), "刚刚超时", "overdue just now"),
        (timedelta(minutes=-35, seconds=-59), "超时 35 分", "35 min overdue"),
        (timedelta(days=-1), "超时 1 天", "1 d overdue"),
        (timedelta(days=3, hours=4, minutes=59), "还有 3 天 4 小时", "3 d 4 h left"),
        (timedelta(days=400), "还有 400 天", "400 d left"),
    ],
)
def test_what_is_left(left: timedelta, zh: str, en: str) -> None:
    assert spoken.remaining(NOW + left, NOW, ZH) == zh
    assert spoken.remaining(NOW + left, NOW, EN) == en


@pytest.mark.parametrize(
    ("at", "zh", "en"),
    [
        ("2025-03-03T16:00", "今天 16:00", "today 16:00"),
        ("2025-03-03T00:00", "今天 00:00", "today 00:00"),
        ("2025-03-04T09:05", "明天 09:05", "tomorrow 09:05"),
        ("2025-03-02T23:59", "昨天 23:59", "yesterday 23:59"),
        ("2025-03-08T09:00", "3月8日 09:00", "8 Mar 09:00"),
        ("2024-12-31T09:00", "2024年12月31日 09:00", "31 Dec 2024 09:00"),
        ("2026-01-01T09:00", "2026年1月1日 09:00", "1 Jan 2026 09:00"),
    ],
)
def test_a_moment_by_the_towns_calendar(at: str, zh: str, en: str) -> None:
    instant = datetime.fromisoformat(f"{at}+08:00").astimezone(UTC)
    assert spoken.moment(instant, NOW, TOWN, ZH) == zh
    assert spoken.moment(instant, NOW, TOWN, EN) == en


def test_tomorrow_is_tomorrow_over_the_turn_of_the_year() -> None:
    eve = datetime(2025, 12, 31, 22, tzinfo=TOWN)
    assert spoken.moment(eve + timedelta(hours=3), eve, TOWN, ZH) == "明天 01:00"


@pytest.mark.parametrize(
    ("age", "zh", "en"),
    [
        (timedelta(seconds=-5), "刚刚", "just now"),
        (timedelta(seconds=59), "刚刚", "just now"),
        (timedelta(minutes=12, seconds=59), "12 分钟前", "12 min ago"),
        (timedelta(hours=23, minutes=59), "23 小时前", "23 h ago"),
        (timedelta(days=2, hours=5), "2 天前", "2 d ago"),
    ],
)
def test_how_long_ago(age: timedelta, zh: str, en: str) -> None:
    assert spoken.ago(NOW - age, NOW, ZH) == zh
    assert spoken.ago(NOW - age, NOW, EN) == en


def test_the_header_and_the_exact_instant() -> None:
    assert spoken.header_date(NOW, TOWN, ZH) == "3月3日 周一"
    assert spoken.header_date(NOW, TOWN, EN) == "Mon 3 Mar"
    assert spoken.exact(NOW, TOWN) == "2025-03-03 10:21:00 +08:00"
    assert spoken.clock_time(NOW, TOWN) == "10:21"


def test_a_day_begins_and_ends_at_the_towns_midnight() -> None:
    begins, ends = spoken.day_of(NOW, TOWN)
    assert begins == datetime(2025, 3, 2, 16, tzinfo=UTC)
    assert ends == datetime(2025, 3, 3, 16, tzinfo=UTC)


def test_a_day_of_the_changing_clock_is_a_day_of_the_wall() -> None:
    zone = ZoneInfo("Europe/Berlin")
    begins, ends = spoken.day_of(datetime(2025, 3, 30, 10, tzinfo=UTC), zone)
    assert (ends.astimezone(UTC) - begins.astimezone(UTC)) == timedelta(hours=23)


def counts(**more: int) -> Counts:
    none = {
        "received": 0,
        "closed": 0,
        "open": 0,
        "untaken": 0,
        "soon": 0,
        "late": 0,
        "untold": 0,
        "awaited": 0,
        "missed": 0,
    }
    return Counts(**{**none, **more})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (counts(), "今日收 0 件，眼下没有在办的事"),
        (counts(received=6, closed=6), "今日收 6 件，眼下没有在办的事"),
        (counts(received=23, open=17), "今日收 23 件，在办 17 件，都在时限内"),
        (counts(open=17, untold=1), "今日收 0 件，在办 17 件，算得出时限的都没超时"),
        (counts(received=23, open=17, late=1), "今日收 23 件，在办 17 件，超时 1 件"),
        (
            counts(received=23, open=17, untaken=3, soon=2, late=1),
            "今日收 23 件，在办 17 件，还没人接 3 件，快到时限 2 件，超时 1 件",
        ),
        (counts(open=17, soon=2), "今日收 0 件，在办 17 件，快到时限 2 件"),
    ],
)
def test_the_sentence_that_a_leader_reads(given: Counts, said: str) -> None:
    assert ZH.between.join(part for _, part in sentence(given, ZH)) == said
    assert "late" in {tone for tone, _ in sentence(given, EN)} or not given.late
