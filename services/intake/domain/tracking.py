"""The tracking code as people write it down: case, width, hyphens, look-alikes do not matter."""

import re
from unicodedata import normalize

_LOOK_ALIKES = str.maketrans("OIL", "011")
_BETWEEN = re.compile(r"[\s\-\u2010-\u2015]")  # blanks and hyphens of any length
_LENGTH = 12


def normal_code(text: str) -> str | None:
    """Return the code in its one form, or None if it cannot be one."""
    code = _BETWEEN.sub("", normalize("NFKC", text)).upper().translate(_LOOK_ALIKES)
    return code if len(code) == _LENGTH and code.isascii() and code.isalnum() else None


def shown_code(code: str) -> str:
    """Return the code in groups of four, to be read aloud."""
    return "-".join(code[n : n + 4] for n in range(0, _LENGTH, 4))
