from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from services.console.domain.board import (
    SOON,
    BoardCase,
    BoardRow,
    Clock,
    place_in_order,
    started,
    stepped,
    stopped,
    urgency,
    warned,
)

NOW = datetime(2025, 3, 3, 2, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def case(**clocks: Clock) -> BoardCase:
    return BoardCase(
        tenant_id="yihe",
        case_id=UUID(int=1),
        number="250303-0001",
        profile_version=1,
        flow="closed_loop",
        category="environment",
        case_class="general",
        severity="ordinary",
        grid="g01",
        village="v1",
        state="reported",
        owner_unit="g01",
        owner_role="grid_worker",
        received_at=NOW,
        changed_at=NOW,
        seq=1,
        clocks={name.replace("__", "."): clock for name, clock in clocks.items()},
    )


def row(
    number: str,
    *,
    accepted: bool = False,
    came: float = 0,
    due: float | None = None,
    soon: float | None = None,
) -> BoardRow:
    def at(hours: float | None) -> datetime | None:
        return None if hours is None else NOW + hours * HOUR

    return BoardRow(
        case_id=UUID(int=1),
        number=number,
        profile_version=1,
        flow="closed_loop",
        category="environment",
        case_class="general",
        severity="ordinary",
        grid=None,
        village=None,
        state="reported",
        owner_unit="g01",
        owner_role="grid_worker",
        received_at=NOW + came * HOUR,
        accepted=accepted,
        due_at=at(due),
        soon_at=at(soon),
    )


@pytest.mark.parametrize(
    ("given", "how"),
    [
        (row("1", due=0, soon=-9), "late"),
        (row("2", due=0.001, soon=0), "soon"),
        (row("3", due=9, soon=8), "untaken"),
        (row("4", due=9, soon=8, accepted=True), "open"),
        (row("5"), "untaken"),
        (row("6", accepted=True), "open"),
        (row("7", due=-1, accepted=True), "late"),
    ],
)
def test_how_much_somebody_is_waited_for(given: BoardRow, how: str) -> None:
    assert urgency(given, NOW) == how


def test_the_longest_waiting_comes_first_in_each_urgency() -> None:
    right = [
        row("late long", due=-5, came=-6),
        row("late", due=-1, came=-9),
        row("soon", due=1, soon=-1, came=-1),
        row("soon later", due=2, soon=-2, came=-9),
        row("untaken old", came=-3, due=9, soon=8),
        row("untaken", came=-2),
        row("untaken, twin", came=-2),
        row("open old", came=-8, accepted=True),
        row("open", came=-7, accepted=True),
    ]
    for turn in range(len(right)):
        mixed = right[turn:] + right[:turn][::-1]
        assert sorted(mixed, key=lambda one: place_in_order(one, NOW)) == right


def test_what_came_within_one_minute_stands_by_its_number() -> None:
    second = 1 / 3600
    waiting = [row("1", came=-2 + 50 * second), row("2", came=-2 + 9 * second), row("3", came=-1)]
    late = [row("4", due=-5 + 50 * second), row("5", due=-5), row("0", due=-4)]
    right = [*late, *waiting]
    mixed = right[::-1]
    assert sorted(mixed, key=lambda one: place_in_order(one, NOW)) == right


def test_the_clock_that_strikes_first_is_shown() -> None:
    late, near = Clock("calendar", NOW - HOUR), Clock("calendar", NOW + HOUR)
    duty = Clock("duty")
    assert case(near=near, late=late, duty=duty).next_clock == ("late", late)
    assert case(duty=duty, near=near).next_clock == ("near", near)
    assert case(duty=duty).next_clock == ("duty", duty)
    assert case().next_clock is None


def test_two_clocks_of_one_moment_have_an_order() -> None:
    same = Clock("calendar", NOW)
    assert case(b=same, a=same).next_clock == case(a=same, b=same).next_clock == ("a", same)


@pytest.mark.parametrize(("hours", "before"), [(3, SOON), (1, SOON), (0.5, SOON / 2)])
def test_a_clock_without_a_warning_is_about_to_strike_half_an_hour_before(
    hours: float, before: timedelta
) -> None:
    due = NOW + hours * HOUR
    running = started(case(), "class", Clock("calendar", due), NOW)
    assert running.clocks["class"].soon_at == due - before


def test_a_clock_with_a_warning_or_without_a_time_stays_as_it_is() -> None:
    told = Clock("calendar", NOW + 3 * HOUR, NOW + HOUR)
    assert started(case(), "class", told, NOW).clocks["class"] == told
    assert started(case(), "class", Clock("duty"), NOW).clocks["class"] == Clock("duty")


def test_a_warning_brings_forward_and_never_puts_off() -> None:
    running = case(**{"class": Clock("calendar", NOW + 9 * HOUR, NOW + HOUR)})
    assert warned(running, "class", NOW).clocks["class"].soon_at == NOW
    assert warned(running, "class", NOW + 2 * HOUR) is running
    assert warned(running, "first_action", NOW) is running


def test_a_clock_can_be_stopped_twice() -> None:
    running = case(**{"class": Clock("duty")})
    assert stopped(stopped(running, "class"), "class").clocks == {}
    assert stopped(running, "first_action").clocks == running.clocks


STATES = {"accept": ("reported",), "assign": ("accepted", "transferred")}


@pytest.mark.parametrize(
    ("step", "state", "left"),
    [
        ("accept", "accepted", {"step.assign", "class"}),
        ("other", "accepted", {"step.assign", "class"}),
        ("other", "transferred", {"step.assign", "class"}),
        ("other", "reported", {"step.accept", "class"}),
        ("assign", "accepted", {"class"}),
        ("cancel", "cancelled", {"class"}),
    ],
)
def test_a_steps_clock_ends_with_it_or_where_the_case_leaves_its_states(
    step: str, state: str, left: set[str]
) -> None:
    clock = Clock("duty")
    running = case(step__accept=clock, step__assign=clock, **{"class": clock})
    after = stepped(running, step, state, ("v1", "village_cadre"), STATES)
    assert set(after.clocks) == left
    assert (after.state, after.owner_unit, after.owner_role) == (state, "v1", "village_cadre")


def test_a_step_that_no_profile_knows_keeps_its_clock_until_it_is_taken() -> None:
    running = case(step__mystery=Clock("duty"))
    kept = stepped(running, "accept", "accepted", ("g01", "grid_worker"), {})
    assert set(kept.clocks) == {"step.mystery"}
    assert stepped(kept, "mystery", "accepted", ("g01", "grid_worker"), {}).clocks == {}
