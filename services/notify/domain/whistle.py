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
_UNTIL_CLOSED = frozenset(
    {
        "deadline_warning",
        "whistle_called_upward",
        "whistle_unanswered",
        "whistle_refused",
        "whistle_unruled",
        "whistle_unreleased",
    }
)
# What is told because a department is not awaited any more.
_OF_ITS_END = frozenset({"whistle_refused", "whistle_unreleased", "whistle_unruled"})
_UNTIL_MISSED = frozenset({"whistle_warned"})
# What is told of a miss, and of nothing else: a miss may be withdrawn.
_ONCE_MISSED = frozenset({"whistle_missed", "whistle_escalated"})
_UNTIL_DUE = frozenset({"deadline_warning", "whistle_warned"})
# What is told of one that has reported in and is not there.
_WHILE_ABSENT = frozenset({"whistle_arrival_missed", "whistle_arrival_escalated"})


@dataclass(frozen=True, slots=True)
class Slot:
    """One department's part in one whistle. `told_at` is when its miss was last told of.

    `code` is what a text names it by, so that it can be answered. `absent_since` is by when it was
    to be on the spot and was not; None: it is there, or nobody waits for it there. `blown_by` is
    who has called it.
    """

    state: SlotState = "called"
    due_at: datetime | None = None
    told_at: datetime | None = None
    code: str | None = None
    absent_since: datetime | None = None
    blown_by: str | None = None


def wanted(notice: str, slot: Slot | None, *, closed: bool, overdue: bool = False) -> bool:
    """Tell whether a message may still be begun; `slot` is None where it hangs from none.

    `overdue`: the deadline that it tells of has passed, so that there is nothing to remind of.
    """
    if overdue and notice in _UNTIL_DUE:
        return False
    if closed and notice in _UNTIL_CLOSED:
        return False
    return slot is None or _fits(notice, slot)


def _fits(notice: str, slot: Slot) -> bool:
    """Tell whether what a message says of a slot is so."""
    if notice in _WHILE_ABSENT:
        return slot.absent_since is not None
    if (slot.state == "over") is not (notice in _OF_ITS_END):
        return False
    return notice not in (_ONCE_MISSED if slot.state == "called" else _UNTIL_MISSED)
