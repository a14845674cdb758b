"""`chuishao calendar`: the official days off and make-up workdays that duty time is counted by."""

from datetime import date
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import typer
from rich.table import Table

from contracts.calendar import CN, Calendar, CalendarYear
from deploy.cli.screen import DATA_DIR, DataDir, out, run
from deploy.local.calendars import (
    changes,
    check,
    line_of,
    read_table,
    recorded,
    told_years,
    until_taken,
)
from deploy.local.errors import LocalStackError
from deploy.local.seeding import post_set
from deploy.local.state import StackState, read_state
from deploy.local.whole import OPERATOR

WAIT_S = 120.0
_WEEKDAYS = "一二三四五六日"

app = typer.Typer(
    help="官方节假日和调休 · official days off and make-up workdays", no_args_is_help=True
)

One = Annotated[
    str | None, typer.Option("--tenant", help="只用于这个镇 · this tenant alone; else all of them")
]


@app.command(name="import")
def import_(
    file: Annotated[
        Path, typer.Argument(help="日历文件，默认随系统带的 · default: the table that ships")
    ] = CN,
    tenant: One = None,
    wait: Annotated[
        bool,
        typer.Option(
            "--wait/--no-wait", help="等在办时限都重算完 · wait until clocks are reckoned"
        ),
    ] = True,
    timeout: Annotated[
        float, typer.Option("--timeout", min=1, help="最多等多少秒 · seconds to wait at most")
    ] = WAIT_S,
    data_dir: DataDir = Path(DATA_DIR),
) -> None:
    """导入官方日历，在办时限随之重算 · Bring a table; open deadlines are reckoned by it."""

    async def work() -> None:
        table = read_table(file)
        state = read_state(data_dir)
        tenants = _tenants(state, tenant)
        known = await recorded(state.dsns["ledger"], tenants)
        check(known, table)
        _tell(table)
        for one in tenants:
            await _publish(state, one, known.get(one), table)
        if not wait:
            out.print("没有等 routing 重算（--no-wait） · did not wait for routing")
            return
        for done in await until_taken(state.dsns["routing"], tenants, table.version, timeout):
            out.print(
                f"{done.tenant_id}：上弦 {done.armed} 个，改期 {done.moved} 个，"
                f"撤回误判 {done.withdrawn} 个 · {done.armed} clocks armed, {done.moved} moved, "
                f"{done.withdrawn} misses withdrawn"
            )

    run(work)


@app.command()
def show(
    year: Annotated[int | None, typer.Option(help="只看这一年 · this year alone")] = None,
    tenant: One = None,
    data_dir: DataDir = Path(DATA_DIR),
) -> None:
    """登记着的官方日历 · The table that is recorded."""

    async def work() -> None:
        state = read_state(data_dir)
        known = await recorded(state.dsns["ledger"], tenants := _tenants(state, tenant))
        for one in tenants:
            if one not in known:
                out.print(
                    f"{one}：还没有日历，用 chuishao calendar import 导入 · none yet; bring one"
                )
                continue
            out.print(f"{one}", style="bold")
            _tell(known[one])
            _show(known[one], year)

    run(work)


def _tenants(state: StackState, tenant: str | None) -> list[str]:
    return [state.tenant(tenant)] if tenant else state.tenants


async def _publish(state: StackState, tenant: str, known: Calendar | None, table: Calendar) -> None:
    if known == table:
        out.print(f"{tenant}：已是这一份，没有改动 · it has this table already; nothing changed")
        return
    change_set = f"calendar-{table.version}-{uuid4().hex[:12]}"
    token = state.token(tenant, OPERATOR)
    await post_set(state.url("ledger"), token, change_set, [line_of(table)])
    out.print(f"{tenant}：已发布 · published")
    for line in changes(known, table):
        out.print(f"  {line}", markup=False)


def _tell(table: Calendar) -> None:
    official, provisional = told_years(table)
    out.print(
        f"第 {table.version} 版 · version {table.version}；正式 official：{official}；"
        f"暂定 provisional：{provisional}"
    )


def _show(table: Calendar, year: int | None) -> None:
    """Print one year in full, or all of them a line each.

    Raises:
        LocalStackError: the table has no such year.
    """
    wanted = [one for one in table.years if year in (None, one.year)]
    if not wanted:
        there = f"{table.years[0].year}–{table.years[-1].year}"
        raise LocalStackError(
            f"--year：表里没有 {year} 年，有的是 {there}。",
            f"--year: the table has no {year}; it has {there}.",
        )
    if year is None:
        rows = Table("年 · year", "", "放假 · days off", "调休上班 · worked", "依据 · by", box=None)
        for one in wanted:
            days, worked = len(list(one.days_off)), len(one.workdays)
            rows.add_row(str(one.year), _state(one), f"{days} 天", f"{worked} 天", _sources(one))
        out.print(rows)
        return
    out.print(f"{year}  {_state(wanted[0])}  {_sources(wanted[0])}")
    for holiday in wanted[0].holidays:
        out.print(f"  放假 off  {_day(holiday.first)} – {_day(holiday.last)}  {holiday.zh}")
    for day in wanted[0].workdays:
        out.print(f"  上班 work {_day(day)}")


def _state(one: CalendarYear) -> str:
    return "正式 official" if one.official else "暂定 provisional"


def _sources(one: CalendarYear) -> str:
    return "、".join(source.number for source in one.sources)


def _day(day: date) -> str:
    return f"{day}（周{_WEEKDAYS[day.weekday()]}）"
