"""What comes of a whistle's moments in one batch of timers: each sees what those before it made."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from services.chassis.postgres import Connection
from services.routing.domain.ladder import strike
from services.routing.domain.slot import Slot, department_of
from services.routing.domain.town import Setting
from services.routing.domain.upward import is_upward, strike_call
from services.routing.domain.values import Case, NewTimer, UpwardCall
from services.routing.domain.whistle import Settled
from services.routing.record import arm
from services.routing.store import slots, upward
from services.routing.store.cases import Key
from services.routing.store.timers import Due


def is_whistles(clock: str) -> bool:
    """Tell whether a clock is a whistle's; every other is the case's own."""
    return department_of(clock) is not None or is_upward(clock)


class Struck:
    """The pending slots and open calls of some cases, as what struck so far has left them."""

    def __init__(
        self,
        slots_of: Mapping[Key, Sequence[Slot]],
        calls_of: Mapping[Key, Sequence[UpwardCall]],
    ) -> None:
        self._slots = {
            (key, slot.department): slot
            for key, of_case in slots_of.items()
            for slot in of_case
            if slot.pending
        }
        self._calls = {
            key: call for key, of_case in calls_of.items() for call in of_case if call.open
        }
        self._changed: dict[tuple[Key, UUID, str], Slot] = {}
        self._called: dict[Key, UpwardCall] = {}
        self._new: list[tuple[str, UUID, Sequence[NewTimer]]] = []

    @classmethod
    async def read(cls, conn: Connection, due: Iterable[Due]) -> "Struck":
        """Read what the moments that are a whistle's may be about."""
        keys = {one.key for one in due if is_whistles(one.deadline)}
        if not keys:
            return cls({}, {})
        return cls(await slots.of_cases(conn, keys), await upward.of_cases(conn, keys))

    def strike(self, case: Case, one: Due, at: datetime, setting: Setting) -> Settled | None:
        """Let one moment come; None: it no longer matters."""
        key = one.key
        call = self._calls.get(key)
        done: Settled | None = None
        if is_upward(one.deadline):
            done = strike_call(case, call) if call else None
        elif slot := self._slots.get((key, department_of(one.deadline) or "")):
            done = strike(case, slot, one.deadline, one.kind, at, setting, call)
        if done is not None:
            self._take(key, done)
        return done

    def _take(self, key: Key, done: Settled) -> None:
        self._new.append((*key, done.timers))
        for slot in done.slots:
            self._slots[key, slot.department] = slot
            self._changed[key, slot.whistle_id, slot.department] = slot
        if done.upward is not None:
            self._calls[key] = self._called[key] = done.upward

    async def put(self, conn: Connection) -> None:
        """Record what has changed, and arm what follows."""
        await slots.put(conn, [(key, slot) for (key, _, _), slot in self._changed.items()])
        await upward.put(conn, self._called.items())
        await arm(conn, self._new)
