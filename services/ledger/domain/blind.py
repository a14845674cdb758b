"""A blind index: keyed digests that tell whether two texts are one, and no word of either.

Numbers and phones are found whole; a name whole, by the characters it begins with, and by the
initials of its pinyin; an address by any of its parts that follow each other (`address.py`). What
a digest finds is compared with the text itself before it is shown.
"""

import hmac
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import combinations, product
from typing import Literal

from pypinyin import Style, pinyin

from services.ledger.domain.address import parts
from services.ledger.domain.numbers import as_kept, western

By = Literal["id_number", "credit_code", "phone", "name", "begins", "initials", "address"]
# Which texts of which kind can be looked for.
INDEXED: Mapping[str, tuple[str, ...]] = {
    "person": ("id_number", "phone", "name"),
    "staff": ("phone", "name"),
    "organisation": ("credit_code", "phone", "name", "address"),
    "household": ("address",),
    "place": ("address",),
    "thing": ("address",),
}
_TOKEN_BYTES = 16
_BEGINS_MAX, _INITIALS_MIN, _INITIALS_MAX, _READINGS_MAX = 4, 2, 6, 4
_PARTS_MAX = 5  # the last ones: what stands before them is the town's own name
_DOTS = dict.fromkeys(map(ord, "•‧∙⋅・･．."), "·")
_WITH_COUNTRY = 13  # 86 and the 11 digits of a mobile phone


def normal(by: By, text: str) -> str:
    """Bring a text to the form in which it is compared."""
    if by in ("id_number", "credit_code"):
        return as_kept(text)
    kept = "".join(western(text).split()).casefold()
    if by != "phone":
        return kept.translate(_DOTS)
    digits = "".join(one for one in kept if one.isdecimal())
    return digits[2:] if len(digits) == _WITH_COUNTRY and digits.startswith("86") else digits


def tokens(key: bytes, kind: str, texts: Mapping[str, str]) -> frozenset[bytes]:
    """Return the digests under which a record is found."""
    return frozenset(
        _digest(key, by, value)
        for field in INDEXED.get(kind, ())
        if field in texts
        for by, value in _values(field, texts[field])
    )


def token(key: bytes, by: By, text: str) -> bytes:
    """Return the digest to look for; what is longer than any digest is compared afterwards."""
    if by == "address":
        return _digest(key, by, _run(parts(text)[-_PARTS_MAX:]))
    most = {"begins": _BEGINS_MAX, "initials": _INITIALS_MAX}.get(by)
    return _digest(key, by, normal(by, text)[:most])


def fits(by: By, wanted: str, texts: Mapping[str, str]) -> bool:
    """Tell whether a record's texts are what is looked for."""
    said, looked = normal(by, wanted), texts.get("name" if by in ("begins", "initials") else by)
    if looked is None:
        return False
    if by == "address":
        return f"|{_run(parts(wanted))}|" in f"|{_run(parts(looked))}|"
    if by == "initials":
        return any(one.startswith(said) for one in initials(looked))
    kept = normal(by, looked)
    return kept.startswith(said) if by == "begins" else kept == said


def initials(name: str) -> tuple[str, ...]:
    """Return the initials of a name's characters, one reading each; of a surname's all of them.

    Nothing of a name is remembered: it would outlast an erasure.
    """
    read = pinyin(name, style=Style.FIRST_LETTER, errors="ignore")
    if not read:
        return ()
    surname = dict.fromkeys([*read[0], *_readings(name[0])])
    rest = "".join(one[0] for one in read[1:])
    return tuple("".join(one) for one in product(list(surname)[:_READINGS_MAX], [rest]))


@lru_cache(maxsize=4_096)
def _readings(character: str) -> tuple[str, ...]:
    read = pinyin(character, style=Style.FIRST_LETTER, heteronym=True, errors="ignore")
    return tuple(read[0]) if read else ()


def _values(field: str, text: str) -> Iterator[tuple[By, str]]:
    if field == "address":
        last = parts(text)[-_PARTS_MAX:]
        runs = combinations(range(len(last) + 1), 2)
        yield from (("address", _run(last[begin:end])) for begin, end in runs)
        return
    if field != "name":
        by: By = "phone" if field == "phone" else "id_number"
        by = "credit_code" if field == "credit_code" else by
        yield by, normal(by, text)
        return
    name = normal("name", text)
    yield "name", name
    yield from (("begins", name[:n]) for n in range(1, min(len(name), _BEGINS_MAX) + 1))
    for letters in initials(name):
        most = min(len(letters), _INITIALS_MAX)
        yield from (("initials", letters[:n]) for n in range(_INITIALS_MIN, most + 1))


def _run(following: Sequence[str]) -> str:
    return "|".join(following)


def _digest(key: bytes, by: By, value: str) -> bytes:
    return hmac.digest(key, f"search|{by}|{value}".encode(), "sha256")[:_TOKEN_BYTES]
