"""One citizen number, two persons: when that is a fault, when a return, when neither."""

from datetime import UTC, datetime, timedelta

import pytest

from services.ledger.domain.taken import Clash, Spell, clashes

N, M = "11010519491231002X", "440308199901101512"
TODAY = datetime(2025, 3, 3, tzinfo=UTC)
SET = "now"


def spell(
    name: str, number: str | None, version: int = 1, set_id: str = "old", day: int = -9
) -> Spell:
    return Spell(name, version, set_id, TODAY + timedelta(days=day), there=True, number=number)


def gone(name: str, version: int = 2, set_id: str = "gone", day: int = -5) -> Spell:
    return Spell(name, version, set_id, TODAY + timedelta(days=day), there=False, number=None)


def ours(name: str, number: str | None, version: int = 1, day: int = 0) -> Spell:
    return spell(name, number, version, SET, day)


@pytest.mark.parametrize(
    ("spells", "expected"),
    [
        pytest.param([spell("a", N), ours("b", N)], [Clash("b", "a")], id="another-has-it"),
        pytest.param([spell("a", M), ours("b", N)], [], id="another-number"),
        pytest.param([spell("a", N), ours("a", N, 2)], [], id="the-same-person-corrected"),
        pytest.param(
            [spell("a", N), spell("a", M, 2, "fix", -3), ours("b", N)], [], id="it-was-mended"
        ),
        pytest.param(
            [spell("a", N), gone("a"), ours("b", N)],
            [Clash("b", "a", former=True)],
            id="who-had-it-is-gone",
        ),
        pytest.param([spell("a", N), gone("a"), ours("a", N, 3)], [], id="he-is-back-himself"),
        pytest.param(
            [spell("a", N), gone("a"), spell("b", N, 1, "b", -4), ours("a", N, 3)],
            [Clash("a", "b")],
            id="back-while-another-has-it",
        ),
        pytest.param(
            [spell("a", N), spell("b", M), ours("a", M, 2), ours("b", N, 2)], [], id="swapped"
        ),
        pytest.param(
            [spell("a", N), spell("b", N), ours("b", N, 2)], [], id="an-old-fault-stops-nobody"
        ),
        pytest.param(
            [spell("a", N), spell("b", N), ours("b", M, 2)], [], id="an-old-fault-is-mended"
        ),
        pytest.param(
            [spell("a", N, 1, "later", 5), ours("b", N)],
            [Clash("b", "a")],
            id="another-will-have-it",
        ),
        pytest.param(
            [spell("a", N, 1, "later", 5), gone("b", 2, "leaves", 5), ours("b", N)],
            [],
            id="he-will-be-gone-by-then",
        ),
        pytest.param(
            [spell("a", N), spell("b", M, 2, "later", -1), ours("b", N, 3, -2)],
            [],
            id="a-correction-of-the-past-that-does-not-hold",
        ),
        pytest.param([spell("a", N), ours("b", None)], [], id="no-number"),
        pytest.param(
            [spell("a", N), spell("a", None, 2, "fix", -3), ours("b", N)],
            [],
            id="another-is-there-without-it",
        ),
        pytest.param(
            [spell("a", N), gone("a"), spell("c", N, 1, "c", -3), ours("b", N)],
            [Clash("b", "c")],
            id="one-has-it-one-had-it",
        ),
    ],
)
def test_who_stands_in_whose_way(spells: list[Spell], expected: list[Clash]) -> None:
    assert clashes(spells, SET, TODAY) == expected
