"""The tracking code as people write it down: case, hyphens and look-alikes do not matter."""

_LOOK_ALIKES = str.maketrans("OIL", "011")
_LENGTH = 12


def normal_code(text: str) -> str | None:
    """Return the code in its one form, or None if it cannot be one."""
    code = "".join(text.split()).replace("-", "").upper().translate(_LOOK_ALIKES)
    return code if len(code) == _LENGTH and code.isascii() and code.isalnum() else None


def shown_code(code: str) -> str:
    """Return the code in groups of four, to be read aloud."""
    return "-".join(code[n : n + 4] for n in range(0, _LENGTH, 4))
