"""`chuishao clock`: the tenants' virtual time, in development alone."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer

from contracts.profile import Duration
from deploy.cli.screen import DATA_DIR, DataDir, out, run
from deploy.local.errors import LocalStackError
from deploy.local.quiet import Watch
from deploy.local.registered import timezone_of
from deploy.local.state import StackState, read_state
from deploy.local.whole import OPERATOR

QUIET_TIMEOUT_S = 300.0
AHEAD_MAX_DAYS = 20 * 366  # ledger's own limit

app = typer.Typer(help="演示时钟 · the tenants' virtual time", no_args_is_help=True)

One = Annotated[
    str | None, typer.Option("--tenant", help="只拨这个镇 · this tenant alone; else all of them")
]


@app.command()
def now(tenant: One = None, data_dir: DataDir = Path(DATA_DIR)) -> None:
    """现在几点 · What time it is."""

    async def work() -> None:
        state = read_state(data_dir)
        for one in _tenants(state, tenant):
            await _show(state, await ask_clock(state, one, None))

    run(work)


# What begins with a minus sign is a length to be refused by name, not an option.
@app.command(context_settings={"ignore_unknown_options": True})
def advance(
    by: Annotated[str, typer.Argument(help="ISO 8601，如 PT30M、P7D · such as PT30M or P7D")],
    tenant: One = None,
    data_dir: DataDir = Path(DATA_DIR),
) -> None:
    """往前拨，等到期的都办完再返回 · Go forward; return when all that fell due is done."""

    async def work() -> None:
        await move(read_state(data_dir), tenant, {"advance_s": seconds_of(by)})

    run(work)


@app.command(name="set")
def set_to(
    moment: Annotated[
        datetime, typer.Argument(formats=["%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M%z"])
    ],
    tenant: One = None,
    data_dir: DataDir = Path(DATA_DIR),
) -> None:
    """拨到某一时刻 · Go to a moment, such as 2025-03-03T08:30:00+08:00."""

    async def work() -> None:
        await move(read_state(data_dir), tenant, {"set_to": moment.isoformat()})

    run(work)


async def move(
    state: StackState,
    tenant: str | None,
    body: dict[str, Any],
    timeout_s: float = QUIET_TIMEOUT_S,
) -> float:
    """Move clocks and wait for rest; return the seconds it took."""
    for one in _tenants(state, tenant):
        await _show(state, await ask_clock(state, one, body))
    async with Watch(state) as watch:
        seconds = await watch.until_quiet(timeout_s, tenant)
    out.print(f"到期的都已办完（{seconds:.1f} s） · all that fell due is done")
    return seconds


async def advance_quietly(state: StackState, tenant: str, seconds: float) -> None:
    """Move one town's clock on and wait for rest, without a word."""
    await ask_clock(state, tenant, {"advance_s": seconds})
    async with Watch(state) as watch:
        await watch.until_quiet(QUIET_TIMEOUT_S, tenant)


def _tenants(state: StackState, tenant: str | None) -> list[str]:
    return [state.tenant(tenant)] if tenant else state.tenants


async def ask_clock(state: StackState, tenant: str, body: dict[str, Any] | None) -> dict[str, Any]:
    """Move a town's clock, or with None ask what it shows; return ledger's answer."""
    headers = {"Authorization": f"Bearer {state.token(tenant, OPERATOR)}"}
    url = f"{state.url('ledger')}/v1/dev/clock"
    async with httpx.AsyncClient(timeout=10, headers=headers) as client:
        answer = await (client.get(url) if body is None else client.post(url, json=body))
    answered: dict[str, Any] = answer.json()
    if answer.is_error:
        raise LocalStackError(f"{answered.get('title')}", f"{answered.get('detail')}")
    return answered


async def _show(state: StackState, clock: dict[str, Any]) -> None:
    """Print a town's time as its people's clocks show it."""
    ahead_s = round(clock["ahead_s"])
    sign = "−" if ahead_s < 0 else "+"
    zone = await timezone_of(state.dsns["ledger"], clock["tenant"])
    local = datetime.fromisoformat(clock["now"]).astimezone(zone)
    shown = f"{sign}{timedelta(seconds=abs(ahead_s))}"
    out.print(f"{clock['tenant']}  {local.isoformat(timespec='seconds')}  （比真实时间 {shown}）")


def seconds_of(text: str) -> float:
    """Read a length of time that needs no calendar, of at most `AHEAD_MAX_DAYS`.

    Raises:
        LocalStackError: it is none, has months or years, goes back, or is too long.
    """
    forward = text.replace("-", "")
    try:
        length = Duration.parse(forward)
    except ValueError:
        length = Duration(months=1)
    if forward != text and not length.months:
        raise LocalStackError(
            f"{text}：演示时钟只能往前拨。往前请写 {forward}；要拨到某一时刻，"
            "用 chuishao clock set。",
            f"{text}: the clock is advanced forward alone: write {forward}. "
            "`chuishao clock set` goes to a moment.",
        )
    seconds = length.days * 86_400 + length.seconds
    if length.months or length.years or seconds > AHEAD_MAX_DAYS * 86_400:
        raise LocalStackError(
            f"{text} 不是这里能用的时长：请用整数的天、小时、分、秒，如 P7D、PT30M、PT45S，"
            f"不带小数、月、年，最多 P{AHEAD_MAX_DAYS}D。",
            f"{text} is no length of time here: use whole days, hours, minutes and seconds, such "
            "as P7D, PT30M or PT45S, without fractions, months or years, at most "
            f"P{AHEAD_MAX_DAYS}D.",
        )
    return seconds
