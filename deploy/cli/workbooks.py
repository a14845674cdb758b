"""`chuishao registry import`, `export`, `undo`: households, persons, links as workbooks."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from deploy.cli.actor import By, actor
from deploy.cli.screen import DATA_DIR, DataDir, Tenant, err, out, progress, run
from deploy.exchange.batch import Office, Outcome, bring, take_back
from deploy.exchange.books import check_target, write_registry, write_report
from deploy.exchange.columns import LAYOUTS
from deploy.exchange.told import FAULTS_MAX
from deploy.exchange.town import note_export, town_held
from deploy.local.secrets import secrets_of
from deploy.local.state import read_state
from deploy.local.whole import OPERATOR
from services.chassis.seal import KeyRing

_SHOWN_MAX = 20
_EVERY = 5_000  # rows to a line, where nobody watches a bar
_BATCH = r"[A-Za-z0-9][A-Za-z0-9._:-]{0,58}"  # with `undo-` before it still an id of a change set

app = typer.Typer(
    help="户、人员和关联，导入导出 · households, persons, links, in and out",
    no_args_is_help=True,
)
DryRun = Annotated[bool, typer.Option("--dry-run", help="只检查，不登记 · check alone")]
Json = Annotated[bool, typer.Option("--json", help="打印 JSON · print JSON")]


def _batch(given: str | None) -> str | None:
    if given is not None and not re.fullmatch(_BATCH, given):
        raise typer.BadParameter(
            "应以字母或数字开头，只含字母、数字和 . _ : -，最多 59 个字符 · "
            "expected letters, digits, . _ : -"
        )
    return given


@app.command("import")
def import_(  # noqa: PLR0913, PLR0917 - each is an option of the command
    file: Annotated[Path, typer.Argument(help="xlsx、csv 或 ndjson · the file")],
    batch: Annotated[
        str | None,
        typer.Option("--batch", callback=_batch, help="批次编号，默认由文件得出 · else by content"),
    ] = None,
    report: Annotated[
        Path | None, typer.Option("--report", help="把问题写成 xlsx · write the faults")
    ] = None,
    dry_run: DryRun = False,
    as_json: Json = False,
    by: By = None,
    tenant: Tenant = None,
    data_dir: DataDir = Path(DATA_DIR),
) -> None:
    """导入户、人员和关联：整批登记，或一条不登 · Bring a file in, whole or not at all."""

    async def work() -> Outcome:
        if report:
            check_target(report)
        office = _office(data_dir, tenant, by)
        with _steps("读取 · rows read") as step:
            outcome = await bring(office, file, batch, dry_run=dry_run, step=step)
        if report:
            write_report(report, outcome)
        return outcome

    outcome = run(work)
    if as_json:
        print(json.dumps(_told(outcome), ensure_ascii=False))
    else:
        _show(outcome, report)
    if outcome.state == "faulty":
        raise typer.Exit(1)


@app.command()
def export(
    file: Annotated[Path, typer.Argument(help="写到这个 xlsx · the workbook to write")],
    as_json: Json = False,
    by: By = None,
    tenant: Tenant = None,
    data_dir: DataDir = Path(DATA_DIR),
) -> None:
    """导出户、人员和关联，格式与导入相同 · Write them in the layout in which they come in."""

    async def work() -> dict[str, int]:
        check_target(file)
        office = _office(data_dir, tenant, by)
        town = await town_held(office.dsn, office.tenant_id, office.keys)
        await note_export(
            office.dsn, office.tenant_id, actor(by), Counter(kind for kind, _ in town.records)
        )
        with _steps("写出 · rows written") as step:
            return write_registry(file, town, step)

    counts = run(work)
    if as_json:
        print(json.dumps({"file": str(file), "rows": counts}, ensure_ascii=False))
        return
    out.print(f"已写入 {file}：{_counted(counts)}", markup=False)
    out.print(
        "里面是个人信息，只有您的系统用户可读：用完请删除 · personal data in the clear: delete it "
        "after use"
    )


@app.command()
def undo(
    batch: Annotated[str, typer.Argument(help="导入时打印的批次编号 · the batch's id")],
    dry_run: DryRun = False,
    as_json: Json = False,
    by: By = None,
    tenant: Tenant = None,
    data_dir: DataDir = Path(DATA_DIR),
) -> None:
    """撤销一批：每条恢复原样，新增的删去 · Take a batch back, whole or not at all."""
    told = run(lambda: take_back(_office(data_dir, tenant, by), batch, dry_run=dry_run))
    if as_json:
        print(json.dumps(told, ensure_ascii=False))
        return
    said = {
        "checked": "可以撤销，还没有撤 · it can be undone",
        "known": "早已撤销，没有改动 · undone before; nothing changed",
        "recorded": "已撤销 · undone",
    }[told["state"]]
    out.print(
        f"{batch}：{said}；恢复 {told['restored']} 条，删去 {told['removed']} 条 · "
        f"{told['restored']} restored, {told['removed']} removed；{told['undo']}",
        markup=False,
    )
    _warn(told.get("warnings", ()))


def _office(data_dir: Path, tenant: str | None, by: str | None) -> Office:
    state = read_state(data_dir)
    town = state.tenant(tenant)
    keys = KeyRing(secrets_of(data_dir).key_file)
    token = state.token(town, OPERATOR, staff=actor(by))
    return Office(town, state.url("ledger"), state.dsns["ledger"], token, keys)


@contextmanager
def _steps(what: str) -> Iterator[Callable[[int], None]]:
    """Count rows as they pass: a bar for whoever watches, else a line now and then."""
    with progress() as bar:
        task, done = bar.add_task(what, total=None), 0

        def step(rows: int) -> None:
            nonlocal done
            done += rows
            if done % _EVERY == 0:
                bar.update(task, completed=done)
                if bar.disable:
                    err.print(f"{what}：{done:,}")

        yield step


def _show(outcome: Outcome, report: Path | None) -> None:
    total = outcome.faults.total
    said = {
        "faulty": f"有 {total} 处问题，一条也没有登记 · {total} faults; nothing was recorded",
        "checked": "检查通过，还没有登记 · checked, not recorded",
        "recorded": "已登记 · recorded",
        "known": "这一批早已登记，没有改动 · recorded before; nothing changed",
        "unchanged": "与登记完全相同，没有改动 · the registry has it already; nothing changed",
    }[outcome.state]
    for fault in outcome.faults.kept[:_SHOWN_MAX]:
        out.print(f"  {fault}", markup=False)
    if total > _SHOWN_MAX:
        out.print(f"  …… {_rest(total, report)}", markup=False)
    if outcome.passed_over:
        out.print(
            f"没有读取的工作表 · sheets passed over：{'、'.join(outcome.passed_over)}", markup=False
        )
    counts = f"新增 {outcome.new}，更改 {outcome.changed}，不变 {outcome.same}"
    out.print(f"{_counted(outcome.rows)}：{said}", markup=False)
    if outcome.state != "faulty":
        out.print(f"{counts} · {outcome.new} new, {outcome.changed} changed, {outcome.same} same")
    _warn(outcome.warnings)
    if outcome.state == "recorded":
        out.print(f"撤销用 · to undo：chuishao registry undo {outcome.batch}", markup=False)


def _rest(total: int, report: Path | None) -> str:
    """Tell how many faults were not printed, and where they stand."""
    more, place = total - _SHOWN_MAX, report or "--report FILE"
    zh, en = "全部", "all"
    if total > FAULTS_MAX:
        zh, en = f"前 {FAULTS_MAX} 处", f"the first {FAULTS_MAX}"
    return f"还有 {more} 处，{place} 里有{zh} · {more} more: {place} has {en}"


def _warn(warnings: Sequence[str]) -> None:
    """Print what a person should look at; it stops nothing."""
    if not warnings:
        return
    out.print(
        f"请核对 {len(warnings)} 处，不影响登记 · {len(warnings)} to look at, stopping nothing"
    )
    for said in warnings[:_SHOWN_MAX]:
        out.print(f"  {said}", markup=False)
    more = len(warnings) - _SHOWN_MAX
    if more > 0:
        out.print(f"  …… 还有 {more} 处，--json 列全 · {more} more: see --json")


def _counted(rows: dict[str, int]) -> str:
    return "，".join(f"{LAYOUTS[kind].title} {count:,}" for kind, count in rows.items())


def _told(outcome: Outcome) -> dict[str, object]:
    return {
        "batch": outcome.batch,
        "state": outcome.state,
        "rows": outcome.rows,
        "new": outcome.new,
        "changed": outcome.changed,
        "same": outcome.same,
        "faults_total": outcome.faults.total,
        "faults": [
            {"sheet": one.sheet, "cell": one.cell, "header": one.header, "message": one.message}
            for one in outcome.faults
        ],
        "sheets_passed_over": outcome.passed_over,
        "warnings": outcome.warnings,
    }
