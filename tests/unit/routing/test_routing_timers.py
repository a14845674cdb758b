from dataclasses import replace
from datetime import timedelta
from typing import Literal

import pytest

from services.routing.clockwork import Gate
from services.routing.domain.timers import fire
from services.routing.domain.values import Case
from tests.unit.routing.made_up import NOW, opened

DUE = NOW + timedelta(days=1)
RUNNING = replace(opened("yihe"), running=frozenset({"class", "first_action"}))
CLOSED = replace(RUNNING, closed=True)

TABLE: list[tuple[str, Case, Literal["warn", "miss"], timedelta, str | None]] = [
    ("a miss is announced", RUNNING, "miss", timedelta(0), "case.deadline_missed.v1"),
    ("a late miss too", RUNNING, "miss", timedelta(days=90), "case.deadline_missed.v1"),
    ("a warning before its end", RUNNING, "warn", -timedelta(hours=1), "case.deadline_warned.v1"),
    ("a warning at its end is void", RUNNING, "warn", timedelta(0), None),
    ("a warning after its end is void", RUNNING, "warn", timedelta(seconds=1), None),
    ("a closed case has no clock", CLOSED, "miss", timedelta(0), None),
    ("nor a warning", CLOSED, "warn", -timedelta(hours=1), None),
    ("an ended clock does not strike", replace(RUNNING, running=frozenset()), "miss",
     timedelta(0), None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("case", "kind", "late", "type_"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_a_moment_that_comes(
    case: Case, kind: Literal["warn", "miss"], late: timedelta, type_: str | None
) -> None:
    after, fact = fire(case, "class", kind, DUE, DUE + late)
    assert (fact.type if fact else None) == type_
    assert after.seq == case.seq + (fact is not None)
    if fact:
        assert fact.data == {"deadline": "class", "due_at": DUE}


def test_a_miss_ends_its_own_clock_and_no_other() -> None:
    after, _ = fire(RUNNING, "class", "miss", DUE, DUE)
    assert after.running == {"first_action"}
    assert (after.human_seq, after.state, after.owner) == (0, RUNNING.state, RUNNING.owner)


def test_a_warning_leaves_its_clock_running() -> None:
    after, _ = fire(RUNNING, "class", "warn", DUE, NOW)
    assert after.running == RUNNING.running


# --- the gate ----------------------------------------------------------------------------------

MARGIN = timedelta(seconds=2)


def seconds(n: float) -> timedelta:
    return timedelta(seconds=n)


def test_a_partition_is_clear_up_to_the_moment_at_which_what_we_have_read_was_its_end() -> None:
    gate = Gate(MARGIN)
    gate.saw({0: 10}, NOW)
    assert gate.cleared({0: 9}) == {}
    assert gate.cleared({0: 10}) == {0: NOW - MARGIN}


def test_a_partition_that_stays_behind_stays_shut_and_holds_up_no_other() -> None:
    gate = Gate(MARGIN)
    for n in range(3):
        gate.saw({0: 5 + n, 1: 3}, NOW + seconds(n))
    assert gate.cleared({0: 4, 1: 3}) == {1: NOW + seconds(2) - MARGIN}


def test_a_backlog_clears_step_by_step_as_it_is_read() -> None:
    gate = Gate(MARGIN)
    for n in range(4):
        gate.saw({0: 10 * n}, NOW + seconds(n))
    assert gate.cleared({0: 0})[0] == NOW - MARGIN
    assert gate.cleared({0: 25})[0] == NOW + seconds(2) - MARGIN
    assert gate.cleared({0: 30})[0] == NOW + seconds(3) - MARGIN


def test_an_empty_partition_is_clear_at_once() -> None:
    gate = Gate(MARGIN)
    gate.saw({0: 0}, NOW)
    assert gate.cleared({}) == {0: NOW - MARGIN}


def test_what_was_cleared_stays_cleared_and_never_goes_back() -> None:
    gate = Gate(MARGIN)
    gate.saw({0: 1}, NOW)
    first = gate.cleared({0: 1})[0]
    gate.saw({0: 99}, NOW + seconds(60))
    assert gate.cleared({0: 1})[0] == first


def test_a_quiet_partition_is_clear_up_to_the_last_look() -> None:
    gate = Gate(MARGIN)
    for n in range(100):
        gate.saw({0: 7}, NOW + seconds(n))
    assert gate.cleared({0: 7})[0] == NOW + seconds(99) - MARGIN
