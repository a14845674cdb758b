"""How personal texts are shown to those who need not know them. A mask never says how to go back.

A record shows the year of birth beside the number, and everybody knows the county: what a mask
leaves open must be more than can be tried out by looking up, one after the other.

What has no mask of its own is hidden whole, so that a field that is added later is not shown.
"""

from collections.abc import Callable, Mapping

HIDDEN = "***"
_PHONE_HEAD, _PHONE_TAIL, _PHONE_MIN = 3, 2, 11
_CITIZEN_NUMBER, _PLACE, _YEAR = 18, 6, 4
_ADDRESS_SHOWN = 3


def mask_name(name: str) -> str:
    """Show the first character, and not how many there are: 张*."""
    return f"{name[0]}*" if len(name) > 1 else "*"


def mask_phone(phone: str) -> str:
    """Show the first three and the last two: 138******78; of a short number nothing."""
    if len(phone) < _PHONE_MIN:
        return HIDDEN
    hidden = len(phone) - _PHONE_HEAD - _PHONE_TAIL
    return phone[:_PHONE_HEAD] + "*" * hidden + phone[-_PHONE_TAIL:]


def mask_id_number(number: str) -> str:
    """Show the place alone: 110101************; what stands behind tells day, sex and order."""
    if len(number) != _CITIZEN_NUMBER:
        return HIDDEN
    return number[:_PLACE] + "*" * (_CITIZEN_NUMBER - _PLACE)


def mask_birth_date(day: str) -> str:
    """Show the year alone."""
    year = day[:_YEAR]
    return year if len(year) == _YEAR and year.isdecimal() else HIDDEN


def mask_address(address: str) -> str:
    """Show where it begins, at most half of it."""
    return address[: min(_ADDRESS_SHOWN, len(address) // 2)] + HIDDEN


MASKS: Mapping[str, Callable[[str], str]] = {
    "name": mask_name,
    "phone": mask_phone,
    "id_number": mask_id_number,
    "birth_date": mask_birth_date,
    "address": mask_address,
}


def masked(texts: Mapping[str, str]) -> dict[str, str]:
    """Mask texts by their fields."""
    return {
        field: MASKS[field](text) if field in MASKS else HIDDEN for field, text in texts.items()
    }
