"""Kafka in: what becomes of a case decides who is told; the registry becomes our own copy."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from contracts import facts
from contracts.events import Event, Fact, effect_id, read_event
from contracts.facts import (
    CaseAcceptedV1,
    CaseAssignedV1,
    CaseCallAnsweredV1,
    CaseCalledV1,
    CaseClosedV1,
    CaseDeadlineMissedV1,
    CaseDeadlineSetV1,
    CaseDeadlineWarnedV1,
    CaseFollowUpKeptV1,
    CaseHandedOverV1,
    CaseOpenedV1,
    CaseReopenedV1,
    CaseResolvedV1,
    CaseStepTakenV1,
    HandoverFiledV1,
    WhistleAnsweredV1,
    WhistleAnswerMovedV1,
    WhistleUnansweredV1,
    WhistleUnreleasedV1,
)
from contracts.registry import Change, read_change
from services.chassis.batch import Heard, NotHere
from services.chassis.clock import database_now
from services.chassis.copy import Copied, apply_changes
from services.chassis.inbox import Record
from services.chassis.postgres import Connection
from services.notify.clocks import CALL_NOTICES, NOTICE_OF_MISS, clock_of, moot_by
from services.notify.domain.recipients import Case, Named, Owner, place_of, tellings
from services.notify.domain.town import Rules, Town
from services.notify.domain.turns import CHANNELS, Plan
from services.notify.domain.whistle import Slot
from services.notify.domain.wording import words
from services.notify.store import cases, intents, moots
from services.notify.store.cases import Kept
from services.notify.store.intents import Intent
from services.notify.store.moots import Moot
from services.notify.towns import Towns
from services.notify.whistles import (
    ARRIVAL_ESCALATED,
    FACTS,
    WHISTLE_NOTICES,
    Slots,
    parts_of,
    slots_of,
)
from services.telemetry.metrics import count

# The kinds that tell who has a case or that somebody is to be told; no other is read.
FOLLOWED: Mapping[str, type[Fact]] = {
    "case.opened.v1": CaseOpenedV1,
    "case.assigned.v1": CaseAssignedV1,
    "case.called.v1": CaseCalledV1,
    "case.call_answered.v1": CaseCallAnsweredV1,
    "case.handed_over.v1": CaseHandedOverV1,
    "handover.filed.v1": HandoverFiledV1,
    "case.accepted.v1": CaseAcceptedV1,
    "case.step_taken.v1": CaseStepTakenV1,
    "case.deadline_warned.v1": CaseDeadlineWarnedV1,
    "case.deadline_missed.v1": CaseDeadlineMissedV1,
    "case.deadline_set.v1": CaseDeadlineSetV1,
    "case.resolved.v1": CaseResolvedV1,
    "case.closed.v1": CaseClosedV1,
    "case.reopened.v1": CaseReopenedV1,
    "case.follow_up_kept.v1": CaseFollowUpKeptV1,
    "whistle.answered.v1": WhistleAnsweredV1,
    "whistle.answer_moved.v1": WhistleAnswerMovedV1,
    **FACTS,
}
# What a profile calls it when it says who is told.
_CASE_NOTICES: Mapping[type[Fact], str] = {
    CaseAcceptedV1: "case_accepted",
    CaseAssignedV1: "case_assigned",
    CaseResolvedV1: "case_resolved",
    CaseFollowUpKeptV1: "case_followed_up",
    CaseDeadlineWarnedV1: "deadline_warning",
    CaseDeadlineMissedV1: NOTICE_OF_MISS,
    HandoverFiledV1: "hand_over_ready",
}
NOTICES = frozenset(
    (*_CASE_NOTICES.values(), *WHISTLE_NOTICES.values(), ARRIVAL_ESCALATED, *CALL_NOTICES)
)
# How long a fact may wait for our copy of the registry: routing may have heard of a town earlier.
_TOWN_WAIT = timedelta(seconds=60)


class TownNotHere(ConnectionError):  # noqa: N818 - a state
    """The town's registry has not come yet: not now."""


def parse_routing(record: Record) -> Event | None:
    """Read what is followed; that a clock runs tells nobody, unless a miss is none any more."""
    event = read_event(FOLLOWED, record.headers, record.value)
    match event:
        case Event(data=CaseDeadlineSetV1(miss_withdrawn=False)):
            return None
        case _:
            return event


def parse_registry(record: Record) -> Change | None:
    return read_change(record.headers, record.value)


async def on_registry(conn: Connection, heard: Sequence[Heard[Change]]) -> None:
    """Take in the registry; whoever's clock may have moved looks again at his quiet hours."""
    await apply_changes(conn, [one.message for one in heard])
    await intents.stir(conn, CHANNELS, sorted({one.message.tenant_id for one in heard}))


class RoutingEvents:
    """Turns facts of cases into intents, a batch at a time. `copied`: our copy is whole."""

    def __init__(self, towns: Towns, copied: Copied) -> None:
        self._towns, self._copied = towns, copied

    async def apply(self, conn: Connection, heard: Sequence[Heard[Event]]) -> None:
        known = await self._towns.known(conn, {one.message.tenant_id for one in heard})
        there = await cases.lock(conn, [_key(one.message) for one in heard])
        parts = await slots_of(conn, there, [one.message for one in heard])
        found: list[Intent] = []
        moot: list[Moot] = []
        for one in heard:
            event = one.message
            town = known.get(event.tenant_id)
            if town is None:
                raise await self._missing(conn, one)
            kept = _after(there.get(_key(event)), event)
            if kept is None:
                count("chuishao_records_total", topic=one.record.topic, end="orphan")
                continue
            there[_key(event)] = kept
            for so_no_more in moot_by(event):
                moot.append(so_no_more)
                found = so_no_more.taken(found)
            notice = parts.take_in(event) or _notice(event.data)
            if notice is not None:
                version = kept.case.profile_version
                rules = await self._towns.rules(conn, event.tenant_id, version, town)
                found += _intents(event, notice, kept.case, rules, town.town, parts)
        if there:
            await cases.put(conn, list(there.values()))
            await _put(conn, moot, parts)
        if found:
            await intents.insert(conn, found)
            count("chuishao_messages_total", len(found), state="planned")

    async def _missing(self, conn: Connection, one: Heard[Event]) -> Exception:
        """Wait while our copy may be behind; else hold this case alone: all others go on."""
        tenant_id = one.message.tenant_id
        waited = await database_now(conn) - one.record.at
        if waited < _TOWN_WAIT and not await self._copied(conn):
            return TownNotHere(f"the registry of {tenant_id} has not come yet")
        return NotHere(f"no units in the registry of tenant {tenant_id}")


async def _put(conn: Connection, moot: Sequence[Moot], parts: Slots) -> None:
    """Write what is so no more before the slots: whoever begins one holds it and waits."""
    if crossed := await moots.put(conn, moot):
        count("chuishao_messages_total", crossed, state="crossed")
    await parts.put(conn)


def _key(event: Event) -> cases.Key:
    return event.tenant_id, event.subject_id


def _notice(fact: Fact) -> str | None:
    return fact.reason if isinstance(fact, CaseCalledV1) else _CASE_NOTICES.get(type(fact))


def _after(kept: Kept | None, event: Event) -> Kept | None:
    """Return what is known of a case once a fact is told.

    None: its opening was never read. It comes first on the same partition, so it will not come
    later either: the case is older than the topic, and nobody is told of it here.
    """
    if isinstance(event.data, CaseOpenedV1):
        return kept or _opened(event, event.data)
    if kept is None:
        return None
    match event.data:
        case (
            CaseAssignedV1(owner=owner)
            | CaseStepTakenV1(owner=owner)
            | CaseHandedOverV1(owner=owner)
        ):
            return replace(kept, case=replace(kept.case, owner=_owner(owner)))
        case CaseClosedV1():
            return replace(kept, case=replace(kept.case, closed=True))
        case CaseReopenedV1():
            return replace(kept, case=replace(kept.case, closed=False))
        case _:
            return kept


def _opened(event: Event, opened: CaseOpenedV1) -> Kept:
    case = Case(
        number=opened.number,
        category=opened.category,
        severity=opened.severity,
        case_class=opened.case_class,
        grid=opened.grid,
        village=opened.village,
        owner=_owner(opened.owner),
        profile_version=opened.profile_version,
    )
    reporter = opened.reporter.model_dump() if opened.reporter else None
    return Kept(event.tenant_id, event.subject_id, case, reporter)


def _owner(owner: facts.Owner) -> Owner:
    return Owner(**owner.model_dump())


def _named(fact: Fact, known: Mapping[str, tuple[UUID, Slot]]) -> Named:
    """Return whom a fact, or the slot it is about, names beside those whom a rule does."""
    match fact:
        case CaseCalledV1(called=called, told=told, via=via):
            return Named(tuple(map(_owner, (*called, *told))), alone=True, via=via)
        case CaseAssignedV1(joint=joint):
            return Named(tuple(map(_owner, joint)))
        case WhistleUnansweredV1(called_by=facts.Owner() as caller):
            return Named((_owner(caller),))
        case WhistleUnreleasedV1(department=department):
            blown_by = known[department][1].blown_by
            return Named((Owner("", "", blown_by),) if blown_by else ())
        case _:
            return Named()


def _due_at(fact: Fact) -> datetime | None:
    if isinstance(fact, CaseCalledV1):
        return fact.ack_due_at
    due_at: datetime | None = getattr(fact, "due_at", None)
    return due_at


def _intents(
    event: Event, notice: str, case: Case, rules: Rules, town: Town, parts: Slots
) -> Iterator[Intent]:
    known, told = parts.of(event), parts_of(event)
    of = {part.department: part for part in told}
    called = tuple(map(_owner, event.data.called)) if isinstance(event.data, CaseCalledV1) else ()
    for telling in tellings(notice, case, rules, town, told, _named(event.data, known)):
        whistle_id, due_at, code = None, _due_at(event.data), None
        place = place_of(telling.recipient, called, town)
        if telling.department is not None:
            whistle_id, slot = known[telling.department]
            due_at = due_at or slot.absent_since or slot.due_at
            asked = telling.reports and slot.absent_since is None
            code = slot.code if asked and rules.reply_as(case.case_class) else None
        yield Intent(
            tenant_id=event.tenant_id,
            intent_id=effect_id(event.event_id, f"{telling.rule}|{telling.recipient}"),
            case_id=event.subject_id,
            event_id=event.event_id,
            traceparent=event.traceparent,
            notice=notice,
            rule=telling.rule,
            recipient=telling.recipient,
            plan=Plan(telling.channels, rules.tries_max, rules.wait_s),
            words=words(case, rules, town, of.get(telling.department or ""), code),
            due_at=due_at,
            timezone=rules.timezone,
            whistle_id=whistle_id,
            department=telling.department,
            quiet=rules.quiet_for(case.case_class),
            # Whoever only needs to know of a call needs it once it is answered, too.
            clock=None if called and place is None else clock_of(event.data),
            called=place,
        )
