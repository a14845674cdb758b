"""Kafka in: what routing announces becomes the board, and the lines of what happened lately."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from contracts.events import Event, Fact, read_event
from contracts.facts import (
    CaseAcceptedV1,
    CaseAssignedV1,
    CaseCalledV1,
    CaseClosedV1,
    CaseConsultedV1,
    CaseDeadlineMissedV1,
    CaseDeadlineSetV1,
    CaseDeadlineWarnedV1,
    CaseEscalatedV1,
    CaseFollowUpKeptV1,
    CaseHandedOverV1,
    CaseOpenedV1,
    CaseReopenedV1,
    CaseResolvedV1,
    CaseReturnVisitedV1,
    CaseStepTakenV1,
    HandoverReceivedV1,
    WhistleAnsweredV1,
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
    WhistleUnruledV1,
    WhistleWarnedV1,
    WhistleWithdrawnV1,
)
from services.chassis.batch import Heard
from services.chassis.inbox import Record
from services.chassis.postgres import Connection
from services.console import hands
from services.console.domain.acts import Act, ActKey, joined
from services.console.domain.board import (
    CLASS_CLOCK,
    FIRST_ACTION_CLOCK,
    BoardCase,
    Clock,
    Key,
    started,
    stepped,
    stopped,
    warned,
)
from services.console.domain.slots import Slot, SlotKey
from services.console.store import projection
from services.console.told import act_of
from services.console.towns import Towns

# The kinds that the board shows; all others are none of its business.
SHOWN: Mapping[str, type[Fact]] = {
    "case.opened.v1": CaseOpenedV1,
    "case.assigned.v1": CaseAssignedV1,
    "case.called.v1": CaseCalledV1,
    "case.handed_over.v1": CaseHandedOverV1,
    "handover.received.v1": HandoverReceivedV1,
    "case.accepted.v1": CaseAcceptedV1,
    "case.step_taken.v1": CaseStepTakenV1,
    "case.deadline_set.v1": CaseDeadlineSetV1,
    "case.deadline_warned.v1": CaseDeadlineWarnedV1,
    "case.deadline_missed.v1": CaseDeadlineMissedV1,
    "case.resolved.v1": CaseResolvedV1,
    "case.return_visited.v1": CaseReturnVisitedV1,
    "case.closed.v1": CaseClosedV1,
    "case.reopened.v1": CaseReopenedV1,
    "case.follow_up_kept.v1": CaseFollowUpKeptV1,
    "case.escalated.v1": CaseEscalatedV1,
    "whistle.blown.v1": WhistleBlownV1,
    "whistle.reported_in.v1": WhistleReportedInV1,
    "whistle.arrived.v1": WhistleArrivedV1,
    "whistle.refused.v1": WhistleRefusedV1,
    "whistle.warned.v1": WhistleWarnedV1,
    "whistle.missed.v1": WhistleMissedV1,
    "whistle.corrected.v1": WhistleCorrectedV1,
    "whistle.deadline_moved.v1": WhistleDeadlineMovedV1,
    "whistle.released.v1": WhistleReleasedV1,
    "whistle.withdrawn.v1": WhistleWithdrawnV1,
    "whistle.called_upward.v1": WhistleCalledUpwardV1,
    "whistle.ruled.v1": WhistleRuledV1,
    "whistle.stage_missed.v1": WhistleStageMissedV1,
    "whistle.stage_moved.v1": WhistleStageMovedV1,
    "whistle.answered.v1": WhistleAnsweredV1,
    "whistle.unanswered.v1": WhistleUnansweredV1,
    "whistle.unruled.v1": WhistleUnruledV1,
    "case.consulted.v1": CaseConsultedV1,
}
ACTS_KEPT = 100  # of each tenant


def parse(record: Record) -> Event | None:
    return read_event(SHOWN, record.headers, record.value)


class BoardFacts:
    """Keeps the board, a batch at a time."""

    def __init__(self, towns: Towns) -> None:
        self._towns = towns

    async def apply(self, conn: Connection, heard: Sequence[Heard[Event]]) -> None:
        events = [one.message for one in heard]
        await projection.bump(conn, _newest(events))
        cases = await projection.cases(conn, [_key(event) for event in events])
        known = dict(cases)
        seqs = {key: case.seq for key, case in cases.items()}
        last: dict[Key, Event] = {}
        acts: dict[ActKey, Act] = {}
        for event in events:
            key = _key(event)
            before = cases.get(key)
            if event.seq <= seqs.get(key, -1):
                continue  # taken in already
            after = self._after(before, event)
            if after is None:
                continue  # its opening is older than what the topic keeps
            cases[key], last[key], seqs[key] = after, event, event.seq
            act = act_of(event, before)
            if act is not None:
                acts[act.key] = joined(acts.get(act.key), act)
        changed = [
            replace(cases[key], seq=event.seq, changed_at=event.occurred_at)
            for key, event in last.items()
        ]
        await projection.put(conn, changed)
        await projection.drop_slots(conn, _gone(known, changed))
        await projection.put_slots(conn, _turned(known, changed))
        await self._put_acts(conn, acts.values())

    async def _put_acts(self, conn: Connection, acts: Iterable[Act]) -> None:
        by_tenant: dict[str, list[Act]] = defaultdict(list)
        for act in acts:
            by_tenant[act.tenant_id].append(act)
        told = [
            act
            for tenant_id in sorted(by_tenant)
            for act in sorted(by_tenant[tenant_id], key=lambda one: one.at)[-ACTS_KEPT:]
        ]
        known = await projection.acts_at(conn, [act.key for act in told])
        whole = [joined(known.get(act.key), act) for act in told]
        await projection.put_acts(conn, whole, ACTS_KEPT)

    def _after(self, case: BoardCase | None, event: Event) -> BoardCase | None:
        if isinstance(event.data, CaseOpenedV1):
            return _opened(event, event.data)
        if case is None:
            return None
        if isinstance(event.data, CaseStepTakenV1):
            taken, town = event.data, self._towns.get(event.tenant_id)
            states = town.states_of_steps(case.profile_version, case.flow) if town else {}
            owner = (taken.owner.unit, taken.owner.role)
            return stepped(case, taken.step, taken.to_state, owner, states)
        return _changed(case, event)


def _newest(events: Sequence[Event]) -> dict[str, datetime]:
    """Return each tenant's last moment, tenants in order."""
    newest: dict[str, datetime] = {}
    for event in sorted(events, key=lambda one: (one.tenant_id, one.occurred_at)):
        newest[event.tenant_id] = event.occurred_at
    return newest


def _key(event: Event) -> Key:
    return event.tenant_id, event.subject_id


def _opened(event: Event, opened: CaseOpenedV1) -> BoardCase:
    return BoardCase(
        tenant_id=event.tenant_id,
        case_id=event.subject_id,
        number=opened.number,
        profile_version=opened.profile_version,
        flow=opened.flow,
        category=opened.category,
        case_class=opened.case_class,
        severity=opened.severity,
        grid=opened.grid,
        village=opened.village,
        state=opened.state,
        owner_unit=opened.owner.unit,
        owner_role=opened.owner.role,
        received_at=opened.received_at,
        changed_at=event.occurred_at,
        seq=event.seq,
    )


def _changed(case: BoardCase, event: Event) -> BoardCase:  # noqa: PLR0911 - one line a fact
    match event.data:
        case CaseAssignedV1(owner=owner):
            return replace(case, owner_unit=owner.unit, owner_role=owner.role)
        case CaseAcceptedV1():
            return stopped(replace(case, accepted=True), FIRST_ACTION_CLOCK)
        case CaseResolvedV1():
            return stopped(case, CLASS_CLOCK)
        case CaseReopenedV1():
            return stopped(replace(case, closed_at=None), CLASS_CLOCK)
        case CaseClosedV1():
            return replace(case, closed_at=event.occurred_at, clocks={})
        case CaseDeadlineSetV1() as told:
            return _set(case, told, event.occurred_at)
        case CaseDeadlineWarnedV1(deadline=deadline):
            return warned(case, deadline, event.occurred_at)
        case _:
            return hands.changed(case, event)


def _set(case: BoardCase, told: CaseDeadlineSetV1, at: datetime) -> BoardCase:
    """Let a clock run, unless it is told of only because it was met in time after all."""
    if told.miss_withdrawn and not told.armed:
        return case
    clock = Clock(told.clock, told.due_at, told.warn_at, told.provisional)
    return started(case, told.deadline, clock, at)


def _gone(
    known: Mapping[Key, BoardCase], changed: Iterable[BoardCase]
) -> list[tuple[Key, SlotKey]]:
    """Return the departments that stand on the board no more."""
    gone: list[tuple[Key, SlotKey]] = []
    for case in changed:
        key = (case.tenant_id, case.case_id)
        before = known[key].slots if key in known else {}
        gone += [(key, slot) for slot in before if slot not in case.slots]
    return gone


def _turned(known: Mapping[Key, BoardCase], changed: Iterable[BoardCase]) -> list[tuple[Key, Slot]]:
    """Return the departments that stand otherwise than before."""
    turned: list[tuple[Key, Slot]] = []
    for case in changed:
        key = (case.tenant_id, case.case_id)
        before = known[key].slots if key in known else {}
        turned += [(key, slot) for at, slot in case.slots.items() if before.get(at) != slot]
    return turned
