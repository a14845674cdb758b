"""The table of official days: read from a file, held against what is recorded, and taken in."""

import asyncio
import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import asyncpg
from pydantic import ValidationError

from contracts.calendar import Calendar, CalendarYear, load, unfit
from deploy.local.errors import LocalStackError

CALENDAR = "cn"
_FAULTS_MAX = 20
_LOOK_WAIT_S = 0.2

# What pydantic finds wrong, in Chinese; English is its own. The braces name what it tells with it.
_FAULTS: Mapping[str, str] = {
    "json_invalid": "不是合法的 JSON（{error}）",
    "extra_forbidden": "没有这个字段：请删去，或改正名字",
    "missing": "缺少这个字段：请补上",
    "date_from_datetime_parsing": "不是日期：请写成 2027-01-01 这样",
    "date_parsing": "不是日期：请写成 2027-01-01 这样",
    "date_type": "不是日期：请写成 2027-01-01 这样",
    "holiday_length": "放假应为 1 到 {days} 天，从 first 到 last",
    "day_of_another_year": "{day} 不属于 {year} 年：请移到它那一年",
    "no_weekend_day": "{day} 不是周末，本来就上班：请从 workdays 删去",
    "years_out_of_order": "每年只写一次，按年份从小到大：请合并或重排",
    "day_told_twice": "这几天写了不止一次：{days}；请只留一处",
}
_FIX: Mapping[str, str] = {
    "extra_forbidden": "remove it, or mend its name",
    "missing": "add it",
    "day_of_another_year": "move it to its own year",
    "no_weekend_day": "remove it from workdays",
    "years_out_of_order": "merge or sort them",
    "day_told_twice": "keep one of them",
}


def read_table(path: Path) -> Calendar:
    """Read a table.

    Raises:
        LocalStackError: it cannot be read, or has faults; each is named by its field.
    """
    try:
        return load(path)
    except OSError as error:
        raise LocalStackError(
            f"读不了 {path}：{error.strerror}。什么都没有改。",
            f"Cannot read {path}: {error.strerror}. Nothing was changed.",
        ) from error
    except ValidationError as error:
        raise _refused(str(path), list(_faults(error))[:_FAULTS_MAX]) from error


def _faults(error: ValidationError) -> Iterator[tuple[str, str, str]]:
    for one in error.errors(include_url=False, include_input=False):
        field = ".".join(str(part) for part in one["loc"]) or "JSON"
        zh = _FAULTS.get(one["type"], "值不对").format(**one.get("ctx", {}))
        fix = _FIX.get(one["type"])
        yield field, zh, f"{one['msg']}; {fix}" if fix else one["msg"]


def _refused(what: str, faults: Sequence[tuple[str, str, str]]) -> LocalStackError:
    lines = "\n".join(f"  {field}：{zh} · {en}" for field, zh, en in faults)
    return LocalStackError(
        f"{what} 有误，什么都没有改：", f"It has faults; nothing was changed:\n{lines}"
    )


RECORDED = """
SELECT DISTINCT ON (tenant_id) tenant_id, body
FROM registry_record
WHERE tenant_id = ANY($1::text[]) AND kind = 'calendar' AND record_id = $2
ORDER BY tenant_id, version DESC
"""


async def recorded(ledger_dsn: str, tenants: Sequence[str]) -> dict[str, Calendar]:
    """Return the tables that are recorded now; a tenant without one is missing."""
    conn = await asyncpg.connect(ledger_dsn)
    try:
        rows = await conn.fetch(RECORDED, tenants, CALENDAR)
    finally:
        await conn.close()
    found = {row["tenant_id"]: row["body"] for row in rows if row["body"] is not None}
    return {one: Calendar.model_validate(json.loads(body)) for one, body in found.items()}


def check(known: Mapping[str, Calendar], new: Calendar) -> None:
    """Hold a table against those that it is to replace.

    Raises:
        LocalStackError: for some tenant it may not; each reason names the field and the fix.
    """
    for tenant, table in sorted(known.items()):
        if why := unfit(table, new):
            raise _refused(f"{tenant} 的日历 calendar", why)


def line_of(table: Calendar) -> dict[str, Any]:
    """Return the registry's record of a table."""
    return {"kind": "calendar", "id": CALENDAR, "body": table.model_dump(mode="json")}


def told_years(table: Calendar) -> tuple[str, str]:
    """Return which years are official, and which are provisional."""
    official = [one.year for one in table.years if one.official]
    provisional = [one.year for one in table.years if not one.official]
    return ", ".join(_runs(official)) or "–", ", ".join(_runs(provisional)) or "–"


def _runs(years: Iterable[int]) -> Iterator[str]:
    """Yield years, those in a row as 2020–2026."""
    run: list[int] = []
    for year in [*years, 0]:
        if run and year != run[-1] + 1:
            yield f"{run[0]}–{run[-1]}" if len(run) > 1 else f"{run[0]}"
            run = []
        run.append(year)


def changes(known: Calendar | None, new: Calendar) -> Iterator[str]:
    """Yield what a table changes, year by year."""
    before = {one.year: one for one in known.years} if known else {}
    for one in new.years:
        was = before.get(one.year)
        if was is None:
            yield f"{one.year}：新增，{_state(one)} · added"
        elif was != one:
            parts = []
            if was.official != one.official:
                parts.append(f"{_state(was)} → {_state(one)}")
            parts += _days("放假 days off", was.days_off, one.days_off)
            parts += _days("调休上班 worked", was.workdays, one.workdays)
            yield f"{one.year}：{'；'.join(parts) or '只改了文字 · words alone'}"
    for year in sorted(before.keys() - {one.year for one in new.years}):
        yield f"{year}：去掉 · removed"


def _state(one: CalendarYear) -> str:
    return "正式 official" if one.official else "暂定 provisional"


def _days(what: str, was: Iterable[date], now: Iterable[date]) -> Iterator[str]:
    before, after = set(was), set(now)
    for sign, days in (("+", after - before), ("−", before - after)):
        if days:
            yield f"{what} {sign} {', '.join(str(day) for day in sorted(days))}"


@dataclass(frozen=True, slots=True)
class Taken:
    """How far routing has come with a table. `waiting` counts clocks still to be looked at."""

    tenant_id: str
    version: int
    armed: int
    moved: int
    withdrawn: int
    waiting: int


TAKEN = """
SELECT tenant_id, version, armed, moved, withdrawn,
    (
        SELECT count(*)
        FROM timer
        WHERE timer.tenant_id = taken.tenant_id
            AND (
                (
                    calendar_version < taken.version
                    AND (outcome IS NULL OR (outcome = 'fired' AND kind = 'miss'))
                )
                OR (outcome IS NULL AND fires_at IS NULL AND calendar_version IS NULL)
            )
    ) + (
        SELECT count(*)
        FROM slot
        WHERE slot.tenant_id = taken.tenant_id
            AND calendar_version < taken.version
            AND (outcome IS NULL OR outcome IN ('missed', 'reported_late'))
    ) AS waiting
FROM calendar_taken AS taken
WHERE tenant_id = ANY($1::text[])
ORDER BY tenant_id
"""


async def until_taken(
    routing_dsn: str, tenants: Sequence[str], version: int, timeout_s: float
) -> list[Taken]:
    """Wait until routing has taken a table in and reckoned every open clock by it.

    Raises:
        TimeoutError: it has not; the text tells how far it has come, and that nothing is lost.
    """
    conn = await asyncpg.connect(routing_dsn)
    until = time.monotonic() + timeout_s
    try:
        while True:
            taken = [Taken(**row) for row in await conn.fetch(TAKEN, tenants)]
            done = [one for one in taken if one.version >= version and not one.waiting]
            if len(done) == len(tenants):
                return done
            if time.monotonic() > until:
                waiting = sum(one.waiting for one in taken)
                raise TimeoutError(
                    f"日历已发布，不会丢；routing 在 {timeout_s:.0f} s 内还没有全部重算"
                    f"（{len(done)}/{len(tenants)} 个镇，还有 {waiting} 个时钟）。"
                    "稍后再运行同一命令查看；chuishao doctor 说明它在等什么。\n"
                    "The calendar is published and will not be lost; routing has yet to reckon "
                    f"{waiting} clocks ({len(done)} of {len(tenants)} towns are done). Run the "
                    "same command again later; `chuishao doctor` tells what it waits for."
                )
            await asyncio.sleep(_LOOK_WAIT_S)
    finally:
        await conn.close()
