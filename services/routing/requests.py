"""Kafka in: acts handed in by front ends, departments' software and replies, not over HTTP.

Each counts from the moment at which the broker took it, however late we read it.
"""

from collections.abc import Mapping, Sequence

import structlog

from contracts.events import Event
from contracts.facts import (
    CaseFollowedUpV1,
    CaseStepRequestedV1,
    CaseWithdrawnV1,
    MessageAcknowledgedV1,
    MessageRepliedV1,
)
from services.chassis.batch import Heard
from services.chassis.postgres import Connection
from services.routing.domain import calls
from services.routing.domain.slot import Slot
from services.routing.domain.town import Setting
from services.routing.domain.values import Actor, Fact, Owner, Refused
from services.routing.domain.whistle import Settled, report_in
from services.routing.follow_ups import follow_up, take_back
from services.routing.record import Announced, announce, record_act, record_settled
from services.routing.store import cases, early, slots
from services.routing.store.cases import Kept
from services.routing.store.early import Early
from services.routing.towns import Towns

log = structlog.get_logger()

_ReportIn = CaseStepRequestedV1 | MessageRepliedV1


async def take_requests(conn: Connection, heard: Sequence[Heard[Event]], towns: Towns) -> None:
    """Take acts in order; one that the rules do not allow is told of, and loses nothing."""
    # Every case at once, in key order, as the clock locks them: else each might wait for the other.
    await cases.lock(conn, ((m.tenant_id, m.subject_id) for m in (one.message for one in heard)))
    for one in heard:
        await _take(conn, towns, one)


async def _take(conn: Connection, towns: Towns, one: Heard[Event]) -> None:
    event = one.message
    key = (event.tenant_id, event.subject_id)
    kept = await cases.get(conn, *key, for_update=True)
    if kept is None and isinstance(event.data, CaseFollowedUpV1 | CaseWithdrawnV1):
        await early.keep(conn, Early(*key, event.event_id, one.record))
        return
    if kept is None:
        # A whistle is blown on a case that is here: this act's never was. Set aside, such acts
        # would add up until the consumer halts.
        where = {"tenant_id": key[0], "case_id": str(key[1]), "event_id": str(event.event_id)}
        log.warning("act_refused", code="case_not_found", **where)
        return
    setting = await towns.setting(conn, event.tenant_id, kept.profile_version)
    known = (await towns.known(conn, [event.tenant_id]))[event.tenant_id]
    at = known.offsets.tenant_time(one.record.at)
    about = Announced(*key, event.event_id, at, (), 0, traceparent=event.traceparent)
    match event.data:
        case CaseStepRequestedV1() | MessageRepliedV1() as asked:
            await _report_in(conn, about, kept, asked, setting)
        case MessageAcknowledgedV1() as pressed:
            await _answer(conn, about, kept, pressed)
        case CaseFollowedUpV1() as said:
            await follow_up(conn, about, said)
        case CaseWithdrawnV1() as said:
            await take_back(conn, about, kept, said, setting)
        case other:
            raise TypeError(f"{other.TYPE} has no handler")


async def _report_in(
    conn: Connection, about: Announced, kept: Kept, asked: _ReportIn, setting: Setting
) -> None:
    key = (about.tenant_id, about.case_id)
    called = (await slots.of_cases(conn, [key]))[key]
    slot = _slot(called, asked)
    by = Owner(asked.by.unit or asked.department, asked.by.role, asked.by.staff)
    done: Settled | Refused = Refused("not_called", (asked.department,))
    if slot is not None:
        done = report_in(kept.case, slot, asked.means, by, about.at, setting)
    if isinstance(done, Refused):
        through = asked.channel if isinstance(asked, MessageRepliedV1) else asked.front_end
        told: dict[str, object] = {"act": "report_in", "front_end": through, "by": asked.by}
        if slot is not None:
            told |= {"whistle_id": slot.whistle_id, "department": slot.department}
        await _refuse(conn, about, done, told)
    elif done.facts:
        await record_settled(conn, about.telling(done.facts, done.case.seq), done)


async def _answer(
    conn: Connection, about: Announced, kept: Kept, pressed: MessageAcknowledgedV1
) -> None:
    """Take the key pressed on a call as an answer at our door."""
    by = pressed.by
    units = frozenset((by.unit,)) if by.unit else frozenset[str]()
    done = calls.answer(kept.case, Actor(by.staff, frozenset((by.role,)), units))
    if isinstance(done, Refused):
        told = {"act": "answer", "front_end": pressed.message.channel, "by": by}
        await _refuse(conn, about, done, told)
    else:
        await record_act(conn, about.telling(done.facts, done.case.seq), done)


async def _refuse(
    conn: Connection, about: Announced, refused: Refused, told: Mapping[str, object]
) -> None:
    """Tell of an act that the rules do not allow."""
    seq = await cases.next_seq(conn, about.tenant_id, about.case_id)
    fact = Fact("case.step_refused.v1", {**told, "code": refused.code})
    await announce(conn, [about.telling([fact], seq)])


def _slot(called: Sequence[Slot], asked: _ReportIn) -> Slot | None:
    wanted = (asked.whistle_id, asked.department)
    return next((one for one in called if (one.whistle_id, one.department) == wanted), None)
