"""What somebody means who answers a text: which of the slots that were texted to him.

A text names its slot by a code of four digits. An answer is the code, with or without a 1 beside
it, or a 1 alone; in full-width digits too, and with punctuation around it.
"""

import re
import unicodedata
from collections.abc import Sequence

# No code begins with 1, so that 1 and a code written together are read in one way alone.
_LEAST, _COUNT, _STRIDE = 2_000, 8_000, 7_919
_SHOWN_MAX = 6
_NO_WORD = re.compile(r"[\W_]+")
_CODED = re.compile(r"1?([2-9][0-9]{3})|([2-9][0-9]{3})1")
BARE = "1"


def code_of(number: int) -> str:
    """Return the code of a town's slot of this number: none comes twice within 8,000.

    Codes of slots called together lie far apart, so that a slip of the finger names no other one.
    """
    return str(_LEAST + number * _STRIDE % _COUNT)


def read_reply(text: str) -> str | None:
    """Return the code that a reply names, or `BARE` for a 1 alone; None for anything else."""
    said = _NO_WORD.sub("", unicodedata.normalize("NFKC", text))
    if said == BARE:
        return BARE
    match = _CODED.fullmatch(said) if said.isascii() else None
    return (match[1] or match[2]) if match else None


def chosen(said: str | None, codes: Sequence[str | None]) -> int | None:
    """Return which of the open slots is meant; None where that is in doubt."""
    if said == BARE:
        return 0 if len(codes) == 1 else None
    return codes.index(said) if said is not None and codes.count(said) == 1 else None


def listed(codes: Sequence[str | None]) -> str:
    """Name the codes that may be answered, the first few."""
    return "、".join([code for code in codes if code][:_SHOWN_MAX])
