"""HTTP in: the whistle. Who blows it, who reports in, who is let go."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, Field

from contracts.events import effect_id
from contracts.facts import Means
from services.chassis.crash import crash_point
from services.chassis.http import Problem
from services.chassis.postgres import DOOR_WAIT_S, Connection
from services.chassis.token import Identity
from services.doors.route import json_route
from services.doors.who import Authorization
from services.routing import refusals, views
from services.routing.domain import whistle
from services.routing.domain.release import let_go
from services.routing.domain.slot import Slot
from services.routing.domain.town import Setting
from services.routing.domain.values import Owner, Refused, UpwardCall
from services.routing.domain.whistle import Call, Settled
from services.routing.door import Door, actor_of, handed_in
from services.routing.given import Body, ExpectedSeq, Id, Text
from services.routing.record import Announced, record_settled
from services.routing.store import slots, upward
from services.routing.store.cases import Kept

DEPARTMENTS_MAX = 100
SOME = {"minItems": 1}  # shown; the rules say it, and name those whom one can call


class WhistleBody(Body):
    """Whom to call and why. The first department leads unless `lead` names another."""

    departments: Annotated[list[Id], Field(max_length=DEPARTMENTS_MAX, json_schema_extra=SOME)]
    lead: Id | None = None
    kind: Id | None = None
    reason: Text
    expected_seq: ExpectedSeq


class ReportInBody(Body):
    """How a department reports in."""

    department: Id
    means: Means


class ArrivalBody(Body):
    """Who is on the spot."""

    department: Id


class RefusalBody(Body):
    """Why a department refuses, and who should be called instead."""

    department: Id
    basis: Text
    proposed: Id


class ReleaseBody(Body):
    """Who is let go; nobody named: all."""

    departments: Annotated[tuple[Id, ...], Field(max_length=DEPARTMENTS_MAX)] = ()


class WhistleAnswer(BaseModel):
    """A whistle and the case's departments, and calls upward, as they stand now."""

    whistle_id: UUID
    case_id: UUID
    seq: int
    slots: list[views.SlotView]
    calls_upward: list[views.UpwardView]


@dataclass(frozen=True, slots=True)
class Called:
    """A case that is locked, with its departments, at the moment at which an act was handed in."""

    kept: Kept
    setting: Setting
    slots: tuple[Slot, ...]
    calls: tuple[UpwardCall, ...]
    at: datetime

    def slot(self, whistle_id: UUID, department: str) -> Slot:
        """Return a department's part in a whistle, or in the one into which this call was merged.

        Raises:
            Problem: 403, it was not called.
        """
        mine = [slot for slot in self.slots if slot.department == department]
        for slot in mine:
            if slot.whistle_id == whistle_id:
                return slot
        for slot in mine:
            if slot.pending:
                return slot
        raise refusals.refusal(Refused("not_called", (department,)), self.kept)


Act = Callable[[Called], Settled | Refused]


def make_router(door: Door) -> APIRouter:
    """Make the endpoints of the whistle."""
    router = APIRouter(prefix="/v1", tags=["whistles"], route_class=json_route(door.who))
    _for_blowers(router, door)
    _for_departments(router, door)
    return router


def _for_blowers(router: APIRouter, door: Door) -> None:
    @router.post("/cases/{case_id}/whistles", status_code=201)
    async def post_whistle(
        case_id: UUID, body: WhistleBody, authorization: Authorization = None
    ) -> WhistleAnswer:
        who, whistle_id = door.who(authorization), UUID(int=0)

        def blow(called: Called) -> Settled | Refused:
            nonlocal whistle_id
            case = called.kept.case
            whistle_id = effect_id(case_id, f"whistle/{case.seq}")
            call = Call(
                whistle_id,
                tuple(body.departments),
                actor_of(who),
                body.expected_seq,
                body.lead,
                body.kind,
                door.sealed_words(called.kept, {"reason": body.reason}),
            )
            return whistle.blow(case, called.slots, call, called.at, called.setting)

        answer = await act(door, who, case_id, blow, lambda: whistle_id)
        return _merged(answer, body.departments)

    @router.post("/whistles/{whistle_id}/release")
    async def post_release(
        whistle_id: UUID, body: ReleaseBody, authorization: Authorization = None
    ) -> WhistleAnswer:
        who = door.who(authorization)

        def release(called: Called) -> Settled | Refused:
            named = list(dict.fromkeys(body.departments)) or [
                slot.department for slot in called.slots if slot.whistle_id == whistle_id
            ]
            going = [called.slot(whistle_id, one) for one in named]
            case, actor = called.kept.case, actor_of(who)
            return let_go(case, called.slots, going, actor, called.at, called.setting)

        return await act_on(door, who, whistle_id, release)


def _for_departments(router: APIRouter, door: Door) -> None:
    @router.post("/whistles/{whistle_id}/report-ins")
    async def post_report_in(
        whistle_id: UUID, body: ReportInBody, authorization: Authorization = None
    ) -> WhistleAnswer:
        who = door.who(authorization)

        def come(called: Called) -> Settled | Refused:
            slot, by = _mine(called, whistle_id, body.department, who)
            at = called.at
            return whistle.report_in(called.kept.case, slot, body.means, by, at, called.setting)

        return await act_on(door, who, whistle_id, come)

    @router.post("/whistles/{whistle_id}/arrivals")
    async def post_arrival(
        whistle_id: UUID, body: ArrivalBody, authorization: Authorization = None
    ) -> WhistleAnswer:
        who = door.who(authorization)

        def arrive(called: Called) -> Settled | Refused:
            slot, by = _mine(called, whistle_id, body.department, who)
            return whistle.arrive(called.kept.case, slot, by, called.at, called.setting)

        return await act_on(door, who, whistle_id, arrive)

    @router.post("/whistles/{whistle_id}/refusals")
    async def post_refusal(
        whistle_id: UUID, body: RefusalBody, authorization: Authorization = None
    ) -> WhistleAnswer:
        who = door.who(authorization)

        def refuse(called: Called) -> Settled | Refused:
            slot, by = _mine(called, whistle_id, body.department, who)
            sealed = door.sealed_words(called.kept, {"basis": body.basis})
            case, setting = called.kept.case, called.setting
            return whistle.refuse(case, slot, by, body.proposed, sealed, called.at, setting)

        return await act_on(door, who, whistle_id, refuse)


def _mine(called: Called, whistle_id: UUID, department: str, who: Identity) -> tuple[Slot, Owner]:
    """Return the department's slot, and as whom this person answers for it.

    Raises:
        Problem: 403, it is another department's, or the role may not report in.
    """
    if who.department != department:
        raise refusals.refusal(Refused("department_not_yours", (department,)), called.kept)
    reporters = called.setting.rules.whistle.reporters
    role = next((one for one in reporters if one in who.roles), None)
    if role is None:
        raise refusals.refusal(Refused("role_not_allowed", reporters), called.kept)
    return called.slot(whistle_id, department), Owner(department, role, who.staff)


async def act_on(door: Door, who: Identity, whistle_id: UUID, decide: Act) -> WhistleAnswer:
    """Find the case of a whistle, or of a call upward, and act on it.

    Raises:
        Problem: 404, there is none of this id.
    """
    arrived = time.monotonic()  # before the first wait for a connection: it makes nobody late
    async with door.pool.acquire(timeout=DOOR_WAIT_S) as conn:
        key = (who.tenant_id, whistle_id)
        case_id = await slots.case_of(conn, *key) or await upward.case_of(conn, *key)
    if case_id is None:
        raise whistle_not_found()
    return await act(door, who, case_id, decide, lambda: whistle_id, arrived)


def _merged(answer: WhistleAnswer, named: Sequence[str]) -> WhistleAnswer:
    """Name the whistle that all are called by where they had been called already."""
    if any(slot.whistle_id == answer.whistle_id for slot in answer.slots):
        return answer
    there = [slot for slot in answer.slots if slot.department in named and slot.stage != "released"]
    return answer.model_copy(update={"whistle_id": there[0].whistle_id}) if there else answer


def whistle_not_found() -> Problem:
    """Say that there is no such whistle; another tenant's is answered alike."""
    return Problem(404, "whistle_not_found", "没有这次吹哨。", "There is no such whistle.")


async def act(
    door: Door,
    who: Identity,
    case_id: UUID,
    decide: Act,
    whistle_id: Callable[[], UUID],
    arrived: float | None = None,
) -> WhistleAnswer:
    """Lock the case, decide, record; answer with how the departments stand.

    `arrived` is when the request came, by `time.monotonic`, where something has been awaited since.
    """
    arrived = time.monotonic() if arrived is None else arrived
    async with door.pool.acquire(timeout=DOOR_WAIT_S) as conn:
        async with conn.transaction():
            kept, setting = await door.seen(conn, who, case_id, for_update=True)
            at = await handed_in(conn, door.towns, who.tenant_id, arrived)
            called = Called(kept, setting, *await _called(conn, who.tenant_id, case_id), at)
            settled = decide(called)
            if isinstance(settled, Refused):
                raise refusals.refusal(settled, kept)
            if settled.facts:
                cause = effect_id(case_id, f"act/{kept.case.seq}")
                place = (who.tenant_id, case_id, cause, at)
                announced = Announced(*place, settled.facts, settled.case.seq)
                await record_settled(conn, announced, settled)
            there, calls = await _called(conn, who.tenant_id, case_id)
            crash_point("before_commit")
        crash_point("after_commit")
    door.announced()
    return WhistleAnswer(
        whistle_id=whistle_id(),
        case_id=case_id,
        seq=settled.case.seq,
        slots=[views.slot_view(slot) for slot in there],
        calls_upward=[views.upward_view(call) for call in calls],
    )


async def _called(
    conn: Connection, tenant_id: str, case_id: UUID
) -> tuple[tuple[Slot, ...], tuple[UpwardCall, ...]]:
    """Read who is called to a case: departments, and the level above."""
    key = (tenant_id, case_id)
    of_case, calls = await slots.of_cases(conn, [key]), await upward.of_cases(conn, [key])
    return of_case[key], calls[key]
