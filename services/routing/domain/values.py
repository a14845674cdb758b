"""What the rules speak of: cases, their owners and clocks, and the facts that a decision makes.

Frozen values only. A decision never changes anything: it says what is to be recorded.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal
from uuid import UUID

TimerKind = Literal["warn", "miss", "rung"]
SYSTEM = "system"
REPORTER = "reporter"
CLASS_DEADLINE = "class"
FIRST_ACTION = "first_action"
ANSWER = "answer"  # the clock by which those who were called answer
HAND_OVER = "hand_over"  # the clock by which a sheet is to be signed for


@dataclass(frozen=True, slots=True)
class Owner:
    """Who answers: a role at a unit, and the person where one is rostered."""

    unit: str
    role: str
    staff: str | None = None

    def held_by(self, actor: "Actor") -> "Owner | None":
        """Return the actor in this place, if it is his; a role alone is anyone's who holds it."""
        if self.staff is not None:
            return self if actor.staff == self.staff else None
        holds = self.role in actor.roles and self.unit in actor.units
        return replace(self, staff=actor.staff) if holds else None


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: a person with roles and units, perhaps for a department; `system` acts by rule.

    Whoever reported the case has neither.
    """

    staff: str
    roles: frozenset[str] = frozenset()
    units: frozenset[str] = frozenset()
    department: str | None = None
    reporter: bool = False


CallReason = Literal["urgent_after_hours", "backup_called"]


@dataclass(frozen=True, slots=True)
class OpenCall:
    """A call that has not been answered; without `due_at` nobody is called after it."""

    reason: CallReason
    number: int
    called: tuple[Owner, ...]
    due_at: datetime | None


@dataclass(frozen=True, slots=True)
class Report:
    """What a front end handed in, without the words and without the contacts.

    `household_grid` is where the registry has the household; None if it knows none of that id.
    """

    front_end: str
    category: str | None = None
    severity: str | None = None
    case_class: str | None = None
    household_id: str | None = None
    household_grid: str | None = None
    grid: str | None = None
    village: str | None = None
    point: tuple[float, float] | None = None  # lon, lat; WGS-84


@dataclass(frozen=True, slots=True)
class Border:
    """A point so near to a grid's border that a person should look.

    `metres` to the nearest border; `near` are the other grids within reach, the nearest first.
    """

    metres: float
    near: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Tried:
    """One rule that was tried, and what came of it: the answer to "why"."""

    rule: str
    held: bool
    because: str


@dataclass(frozen=True, slots=True)
class Case:
    """A case as the rules see it.

    `placed_by` is the clue that named the grid, `fallback` the reason why none could, or why
    nobody there could take it. `seq` counts all its facts; `human_seq` is that of the last act
    by a person. `done` lists which person took which step. `running` names the deadlines whose
    clocks run. `joint` are assigned beside the owner, who leads. `first_asked` is who took it on
    when he was asked: it is his until somebody has taken it over.
    """

    case_id: UUID
    flow: str
    category: str
    severity: str
    case_class: str
    grid: str | None
    village: str | None
    state: str
    owner: Owner
    received_at: datetime
    placed_by: str | None = None
    fallback: str | None = None
    seq: int = 0
    human_seq: int = 0
    closed: bool = False
    accepted: bool = False
    done: tuple[tuple[str, str], ...] = ()
    running: frozenset[str] = frozenset()
    joint: tuple[Owner, ...] = ()
    first_asked: str | None = None
    call: OpenCall | None = None
    border: Border | None = None


@dataclass(frozen=True, slots=True)
class Fact:
    """Something to be announced; `data` has the fields of the contract of that name."""

    type: str
    data: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class NewTimer:
    """A moment to be kept; `due_at` is the deadline's own, also for a warning before it.

    Without them it is stored unarmed: its clock cannot be told yet. On duty time it keeps when its
    clock started and by which table it was reckoned, 0 for none; else neither.
    """

    deadline: str
    kind: TimerKind
    fires_at: datetime | None
    due_at: datetime | None
    started_at: datetime | None = None
    calendar_version: int | None = None
    provisional: bool = False


@dataclass(frozen=True, slots=True)
class Sheet:
    """One sheet: filed by whoever had the night, to be signed for at `unit` by `due_at`."""

    handover_id: UUID
    unit: str
    filed_by: Owner
    filed_at: datetime
    due_at: datetime
    received_at: datetime | None = None
    received_by: str | None = None


@dataclass(frozen=True, slots=True)
class Transfer:
    """An offer of a case to somebody else; until he has taken it, `owner` answers for it."""

    transfer_id: UUID
    owner: Owner
    to: Owner
    offered_at: datetime
    outcome: Literal["taken", "declined", "withdrawn", "moot"] | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be recorded: the case as it is now, its facts, its clocks.

    `ended` names the deadlines whose open timers no longer matter. `sheet` and `transfer` are
    those that are new or changed.
    """

    case: Case
    facts: tuple[Fact, ...]
    timers: tuple[NewTimer, ...] = ()
    ended: frozenset[str] = frozenset()
    why: tuple[Tried, ...] = ()
    sheet: Sheet | None = None
    transfer: Transfer | None = None


@dataclass(frozen=True, slots=True)
class UpwardCall:
    """A call to the level above, whose `unit` answers by a clock of its own.

    `by` is who called; None: a rung did.
    """

    whistle_id: UUID
    unit: str
    called_at: datetime
    due_at: datetime | None
    outcome: Literal["answered", "answered_late", "missed"] | None = None
    answered_at: datetime | None = None
    by: Owner | None = None

    @property
    def open(self) -> bool:
        """Whether the answer is still awaited, late as it may be."""
        return self.answered_at is None


@dataclass(frozen=True, slots=True)
class Act:
    """A step that somebody wants to take. `given` holds what the step needs; words come sealed.

    `expected_seq` is the last fact that the actor has seen: a person may have acted since.
    """

    step_id: str
    actor: Actor
    given: Mapping[str, object]
    expected_seq: int


RefusalCode = Literal[
    "unknown_step",
    "step_not_allowed",
    "role_not_allowed",
    "unit_not_allowed",
    "not_the_handler",
    "same_person",
    "rung_skipped",
    "needs_missing",
    "stale",
    "seq_ahead",
    "whistle_open",
    "whistle_not_allowed",
    "departments_missing",
    "unknown_department",
    "lead_not_named",
    "lead_missing",
    "already_called",
    "not_called",
    "department_not_yours",
    "means_not_allowed",
    "slot_ended",
    "not_reported_in",
    "not_withdrawable",
    "refusal_rejected",
    "nothing_to_rule",
    "same_department",
    "upward_not_allowed",
    "already_called_upward",
    "already_answered",
    "consultation_not_allowed",
    "not_joint",
    "still_awaited",
    "nobody_called",
    "transfer_open",
    "transfer_ended",
    "transfer_not_allowed",
    "to_oneself",
    "unknown_receiver",
    "cannot_accept",
    "not_the_receiver",
    "not_the_owner",
    "sheet_received",
]


@dataclass(frozen=True, slots=True)
class Refused:
    """An act that the rules do not allow. `names` says what would be, or what is missing."""

    code: RefusalCode
    names: tuple[str, ...] = ()


def misread(case: Case, expected_seq: int) -> Refused | None:
    """Tell that an act rests on a look at the case before a person acted, or on none there was."""
    if case.human_seq <= expected_seq <= case.seq:
        return None
    return Refused("stale" if expected_seq <= case.seq else "seq_ahead", (str(case.seq),))
