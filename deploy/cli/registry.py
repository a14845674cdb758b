"""`chuishao registry`: whether a town's registry holds what its profile asks for."""

import json
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from deploy.cli.screen import DATA_DIR, DataDir, Tenant, out, run
from deploy.local.errors import LocalStackError
from deploy.local.secrets import secrets_of
from deploy.local.set_aside import opened
from deploy.local.state import read_state
from deploy.local.whole import OPERATOR
from services.chassis.seal import KeyRing
from services.ledger.domain.blind import INDEXED
from services.ledger.reindex import reindex
from services.ledger.store import search

_SHOWN_MAX = 40
_TIMEOUT = httpx.Timeout(60, connect=5)

app = typer.Typer(help="登记 · the registry", no_args_is_help=True)


@app.callback()
def registry() -> None:
    """人、地、物、事、组织的登记 · What the town has on its register."""


@app.command()
def check(
    as_json: Annotated[bool, typer.Option("--json", help="原样输出 · as JSON")] = False,
    tenant: Tenant = None,
    data_dir: DataDir = Path(DATA_DIR),
) -> None:
    """登记够不够镇配置的要求，有错就以 1 退出 · Hold the registry against the profile."""

    async def work() -> dict[str, Any]:
        state = read_state(data_dir)
        token = state.token(state.tenant(tenant), OPERATOR)
        async with httpx.AsyncClient(base_url=state.url("ledger"), timeout=_TIMEOUT) as client:
            headers = {"Authorization": f"Bearer {token}"}
            answer = await client.get("/v1/registry/coverage", headers=headers)
        told: dict[str, Any] = answer.json()
        if answer.is_error:
            raise LocalStackError(str(told.get("title")), str(told.get("detail")))
        return told

    told = run(work)
    if as_json:
        print(json.dumps(told, ensure_ascii=False, indent=2))
    else:
        show(told)
    if any(one["level"] == "error" for one in told["findings"]):
        raise typer.Exit(1)


@app.command(name="reindex")
def index_anew(tenant: Tenant = None, data_dir: DataDir = Path(DATA_DIR)) -> None:
    """让以前登记的也能按号码、电话、姓名查到 · Make what was recorded before findable."""

    async def work() -> int:
        state, done = read_state(data_dir), 0
        town, keys = state.tenant(tenant), KeyRing(secrets_of(data_dir).key_file)
        async with opened(state.dsns["ledger"]) as conn:
            whole = await search.count(conn, town, sorted(INDEXED))
            with Progress(console=out) as progress:
                task = progress.add_task("建索引 · indexing", total=whole)
                async for done in reindex(conn, town, keys):
                    progress.update(task, completed=done)
        return done

    out.print(f"建好 {run(work)} 条 · versions are findable")


def show(told: dict[str, Any]) -> None:
    """Print a town's coverage as a clerk reads it: figures, teams, then what is missing."""
    out.print(
        f"{told['tenant']}，镇配置第 {told['profile_version']} 版 · profile version", style="bold"
    )
    rows = Table("项目 · figure", "编号 · id", "应有 · declared", "登记 · held", "", box=None)
    for one in told["figures"]:
        declared = "" if one["declared"] is None else str(one["declared"])
        rows.add_row(one["zh"], one["of"], declared, f"{one['held']:g}", "" if one["fits"] else "○")
    out.print(rows)
    for one in told["teams"]:
        out.print(f"{one['zh']}：{one['units']} 个中 {one['complete']} 个齐全 · complete")
    if not told["findings"]:
        out.print("没有缺的 · nothing is missing")
        return
    missing = Table("", "单位 · record", "名称", "缺什么，怎么补 · what is missing", box=None)
    for one in told["findings"][:_SHOWN_MAX]:
        lamp = "[red]○[/red]" if one["level"] == "error" else "◔"
        missing.add_row(lamp, f"{one['kind']}/{one['subject']}", Text(one["name"]), Text(one["zh"]))
    out.print(missing)
    total = sum(told["counts"].values())
    if total > _SHOWN_MAX:
        out.print(
            f"共 {total} 条，只列前 {_SHOWN_MAX} 条；--json 列得更多 · {total} in all; see --json"
        )
