"""What came before the report that it is about: its report may still be in a send that timed out.

It waits until the report comes. What has waited too long is set aside with its reason, where a
person looks: it is not lost, and holds nobody up but its own case.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import structlog

from contracts.events import Event, read_event
from contracts.facts import INTAKE_FACTS
from services.chassis import inbox
from services.chassis.batch import Heard
from services.chassis.inbox import Aside
from services.chassis.postgres import Connection, Pool
from services.routing.requests import take_requests
from services.routing.store import cases, early
from services.routing.store.early import Early
from services.routing.towns import Towns
from services.telemetry.metrics import count

log = structlog.get_logger()


async def heard_early(conn: Connection, reports: Sequence[Heard[Event]]) -> list[Heard[Event]]:
    """Return what has waited for these reports, whose cases are here by now, in order."""
    if not reports:
        return []
    opened = {(one.message.tenant_id, one.message.subject_id) for one in reports}
    return [_heard(one) for one in await early.take(conn, opened)]


async def give_up(
    pool: Pool, towns: Towns, cleared: Mapping[int, datetime], wait: timedelta
) -> int:
    """Set aside what has waited in vain; return how many. `cleared`: as timers are told it."""
    async with pool.acquire() as conn, conn.transaction():
        overdue = await early.take_overdue(conn, cleared, wait)
        if not overdue:
            return 0
        there = await cases.lock(conn, {(one.tenant_id, one.case_id) for one in overdue})
        # A consumer that had lost its partition may have kept one beside the case's opening.
        late = [one for one in overdue if (one.tenant_id, one.case_id) in there]
        if late:
            await take_requests(conn, [_heard(one) for one in late], towns)
        lost = [one for one in overdue if one not in late]
        reason = f"no report of this case came within {wait.total_seconds():.0f} s"
        await inbox.set_aside(conn, [Aside(one.record, "rejected", reason) for one in lost])
        await early.forget(conn, lost)
    for one in lost:
        count("chuishao_records_total", topic=one.record.topic, end="rejected")
        where = {"tenant_id": one.tenant_id, "case_id": str(one.case_id)}
        log.warning("follow_up_given_up", event_id=str(one.event_id), reason=reason, **where)
    return len(lost)


def _heard(one: Early) -> Heard[Event]:
    event = read_event(INTAKE_FACTS, one.record.headers, one.record.value)
    if event is None:
        raise TypeError("a record that was read before is of no kind that is known now")
    return Heard(one.record, event)
