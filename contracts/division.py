"""Division codes (GB/T 2260, GB/T 10114 and three digits of the statistics office): 12 digits.

Six for province, prefecture and county, three for the town, three for the village. The form is
checked; whether there is such a place is not: lists are late and towns merge.
"""

import re

_WRITTEN = re.compile(r"[1-9][0-9]{5}(?:[0-9]{3}){0,2}")
_DIGITS = 12
# GB/T 2260's provinces, by their first two digits.
_PROVINCES = frozenset(
    f"{region}{n}"
    for region, last in (("1", 5), ("2", 3), ("3", 7), ("4", 6), ("5", 4), ("6", 5))
    for n in range(1, last + 1)
) | {"50", "71", "81", "82"}


def whole_code(text: str) -> str | None:
    """Return the code with all its 12 digits, or None where it has not the form of one.

    Six or nine digits are those of a county or a town: the rest is zeros.
    """
    return text.ljust(_DIGITS, "0") if _WRITTEN.fullmatch(text) else None


def province_known(code: str) -> bool:
    """Tell whether a code begins as those of a province do."""
    return code[:2] in _PROVINCES
