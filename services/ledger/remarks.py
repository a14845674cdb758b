"""What a person should look at in a set: numbers told twice or of no known place, and the future.

The first refuses the set. An unknown place is remarked upon and stops nothing: no list of places is
whole (abolished counties, residence permits). No remark repeats a number.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from contracts.division import province_known
from services.ledger.faults import both

DIVISIONS = "divisions"  # the code list of places, by their first six digits
_REMARKS_MAX = 50
# Where the place stands in a number, by the kind and field which hold it.
_PLACES: Mapping[str, tuple[str, slice]] = {
    "person": ("id_number", slice(0, 6)),
    "organisation": ("credit_code", slice(2, 8)),
}


class Numbered(NamedTuple):
    """A number's place in a set, with the place of the country that it begins with."""

    line: int
    kind: str
    record_id: str
    field: str
    number: str

    @property
    def place(self) -> str:
        return self.number[_PLACES[self.kind][1]]


def numbers_of(lines: Mapping[int, Any]) -> list[Numbered]:
    """Return the numbers of a set's persons and organisations, as they are kept."""
    found = []
    for line, one in lines.items():
        field = _PLACES[one.kind][0] if one.kind in _PLACES else ""
        number = (one.body or {}).get(field)
        if isinstance(number, str):
            found.append(Numbered(line, one.kind, one.id, field, number))
    return found


def told_twice(numbers: Sequence[Numbered]) -> Iterator[tuple[int, str, str]]:
    """Yield line, field and fault of each number that an earlier line has for somebody else."""
    first: dict[tuple[str, str], int] = {}
    for one in numbers:
        before = first.setdefault((one.kind, one.number), one.line)
        if before != one.line:
            zh = f"与第 {before} 行的号码相同：对照证件改正，或删去重复的一条。"
            en = f"Line {before} has the same number: mend it by the card, or remove one of them."
            yield one.line, one.field, both(zh, en)


def unknown_places(numbers: Sequence[Numbered], known: Collection[str]) -> list[str]:
    """Remark on numbers whose place is in no list; without a list, on those of no province."""
    wrong = [
        one
        for one in numbers
        if (one.place not in known if known else not province_known(one.place))
    ]
    zh = "第 {} 行 {}/{} 的 {}：地区代码不在名录里，不影响登记，请核对。"
    en = "Line {} {}/{}, {}: its place is in no list; check it, this stops nothing."
    return [
        both(*(text.format(one.line, one.kind, one.record_id, one.field) for text in (zh, en)))
        for one in wrong[:_REMARKS_MAX]
    ]


def followed(later: Sequence[tuple[str, str, datetime]]) -> list[str]:
    """Remark on records of which another version holds from a moment that is recorded already."""
    zh = "{0}/{1}：已登记从 {2} 起的另一版，到那时以那一版为准；那时仍应如此的，也请改那一版。"
    en = "{0}/{1}: another version holds from {2}; mend that one too if this is to stay so then."
    return [
        both(*(text.format(kind, name, at.isoformat(timespec="minutes")) for text in (zh, en)))
        for kind, name, at in later
    ]
