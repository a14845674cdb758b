"""`chuishao dlq`: what the services have set aside; look at it, correct it, replay it, drop it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from deploy.cli.actor import By, actor
from deploy.cli.clock import seconds_of
from deploy.cli.dlq_shown import as_json, show_counts, show_one, show_subjects
from deploy.cli.given import read, said, write
from deploy.cli.screen import DATA_DIR, DataDir, out, progress, run
from deploy.local.corrections import Correction
from deploy.local.errors import LocalStackError
from deploy.local.let_go import Left, drop, fix, release, release_all, until_taken
from deploy.local.set_aside import (
    Dsns,
    Kept,
    Subject,
    acts,
    behind,
    one,
    opened,
    place_of,
    subjects,
)
from deploy.local.state import read_state

WAIT_S, LISTED_MAX = 120.0, 10_000
REPORT = "case.reported.v1"

app = typer.Typer(help="死信：被搁置的记录 · dead letters: records set aside", no_args_is_help=True)

At = Annotated[str, typer.Argument(metavar="PLACE", help="位置，照 ls 列出的 · as `ls` lists it")]
Elsewhere = Annotated[
    list[str] | None,
    typer.Option(
        "--dsn",
        metavar="SERVICE=DSN",
        help="服务的数据库，可多次，默认用运行中的系统 · else those of the running stack",
    ),
]
Service = Annotated[str | None, typer.Option(help="只看这个服务 · this service alone")]
Reason = Annotated[str, typer.Option(help="原因里有这些字 · whose reason holds these words")]
Older = Annotated[
    str | None, typer.Option(help="早于多久，如 PT1H · older than so long, such as PT1H")
]
Json = Annotated[bool, typer.Option("--json", help="输出 JSON · print JSON")]


def dsns_of(given: Sequence[str] | None, data_dir: Path, service: str | None = None) -> Dsns:
    """Return the services' databases: those given, else the running stack's.

    Raises:
        LocalStackError: no stack runs, an option has no `=`, or the service is not among them.
    """
    if given and (bad := [text for text in given if "=" not in text]):
        raise LocalStackError(
            f"--dsn {bad[0]}：要写成 服务=DSN。", f"--dsn {bad[0]}: write it as SERVICE=DSN."
        )
    pairs = (text.partition("=") for text in given or ())
    found = {name: where for name, _, where in pairs} or read_state(data_dir).dsns
    if service is not None and service not in found:
        raise LocalStackError(
            f"--service {service}：没有这个服务，有的是 {'、'.join(found)}。",
            f"--service {service}: no such service; there are {', '.join(found)}.",
        )
    return found if service is None else {service: found[service]}


@app.command()
def ls(  # noqa: PLR0913, PLR0917 - each is an option of the command
    service: Service = None,
    reason: Reason = "",
    older: Older = None,
    limit: Annotated[int, typer.Option(min=1, max=LISTED_MAX, help="每个服务最多几件")] = 200,
    counts: Annotated[
        bool, typer.Option("--counts", help="按服务和原因计数 · count by service and reason")
    ] = False,
    json_: Json = False,
    dsn: Elsewhere = None,
    data_dir: DataDir = Path(DATA_DIR),
) -> None:
    """列出被搁置的件，后面等着几条 · What holds a subject, and how many records wait behind it."""

    async def work() -> None:
        most = LISTED_MAX if counts else limit
        found = await _found(dsns_of(dsn, data_dir, service), reason, older, most)
        if json_:
            print(json.dumps([as_json(one) for one in found], ensure_ascii=False))
        elif counts:
            show_counts(found)
        else:
            show_subjects(found)

    run(work)


async def _found(dsns: Dsns, reason: str, older: str | None, limit: int) -> list[Subject]:
    older_s = 0 if older is None else seconds_of(older)
    found: list[Subject] = []
    for name, dsn in dsns.items():
        found += await subjects(name, dsn, older_s=older_s, reason=reason, limit=limit)
    return found


@app.command()
def show(
    place: At,
    raw: Annotated[
        Path | None, typer.Option(help="把原始正文写到这个文件 · write the body as it came there")
    ] = None,
    json_: Json = False,
    dsn: Elsewhere = None,
    data_dir: DataDir = Path(DATA_DIR),
) -> None:
    """看一条记录：内容、原因、怎么办 · One record: what it says, why it lies here, what to do."""

    async def work() -> None:
        dsns = dsns_of(dsn, data_dir)
        at = place_of(place, dsns)
        async with opened(dsns[at.service]) as conn:
            kept = await one(conn, at)
            others = [] if kept.key is None or at.unsent else await behind(conn, kept)
            done = [dict(row) for row in await acts(conn, at)]
        if raw is not None:
            write(raw, kept.now[1] or b"")
        show_one(kept, others, done, as_one_json=json_)

    run(work)


@app.command(name="fix")
def fix_(  # noqa: PLR0913, PLR0917 - each is an option of the command
    place: At,
    why: Annotated[str, typer.Option(help="为什么改 · why it is corrected")],
    value: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="PATH=VALUE", help="改一个值，可多次 · one value of the body"
        ),
    ] = None,
    header: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="改一个头，可多次 · one header")
    ] = None,
    file: Annotated[Path | None, typer.Option(help="整份正文 · the whole body, as JSON")] = None,
    by: By = None,
    dsn: Elsewhere = None,
    data_dir: DataDir = Path(DATA_DIR),
) -> None:
    """改正一条记录；原文留着，合约定才收 · Correct a record beside its original."""

    async def work() -> None:
        dsns = dsns_of(dsn, data_dir)
        at = place_of(place, dsns)
        words = said("--why", why)
        body = None if file is None else read(file)
        wanted = Correction(value or (), header or (), body)
        if wanted == Correction():
            raise LocalStackError(
                "要改什么？用 --set、--header 或 --file。",
                "What is wrong? Use --set, --header, --file.",
            )
        kept = await fix(dsns[at.service], at, wanted, actor(by), words)
        show_one(kept, [], [], as_one_json=False)
        out.print(
            f"已改正；生效请用 chuishao dlq replay {at} · corrected; replay it to take effect"
        )

    run(work)


@app.command()
def replay(  # noqa: PLR0913, PLR0917 - each is an option of the command
    places: Annotated[
        list[str] | None, typer.Argument(metavar="[PLACE]...", help="位置，照 ls 列出的")
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="所有搁置的 · all that is set aside")
    ] = False,
    service: Service = None,
    reason: Reason = "",
    older: Older = None,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="等它们生效 · wait for the effect")
    ] = True,
    timeout: Annotated[float, typer.Option(min=1, help="最多等多少秒 · seconds to wait")] = WAIT_S,
    by: By = None,
    json_: Json = False,
    dsn: Elsewhere = None,
    data_dir: DataDir = Path(DATA_DIR),
) -> None:
    """重放：先被搁置的，再等着的，次序编号不变 · Replay the held one, then those behind it."""

    async def work() -> Left:
        dsns = dsns_of(dsn, data_dir, service)
        if bool(places) == every:
            raise LocalStackError(
                "要么写位置，要么用 --all。", "Give places, or --all with filters, not both."
            )
        who = actor(by)
        chosen = [place_of(text, dsns) for text in places or ()]
        freed = [await release(dsns[at.service], at, who) for at in chosen]
        found = await _found(dsns, reason, older, LISTED_MAX) if every else []
        for name, where in dsns.items():
            mine = [one.place for one in found if one.place.service == name]
            freed += await release_all(where, mine, who)
        left = await _watched(dsns, freed, timeout) if wait and freed else Left(0, 0)
        _tell(freed, left, waited=wait, as_one_json=json_)
        return left

    if run(work).held:
        raise typer.Exit(1)


async def _watched(dsns: Dsns, freed: Sequence[Kept], timeout_s: float) -> Left:
    with progress() as bar:
        task = bar.add_task("重放 · replaying", total=None)
        most = 0

        def tell(now: Left) -> None:
            nonlocal most
            most = max(most, now.waiting)
            bar.update(task, total=most, completed=most - now.waiting)

        return await until_taken(dsns, freed, timeout_s, tell)


def _tell(freed: Sequence[Kept], left: Left, *, waited: bool, as_one_json: bool) -> None:
    if as_one_json:
        told: dict[str, Any] = {"released": len(freed), "held": left.held, "waited": waited}
        print(json.dumps(told))
        return
    out.print(f"已放行 {len(freed)} 件 · {len(freed)} subjects let go")
    if not waited:
        out.print("没有等（--no-wait）；服务会自己重放 · did not wait; the services replay them")
    elif left.held:
        out.print(
            f"还有 {left.held} 条被搁置，原因见 chuishao dlq ls · {left.held} records are held; "
            "`chuishao dlq ls` tells why"
        )
    else:
        out.print("都已生效 · all have taken effect")


@app.command(name="drop")
def drop_(
    place: At,
    reason: Annotated[str, typer.Option(help="为什么舍弃，会存档 · why; it is kept for good")],
    yes: Annotated[
        bool, typer.Option("--yes", help="是上报也舍弃 · also where it is somebody's report")
    ] = False,
    by: By = None,
    dsn: Elsewhere = None,
    data_dir: DataDir = Path(DATA_DIR),
) -> None:
    """舍弃一条，永不生效；等着的随后重放 · Drop one for good; those behind it are replayed."""

    async def work() -> None:
        dsns = dsns_of(dsn, data_dir)
        at = place_of(place, dsns)
        words = said("--reason", reason)
        async with opened(dsns[at.service]) as conn:
            kept = await one(conn, at)
        if kept.headers.get("ce_type", b"").decode(errors="replace") == REPORT and not yes:
            raise LocalStackError(
                f"{at} 是一件上报：上报人拿到过查询码。先告诉镇里和开发者；仍要舍弃就加 --yes。",
                f"{at} is a report: somebody was told 202 and has a tracking code. Call the town "
                "and the developers first; with --yes it is dropped all the same.",
            )
        await drop(dsns[at.service], at, actor(by), words)
        out.print(
            f"已舍弃 {at}，原文和原因已存档；后面等着的自己会生效 · dropped; original and reason "
            "are kept, those behind take effect by themselves",
            markup=False,
        )

    run(work)
