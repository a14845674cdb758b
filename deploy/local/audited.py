"""The audit log of a stack: its chains followed, held against the anchors that are here."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.local.errors import LocalStackError
from deploy.local.layout import ANCHORS
from deploy.local.set_aside import opened
from services.ledger import anchors
from services.ledger.domain.audit import Break
from services.ledger.verifying import Verdict, verify


@dataclass(frozen=True, slots=True)
class Examined:
    """What was found, by how many anchors, and where a line of theirs could not be read."""

    verdict: Verdict
    anchors: int
    unreadable: Sequence[str]


async def examined(
    dsn: str,
    data_dir: Path,
    files: Sequence[Path] = (),
    tenant: str | None = None,
    last: int | None = None,
) -> Examined:
    """Follow the chains in ledger's database; without `files`, by the data directory's anchors.

    Raises:
        LocalStackError: a file of anchors cannot be read.
    """
    own = data_dir / ANCHORS
    try:
        noted, unreadable = anchors.read(files or ([own] if own.exists() else []))
    except OSError as error:
        raise LocalStackError(
            f"--anchor {error.filename}：读不了（{error.strerror}）。",
            f"--anchor {error.filename}: cannot be read ({error.strerror}).",
        ) from error
    if tenant is not None:
        noted = {tenant: noted.get(tenant, {})}
    async with opened(dsn) as conn:
        verdict = await verify(conn, noted, tenant, last)
    return Examined(verdict, sum(map(len, noted.values())), unreadable)


def in_words(one: Break) -> tuple[str, str]:
    """Say what is broken, in both languages."""
    row_zh = "" if one.n is None else f"第 {one.n} 行"
    row_en = "a row" if one.n is None else f"row {one.n}"
    if one.seq is not None:
        row_zh, row_en = f"{row_zh}（seq {one.seq}）", f"{row_en} (seq {one.seq})"
    match one.kind:
        case "altered":
            zh = f"{row_zh}与封存时不同：被改过，或它前面的一行被删。"
            en = f"{row_en} is not as it was sealed: altered, or the row before it was removed."
        case "deleted":
            zh, en = f"{row_zh}不见了：被删。", f"{row_en} is gone: deleted."
        case "inserted":
            zh = f"{row_zh}不在链上：是插进去的，或它的封印被删。"
            en = f"{row_en} does not belong to the chain: inserted, or its seal was deleted."
        case "reordered":
            zh, en = f"{row_zh}换了位置。", f"{row_en} has changed its place."
        case "truncated":
            zh = f"{row_zh}起被截掉：锚记到第 {one.n_to} 行。"
            en = f"from {row_en} on the end is cut off: an anchor tells of row {one.n_to}."
        case "rewritten":
            zh = f"第 {one.n} 到 {one.n_to} 行之间被重写：第 {one.n_to} 行与锚不符。"
            en = f"rewritten between rows {one.n} and {one.n_to}: the latter is not as anchored."
    return f"{one.tenant_id or '？'}：{zh}", f" {en}"
