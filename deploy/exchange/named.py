"""What a row names and is not there: told with the way out that a workbook's author has."""

from collections.abc import Collection, Mapping

from deploy.exchange.columns import LAYOUTS
from deploy.exchange.town import Key, Town
from services.ledger.faults import both

_WORDS: Mapping[str, tuple[str, str]] = {
    "unit": ("单位", "unit"),
    "household": ("户", "household"),
    "person": ("人员", "person"),
    "staff": ("工作人员", "member of staff"),
    "organisation": ("组织", "organisation"),
}


def missing(town: Town, kind: str, name: str, there: Collection[Key]) -> str | None:
    """Tell what to write where a record is named that is not there; None if it is."""
    if (kind, name) in there:
        return None
    zh, en = _WORDS[kind]
    if kind == "unit" and name in town.taken_over:
        into = town.taken_over[name]
        said = f"{zh} {name} 已撤销，并入 {into}：改填 {into}。"
        return both(said, f"This {en} has become part of {into}: name that one.")
    if (kind, name) in town.ended:
        return both(
            f"{zh} {name} 已撤销：改填现有的{zh}编号，或删去这一行。",
            f"This {en} has ended: name one that is there, or remove the row.",
        )
    if kind in LAYOUTS:
        title = LAYOUTS[kind].title
        said = f"没有{zh} {name}：改正编号，或在“{title}”表里登记它。"
        return both(said, f"There is no {en} {name}: mend this, or record it in the sheet {title}.")
    said = f"没有{zh} {name}：对照登记改正编号。"
    return both(said, f"There is no {en} {name}: mend it by the register.")
