"""What every door takes for text that can be kept."""

import re

_CONTROL = r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f"
# Control characters but for line breaks and tabs, and halves of characters.
NOT_KEPT = re.compile(rf"[{_CONTROL}\ud800-\udfff]")
# The same for JSON Schema, with something in it that is no space: a schema knows no more of what
# can be seen.
WRITTEN = rf"^[^{_CONTROL}]*[^\s{_CONTROL}][^{_CONTROL}]*$"
# Letters and marks that Unicode has as printable, but of which nothing is seen.
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)


def is_blank(text: str) -> bool:
    """Tell whether nothing of a text can be seen."""
    seen = _INVISIBLE.sub("", text)
    return not any(one.isprintable() and not one.isspace() for one in seen)
