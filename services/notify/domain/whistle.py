"""The whistle as notify knows it: whose report-in is awaited, and what is still worth telling."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

SlotState = Literal[
    "called",
    "missed",  # and still awaited
    "over",  # reported in, corrected, refused, released or withdrawn
]
# What nobody needs to be told any more once the case is closed.
_UNTIL_CLOSED = frozenset({"deadline_warning", "whistle_called_upward", "whistle_refused"})
# What is told because a department is not awaited any more.
_OF_ITS_END = frozenset({"whistle_refused"})
_UNTIL_MISSED = frozenset({"whistle_warned"})
# What is told of a miss, and of nothing else: a miss may be withdrawn.
_ONCE_MISSED = frozenset({"whistle_missed", "whistle_escalated"})
_UNTIL_DUE = frozenset({"deadline_warning", "whistle_warned"})


@dataclass(frozen=True, slots=True)
class Slot:
    """One department's part in one whistle. `told_at` is when its miss was last told of.

    `code` is what a text names it by, so that it can be answered.
    """

    state: SlotState = "called"
    due_at: datetime | None = None
    told_at: datetime | None = None
    code: str | None = None


def wanted(notice: str, slot: SlotState | None, *, closed: bool, overdue: bool = False) -> bool:
    """Tell whether a message may still be begun; `slot` is None where it hangs from none.

    `overdue`: the deadline that it tells of has passed, so that there is nothing to remind of.
    """
    if overdue and notice in _UNTIL_DUE:
        return False
    if (slot == "over") is not (notice in _OF_ITS_END):
        return False
    if slot == "missed" and notice in _UNTIL_MISSED:
        return False
    if slot == "called" and notice in _ONCE_MISSED:
        return False
    return not (closed and notice in _UNTIL_CLOSED)
