"""Who lives in a household: the kinds of families a village has today.

The young work far away. What is left are couples past fifty, old people alone, grandparents with
their grandchildren, and some families whole.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random

from deploy.seed.homes import Home
from deploy.seed.names import Names
from deploy.seed.numbers import (
    FEMALE,
    MALE,
    RESIDENTS,
    CitizenNumbers,
    PhoneNumbers,
    division_code,
)
from deploy.seed.plan import Body

_COUNTY = 6  # digits of a division code that a citizen number begins with
_OLD, _OLDEST = 62, 99
_PHONE_AGES, _PHONE_SHARE = range(14, 79), 0.9
_YEAR_DAYS = 365
_SIBLING_GAP = (2, 5)

# GB/T 4761, relation to the head: of a man, of a woman.
_RELATIONS = {
    "head": ("02", "02"),
    "spouse": ("11", "12"),
    "child": ("20", "30"),
    "grandchild": ("41", "42"),
    "parent": ("51", "52"),
}
# How much older than the head they are, and the greatest age at which they still live there.
_OLDER: dict[str, tuple[int, int, int]] = {
    "spouse": (-4, 3, _OLDEST),
    "child": (-33, -22, 34),
    "grandchild": (-62, -46, 17),
    "parent": (21, 30, _OLDEST),
}


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of household: how common among those of its size, the head's age, who else."""

    weight: int
    ages: tuple[int, int]
    others: tuple[str, ...] = ()


_CHILDREN = ("child", "child", "child")
_KINDS: tuple[tuple[Kind, ...], ...] = (
    (Kind(62, (63, 91)), Kind(30, (45, 62)), Kind(8, (22, 44))),
    (
        Kind(58, (60, 86), ("spouse",)),
        Kind(26, (46, 60), ("spouse",)),
        Kind(10, (62, 76), ("grandchild",)),
        Kind(6, (44, 60), ("parent",)),
    ),
    (
        Kind(38, (58, 73), ("spouse", "grandchild")),
        Kind(30, (42, 58), ("spouse", "child")),
        Kind(18, (27, 41), ("spouse", "child")),
        Kind(14, (48, 60), ("spouse", "parent")),
    ),
    (
        Kind(36, (58, 72), ("spouse", "grandchild", "grandchild")),
        Kind(34, (33, 47), ("spouse", *_CHILDREN[:2])),
        Kind(30, (40, 54), ("spouse", "child", "parent")),
    ),
    (
        Kind(55, (34, 48), ("spouse", *_CHILDREN[:2], "parent")),
        Kind(45, (36, 50), ("spouse", "child", "parent", "parent")),
    ),
    (Kind(1, (34, 48), ("spouse", *_CHILDREN[:2], "parent", "parent")),),
    (Kind(1, (36, 48), ("spouse", *_CHILDREN, "parent", "parent")),),
)


def persons(
    homes: Sequence[Home], tenant_id: str, today: date, rng: Random
) -> Iterator[tuple[str, Body]]:
    """Yield (id, body) of everybody, household by household, the head first."""
    census = _Census(tenant_id, today, rng)
    number = 0
    for home in homes:
        for body in census.move_in(home):
            number += 1
            yield person_id(number), body


def person_id(number: int) -> str:
    return f"p{number:06d}"


class _Census:
    """Fills households with people, each with numbers of their own."""

    def __init__(self, tenant_id: str, today: date, rng: Random) -> None:
        self._rng = rng
        self._today = today
        self._names = Names(rng, first_rare=(3, 6))
        self._numbers = CitizenNumbers(division_code(tenant_id)[:_COUNTY])
        self._phones = PhoneNumbers(tenant_id, RESIDENTS, rng.randrange(1_000_000))

    def move_in(self, home: Home) -> Iterator[Body]:
        """Yield the people of one household."""
        kinds = _KINDS[home.size - 1]
        kind = self._rng.choices(kinds, [kind.weight for kind in kinds])[0]
        family = self._names.surname()
        members: list[tuple[str, str, int]] = [self._head(kind)]
        for relation in kind.others:
            members.append(self._other(relation, members))
        for relation, sex, age in members:
            born = self._born(age)
            # Whoever heads a family or is born into it bears its name.
            if not kind.others or relation == "spouse" or (relation, sex) == ("parent", FEMALE):
                name = self._names.full(sex, born.year)
            else:
                name = family + self._names.given(sex, born.year)
            body: Body = {
                "household": home.id,
                "name": name,
                "id_number": self._numbers.give(born, sex),
                "birth_date": born.isoformat(),
                "sex": sex,
                "relation": _RELATIONS[relation][sex == FEMALE],
            }
            if age in _PHONE_AGES and self._rng.random() < _PHONE_SHARE:
                body["phone"] = self._phones.give()
            yield body

    def _head(self, kind: Kind) -> tuple[str, str, int]:
        age = self._rng.randint(*kind.ages)
        women = 0.6 if not kind.others and age > _OLD else 0.12  # widows outlive
        return "head", FEMALE if self._rng.random() < women else MALE, age

    def _other(
        self, relation: str, members: Sequence[tuple[str, str, int]]
    ) -> tuple[str, str, int]:
        _, head_sex, head_age = members[0]
        same = [member for member in members if member[0] == relation]
        low, high, oldest = _OLDER[relation]
        age = self._rng.randint(max(head_age + low, 0), max(head_age + high, 0))
        sex = self._rng.choice((MALE, FEMALE))
        if relation == "spouse":
            sex = FEMALE if head_sex == MALE else MALE
        elif same and relation == "parent":
            sex = FEMALE if same[0][1] == MALE else MALE
        elif same:
            age = same[-1][2] - self._rng.randint(*_SIBLING_GAP)
        return relation, sex, min(max(age, 0), oldest)

    def _born(self, age: int) -> date:
        birthday = date(self._today.year - age, self._today.month, self._today.day)
        return birthday - timedelta(days=self._rng.randrange(_YEAR_DAYS))
