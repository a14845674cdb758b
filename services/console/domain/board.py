"""A case as the board keeps it: where it is, who has it, which clocks run. Nothing personal."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from services.console.domain.slots import WITHDRAWN, Lamp, Slot, SlotKey

CLASS_CLOCK = "class"
FIRST_ACTION_CLOCK = "first_action"
HAND_OVER_CLOCK = "hand_over"
STEP_CLOCK = "step."
# A clock without a warning of its own is about to strike so long before, or at half its time.
SOON = timedelta(minutes=30)

ClockKind = Literal["calendar", "duty"]
Key = tuple[str, UUID]  # tenant, case


@dataclass(frozen=True, slots=True)
class Clock:
    """A running clock; without `due_at` it counts time that cannot be told yet.

    `provisional`: it rests on a year whose days off are not announced yet.
    """

    kind: ClockKind
    due_at: datetime | None = None
    soon_at: datetime | None = None
    provisional: bool = False


@dataclass(frozen=True, slots=True)
class BoardCase:
    """One case. `clocks` are those that run, by deadline; `slots` are all that were ever called.

    `seq` is the last fact taken in.
    """

    tenant_id: str
    case_id: UUID
    number: str
    profile_version: int
    flow: str
    category: str
    case_class: str
    severity: str
    grid: str | None
    village: str | None
    state: str
    owner_unit: str
    owner_role: str
    received_at: datetime
    changed_at: datetime
    seq: int
    accepted: bool = False
    closed_at: datetime | None = None
    clocks: Mapping[str, Clock] = field(default_factory=dict)
    slots: Mapping[SlotKey, Slot] = field(default_factory=dict)

    @property
    def next_clock(self) -> tuple[str, Clock] | None:
        """The deadline that strikes first; one whose time cannot be told comes after all others."""
        armed = [(clock.due_at, name) for name, clock in self.clocks.items() if clock.due_at]
        deadline = min(armed)[1] if armed else min(self.clocks, default=None)
        return None if deadline is None else (deadline, self.clocks[deadline])


def started(case: BoardCase, deadline: str, clock: Clock, at: datetime) -> BoardCase:
    """Let a clock run from `at`, or run anew."""
    if clock.due_at is not None and clock.soon_at is None:
        clock = replace(clock, soon_at=clock.due_at - min(SOON, (clock.due_at - at) / 2))
    return replace(case, clocks={**case.clocks, deadline: clock})


def stopped(case: BoardCase, *deadlines: str) -> BoardCase:
    """Stop clocks, those that run."""
    kept = {name: clock for name, clock in case.clocks.items() if name not in deadlines}
    return replace(case, clocks=kept)


def warned(case: BoardCase, deadline: str, at: datetime) -> BoardCase:
    """Take a warning in: from now on the clock is about to strike."""
    clock = case.clocks.get(deadline)
    if clock is None or (clock.soon_at is not None and clock.soon_at <= at):
        return case
    return started(case, deadline, replace(clock, soon_at=at), at)


def stepped(
    case: BoardCase,
    step: str,
    state: str,
    owner: tuple[str, str],
    states_of_step: Mapping[str, Collection[str]],
) -> BoardCase:
    """Take a step in. A step's clock ends with it, or where the case leaves the step's states.

    Whether the new state is an end is told by a fact of its own, which follows. A case that leaves
    its end begins anew: whoever was called before has been let go.
    """
    ended = [
        name
        for name in case.clocks
        if name.startswith(STEP_CLOCK)
        and (name == STEP_CLOCK + step or _left(name, state, states_of_step))
    ]
    unit, role = owner
    slots = case.slots if case.closed_at is None else {}
    moved = replace(
        case, state=state, owner_unit=unit, owner_role=role, closed_at=None, slots=slots
    )
    return stopped(moved, *ended)


def called(case: BoardCase, slots: Iterable[Slot]) -> BoardCase:
    """Take in that departments are called."""
    return replace(case, slots={**case.slots, **{slot.key: slot for slot in slots}})


def turned(case: BoardCase, key: SlotKey, lamp: Lamp, came_at: datetime | None = None) -> BoardCase:
    """Turn a department's lamp; one whose call was never heard of stays unknown."""
    slot = case.slots.get(key)
    return case if slot is None else called(case, [replace(slot, lamp=lamp, came_at=came_at)])


def moved(
    case: BoardCase, key: SlotKey, due_at: datetime, *, provisional: bool, miss_withdrawn: bool
) -> BoardCase:
    """Move a department's due time; a miss that is withdrawn turns its lamp back."""
    slot = case.slots.get(key)
    if slot is None:
        return case
    lamp = WITHDRAWN.get(slot.lamp, slot.lamp) if miss_withdrawn else slot.lamp
    return called(case, [replace(slot, due_at=due_at, provisional=provisional, lamp=lamp)])


def _left(deadline: str, state: str, states_of_step: Mapping[str, Collection[str]]) -> bool:
    states = states_of_step.get(deadline.removeprefix(STEP_CLOCK))
    return states is not None and state not in states


@dataclass(frozen=True, slots=True)
class BoardRow:
    """An open case as one line of the board shows it, with the clock that strikes first.

    `slots` are the departments called to it, `awaited_since` tells for how long one has not come,
    `joined` whether one has.
    """

    case_id: UUID
    number: str
    profile_version: int
    flow: str
    category: str
    case_class: str
    severity: str
    grid: str | None
    village: str | None
    state: str
    owner_unit: str
    owner_role: str
    received_at: datetime
    accepted: bool
    deadline: str | None = None
    clock: ClockKind | None = None
    due_at: datetime | None = None
    soon_at: datetime | None = None
    provisional: bool = False
    awaited_since: datetime | None = None
    joined: bool = False
    slots: tuple[Slot, ...] = ()


Urgency = Literal["late", "soon", "untaken", "open"]
URGENCIES: tuple[Urgency, ...] = ("late", "soon", "untaken", "open")


def urgency(row: BoardRow, now: datetime) -> Urgency:
    """Tell how much somebody is being waited for."""
    if row.due_at is not None and row.due_at <= now:
        return "late"
    if row.soon_at is not None and row.soon_at <= now:
        return "soon"
    return "open" if row.accepted else "untaken"


def place_in_order(row: BoardRow, now: datetime) -> tuple[int, datetime, str]:
    """Return where a line stands: first where a department has not come, for the longest time.

    Then the rest, what has waited longest first, each urgency for itself, and after those that
    press whatever departments have come to; by number within the minute that a reader sees.
    """
    if row.awaited_since is not None:
        return -1, _minute(row.awaited_since), row.number
    how = urgency(row, now)
    if how in ("late", "soon") and row.due_at:
        return URGENCIES.index(how), _minute(row.due_at), row.number
    rank = 2 if row.joined else URGENCIES.index(how) + 1
    return rank, _minute(row.received_at), row.number


def _minute(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)
