"""An address in its parts, so that one written otherwise, or a piece of one, is known again. Pure.

No list of places is behind it: where a part ends is told by the last characters of its kind.
"""

import re

from services.ledger.domain.numbers import western

_DIGITS = {one: n for n, one in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2}
_TEN = "十"
_NUMBERED = "号楼|号院|号|栋|幢|单元|层|室|组|队|巷|弄|网格"
_SPOKEN = re.compile(rf"([{''.join(_DIGITS)}]?{_TEN}?[{''.join(_DIGITS)}]?)(?={_NUMBERED})")
_NAMED = "自治区|街道|社区|网格|大道|胡同|省|市|县|区|镇|乡|村|庄|屯|路|街|巷|弄|组|队"
_PART = re.compile(
    rf"\d+[a-z]?(?:{_NUMBERED}|楼|座|户|里|村|路|街|区)?|[^\d-]+?(?:{_NAMED})|[^\d-]+"
)
_APART = re.compile(r"[\W_]+")


def parts(text: str) -> list[str]:
    """Return an address in its parts: 某某镇望禾村三组12号 is 某某镇, 望禾村, 3组, 12号."""
    kept = "".join(western(text).split()).casefold()
    plain = _SPOKEN.sub(_written, _APART.sub("-", kept))
    return _PART.findall(plain)


def _written(spoken: re.Match[str]) -> str:
    """Write a number up to 99 in digits."""
    said = spoken[1]
    if _TEN not in said:
        return "".join(str(_DIGITS[one]) for one in said)
    tens, _, ones = said.partition(_TEN)
    return str(10 * _DIGITS.get(tens, 1) + _DIGITS.get(ones, 0))
