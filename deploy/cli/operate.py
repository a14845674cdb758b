"""`chuishao token`, `revoke`, `topics`, `doctor`: what an operator asks for."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from deploy.cli.screen import DATA_DIR, GONE, DataDir, Tenant, err, out, run
from deploy.local import tokens
from deploy.local.doctor import examine
from deploy.local.errors import LocalStackError
from deploy.local.keys import check_known
from deploy.local.registered import has_staff, roles_of
from deploy.local.secrets import secrets_of
from deploy.local.state import StackState, read_state
from deploy.local.topics import apply_every
from deploy.local.whole import OPERATOR

topics = typer.Typer(help="消息主题 · Kafka topics", no_args_is_help=True)


def token(
    role: Annotated[list[str], typer.Option(help="角色，可多次 · a role, repeatable")],
    unit: Annotated[
        list[str] | None, typer.Option(help="单位，可多次 · a unit, repeatable")
    ] = None,
    staff: Annotated[str, typer.Option(help="人员编号 · the staff id")] = "dev",
    department: Annotated[str | None, typer.Option(help="部门 · the department")] = None,
    tenant: Tenant = None,
    data_dir: DataDir = Path(DATA_DIR),
) -> None:
    """打印一个登录令牌，仅供开发 · Print a bearer token, for development alone."""

    async def work() -> None:
        state = read_state(data_dir)
        town = state.tenant(tenant)
        print(state.token(town, *role, units=unit or (), staff=staff, department=department))
        await _warn_of_unknown(state, town, role)

    run(work)


def revoke(
    staff: Annotated[str, typer.Argument(help="人员编号 · the staff id")],
    tenant: Annotated[str, typer.Option("--tenant", metavar="ID", help="哪个镇 · whose")],
    data_dir: DataDir = Path(DATA_DIR),
) -> None:
    """收回某人到此刻为止的登录令牌 · Take back all tokens issued to somebody until now."""

    async def work() -> None:
        now, files = datetime.now(UTC), secrets_of(data_dir)
        check_known(files.key_file, [tenant])
        tokens.revoke(files.token_public, tenant, staff, now)
        out.print(
            f"{tenant} {staff}：此刻以前的令牌从下一次请求起不再有效；新签发的照常 · tokens issued "
            "until now are refused from the next request on; newer ones hold",
            markup=False,
        )
        await _warn_of_nobody(data_dir, tenant, staff)

    run(work)


async def _warn_of_nobody(data_dir: Path, tenant: str, staff: str) -> None:
    """Tell whoever mistyped a name; what was done needs no ledger, and stays done."""
    try:
        known = await has_staff(read_state(data_dir).dsns["ledger"], tenant, staff)
    except (*GONE, LocalStackError, KeyError):
        return
    if not known:
        err.print(
            f"注意：{tenant} 的登记里没有工作人员 {staff}，照样收回了；编号有没有写错？\n"
            f"Note: the registry of {tenant} has no staff {staff}; done all the same. Is the id "
            "mistyped?",
            markup=False,
        )


async def _warn_of_unknown(state: StackState, tenant: str, given: list[str]) -> None:
    """Name the roles that no rule of the town knows; the token is good for none of its doors."""
    try:
        roles = await roles_of(state.dsns["ledger"], tenant)
    except GONE:
        return  # the token needs no database, nor does this advice
    unknown = [one for one in given if one not in (*roles, OPERATOR)]
    if unknown:
        err.print(
            f"注意：{tenant} 的镇配置里没有角色 {'、'.join(unknown)}，令牌照样打印了。"
            f"有的是：{'、'.join(roles)}；另有运维用的 {OPERATOR}。\n"
            f"Note: the profile of {tenant} has no role {', '.join(unknown)}; the token was "
            f"printed all the same. It has: {', '.join(roles)}; and {OPERATOR}, for operators.",
            markup=False,
        )


@topics.command("apply")
def topics_apply(
    bootstrap: Annotated[
        str | None, typer.Option(help="host:port，默认用运行中的系统 · else the running stack's")
    ] = None,
    replication: Annotated[int, typer.Option(min=1, help="副本数 · copies of each partition")] = 1,
    data_dir: DataDir = Path(DATA_DIR),
) -> None:
    """让主题与清单一致，每个部门一个 · Make topics as in the manifest, and each department's."""

    async def work() -> None:
        place = bootstrap or read_state(data_dir).kafka
        table = Table("主题 · topic", "分区", "保留", "属主 · owner", "结果", box=None)
        for one in await apply_every(place, replication):
            topic = one.topic
            kept = "压缩 compact" if topic.retention_ms is None else f"{topic.retention_days} 天"
            table.add_row(topic.name, str(topic.partitions), kept, topic.owner, one.done)
        out.print(table)

    run(work)


def doctor(data_dir: DataDir = Path(DATA_DIR)) -> None:
    """检查一遍，有问题就以 1 退出 · Examine the stack; end with 1 if something is wrong."""

    async def work() -> bool:
        findings = await examine(read_state(data_dir))
        for one in findings:
            lamp = {"well": "[green]●[/green]", "note": "◔", "bad": "[red]○[/red]"}[one.state]
            out.print(f"{lamp} {one.what}：", Text(one.text), sep="")
            if one.todo:
                out.print("    → ", Text(one.todo), sep="")
            for line in one.details:
                out.print("    ", Text(line, "dim"), sep="")
        return any(one.state == "bad" for one in findings)

    if run(work):
        raise typer.Exit(1)
