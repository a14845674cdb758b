"""What the board tells of lately: one act is one line, whatever number of facts it made."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, get_args
from uuid import UUID

ActKind = Literal[
    "assigned", "step", "warned", "followed_up", "missed", "accepted", "reopened", "resolved",
    "visited", "opened",
]  # fmt: skip
# Later in this order tells more; of one act the most telling kind is said.
KINDS: tuple[ActKind, ...] = get_args(ActKind)


ActKey = tuple[str, UUID, datetime]  # the facts of one act are of one moment


@dataclass(frozen=True, slots=True)
class Act:
    """One line: who did what. `ended` is the end state that was reached."""

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
    )
