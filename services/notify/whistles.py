"""From facts of a whistle to the slots that notify keeps, and to what they give to tell."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from contracts.events import Event, Fact
from contracts.facts import (
    CaseEscalatedV1,
    WhistleArrivedV1,
    WhistleBlownV1,
    WhistleCalledUpwardV1,
    WhistleCorrectedV1,
    WhistleDeadlineMovedV1,
    WhistleMissedV1,
    WhistleRefusedV1,
    WhistleReleasedV1,
    WhistleReportedInV1,
    WhistleRuledV1,
    WhistleStageMissedV1,
    WhistleStageMovedV1,
    WhistleUnansweredV1,
    WhistleUnreleasedV1,
    WhistleUnruledV1,
    WhistleWarnedV1,
    WhistleWithdrawnV1,
)
from services.chassis.postgres import Connection
from services.notify.domain.recipients import Owner, Part
from services.notify.domain.replies import code_of
from services.notify.domain.whistle import Slot
from services.notify.store import cases, replies, slots
from services.notify.store.intents import SlotKey as Key
from services.telemetry.metrics import count

_Ending = (
    WhistleReportedInV1
    | WhistleArrivedV1
    | WhistleCorrectedV1
    | WhistleRefusedV1
    | WhistleReleasedV1
    | WhistleWithdrawnV1
)
_Staged = WhistleStageMissedV1 | WhistleStageMovedV1 | WhistleUnreleasedV1 | WhistleUnruledV1
_Moving = WhistleWarnedV1 | WhistleMissedV1 | WhistleDeadlineMovedV1 | CaseEscalatedV1 | _Staged
_OfSlot = _Moving | WhistleRuledV1 | _Ending

FACTS: Mapping[str, type[Fact]] = {
    fact.TYPE: fact
    for fact in (
        WhistleBlownV1,
        WhistleWarnedV1,
        WhistleMissedV1,
        WhistleDeadlineMovedV1,
        WhistleReportedInV1,
        WhistleCorrectedV1,
        WhistleArrivedV1,
        WhistleStageMissedV1,
        WhistleStageMovedV1,
        WhistleUnreleasedV1,
        WhistleRefusedV1,
        WhistleUnruledV1,
        WhistleRuledV1,
        WhistleReleasedV1,
        WhistleWithdrawnV1,
        WhistleCalledUpwardV1,
        WhistleUnansweredV1,
        CaseEscalatedV1,
    )
}
WHISTLE_NOTICES: Mapping[type[Fact], str] = {
    WhistleBlownV1: "whistle_blown",
    WhistleWarnedV1: "whistle_warned",
    WhistleMissedV1: "whistle_missed",
    WhistleStageMissedV1: "whistle_arrival_missed",
    CaseEscalatedV1: "whistle_escalated",
    WhistleRefusedV1: "whistle_refused",
    WhistleCalledUpwardV1: "whistle_called_upward",
    WhistleUnansweredV1: "whistle_unanswered",
    WhistleUnreleasedV1: "whistle_unreleased",
    WhistleUnruledV1: "whistle_unruled",
}
ARRIVAL_ESCALATED = "whistle_arrival_escalated"
# What is told again by a rung that reminds, by the stage that was missed.
_MISSES = {"report_in": "whistle_missed", "arrive": "whistle_arrival_missed"}


async def slots_of(conn: Connection, keys: Iterable[cases.Key], events: Sequence[Event]) -> "Slots":
    """Read the slots of cases whose locks the caller holds; those called now get their codes."""
    known = await slots.of_cases(conn, keys)
    blown = (event for event in events if isinstance(event.data, WhistleBlownV1))
    new = sorted({key for event in blown for key in _keys(event)} - known.keys())
    if not new:
        return Slots(known, {})
    last = await replies.draw(conn, Counter(tenant_id for tenant_id, _, _ in new))
    codes = {}
    for key in reversed(new):
        codes[key] = code_of(last[key[0]])
        last[key[0]] -= 1
    return Slots(known, codes)


class Slots:
    """The slots of a batch's cases, as the facts taken in so far have left them."""

    def __init__(self, known: Mapping[Key, Slot], codes: Mapping[Key, str]) -> None:
        self._before, self._now, self._codes = known, dict(known), codes
        self._touched: dict[Key, UUID] = {}  # with its case

    def take_in(self, event: Event) -> str | None:
        """Learn what a fact tells of its slots, and return the notice that it gives."""
        notice = self._notice(event)
        for key in _keys(event):
            slot = self._now.get(key, Slot(code=self._codes.get(key)))
            self._now[key] = _after(slot, event, key[2])
            self._touched[key] = event.subject_id
        return notice

    def of(self, event: Event) -> dict[str, tuple[UUID, Slot]]:
        """Return the whistle and the slot of each department that a fact is about."""
        return {key[2]: (key[1], self._now[key]) for key in _keys(event)}

    async def put(self, conn: Connection) -> None:
        """Write what was touched, and mark what was under way for those that have ended."""
        if not self._touched:
            return
        await slots.put(conn, {key: (id_, self._now[key]) for key, id_ in self._touched.items()})
        ended = {key: case_id for key, case_id in self._touched.items() if self._has_ended(key)}
        if ended and (crossed := await slots.cross(conn, ended)):
            count("chuishao_messages_total", crossed, state="crossed")

    def _notice(self, event: Event) -> str | None:
        """Return what a fact gives to tell; a rung that scores or calls upward tells nobody.

        A rung that reminds tells of the miss again, unless that is told at the same moment. One
        whose refusal was rejected is called again.
        """
        match event.data:
            case WhistleRuledV1(ruling="reject"):
                return WHISTLE_NOTICES[WhistleBlownV1]
            case CaseEscalatedV1(do="remind", stage=stage):
                told = {self._now[key].told_at for key in _keys(event) if key in self._now}
                return None if event.occurred_at in told else _MISSES[stage]
            case CaseEscalatedV1(do="score" | "call_upward"):
                return None
            case CaseEscalatedV1(stage="arrive"):
                return ARRIVAL_ESCALATED
            case fact:
                return WHISTLE_NOTICES.get(type(fact))

    def _has_ended(self, key: Key) -> bool:
        before, now = self._before.get(key), self._now[key]
        if before is None:
            return False
        came = before.state != "over" and now.state == "over"
        return came or (before.absent_since is not None and now.absent_since is None)


def parts_of(event: Event) -> tuple[Part, ...]:
    """Return the departments' parts that a fact tells of; none where it is no whistle's."""
    named = (department for _, _, department in _keys(event))
    match event.data:
        case CaseEscalatedV1(do="escalate", to_level=level):
            return tuple(Part(department, level) for department in named)
        case WhistleRefusedV1(arbiter=arbiter, proposed=proposed):
            who = Owner(**arbiter.model_dump())
            return tuple(Part(one, arbiter=who, proposed=proposed) for one in named)
        case WhistleUnruledV1(superior=superior, arbiter=arbiter):
            who = Owner(**(superior or arbiter).model_dump())
            return tuple(Part(one, arbiter=who) for one in named)
        case _:
            return tuple(map(Part, named))


def _keys(event: Event) -> tuple[Key, ...]:
    """Return the slots that a fact is about."""
    match event.data:
        case WhistleBlownV1(whistle_id=whistle_id, departments=called):
            named = [one.department for one in called]
        case fact if isinstance(fact, _OfSlot):
            whistle_id, named = fact.whistle_id, [fact.department]
        case _:
            return ()
    return tuple((event.tenant_id, whistle_id, department) for department in named)


def _after(slot: Slot, event: Event, department: str) -> Slot:  # noqa: PLR0911 - one line a fact
    match event.data:
        case WhistleBlownV1(departments=called, by=by):
            due_at = next(one.due_at for one in called if one.department == department)
            return replace(slot, due_at=due_at, blown_by=by.staff)
        case WhistleRuledV1(ruling="reject", due_at=due_at):
            return Slot(due_at=due_at, code=slot.code, blown_by=slot.blown_by)
        case WhistleWarnedV1(due_at=due_at):
            return replace(slot, due_at=due_at)
        case WhistleMissedV1(due_at=due_at):
            return replace(slot, state="missed", due_at=due_at, told_at=event.occurred_at)
        case WhistleDeadlineMovedV1(due_at=due_at, miss_withdrawn=withdrawn):
            waits = withdrawn and slot.state == "missed"
            return replace(slot, state="called" if waits else slot.state, due_at=due_at)
        case CaseEscalatedV1(do="remind"):
            return replace(slot, told_at=event.occurred_at)
        case CaseEscalatedV1() | WhistleRuledV1() | WhistleUnreleasedV1() | WhistleUnruledV1():
            return slot
        case _:
            return _later(slot, event)


def _later(slot: Slot, event: Event) -> Slot:
    """Return a slot that is not awaited any more; one that is missed on the spot still is there."""
    match event.data:
        case WhistleStageMissedV1(due_at=due_at):
            return replace(slot, absent_since=due_at, told_at=event.occurred_at)
        case WhistleStageMovedV1(stage="release"):
            return slot
        case WhistleStageMovedV1(due_at=due_at, miss_withdrawn=withdrawn):
            absent = slot.absent_since is not None and not withdrawn
            return replace(slot, absent_since=due_at if absent else None)
        case _:
            return replace(slot, state="over", absent_since=None)
