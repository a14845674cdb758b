"""The departments that a whistle calls, as the board shows them: one lamp each."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args
from uuid import UUID

Lamp = Literal["waiting", "reported", "late", "missed", "refused", "withdrawn"]
LAMPS: tuple[Lamp, ...] = get_args(Lamp)
AWAITED: frozenset[Lamp] = frozenset(("waiting", "missed"))
# What a lamp turns to when its miss is withdrawn.
WITHDRAWN: Mapping[Lamp, Lamp] = {"missed": "waiting", "late": "reported"}

SlotKey = tuple[UUID, str]  # whistle, department


@dataclass(frozen=True, slots=True)
class Slot:
    """One department's part in one whistle. Without `due_at` its clock cannot be told yet.

    `place` is its place among those called at once, the lead first.
    """

    whistle_id: UUID
    department: str
    lead: bool
    place: int
    blown_at: datetime
    due_at: datetime | None = None
    lamp: Lamp = "waiting"
    came_at: datetime | None = None
    provisional: bool = False

    @property
    def key(self) -> SlotKey:
        return self.whistle_id, self.department

    @property
    def awaited(self) -> bool:
        """Whether somebody still waits for this department, late as it may be."""
        return self.lamp in AWAITED


def awaited_since(slots: Iterable[Slot]) -> datetime | None:
    """Return when the whistle was blown for which somebody has waited longest."""
    return min((slot.blown_at for slot in slots if slot.awaited), default=None)


def shown(slots: Iterable[Slot]) -> tuple[Slot, ...]:
    """Return what is shown of a case: each department's last slot, in the order of the calls.

    A lamp keeps its place when it turns: the eye finds it where it was.
    """
    in_order = sorted(slots, key=lambda one: (one.blown_at, one.place, one.department))
    last = {slot.department: slot for slot in in_order}
    return tuple(slot for slot in in_order if last[slot.department] is slot)
