"""HTTP in: the whistle's later stages. A ruling on a refusal, the call upward, the consultation."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, Field

from services.doors.route import json_route
from services.doors.who import Authorization
from services.routing.domain import consultation, rulings, upward
from services.routing.domain.rulings import Ruling
from services.routing.domain.values import Refused
from services.routing.domain.whistle import Settled
from services.routing.door import Door, actor_of
from services.routing.given import Body, ExpectedSeq, Id, Text
from services.routing.whistles import (
    DEPARTMENTS_MAX,
    SOME,
    Called,
    WhistleAnswer,
    act,
    act_on,
    whistle_not_found,
)


class RulingBody(Body):
    """What is decided on a refusal. Accepted, `call` comes instead, or else who was proposed."""

    department: Id
    ruling: Literal["accept", "reject"]
    call: Id | None = None
    note: Text | None = None


class CallUpwardBody(Body):
    """Why the level above is called."""

    reason: Text
    expected_seq: ExpectedSeq


class AnswerBody(Body):
    """What the level above answers."""

    answer: Text


class ConsultationBody(Body):
    """Which departments agree, and on what."""

    departments: Annotated[list[Id], Field(max_length=DEPARTMENTS_MAX, json_schema_extra=SOME)]
    result: Text
    expected_seq: ExpectedSeq


class ConsultationAnswer(BaseModel):
    """The case, as it stands now."""

    case_id: UUID
    seq: int


def make_router(door: Door) -> APIRouter:
    """Make the endpoints of the whistle's later stages."""
    router = APIRouter(prefix="/v1", tags=["whistles"], route_class=json_route(door.who))
    _for_the_town(router, door)
    _for_the_level_above(router, door)
    return router


def _for_the_town(router: APIRouter, door: Door) -> None:
    @router.post("/whistles/{whistle_id}/rulings")
    async def post_ruling(
        whistle_id: UUID, body: RulingBody, authorization: Authorization = None
    ) -> WhistleAnswer:
        who = door.who(authorization)

        def rule(called: Called) -> Settled | Refused:
            case, slot = called.kept.case, called.slot(whistle_id, body.department)
            sealed = door.sealed_words(called.kept, {"note": body.note}) if body.note else None
            ruling = Ruling(body.ruling, actor_of(who), body.call, sealed)
            return rulings.rule(case, called.slots, slot, ruling, called.at, called.setting)

        return await act_on(door, who, whistle_id, rule)

    @router.post("/cases/{case_id}/consultations", status_code=201)
    async def post_consultation(
        case_id: UUID, body: ConsultationBody, authorization: Authorization = None
    ) -> ConsultationAnswer:
        who = door.who(authorization)

        def consult(called: Called) -> Settled | Refused:
            sealed = door.sealed_words(called.kept, {"result": body.result})
            return consultation.consult(
                called.kept.case,
                called.slots,
                body.departments,
                actor_of(who),
                body.expected_seq,
                sealed,
                called.setting,
            )

        done = await act(door, who, case_id, consult, lambda: case_id)
        return ConsultationAnswer(case_id=case_id, seq=done.seq)


def _for_the_level_above(router: APIRouter, door: Door) -> None:
    @router.post("/cases/{case_id}/calls-upward", status_code=201)
    async def post_call_upward(
        case_id: UUID, body: CallUpwardBody, authorization: Authorization = None
    ) -> WhistleAnswer:
        who, whistle_id = door.who(authorization), UUID(int=0)

        def call(called: Called) -> Settled | Refused:
            nonlocal whistle_id
            sealed = door.sealed_words(called.kept, {"reason": body.reason})
            done = upward.call_upward(
                called.kept.case,
                called.calls,
                actor_of(who),
                body.expected_seq,
                sealed,
                called.at,
                called.setting,
            )
            if isinstance(done, Settled) and done.upward is not None:
                whistle_id = done.upward.whistle_id
            return done

        return await act(door, who, case_id, call, lambda: whistle_id)

    @router.post("/whistles/{whistle_id}/answers")
    async def post_answer(
        whistle_id: UUID, body: AnswerBody, authorization: Authorization = None
    ) -> WhistleAnswer:
        who = door.who(authorization)

        def answer(called: Called) -> Settled | Refused:
            call = next((one for one in called.calls if one.whistle_id == whistle_id), None)
            if call is None:
                raise whistle_not_found()
            sealed = door.sealed_words(called.kept, {"answer": body.answer})
            return upward.answer(called.kept.case, call, actor_of(who), sealed, called.at)

        return await act_on(door, who, whistle_id, answer)
