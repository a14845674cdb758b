"""Kafka in: what routing announces becomes what the reporter may follow."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from contracts.events import Event, Fact, read_event
from contracts.facts import (
    CaseAssignedV1,
    CaseDeadlineSetV1,
    CaseHandedOverV1,
    CaseOpenedV1,
    CaseStepTakenV1,
)
from services.chassis.batch import Heard
from services.chassis.inbox import Record
from services.chassis.postgres import Connection
from services.chassis.seal import KeyRing
from services.intake import attached, store
from services.intake.store import Tracked, TrackedStep

# The kinds that change what a reporter sees; all others are none of intake's business.
FOLLOWED: Mapping[str, type[Fact]] = {
    "case.opened.v1": CaseOpenedV1,
    "case.assigned.v1": CaseAssignedV1,
    "case.handed_over.v1": CaseHandedOverV1,
    "case.step_taken.v1": CaseStepTakenV1,
    "case.deadline_set.v1": CaseDeadlineSetV1,
}
_READ = {**attached.FACTS, **FOLLOWED}
_CLASS_DEADLINE = "class"


def parse(record: Record) -> Event | None:
    return read_event(_READ, record.headers, record.value)


class Tracking:
    """Keeps what the reporter may follow."""

    def __init__(self, keys: KeyRing) -> None:
        self._keys = keys

    async def apply(self, conn: Connection, heard: Sequence[Heard[Event]]) -> None:
        await attached.keep(conn, [one.message for one in heard])
        heard = [one for one in heard if one.message.data.TYPE in FOLLOWED]
        keys = sorted({(one.message.tenant_id, one.message.subject_id) for one in heard})
        cases = await store.tracked(conn, keys)
        steps: list[TrackedStep] = []
        for one in heard:
            event = one.message
            key = (event.tenant_id, event.subject_id)
            if isinstance(event.data, CaseOpenedV1):
                cases[key] = self._opened(event, event.data)
            elif key in cases:
                cases[key] = _moved(cases[key], event)
            if isinstance(event.data, CaseStepTakenV1):
                steps.append(_step(key, event, event.data))
        if cases:
            await store.put(conn, list(cases.values()))
        await store.put_steps(conn, steps)

    def _opened(self, event: Event, opened: CaseOpenedV1) -> Tracked:
        return Tracked(
            tenant_id=event.tenant_id,
            case_id=event.subject_id,
            tracking_code=self._keys.tracking_code(event.tenant_id, str(event.subject_id)),
            number=opened.number,
            flow=opened.flow,
            state=opened.state,
            owner_role=opened.owner.role,
            owner_unit=opened.owner.unit,
            due_at=None,
            received_at=opened.received_at,
            changed_at=event.occurred_at,
        )


def _moved(case: Tracked, event: Event) -> Tracked:
    case = replace(case, changed_at=event.occurred_at)
    match event.data:
        case CaseStepTakenV1() as taken:
            owner = taken.owner
            return replace(case, state=taken.to_state, owner_role=owner.role, owner_unit=owner.unit)
        case CaseAssignedV1() | CaseHandedOverV1() as given:
            owner = given.owner
            return replace(case, owner_role=owner.role, owner_unit=owner.unit)
        case CaseDeadlineSetV1() as clock if clock.deadline == _CLASS_DEADLINE:
            return replace(case, due_at=clock.due_at)
        case _:
            return case


def _step(key: tuple[str, UUID], event: Event, taken: CaseStepTakenV1) -> TrackedStep:
    return TrackedStep(*key, event.seq, taken.step, taken.by.role, event.occurred_at)
