"""How personal texts are shown to those who need not know them. A mask never says how to go back.

What has no mask of its own is hidden whole, so that a field that is added later is not shown.
"""

from collections.abc import Callable, Mapping

HIDDEN = "***"
_PHONE_HEAD, _PHONE_TAIL, _PHONE_MIN = 3, 4, 11
_CITIZEN_NUMBER, _YEAR = 18, 4
_ADDRESS_SHOWN = 3


def mask_name(name: str) -> str:
    """Show the first character, and not how many there are: 张*."""
    return f"{name[0]}*" if len(name) > 1 else "*"


def mask_phone(phone: str) -> str:
    """Show the first three and the last four: 138****5678; of a short number nothing."""
    if len(phone) < _PHONE_MIN:
        return HIDDEN
    return _middle(phone)


def mask_id_number(number: str) -> str:
    """Show the first three and the last four: 110***********1234."""
    return _middle(number) if len(number) == _CITIZEN_NUMBER else HIDDEN


def mask_birth_date(day: str) -> str:
    """Show the year alone."""
    year = day[:_YEAR]
    return year if len(year) == _YEAR and year.isdecimal() else HIDDEN


def mask_address(address: str) -> str:
    """Show where it begins, at most half of it."""
    return address[: min(_ADDRESS_SHOWN, len(address) // 2)] + HIDDEN


def _middle(text: str) -> str:
    hidden = len(text) - _PHONE_HEAD - _PHONE_TAIL
    return text[:_PHONE_HEAD] + "*" * hidden + text[-_PHONE_TAIL:]


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
