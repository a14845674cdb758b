"""Kafka in: acts handed in by front ends, departments' software and replies, not over HTTP.

Each counts from the moment at which the broker took it, however late we read it.
"""

from collections.abc import Sequence

import structlog

from contracts.events import Event
from contracts.facts import CaseStepRequestedV1, MessageRepliedV1
from services.chassis.batch import Heard
from services.chassis.postgres import Connection
from services.routing.domain.values import Fact, Owner, Refused
from services.routing.domain.whistle import Settled, Slot, report_in
from services.routing.record import Announced, announce, record_settled
from services.routing.store import cases, slots
from services.routing.towns import Towns

log = structlog.get_logger()

_Asked = CaseStepRequestedV1 | MessageRepliedV1


async def take_requests(conn: Connection, heard: Sequence[Heard[Event]], towns: Towns) -> None:
    """Take acts in order; one that the rules do not allow is told of, and loses nothing."""
    for one in heard:
        await _take(conn, towns, one)


async def _take(conn: Connection, towns: Towns, one: Heard[Event]) -> None:
    event, asked = one.message, one.message.data
    if not isinstance(asked, _Asked):
        raise TypeError(f"{asked.TYPE} has no handler")
    key = (event.tenant_id, event.subject_id)
    kept = await cases.get(conn, *key, for_update=True)
    if kept is None:
        # A whistle is blown on a case that is here: this act's never was. Set aside, such acts
        # would add up until the consumer halts.
        where = {"tenant_id": key[0], "case_id": str(key[1]), "event_id": str(event.event_id)}
        log.warning("act_refused", code="case_not_found", **where)
        return
    setting = await towns.setting(conn, event.tenant_id, kept.profile_version)
    known = (await towns.known(conn, [event.tenant_id]))[event.tenant_id]
    at = known.offsets.tenant_time(one.record.at)
    called = (await slots.of_cases(conn, [key]))[key]
    slot = _slot(called, asked)
    by = Owner(asked.by.unit or asked.department, asked.by.role, asked.by.staff)
    done: Settled | Refused = Refused("not_called", (asked.department,))
    if slot is not None:
        done = report_in(kept.case, slot, asked.means, by, at, setting)
    about = Announced(*key, event.event_id, at, (), 0, traceparent=event.traceparent)
    if isinstance(done, Refused):
        seq = await cases.next_seq(conn, *key)
        through = asked.channel if isinstance(asked, MessageRepliedV1) else asked.front_end
        told: dict[str, object] = {"act": "report_in", "code": done.code, "by": asked.by}
        told["front_end"] = through
        if slot is not None:
            told |= {"whistle_id": slot.whistle_id, "department": slot.department}
        await announce(conn, [about.telling([Fact("case.step_refused.v1", told)], seq)])
    elif done.facts:
        await record_settled(conn, about.telling(done.facts, done.case.seq), done)


def _slot(called: Sequence[Slot], asked: _Asked) -> Slot | None:
    wanted = (asked.whistle_id, asked.department)
    return next((one for one in called if (one.whistle_id, one.department) == wanted), None)
