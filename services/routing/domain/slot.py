"""A slot: one department's part in one whistle, and the names of its clocks.

It has at most one outcome at a time; nothing that one department does or leaves undone touches
another's slot.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args
from uuid import UUID

from services.routing.domain.rules import Rules

Outcome = Literal["reported", "reported_late", "corrected", "missed", "refused", "withdrawn"]
Means = Literal["app_ack", "on_site", "remote"]
Stage = Literal["report_in", "arrive", "release", "rule"]
CAME: frozenset[Outcome] = frozenset(("reported", "reported_late", "corrected"))
_ENDED: frozenset[Outcome] = frozenset(("refused", "withdrawn"))
_STAGES: tuple[Stage, ...] = get_args(Stage)
_RUNGS: Mapping[Stage, str] = {"report_in": "rung.", "arrive": "arrive_rung."}


@dataclass(frozen=True, slots=True)
class Slot:
    """One department's part in one whistle. Without `due_at` its clock cannot be told yet.

    `blown_at` is when its clock began: when it was called, or again by a ruling. `proposed` is whom
    it named when it refused, `ruling` what became of that. `arrive_due_at` is told where a clock
    for arriving runs, `release_due_at` where one for letting it go does.
    """

    whistle_id: UUID
    department: str
    lead: bool
    blown_at: datetime
    due_at: datetime | None
    outcome: Outcome | None = None
    means: Means | None = None
    reported_in_at: datetime | None = None
    arrived_at: datetime | None = None
    released_at: datetime | None = None
    arrive_due_at: datetime | None = None
    proposed: str | None = None
    ruling: Literal["accept", "reject"] | None = None
    calendar_version: int | None = None  # as a timer's
    provisional: bool = False
    release_due_at: datetime | None = None
    ruling_due_at: datetime | None = None  # while it is undecided

    @property
    def came(self) -> bool:
        """Whether the department has reported in, late as it may have been."""
        return self.outcome in CAME

    @property
    def coming_since(self) -> datetime | None:
        """Return when the time for arriving began: with its report-in, and not before the call."""
        return max(self.reported_in_at, self.blown_at) if self.reported_in_at else None

    @property
    def there_since(self) -> datetime | None:
        """Return when the time for letting it go began: with its arrival, likewise."""
        return max(self.arrived_at, self.blown_at) if self.arrived_at else None

    @property
    def open(self) -> bool:
        """Whether the department still has a part in the case."""
        return self.released_at is None and self.outcome not in _ENDED

    @property
    def awaited(self) -> bool:
        """Whether the department is still expected to report in."""
        return self.open and not self.came

    @property
    def undecided(self) -> bool:
        """Whether it has refused and nobody has ruled on that yet."""
        return self.outcome == "refused" and self.ruling is None

    @property
    def pending(self) -> bool:
        """Whether the case still has to do with it."""
        return self.open or self.undecided


def clock_of(department: str, stage: Stage = "report_in") -> str:
    """Name the clock by which a department reports in, or arrives."""
    return f"{stage}/{department}"


def rung_of(department: str, rung: int, stage: Stage = "report_in") -> str:
    """Name the moment of a rung of the ladder."""
    return f"{_RUNGS[stage]}{rung}/{department}"


def department_of(clock: str) -> str | None:
    """Return whose clock it is; None: it is no department's."""
    name, _, department = clock.partition("/")
    return department if name in _STAGES or name.startswith(tuple(_RUNGS.values())) else None


def stage_of(clock: str) -> Stage:
    """Return which stage a department's clock is about."""
    if clock.startswith("release/"):
        return "release"
    if clock.startswith("rule/"):
        return "rule"
    return "arrive" if clock.startswith(("arrive/", _RUNGS["arrive"])) else "report_in"


def rung_number(clock: str) -> int | None:
    """Return which rung of its ladder a clock is the moment of, if it is one."""
    name = clock.partition("/")[0]
    rung = name.startswith(tuple(_RUNGS.values()))
    return int(name.rpartition(".")[2]) if rung else None


def clocks(slot: Slot, rules: Rules) -> frozenset[str]:
    """Name every clock that a slot can have."""
    mine = {clock_of(slot.department, stage) for stage in _STAGES}
    for n in range(len(rules.whistle.on_miss)):
        mine |= {rung_of(slot.department, n, stage) for stage in _RUNGS}
    return frozenset(mine)


def about(slot: Slot) -> dict[str, object]:
    """Tell in a fact which slot it is about."""
    return {"whistle_id": slot.whistle_id, "department": slot.department}
