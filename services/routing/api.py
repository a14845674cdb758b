"""HTTP in: what a case is, what happened to it and why, whose turn it is, and the next step."""

import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from contracts.events import effect_id
from services.chassis.crash import crash_point
from services.chassis.http import Problem
from services.chassis.postgres import DOOR_WAIT_S, Connection
from services.chassis.token import Identity
from services.doors.route import json_route
from services.doors.who import Authorization
from services.routing import refusals, views
from services.routing.domain.release import holding
from services.routing.domain.steps import take_step
from services.routing.domain.town import Setting
from services.routing.domain.values import Act, Refused
from services.routing.door import Door, actor_of, handed_in
from services.routing.given import ExpectedSeq, given_with
from services.routing.hands import sheet_view, transfer_view
from services.routing.record import Announced
from services.routing.store import cases, facts, handing, slots
from services.routing.store.cases import Kept
from services.routing.taking import record_step

_PAGE_MAX = 200
_HISTORY_MAX = 1_000


class StepBody(BaseModel):
    """A step, with what it needs: `reason`, `result`, `proof`, `satisfied` … as the flow says."""

    model_config = ConfigDict(extra="allow", hide_input_in_errors=True)
    step: Annotated[str, Field(max_length=64)]
    expected_seq: ExpectedSeq


def make_router(door: Door) -> APIRouter:
    """Make the endpoints of routing."""
    router = APIRouter(prefix="/v1", tags=["cases"], route_class=json_route(door.who))

    @router.get("/cases/{case_id}")
    async def get_case(case_id: UUID, authorization: Authorization = None) -> views.CaseView:
        who = door.who(authorization)
        async with door.pool.acquire(timeout=DOOR_WAIT_S) as conn:
            kept, setting = await door.seen(conn, who, case_id)
            return await door.view(conn, who, kept, setting)

    @router.get("/cases/{case_id}/history")
    async def get_history(case_id: UUID, authorization: Authorization = None) -> views.History:
        who = door.who(authorization)
        async with door.pool.acquire(timeout=DOOR_WAIT_S) as conn:
            await door.seen(conn, who, case_id)
            told = await facts.history(conn, who.tenant_id, case_id, _HISTORY_MAX)
        return views.History(case_id=case_id, facts=[_history_entry(fact) for fact in told])

    @router.get("/cases/{case_id}/why")
    async def get_why(case_id: UUID, authorization: Authorization = None) -> views.Why:
        who = door.who(authorization)
        async with door.pool.acquire(timeout=DOOR_WAIT_S) as conn:
            kept, _ = await door.seen(conn, who, case_id)
        tried = [views.WhyEntry.model_validate(one) for one in kept.why]
        return views.Why(case_id=case_id, number=kept.number, tried=tried)

    @router.get("/queues/{unit}")
    async def get_queue(
        unit: str,
        authorization: Authorization = None,
        limit: Annotated[int, Query(ge=1, le=_PAGE_MAX)] = _PAGE_MAX,
        after: Annotated[UUID | None, Query(description="the last case of the page before")] = None,
    ) -> views.Queue:
        who = door.who(authorization)
        async with door.pool.acquire(timeout=DOOR_WAIT_S) as conn:
            return await _page(conn, door, who, unit, limit, after)

    @router.post("/cases/{case_id}/steps")
    async def post_step(
        case_id: UUID, body: StepBody, authorization: Authorization = None
    ) -> views.CaseView:
        arrived = time.monotonic()
        who = door.who(authorization)
        async with door.pool.acquire(timeout=DOOR_WAIT_S) as conn:
            async with conn.transaction():
                kept, setting = await door.seen(conn, who, case_id, for_update=True, step=body.step)
                now = await handed_in(conn, door.towns, who.tenant_id, arrived)
                kept = await _step(conn, door, kept, setting, who, body, now)
                # Shown before it is committed: nothing can fail, or be refused, after that.
                shown = await door.view(conn, who, kept, setting)
                crash_point("before_commit")
            crash_point("after_commit")
            door.announced()
            return shown

    return router


async def _page(
    conn: Connection, door: Door, who: Identity, unit: str, limit: int, after: UUID | None
) -> views.Queue:
    known = (await door.towns.known(conn, [who.tenant_id])).get(who.tenant_id)
    path = known.town.path(unit) if known else ()
    if known and not path and unit == known.rules.whistle.upward_to:
        path = (unit,)  # the level above need not be in the town's registry
    if not path:
        raise Problem(404, "unit_not_found", "没有这个单位。", "There is no such unit.")
    if not who.units.intersection(path):
        zh, en = "这不是您的单位。", "This is neither your unit nor one below it."
        raise Problem(403, "unit_not_allowed", zh, en)
    behind = cases.FRONT
    if after is not None:
        last = await cases.get(conn, who.tenant_id, after)
        if last is None:
            raise refusals.not_found()
        behind = (last.case.received_at, after)
    found = await cases.queue(conn, who.tenant_id, unit, behind, limit + 1)
    partners = known.town.rosters.groups.get(unit, ()) if known else ()
    together = await cases.joint_queue(conn, who.tenant_id, unit, partners, _PAGE_MAX)
    offered = await handing.transfers_to(conn, who.tenant_id, unit, _PAGE_MAX)
    sheets = await handing.sheets_at(conn, who.tenant_id, unit, _PAGE_MAX)
    return views.Queue(
        unit=unit,
        cases=[views.queue_entry(row) for row in found[:limit]],
        more=len(found) > limit,
        joint=[views.queue_entry(row) for row in together],
        transfers=[transfer_view(one, id_, number) for id_, number, one in offered],
        handovers=[sheet_view(one, id_, number) for id_, number, one in sheets],
    )


async def _step(
    conn: Connection,
    door: Door,
    kept: Kept,
    setting: Setting,
    who: Identity,
    body: StepBody,
    now: datetime,
) -> Kept:
    step = setting.rules.flows[kept.case.flow].step(body.step)
    texts, given = given_with(body.model_extra or {}, step.needs) if step else ({}, {})
    door.check_proof(who.tenant_id, given)
    if texts:
        given["sealed"] = door.sealed_words(kept, texts)
    act = Act(body.step, actor_of(who), {**texts, **given}, body.expected_seq)
    key = (kept.tenant_id, kept.case.case_id)
    called = (await slots.of_cases(conn, [key]))[key]
    awaited = holding(called, setting.rules.whistle)
    decision = take_step(kept.case, act, now, setting, awaited)
    if isinstance(decision, Refused):
        raise refusals.refusal(decision, kept)
    cause = effect_id(kept.case.case_id, f"act/{kept.case.seq}")
    about = Announced(*key, cause, now, (), 0)
    after = await record_step(conn, about, kept.case, decision, called, setting)
    return replace(kept, case=after)


def _history_entry(fact: Mapping[str, Any]) -> views.HistoryEntry:
    data = {
        name: value for name, value in fact["body"].items() if name not in ("sealed", "reporter")
    }
    return views.HistoryEntry(**{**fact, "data": data})
