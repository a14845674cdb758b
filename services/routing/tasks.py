"""What departments are told of the cases to which they are called: derived from the facts.

Whatever is announced passes here, in the same transaction: each record gets the next `task_seq`
of its department and case under the case's lock. Where a department's topic is not there yet,
its records wait in `task`, and nobody else waits with them (`topics`).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from contracts.events import Event, effect_id
from contracts.facts import (
    CaseClosedV1,
    CaseStepRefusedV1,
    Change,
    Task,
    TaskChangedV1,
    TaskGivenV1,
    WhistleArrivedV1,
    WhistleBlownV1,
    WhistleCorrectedV1,
    WhistleDeadlineMovedV1,
    WhistleMissedV1,
    WhistleMissWithdrawnV1,
    WhistleRefusedV1,
    WhistleReleasedV1,
    WhistleReportedInV1,
    WhistleRuledV1,
    WhistleStageMissedV1,
    WhistleStageMovedV1,
    WhistleWarnedV1,
    WhistleWithdrawnV1,
)
from contracts.topics import department_topic
from services.chassis import outbox
from services.chassis.outbox import Outgoing
from services.chassis.postgres import Connection
from services.routing.store import slots
from services.routing.store import tasks as store
from services.routing.store.tasks import Place

SOURCE = "/routing"
CHANGES: Mapping[str, Change] = {
    WhistleWarnedV1.TYPE: "warned",
    WhistleMissedV1.TYPE: "missed",
    WhistleReportedInV1.TYPE: "reported_in",
    WhistleCorrectedV1.TYPE: "corrected",
    WhistleArrivedV1.TYPE: "arrived",
    WhistleStageMissedV1.TYPE: "stage_missed",
    WhistleRefusedV1.TYPE: "refused",
    WhistleDeadlineMovedV1.TYPE: "deadline_moved",
    WhistleMissWithdrawnV1.TYPE: "miss_withdrawn",
    WhistleStageMovedV1.TYPE: "stage_moved",
    WhistleReleasedV1.TYPE: "released",
    WhistleWithdrawnV1.TYPE: "withdrawn",
    CaseStepRefusedV1.TYPE: "act_refused",
}
RULINGS: Mapping[str, Change] = {"accept": "refusal_accepted", "reject": "refusal_rejected"}
Told = tuple[Event, type[Task], dict[str, Any]]  # the cause, and what is told, less its number


async def tell(conn: Connection, events: Sequence[Event]) -> None:
    """Tell departments what these facts mean to them; the caller holds the cases' locks."""
    told = [one for event in events for one in await _told(conn, event)]
    if not told:
        return
    last = await store.last(conn, {_place(event, data) for event, _, data in told})
    tasks = []
    for event, model, data in told:
        place = _place(event, data)
        last[place] = last.get(place, 0) + 1
        tasks.append((place[1], _task(event, model, {**data, "task_seq": last[place]})))
    there = await store.put(conn, tasks)
    await send(conn, [one for one in tasks if one[1].event_id in there])


async def _told(conn: Connection, event: Event) -> list[Told]:
    match event.data:
        case WhistleBlownV1() as blown:
            key = (event.tenant_id, event.subject_id)
            brief = (await store.briefs(conn, [key]))[key] if blown.departments else {}
            about = {**brief, "whistle_id": blown.whistle_id, "kind": blown.kind}
            given = (one.model_dump() for one in blown.departments)
            return [(event, TaskGivenV1, {**about, **one}) for one in given]
        case CaseClosedV1():
            return await _closed(conn, event)
        case WhistleRuledV1() as ruled:
            change = RULINGS[ruled.ruling]
            return [(event, TaskChangedV1, {**ruled.model_dump(), "change": change})]
        case CaseStepRefusedV1(department=None):
            return []  # it was never called: it has no part in the case
        case fact if fact.TYPE in CHANGES:
            return [(event, TaskChangedV1, {**fact.model_dump(), "change": CHANGES[fact.TYPE]})]
        case _:
            return []


async def _closed(conn: Connection, event: Event) -> list[Told]:
    """Tell those who still have a part in a case that it has closed."""
    key = (event.tenant_id, event.subject_id)
    return [
        (event, TaskChangedV1, {
            "department": slot.department,
            "whistle_id": slot.whistle_id,
            "change": "case_closed",
        })
        for slot in (await slots.of_cases(conn, [key]))[key]
        if slot.pending
    ]  # fmt: skip


def _place(event: Event, data: Mapping[str, Any]) -> Place:
    return event.tenant_id, data["department"], event.subject_id


def _task(cause: Event, model: type[Task], data: Mapping[str, Any]) -> Event:
    return Event(
        event_id=effect_id(cause.event_id, f"task/{data['department']}"),
        tenant_id=cause.tenant_id,
        subject_id=cause.subject_id,
        occurred_at=cause.occurred_at,
        source=SOURCE,
        data=model.model_validate(data),
        seq=data["task_seq"],
        traceparent=cause.traceparent,
    )


async def send(conn: Connection, tasks: Sequence[tuple[str, Event]]) -> None:
    """Put tasks into the outbox, each with its department, in order."""
    rows = [
        Outgoing(
            department_topic(event.tenant_id, department).name,
            event.key,
            event.headers,
            event.body,
            lane_key=event.key,
        )
        for department, event in tasks
    ]
    if rows:
        await outbox.write(conn, rows)
