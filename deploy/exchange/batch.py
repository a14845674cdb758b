"""A batch of records: checked, posted as one change set, and taken back as one."""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from deploy.exchange.checks import check
from deploy.exchange.columns import LAYOUTS
from deploy.exchange.files import read_bytes
from deploy.exchange.rows import Row, read_rows
from deploy.exchange.told import Fault, Faults
from deploy.exchange.town import Town, is_known, replaced_by, town_held
from deploy.local.errors import LocalStackError
from deploy.local.seeding import LedgerRefusedError, ndjson, post_lines
from services.chassis.seal import KeyRing
from services.ledger.clock import today
from services.ledger.settings import LedgerSettings

_SET_BYTES_MAX: int = LedgerSettings.model_fields["change_set_bytes_max"].default
_NAMED_MAX = 10
_LINE = re.compile(r"(第 |\bLine )(\d+)(?= 行| )")
UNDO = "undo-"


@dataclass(frozen=True, slots=True)
class Office:
    """Where a town's registry is, and with what it is opened."""

    tenant_id: str
    ledger_url: str
    dsn: str
    token: str
    keys: KeyRing

    def make_id(self, citizen_number: str) -> str:
        """Return the id of a new person: the same each time, and it tells no number."""
        return "p-" + self.keys.body_mac(self.tenant_id, f"person|{citizen_number}".encode())[:24]


@dataclass(slots=True)
class Outcome:
    """What became of a batch. `same` rows are recorded already and were not sent."""

    batch: str
    state: Literal["faulty", "checked", "recorded", "known", "unchanged"] = "faulty"
    rows: dict[str, int] = field(default_factory=dict)
    new: int = 0
    changed: int = 0
    same: int = 0
    faults: Faults = field(default_factory=Faults)
    passed_over: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


async def bring(
    office: Office, file: Path, batch: str | None, *, dry_run: bool, step: Callable[[int], None]
) -> Outcome:
    """Bring a file's records into the registry: all of them, or none.

    Raises:
        LocalStackError: it is no such file, or the door refuses it for more than its rows.
    """
    content = read_bytes(file)
    reading = read_rows(file, content, step)
    batch = batch or f"file-{hashlib.sha256(content).hexdigest()[:24]}"
    known = await is_known(office.dsn, office.tenant_id, batch)  # first: what it did is then seen
    town = await town_held(office.dsn, office.tenant_id, office.keys)
    rows = check(reading, town, office.make_id, today())
    outcome = Outcome(
        batch,
        faults=reading.faults,
        passed_over=reading.passed_over,
        rows={kind: sum(row.kind == kind for row in reading.rows) for kind in LAYOUTS},
    )
    outcome.faults.sort(reading.sheets)
    if outcome.faults.total:
        return outcome
    order = list(LAYOUTS)
    rows.sort(key=lambda row: order.index(row.kind))
    wanted = [row for row in rows if town.records.get((row.kind, row.record_id)) != row.body]
    outcome.new = sum((row.kind, row.record_id) not in town.records for row in wanted)
    outcome.changed, outcome.same = len(wanted) - outcome.new, len(rows) - len(wanted)
    if not wanted:
        outcome.state = "unchanged"
        return outcome
    if known:
        raise await _taken(office, outcome.batch)
    content = ndjson(_line(row, town) for row in wanted)
    _check_size(content)
    await _post(office, outcome, wanted, content, dry_run=dry_run)
    return outcome


async def _post(
    office: Office, outcome: Outcome, rows: Sequence[Row], content: bytes, *, dry_run: bool
) -> None:
    """Send a batch, or have the door judge it alone."""
    try:
        answer = await _send(office, outcome.batch, content, dry_run=dry_run)
    except LedgerRefusedError as error:
        by_key = {(row.kind, row.record_id): row for row in rows}
        for one in error.errors:
            row = rows[one["line"] - 1] if "line" in one else by_key.get((one["kind"], one["id"]))
            outcome.faults.add(row.fault(one["field"], one["message"]) if row else _elsewhere(one))
        if not outcome.faults.total:
            raise
        outcome.state = "faulty"
        return
    outcome.warnings = [_placed(said, rows) for said in answer["warnings"]]
    outcome.state = "known" if answer["known"] else "checked" if dry_run else "recorded"


async def _send(office: Office, batch: str, content: bytes, *, dry_run: bool) -> dict[str, Any]:
    about = {"dry_run": "true"} if dry_run else {}
    return await post_lines(office.ledger_url, office.token, batch, content, **about)


def _placed(said: str, rows: Sequence[Row]) -> str:
    """Tell a line of the set, which nobody has seen, as a row of the file."""

    def place(found: re.Match[str]) -> str:
        row = rows[int(found[2]) - 1]
        number = f"{found[1]}{row.number}"
        return f"{row.sheet}!{number}" if row.sheet else number

    return _LINE.sub(place, said)


def _elsewhere(one: Mapping[str, Any]) -> Fault:
    """Tell a fault of a record that is in the registry and not in the file."""
    title = LAYOUTS[one["kind"]].title if one["kind"] in LAYOUTS else one["kind"]
    return Fault("", f"已登记的{title} {one['id']}", one["field"], one["message"])


def _line(row: Row, town: Town) -> dict[str, Any]:
    version = town.versions.get((row.kind, row.record_id), 0)
    return {
        "kind": row.kind,
        "id": row.record_id,
        "body": dict(row.body),
        "expected_version": version,
    }


def _check_size(content: bytes) -> None:
    """A batch is one change set, so that it is recorded whole or not at all."""
    size = len(content)
    if size > _SET_BYTES_MAX:
        has, most = f"{size / 2**20:.0f} MiB", f"{_SET_BYTES_MAX // 2**20} MiB"
        raise LocalStackError(
            f"这一批有 {has}，一批最多 {most}，什么都没有改。请分成几个文件，各为一批。",
            f"This batch has {has}, and one may have {most}; nothing was changed. Split the file, "
            "a batch each.",
        )


async def _taken(office: Office, batch: str) -> LocalStackError:
    undone = await is_known(office.dsn, office.tenant_id, f"{UNDO}{batch}")
    zh = "已经撤销过" if undone else "已登记为别的内容"
    en = "was undone" if undone else "is recorded with other content"
    return LocalStackError(
        f"--batch {batch}：这一批{zh}，什么都没有改。请用 --batch 另起一个编号。",
        f"--batch {batch}: it {en}; nothing was changed. Give another id with --batch.",
    )


async def take_back(office: Office, batch: str, *, dry_run: bool) -> Mapping[str, Any]:
    """Undo a batch: each record becomes what it was before, or is removed.

    Raises:
        LocalStackError: there is no such batch, it holds other kinds, or a record has been changed
            since.
    """
    undo = f"{UNDO}{batch}"
    records = await replaced_by(office.dsn, office.tenant_id, batch, office.keys)
    restored = sum(one.before is not None for one in records)
    told = {"batch": batch, "restored": restored, "removed": len(records) - restored}
    if await is_known(office.dsn, office.tenant_id, undo):
        return {**told, "undo": undo, "state": "known"}
    if not records or any(one.kind not in LAYOUTS for one in records):
        raise LocalStackError(
            f"{batch}：没有这一批导入，什么都没有改。编号在导入时打印过。",
            f"{batch}: there is no such import; nothing was changed. Its id was printed then.",
        )
    since = [one for one in records if one.since is not None]
    if since:
        named = [f"{LAYOUTS[one.kind].title} {one.record_id}（{one.since}）" for one in since]
        shown = "、".join(named[:_NAMED_MAX])
        raise LocalStackError(
            f"{batch}：其中 {len(since)} 条之后又改过，什么都没有撤销：{shown}。"
            "请先撤销后来的批次，或逐条改正。",
            f"{batch}: {len(since)} of its records were changed since (with the set); nothing was "
            "undone. Undo the later batch first, or mend them one by one.",
        )
    content = ndjson(
        {
            "kind": one.kind,
            "id": one.record_id,
            "body": one.before,
            "expected_version": one.version,
        }
        for one in records
    )
    _check_size(content)
    answer = await _send(office, undo, content, dry_run=dry_run)
    state = "checked" if dry_run else "recorded"
    return {**told, "undo": undo, "state": state, "warnings": answer["warnings"]}
