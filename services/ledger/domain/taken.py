"""Whether two persons have one citizen number at one time, judged over all that is recorded.

A former record with the number is no hindrance: somebody who was gone may come back as another.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Spell:
    """A version of a person, in time, with the number it holds. `there`: it is no removal."""

    record_id: str
    version: int
    change_set_id: str
    valid_from: datetime
    there: bool
    number: str | None


@dataclass(frozen=True, slots=True)
class Clash:
    """A person of a set whose number is another's; of one who is gone, where `former`."""

    record_id: str
    other: str
    former: bool = False


def clashes(spells: Sequence[Spell], change_set_id: str, begins: datetime) -> list[Clash]:
    """Return each person of a set at most once: where another has the number, else where one had.

    Looked at are the moment when the set begins to hold and all later ones that are known of. Who
    had his number before the set is passed over: an old fault stops nobody.
    """
    moments = sorted({begins, *(one.valid_from for one in spells if one.valid_from > begins)})
    before = [one for one in spells if one.change_set_id != change_set_id]
    found: dict[str, Clash] = {}
    for moment in moments:
        now, then = _holding(spells, moment), _holding(before, moment)
        holders, formers = _by_number(now.values()), _by_number(_gone(spells, now))
        for name, mine in now.items():
            number, had = mine.number, then.get(name)
            ours = mine.change_set_id == change_set_id
            if not ours or number is None or (had and had.number == number):
                continue
            if other := _another(holders, number, name):
                found[name] = Clash(name, other)
            elif other := _another(formers, number, name):
                found.setdefault(name, Clash(name, other, former=True))
    return list(found.values())


def _holding(spells: Sequence[Spell], moment: datetime) -> dict[str, Spell]:
    there: dict[str, Spell] = {}
    for one in sorted(spells, key=_place):
        if one.valid_from <= moment:
            there[one.record_id] = one
    return there


def _place(one: Spell) -> tuple[datetime, int]:
    return one.valid_from, one.version


def _gone(spells: Sequence[Spell], now: Mapping[str, Spell]) -> Iterator[Spell]:
    """Yield of each person who is gone what he was told with last."""
    last = {one.record_id: one for one in sorted(spells, key=_place) if one.there}
    yield from (last[name] for name, one in now.items() if not one.there and name in last)


def _by_number(spells: Iterable[Spell]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for one in spells:
        if one.number is not None:
            found.setdefault(one.number, []).append(one.record_id)
    return found


def _another(holders: Mapping[str, Sequence[str]], number: str, name: str) -> str | None:
    return next((one for one in holders.get(number, ()) if one != name), None)
