"""`chuishao audit`: who did what, and whether what was written is still what it was."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from deploy.cli.screen import DATA_DIR, DataDir, out, run
from deploy.local.audited import Examined, examined, in_words
from deploy.local.set_aside import opened
from deploy.local.state import read_state
from services.ledger.store.audit import latest

app = typer.Typer(help="审计：谁做了什么 · the audit log: who did what", no_args_is_help=True)

One = Annotated[
    str | None, typer.Option("--tenant", help="只看这个镇 · this tenant alone; else all of them")
]
Dsn = Annotated[
    str | None,
    typer.Option(metavar="DSN", help="ledger 的数据库 · ledger's, else the running stack's"),
]
Anchors = Annotated[
    list[Path] | None,
    typer.Option(
        "--anchor",
        metavar="FILE",
        help="锚文件，可多次，默认数据目录里的 · anchors, else the data directory's",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="输出 JSON · print JSON")]


def _asked(dsn: str | None, data_dir: Path, tenant: str | None) -> tuple[str, str | None]:
    """Return ledger's database, and the town that is asked for, if it is there."""
    if dsn is not None:
        return dsn, tenant
    state = read_state(data_dir)
    return state.dsns["ledger"], tenant and state.tenant(tenant)


@app.command()
def verify(
    tenant: One = None,
    anchor: Anchors = None,
    json_: Json = False,
    dsn: Dsn = None,
    data_dir: DataDir = Path(DATA_DIR),
) -> None:
    """核对整条链，指出头一处改动；有就以 1 退出 · Name the first row that is not as it was."""

    async def work() -> Examined:
        place, town = _asked(dsn, data_dir, tenant)
        return await examined(place, data_dir, anchor or (), town)

    found = run(work)
    if json_:
        print(json.dumps(_as_json(found), ensure_ascii=False))
    else:
        _show(found)
    if found.verdict.breaks:
        raise typer.Exit(1)


def _as_json(found: Examined) -> dict[str, Any]:
    said = found.verdict
    return {
        "whole": not said.breaks,
        "rows": said.rows,
        "tenants": said.tenants,
        "unsealed": said.unsealed,
        "unsealed_s": round(said.unsealed_s, 1),
        "anchors": found.anchors,
        "anchors_unreadable": found.unreadable,
        "breaks": [
            {
                "tenant": one.tenant_id,
                "kind": one.kind,
                "n": one.n,
                "n_to": one.n_to,
                "seq": one.seq,
                "message": "".join(in_words(one)),
            }
            for one in said.breaks
        ],
    }


def _show(found: Examined) -> None:
    said = found.verdict
    for one in said.breaks:
        out.print("[red]○[/red] ", Text("".join(in_words(one))), sep="")
    if not said.breaks:
        out.print(f"[green]●[/green] {said.rows} 行、{said.tenants} 个镇，完整 · rows, whole")
    if said.unsealed:
        waits = f"最久 {said.unsealed_s:.0f} s"
        out.print(f"{said.unsealed} 行还没封存（{waits}） · rows not sealed yet")
    if not found.anchors:
        out.print(
            "没有锚：末尾被截、整条重写看不出来 · no anchors: neither a tail cut off nor a chain "
            "written anew would show"
        )
    for place in found.unreadable:
        out.print("锚读不了 · an anchor cannot be read: ", Text(place), sep="")


@app.command()
def ls(
    tenant: One = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="最多几行 · rows")] = 20,
    json_: Json = False,
    dsn: Dsn = None,
    data_dir: DataDir = Path(DATA_DIR),
) -> None:
    """列出最近做的事，新的在前 · The last acts, newest first."""

    async def work() -> list[dict[str, Any]]:
        place, town = _asked(dsn, data_dir, tenant)
        async with opened(place) as conn:
            return [dict(one) for one in await latest(conn, town, limit)]

    acts = run(work)
    if json_:
        told = [{**one, "at": one["at"].isoformat(), "sealed": one["n"]} for one in acts]
        print(json.dumps(told, ensure_ascii=False))
    elif not acts:
        out.print("还没有记过 · nothing has been written yet")
    else:
        out.print(_table(acts))


def _table(acts: list[dict[str, Any]]) -> Table:
    table = Table(box=None)
    for name in ("seq", "链 · n", "时间 · at"):
        table.add_column(name, no_wrap=True)
    for name in ("镇 · town", "谁 · who", "做了什么 · what"):
        table.add_column(name, overflow="fold")
    for one in acts:
        table.add_row(*(Text(cell) for cell in _cells(one)))
    return table


def _cells(act: Mapping[str, Any]) -> tuple[str, ...]:
    at = act["at"].astimezone().isoformat(sep=" ", timespec="seconds")
    who = act["actor"] + (f"（代 for {act['on_behalf']}）" if act["on_behalf"] else "")
    refused = "（拒 refused）" if act["decision"] == "refused" else ""
    what = " ".join((act["verb"] + refused, act["object"], *act["fields"]))
    reason = f"：{act['reason']}" if act["reason"] else ""
    return str(act["seq"]), str(act["n"] or "待"), at, act["tenant_id"], who, what + reason
