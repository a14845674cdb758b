"""What a cell says: a column's reading brings it to the form in which the registry keeps it.

Cells are never evaluated. A number that a spreadsheet has rounded is refused, never guessed.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping
from datetime import date
from typing import Literal, NamedTuple

from deploy.exchange.told import Unfit
from services.ledger.domain.numbers import western
from services.ledger.domain.texts import seen

_EXACT_DIGITS = 15  # a spreadsheet keeps no more of a number
_ROUNDED = re.compile(r"\d(\.\d+)?E\+?\d+", re.IGNORECASE)
_DAY = re.compile(r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?", re.ASCII)
_PACKED_DAY = re.compile(r"(\d{4})(\d\d)(\d\d)", re.ASCII)
_ESCAPED = re.compile(r"'(?=[=+\-@])")
FORMULA_STARTS = ("=", "+", "-", "@")


class Cell(NamedTuple):
    """A cell as it was typed; a number and a day are spelt out."""

    text: str
    kind: Literal["text", "number", "day", "formula", "other"] = "text"


Read = Callable[[Cell], str]


def plain(cell: Cell) -> str:
    """Return half-width text without what cannot be seen."""
    if cell.text.isalnum() and cell.text.isascii():
        return cell.text
    text = western(_ESCAPED.sub("", cell.text, count=1))
    return "".join(one for one in text if unicodedata.category(one) != "Cc").strip()


def words(cell: Cell) -> str:
    """Read a name or an address: as it was typed, without what cannot be seen."""
    text = seen(cell.text)
    if _ESCAPED.sub("", text, count=1).startswith(FORMULA_STARTS):
        raise Unfit(
            "不能以 = + - @ 开头，表格软件会当成公式：删去开头的符号。",
            "It may not begin with = + - @, which spreadsheets take for a formula: remove it.",
        )
    return text


def name(cell: Cell) -> str:
    """Read a person's name."""
    if cell.kind != "text":
        raise Unfit("应为姓名（文字）。", "Expected a name, as text.")
    return words(cell)


def code(cell: Cell) -> str:
    """Read an id or another code."""
    if cell.kind == "day":
        raise Unfit(
            "这一格成了日期：把整列设为“文本”格式，再重新填写。",
            "It has become a date: format the column as text, and type it again.",
        )
    text = plain(cell)
    return _exact(cell, text if text.isalnum() else "".join(text.split()))


def citizen_number(cell: Cell) -> str:
    """Read a citizen number; what it must be, the registry's door decides."""
    return code(cell).upper()


def phone(cell: Cell) -> str:
    """Read a telephone number, without the spaces and hyphens between its digits."""
    return re.sub(r"(?<=\d)-(?=\d)", "", code(cell))


def _exact(cell: Cell, text: str) -> str:
    rounded = cell.kind == "number" and sum(one.isdigit() for one in text) > _EXACT_DIGITS
    if rounded or _ROUNDED.fullmatch(text):
        raise Unfit(
            "表格软件把它当成了数字，末几位已经丢了（如 1.10105E+17）：把整列设为“文本”格式，"
            "再重新填写。",
            "The spreadsheet took it for a number and its last digits are lost (as 1.10105E+17): "
            "format the column as text, and type it again.",
        )
    return text


def day(cell: Cell) -> str:
    """Read a day, as people write it."""
    said = "".join(plain(cell).split())
    found = _PACKED_DAY.fullmatch(said) or _DAY.fullmatch(said)
    try:
        year, month, date_ = (int(part) for part in found.groups()) if found else (0, 0, 0)
        return date(year, month, date_).isoformat()
    except ValueError:
        raise Unfit("应为日期，如 1990-01-31。", "Expected a date, as 1990-01-31.") from None


# Codes of GB/T 2261.1, and of GB/T 4761 those that a household list has: a word for each. A code
# without a word here is taken and given as it is.
SEXES: Mapping[str, str] = {"男": "1", "女": "2", "未知": "0", "未说明": "9"}
RELATIONS: Mapping[str, str] = {
    "本人": "01",
    "户主": "02",
    "配偶": "10",
    "夫": "11",
    "妻": "12",
    "子": "20",
    "女": "30",
    "孙子": "41",
    "孙女": "42",
    "外孙子": "43",
    "外孙女": "44",
    "父亲": "51",
    "母亲": "52",
    "其他": "80",
    "非亲属": "99",
}
HEADS = ("01", "02")


def sex(cell: Cell) -> str:
    said = plain(cell).removesuffix("性")
    if said not in (*SEXES, *SEXES.values()):
        raise Unfit("应为“男”或“女”。", "Expected 男 or 女 (GB/T 2261.1).")
    return SEXES.get(said, said)


def relation(cell: Cell) -> str:
    said = plain(cell)
    if said not in RELATIONS and not (said.isascii() and said.isdigit() and len(said) <= 2):  # noqa: PLR2004 - digits of GB/T 4761
        shown = "、".join(RELATIONS)
        raise Unfit(
            f"应为其中之一：{shown}；或两位代码。",
            "Expected one of these, or a code of two digits.",
        )
    return RELATIONS.get(said, said.zfill(2))


def word_of(codes: Mapping[str, str]) -> Callable[[str], str]:
    """Return the way back: the word for a code."""
    back = {value: word for word, value in codes.items()}
    return lambda value: back.get(value, value)


def escaped(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


_YES, _NO = "是", "否"


def yes_or_no(cell: Cell) -> str:
    """Read whether something is so."""
    said = plain(cell)
    if said not in (_YES, _NO):
        raise Unfit("应为“是”或“否”。", "Expected 是 (yes) or 否 (no).")
    return said


def is_yes(said: str) -> bool:
    return said == _YES


def word_of_truth(value: object) -> str:
    """Return the word for what is kept."""
    return _YES if value else _NO
