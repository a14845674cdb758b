"""`chuishao up`: everything, seeded, until Ctrl-C."""

import asyncio
import json
import shlex
import shutil
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from deploy.cli.screen import DATA_DIR, DataDir, err, out, run
from deploy.local.errors import LocalStackError
from deploy.local.kafka import KafkaServer
from deploy.local.layout import PORT_BASE, Layout
from deploy.local.postgres import PostgresServer
from deploy.local.process import Restart
from deploy.local.registered import logins_of
from deploy.local.seeding import DEMO_TOWN, Size, TownWish, check_together, town_wish
from deploy.local.stack import LOCK, locked
from deploy.local.state import remove_state, write_state
from deploy.local.whole import Running, Wanted, whole_stack

STOPPING = "[dim]· 正在停止 · stopping[/dim]"
SIGNALS = (signal.SIGINT, signal.SIGTERM)

Towns = Annotated[
    list[str] | None,
    typer.Option(
        "--tenant",
        metavar="PROFILE",
        help="镇配置，可多次 · a profile's name or file, repeatable; ID=PROFILE names the tenant",
    ),
]
PortBase = Annotated[
    int, typer.Option(min=1024, max=65_000, metavar="PORT", help="端口从这里起 · ports begin here")
]
VirtualClock = Annotated[
    datetime | None,
    typer.Option(
        formats=["%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M%z"],
        metavar="TIME",
        help="演示时钟 · the tenants' time at the start, such as 2025-03-03T08:30:00+08:00",
    ),
]
Fresh = Annotated[bool, typer.Option("--fresh", help="先清空数据 · erase the data first")]
Durable = Annotated[
    bool, typer.Option("--durable", help="每条都落盘，断电也不丢 · flush each record, slower")
]
Grids = Annotated[int | None, typer.Option(min=1, metavar="N", help="网格数 · how many grids")]
Villages = Annotated[int | None, typer.Option(min=1, metavar="N", help="村数 · how many villages")]
People = Annotated[int | None, typer.Option(min=1, metavar="N", help="人数 · how many people")]
Seed = Annotated[
    int | None, typer.Option(metavar="N", help="随机种子，默认 1 · the made-up town's seed, else 1")
]


@dataclass(frozen=True, slots=True)
class UpOptions:
    """What `up` and `demo` share."""

    data_dir: Path
    port_base: int
    towns: tuple[TownWish, ...]
    virtual_clock: datetime | None
    fresh: bool
    durable: bool


def options(  # noqa: PLR0913 - what the two commands share
    tenants: list[str] | None = None,
    data_dir: Path = Path(DATA_DIR),
    port_base: int = PORT_BASE,
    virtual_clock: datetime | None = None,
    *,
    fresh: bool = False,
    durable: bool = False,
    size: Size,
    seed: int | None = None,
) -> UpOptions:
    """Check what was asked for."""
    wishes = tuple(town_wish(name, size, seed) for name in tenants or [DEMO_TOWN])
    check_together(wishes)
    return UpOptions(data_dir.resolve(), port_base, wishes, virtual_clock, fresh, durable)


@asynccontextmanager
async def stack(wanted: UpOptions, *, quiet: bool = False) -> AsyncIterator[Running]:
    """Run a stack which other commands can find."""
    stop_when_told()
    if wanted.fresh:
        await asyncio.to_thread(erase, wanted.data_dir)
    layout = Layout(wanted.data_dir, wanted.port_base)

    def report(line: str) -> None:
        if not quiet:
            err.print(f"[dim]· {line}[/dim]")

    def on_restart(restart: Restart) -> None:
        err.print(
            f"{restart.name} 意外退出（{restart.exit_code}），{restart.delay_s:.1f} 秒后重启 · "
            f"{restart.name} ended unexpectedly and starts again"
        )

    what = Wanted(
        layout,
        wanted.towns,
        wanted.virtual_clock,
        flush_each_message=wanted.durable,
    )
    began = time.monotonic()
    async with whole_stack(what, report, on_restart) as running:
        write_state(wanted.data_dir, running.facts())
        taken_s = time.monotonic() - began
        report(f"就绪，用时 {taken_s:.0f} 秒 · ready after {taken_s:.0f} s")
        for note in running.notes:
            err.print(note, markup=False)
        try:
            yield running
        finally:
            remove_state(wanted.data_dir)


def erase(place: Path) -> None:
    """Empty a data directory that is ours and that nobody uses.

    Raises:
        LocalStackError: it is not ours, or a stack runs on it, perhaps one that is still starting.
    """
    if not place.exists():
        return
    if not (place / LOCK).exists():
        raise LocalStackError(
            f"{place} 不像是本系统的数据目录，没有动它。请用 --data-dir 指定。",
            f"{place} does not look like a data directory of ours: left alone. Choose another "
            "with --data-dir.",
        )
    with locked(place):
        KafkaServer(place / "kafka", 1).erase()
        PostgresServer(place / "postgres", 1).erase()
        # The lock's file stays: somebody may be waiting with it open.
        for one in place.iterdir():
            if one.is_dir():
                shutil.rmtree(one)
            elif one.name != LOCK:
                one.unlink()


def stop_when_told() -> None:
    """Let Ctrl-C or SIGTERM break off what this task does, and say so at once."""
    task, loop = asyncio.current_task(), asyncio.get_running_loop()

    def stop() -> None:
        err.print(STOPPING)
        if task is not None:
            task.cancel()

    for one in SIGNALS:
        loop.add_signal_handler(one, stop)


async def until_stopped() -> None:
    """Wait for Ctrl-C or SIGTERM."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for one in SIGNALS:
        loop.add_signal_handler(one, stopped.set)
    await stopped.wait()
    err.print(STOPPING)


async def show(running: Running) -> None:
    """Print what to open and how to act."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    rows = (
        ("看板 · board", running.url("console")),
        ("网格页 · a grid's page", _grid_page(running)),
        ("沙箱手机 · sandbox phones", f"{running.url('sandbox')}/phones"),
        ("上报 · report", f"POST {running.url('intake')}/v1/cases"),
        ("查询 · follow", f"{running.url('intake')}/v1/track/…"),
        ("办件 · cases", f"{running.url('routing')}/v1/cases/…"),
        ("台账 · ledger", f"{running.url('ledger')}/v1/counts"),
    )
    for name, place in rows:
        table.add_row(name, place)
    out.print(table)
    out.print(f"接入密钥 · API key   {running.secrets.api_key}")
    out.print("登录 · log in as")
    where = _where(running.layout.data_dir)
    for tenant in running.tenants:
        for one in await logins_of(running.dsn("ledger"), tenant):
            out.print(
                f"    chuishao token --tenant {tenant} --role {one.role} --unit {one.unit} "
                f"--staff {one.staff}{where}"
            )
    out.print("停止 · stop          Ctrl-C")


def _grid_page(running: Running) -> str:
    """Return where the first grid with households is shown; it asks for a token."""
    tenant = running.tenants[0]
    homes = (one for one in running.towns[tenant] if one.kind == "household")
    grid = next((one.body["grid"] for one in homes), "…")
    return f"{running.url('console')}/{tenant}/grids/{grid}"


def _where(place: Path) -> str:
    """Return the option that other commands need to find a stack."""
    return "" if place == Path(DATA_DIR).resolve() else f" --data-dir {shlex.quote(str(place))}"


def up(  # noqa: PLR0913, PLR0917 - each is an option of the command
    tenant: Towns = None,
    data_dir: DataDir = Path(DATA_DIR),
    port_base: PortBase = PORT_BASE,
    virtual_clock: VirtualClock = None,
    fresh: Fresh = False,
    durable: Durable = False,
    as_json: Annotated[bool, typer.Option("--json", help="就绪后打印一行 JSON · one line")] = False,
    villages: Villages = None,
    grids: Grids = None,
    people: People = None,
    seed: Seed = None,
) -> None:
    """启动全部服务，直到 Ctrl-C · Start everything, seeded, until Ctrl-C."""

    async def work() -> None:
        wanted = options(
            tenant,
            data_dir,
            port_base,
            virtual_clock,
            fresh=fresh,
            durable=durable,
            size=Size(villages=villages, grids=grids, people=people),
            seed=seed,
        )
        async with stack(wanted, quiet=as_json) as running:
            if as_json:
                print(json.dumps(running.facts(), ensure_ascii=False), flush=True)
            else:
                await show(running)
            await until_stopped()

    run(work)
