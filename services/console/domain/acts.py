"""What the board tells of lately: one act is one line, whatever number of facts it made."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, get_args
from uuid import UUID

ActKind = Literal[
    "released", "withdrawn", "assigned", "handed_over", "step", "warned", "due_soon",
    "followed_up", "chased", "head_told", "nobody_there", "escalated", "missed", "unanswered",
    "unruled", "not_there", "not_come", "arrived", "reported_in", "reported_late", "corrected",
    "refused", "ruled", "rejected", "called_upward", "answered", "consulted", "blown", "called",
    "accepted", "reopened", "resolved", "visited", "opened",
]  # fmt: skip
# Later in this order tells more; of one act the most telling kind is said.
KINDS: tuple[ActKind, ...] = get_args(ActKind)


ActKey = tuple[str, UUID, datetime]  # the facts of one act are of one moment


@dataclass(frozen=True, slots=True)
class Act:
    """One line: who did what. `ended` is the end state that was reached.

    `departments` are those of whom `kind` is told.
    """

    tenant_id: str
    case_id: UUID
    at: datetime
    kind: ActKind
    step: str | None = None
    unit: str | None = None
    role: str | None = None
    to_unit: str | None = None
    to_role: str | None = None
    satisfied: bool | None = None
    ended: str | None = None
    departments: tuple[str, ...] = ()
    to_level: str | None = None

    @property
    def key(self) -> ActKey:
        return self.tenant_id, self.case_id, self.at


def joined(first: Act | None, then: Act) -> Act:
    """Fold another fact of the same act into it: who acted is told by the more telling one."""
    if first is None:
        return then
    later_wins = KINDS.index(then.kind) > KINDS.index(first.kind)
    main, other = (then, first) if later_wins else (first, then)
    return replace(
        main,
        step=main.step or other.step,
        unit=main.unit or other.unit,
        role=main.role or other.role,
        to_unit=then.to_unit or first.to_unit,
        to_role=then.to_role or first.to_role,
        satisfied=other.satisfied if main.satisfied is None else main.satisfied,
        ended=then.ended or first.ended,
        departments=_together(first, then) if first.kind == then.kind else main.departments,
        to_level=then.to_level or first.to_level,
    )


def _together(first: Act, then: Act) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*first.departments, *then.departments)))
