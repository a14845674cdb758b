"""`chuishao keys`: versions of the tenants' keys; make a new one, use it everywhere, remove one."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from deploy.cli.dlq import Elsewhere, dsns_of
from deploy.cli.screen import DATA_DIR, DataDir, out, progress, run
from deploy.local import keys
from deploy.local.errors import LocalStackError
from deploy.local.republished import republish
from deploy.local.resealed_files import reseal_files, used_in_files
from deploy.local.resealing import Use, reseal, used_everywhere, used_on_topics
from deploy.local.secrets import secrets_of
from deploy.local.set_aside import Dsns
from deploy.local.state import read_state
from services.chassis.seal import KeyRing

app = typer.Typer(help="密钥的版本 · versions of the towns' keys", no_args_is_help=True)

File = Annotated[
    Path | None,
    typer.Option("--key-file", help="密钥文件，默认用数据目录里的 · else the data directory's"),
]
Town = Annotated[
    str, typer.Option("--tenant", metavar="ID", help="镇，默认全部 · a town, else all of them")
]
Bootstrap = Annotated[
    str | None, typer.Option(help="host:port，默认用运行中的系统 · else the running stack's")
]
Attachments = Annotated[
    Path | None,
    typer.Option(help="附件目录，默认用数据目录里的 · of attachments, else the data directory's"),
]


@app.command()
def rotate(tenant: Town = "", key_file: File = None, data_dir: DataDir = Path(DATA_DIR)) -> None:
    """换新密钥：此后用它封存，旧的照样能开 · Let a new key seal from now on; older ones open."""

    async def work() -> None:
        for town, kid in keys.rotate(_file(key_file, data_dir), _named(tenant)).items():
            out.print(f"{town}：从现在起用 {kid} 封存 · {kid} seals from now on", markup=False)
        out.print(
            "请马上备份密钥文件。再运行 chuishao keys reseal，旧密钥才能删 · back the key file up "
            "now; after `chuishao keys reseal` the old key can be removed"
        )

    run(work)


@app.command()
def ls(
    tenant: Town = "",
    topics: Annotated[
        bool, typer.Option("--topics", help="也数 Kafka 里的，要读一遍 · read Kafka's topics, too")
    ] = False,
    bootstrap: Bootstrap = None,
    attachments: Attachments = None,
    key_file: File = None,
    dsn: Elsewhere = None,
    data_dir: DataDir = Path(DATA_DIR),
) -> None:
    """列出各版本和还在用它的地方，丢了密钥就以 1 退出 · List versions and what still uses each."""

    async def work() -> bool:
        every = keys.versions(_file(key_file, data_dir))
        known = {town: every[town] for town in every if tenant in ("", town)}
        used = await _used(dsns_of(dsn, data_dir), _folder(attachments, data_dir))
        if topics:
            used |= await used_on_topics(bootstrap or read_state(data_dir).kafka)
        uses = {use for counted in used.values() for use in counted if tenant in ("", use[0])}
        uses |= {(town, kid) for town, (kid, _) in known.items()}
        there = {(town, kid) for town, (_, kids) in known.items() for kid in kids}
        if not uses:
            keys.check_known(_file(key_file, data_dir), _named(tenant))
        for town, kid in sorted(uses | there):
            what = "封存 · seals" if known.get(town, ("",))[0] == kid else "打开 · opens"
            what = what if (town, kid) in there else "[bold red]丢失 · LOST[/bold red]"
            still = _still(_shown(used, (town, kid)), topics=topics)
            out.print(f"{town} {kid}  {what}  还在用 · used by: {still}")
        return bool(uses - there)

    if run(work):
        out.print(
            "有密钥丢失：用备份的密钥文件换回，各服务会自己重读；别的镇照常 · a key is lost: put "
            "the key file's backup back, services read it by themselves; other towns go on"
        )
        raise typer.Exit(1)


@app.command(name="reseal")
def reseal_(
    tenant: Town = "",
    bootstrap: Bootstrap = None,
    attachments: Attachments = None,
    key_file: File = None,
    dsn: Elsewhere = None,
    data_dir: DataDir = Path(DATA_DIR),
) -> None:
    """用新密钥重新包好各件的数据密钥，内容不动 · Wrap what is kept by the new key, in batches."""

    async def work() -> None:
        file, dsns = _file(key_file, data_dir), dsns_of(dsn, data_dir)
        keys.check_known(file, _named(tenant))
        broker = bootstrap or read_state(data_dir).kafka
        ring, folder = KeyRing(file), _folder(attachments, data_dir)
        for town in _named(tenant) or keys.versions(file):
            rows, lost = await _reseal(dsns, ring, town)
            files = reseal_files(folder, ring, town)
            said = await republish(broker, dsns["ledger"], ring, town)
            out.print(
                f"{town}：{rows} 行，{files} 个附件，重发登记 {said} 条 · rows, attachments, "
                "records of the registry said again",
                markup=False,
            )
            for kid, count in sorted(lost.items()):
                out.print(f"  {town} {kid}：{count} 件打不开 · cannot be opened", markup=False)

    run(work)


async def _reseal(dsns: Dsns, ring: KeyRing, town: str) -> tuple[int, Counter[str]]:
    done, lost = 0, Counter[str]()
    with progress() as bar:
        task = bar.add_task(f"重新包好 · wrapping {town}", total=None)
        for dsn in dsns.values():
            rows, missing = await reseal(dsn, ring, town, lambda more: bar.advance(task, more))
            done += rows
            lost += missing
    return done, lost


@app.command()
def rm(
    kid: Annotated[str, typer.Argument(help="哪个密钥，如 k1 · which key, such as k1")],
    tenant: Annotated[str, typer.Option("--tenant", metavar="ID", help="哪个镇 · whose")],
    bootstrap: Bootstrap = None,
    attachments: Attachments = None,
    key_file: File = None,
    dsn: Elsewhere = None,
    data_dir: DataDir = Path(DATA_DIR),
) -> None:
    """删去一个不再用的旧密钥，还有用它的就不删 · Remove a key that nothing uses any more."""

    async def work() -> None:
        file = _file(key_file, data_dir)
        used = await _used(dsns_of(dsn, data_dir), _folder(attachments, data_dir))
        used |= await used_on_topics(bootstrap or read_state(data_dir).kafka)
        if still := _shown(used, (tenant, kid)):
            raise LocalStackError(
                f"{tenant} 的密钥 {kid} 还在用，没有删：{still}。先运行 chuishao keys reseal；"
                "主题里的事实 30 天后自己过期。",
                f"Key {kid} of {tenant} is still used and was not removed: {still}. First run "
                "`chuishao keys reseal`; facts on topics expire by themselves after 30 days.",
            )
        keys.forget(file, tenant, kid)
        out.print(f"{tenant}：已删去 {kid} · removed", markup=False)

    run(work)


async def _used(dsns: Dsns, folder: Path) -> dict[str, Counter[Use]]:
    return {**await used_everywhere(dsns), "attachments": used_in_files(folder)}


def _shown(used: Mapping[str, Counter[Use]], use: Use) -> str:
    return ", ".join(f"{place} {n[use]}" for place, n in sorted(used.items()) if n[use])


def _still(shown: str, *, topics: bool) -> str:
    """Tell what still uses a key, and that topics may: they are read on demand alone."""
    if topics:
        return shown or "没有 · nothing"
    return "；".join(part for part in (shown, "主题未查 · topics not looked at") if part)


def _named(tenant: str) -> list[str]:
    return [tenant] if tenant else []


def _file(given: Path | None, data_dir: Path) -> Path:
    return given or secrets_of(data_dir).key_file


def _folder(given: Path | None, data_dir: Path) -> Path:
    return given or data_dir / "attachments"
