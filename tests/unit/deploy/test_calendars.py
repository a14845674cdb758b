"""What `chuishao calendar import` refuses, by field and fix, and how it tells what changes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from contracts.calendar import Calendar, load
from deploy.local.calendars import changes, check, read_table, told_years
from deploy.local.errors import LocalStackError

SHIPPED = load()
Body = dict[str, Any]


def body() -> Body:
    found: Body = SHIPPED.model_dump(mode="json")
    return found


def with_year(**more: Any) -> Body:
    changed = body()
    changed["years"][-1] |= more
    return changed


def year_twice() -> Body:
    changed = body()
    return {**changed, "years": [*changed["years"], changed["years"][-1]]}


FAULTY: list[tuple[str, Callable[[], Body], str, str, str]] = [
    ("unknown", lambda: with_year(note="x"), "years.7.note", "没有这个字段", "remove it"),
    ("missing", lambda: {"years": body()["years"]}, "version", "缺少这个字段", "add it"),
    ("twice", year_twice, "JSON", "每年只写一次", "merge or sort them"),
    (
        "workday",
        lambda: with_year(workdays=["2027-01-04"]),
        "years.7",
        "2027-01-04 不是周末",
        "remove it from workdays",
    ),
    (
        "other-year",
        lambda: with_year(workdays=["2028-01-08"]),
        "years.7",
        "不属于 2027 年",
        "move it to its own year",
    ),
    (
        "told-twice",
        lambda: with_year(workdays=["2027-01-09", "2027-01-09"]),
        "JSON",
        "2027-01-09；请只留一处",
        "keep one of them",
    ),
    (
        "no-date",
        lambda: with_year(workdays=["2027-02-29"]),
        "years.7.workdays.0",
        "不是日期",
        "valid date",
    ),
    ("no-number", lambda: {**body(), "version": "two"}, "version", "值不对", "valid integer"),
]


@pytest.mark.parametrize(
    ("made", "field", "zh", "en"), [pytest.param(*rest, id=name) for name, *rest in FAULTY]
)
def test_a_faulty_table_is_named_by_field_and_fix(
    made: Callable[[], Body], field: str, zh: str, en: str, tmp_path: Path
) -> None:
    path = tmp_path / "table.json"
    path.write_text(json.dumps(made()), encoding="utf-8")
    with pytest.raises(LocalStackError) as caught:
        read_table(path)
    text = str(caught.value)
    assert f"  {field}：" in text
    assert zh in text
    assert en in text
    assert "什么都没有改" in text


@pytest.mark.parametrize("text", ["", "{", '{"version": 1', "\x00"])
def test_what_is_no_json_is_said_so(text: str, tmp_path: Path) -> None:
    path = tmp_path / "table.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(LocalStackError, match="不是合法的 JSON"):
        read_table(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(LocalStackError, match=r"none\.json"):
        read_table(tmp_path / "none.json")


def noticed() -> Body:
    return {**with_year(official=True, workdays=["2027-01-09"]), "version": 2}


def test_a_newer_table_may_take_the_place_of_an_older_and_the_same_one_may_come_again() -> None:
    newer = Calendar.model_validate(noticed())
    check({}, newer)
    check({"t": SHIPPED}, newer)
    check({"t": newer}, newer)


@pytest.mark.parametrize(
    ("new", "field", "fix"),
    [
        (lambda: {**noticed(), "version": 1}, "version：", "请写 2"),
        (
            lambda: {**with_year(zh="x"), "version": 1, "years": body()["years"][:-1]},
            "version",
            "2",
        ),
        (
            lambda: {**body(), "version": 2, "years": body()["years"][1:]},
            "years：",
            "缺少 2020 年",
        ),
        (
            lambda: {
                "version": 2,
                "years": [{**body()["years"][0], "official": False}, *body()["years"][1:]],
            },
            "years.0.official：",
            "不能改回暂定",
        ),
    ],
    ids=["same-version", "older", "official-year-gone", "official-year-provisional"],
)
def test_a_table_that_may_not_replace_the_recorded_one_is_refused(
    new: Callable[[], Body], field: str, fix: str
) -> None:
    with pytest.raises(LocalStackError) as caught:
        check({"t": SHIPPED}, Calendar.model_validate(new()))
    assert field in str(caught.value)
    assert fix in str(caught.value)


def test_what_a_table_brings_is_told_year_by_year() -> None:
    newer = Calendar.model_validate(noticed())
    assert told_years(SHIPPED) == ("2020–2026", "2027")
    assert told_years(newer) == ("2020–2027", "–")
    (line,) = changes(SHIPPED, newer)
    assert line.startswith("2027：暂定 provisional → 正式 official")
    assert "调休上班 worked + 2027-01-09" in line
    assert len(list(changes(None, newer))) == len(newer.years)
    assert list(changes(newer, newer)) == []
