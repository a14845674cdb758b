"""`chuishao secrets`, `migrate`, `seed`: done once before services start that others run."""

import os
from pathlib import Path
from typing import Annotated

import typer

from deploy.cli.screen import DATA_DIR, DataDir, out, run
from deploy.cli.up import Grids, People, Towns, Villages, VirtualClock
from deploy.local.databases import SERVICE_ROLES, ensure_databases, ensure_passwords
from deploy.local.errors import LocalStackError
from deploy.local.migrate import SERVICES, migrate
from deploy.local.phones import together
from deploy.local.recording import seed as record
from deploy.local.sandbox import Around, write_config
from deploy.local.secrets import ensure_secrets, give_away, secrets_of
from deploy.local.seeding import DEMO_TOWN, Size, check_together, tenant_named, town_wish
from deploy.local.state import read_state

SANDBOX_PORT = 8105
SEED = "随机种子，默认 1 · the made-up town's seed, else 1"


def secrets(
    tenant: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ID", help="镇，如 seed 的写法，可多次 · a tenant as for seed, repeatable"
        ),
    ] = None,
    owner: Annotated[
        int | None, typer.Option(min=0, help="交给这个用户号 · whose files they become, by number")
    ] = None,
    data_dir: DataDir = Path(DATA_DIR),
) -> None:
    """建缺少的密钥和密码，已有的不动 · Make keys and passwords that are missing; others stay."""

    async def work() -> None:
        made = ensure_secrets(data_dir, [tenant_named(one) for one in tenant or [DEMO_TOWN]])
        ensure_passwords(data_dir, (*SERVICES, *SERVICE_ROLES.values()))
        if owner is not None:
            give_away(data_dir, owner)
        out.print(f"密钥在 · keys are in {made.key_file.parent}", markup=False)

    run(work)


def migrate_all(
    service: Annotated[
        list[str] | None, typer.Option(help="只做这个，可多次 · this one alone, repeatable")
    ] = None,
    admin: Annotated[
        str | None,
        typer.Option(
            metavar="DSN",
            envvar="CHUISHAO_POSTGRES_ADMIN",
            help="超级用户，建缺少的用户和库 · a superuser, who makes missing roles and databases",
        ),
    ] = None,
    data_dir: DataDir = Path(DATA_DIR),
) -> None:
    """把各服务的数据库迁移到最新 · Bring each service's database to its newest schema."""
    pgpass = Path(os.environ.get("PGPASSFILE", "~/.pgpass")).expanduser()

    async def work() -> None:
        known = read_state(data_dir).dsns
        dsns = {one: _dsn(known, one) for one in service or SERVICES}
        if admin:
            await ensure_databases(admin, dsns, pgpass)
        for one, dsn in dsns.items():
            await migrate(one, dsn)
            out.print(f"{one}：已是最新 · up to date")

    run(work)


def _dsn(known: dict[str, str], service: str) -> str:
    if service in known:
        return known[service]
    raise LocalStackError(
        f"{service}：没有它的数据库地址。有的是：{'、'.join(known)}。",
        f"{service}: no DSN is given for it. There are: {', '.join(known)}.",
    )


def seed(
    tenant: Towns = None,
    virtual_clock: VirtualClock = None,
    data_dir: DataDir = Path(DATA_DIR),
    villages: Villages = None,
    grids: Grids = None,
    people: People = None,
    seed_number: Annotated[int | None, typer.Option("--seed", metavar="N", help=SEED)] = None,
) -> None:
    """在运行中的系统上登记生成的镇，供开发 · Record made-up towns on a running stack."""

    async def work() -> None:
        size = Size(villages=villages, grids=grids, people=people)
        towns = [town_wish(name, size, seed_number) for name in tenant or [DEMO_TOWN]]
        check_together(towns)
        state = read_state(data_dir)
        phones = await record(state, towns, virtual_clock)
        if "sandbox" in state.facts:
            around = Around(state.url("notify"), state.shown("console"), SANDBOX_PORT)
            keys = secrets_of(data_dir)
            write_config(data_dir / "sandbox", around, keys, together(phones))
        out.print(f"登记好了 · recorded: {', '.join(phones)}")

    run(work)
