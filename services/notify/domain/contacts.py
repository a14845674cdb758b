"""Phone numbers: the one form that a gateway takes, and what may be shown of it."""

import re

_MOBILE = re.compile(r"(?:\+86|0086|86)?(1[3-9][0-9]{9})")


def mobile(text: str) -> str | None:
    """Return a mainland mobile number's eleven digits; None for what cannot get an SMS."""
    match = _MOBILE.fullmatch(re.sub(r"[\s-]", "", text))
    return match[1] if match else None


def masked(number: str) -> str:
    """Return a number as people may see it."""
    return f"{number[:3]}****{number[-4:]}"
