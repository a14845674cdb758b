"""HTTP in: a case passes from hand to hand. Offers and takings, answers to calls, sheets."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from typing import Self, TypeAlias
from uuid import UUID

from fastapi import APIRouter
from pydantic import ConfigDict, JsonValue, model_validator

from contracts.events import effect_id
from services.chassis.crash import crash_point
from services.chassis.http import Problem
from services.chassis.postgres import DOOR_WAIT_S, Connection
from services.chassis.token import Identity
from services.doors.route import json_route
from services.doors.who import Authorization
from services.routing import refusals, views
from services.routing.domain import calls, handover, transfers
from services.routing.domain.town import Setting
from services.routing.domain.transfers import Offer
from services.routing.domain.values import Decision, Refused, Transfer
from services.routing.door import Door, actor_of, handed_in
from services.routing.given import Body, ExpectedSeq, Id, Text
from services.routing.record import Announced, numbered, record_act
from services.routing.store import handing
from services.routing.store.cases import Kept

_TEXT: JsonValue = {"type": "string"}
_NONE: JsonValue = {"type": "null"}
_BY_NAME: JsonValue = {"staff": _TEXT, "unit": _NONE, "role": _NONE}
_BY_PLACE: JsonValue = {"staff": _NONE, "unit": _TEXT, "role": _TEXT}
_EITHER: list[JsonValue] = [
    {"required": ["staff"], "properties": _BY_NAME},
    {"required": ["unit", "role"], "properties": _BY_PLACE},
]


class Receiver(Body):
    """To whom: a person by `staff`, or whoever holds `role` at `unit`."""

    model_config = ConfigDict(json_schema_extra={"anyOf": _EITHER})

    staff: Id | None = None
    unit: Id | None = None
    role: Id | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        by_place = self.unit is not None and self.role is not None
        if by_place == (self.staff is not None) or (self.staff and (self.unit or self.role)):
            zh, en = (
                "请写 staff，或 unit 和 role。",
                "Give `staff` alone, or `unit` and `role`.",
            )
            raise ValueError(f"{zh} {en}")
        return self


class TransferBody(Body):
    """To whom the case is offered, and why."""

    to: Receiver
    reason: Text
    expected_seq: ExpectedSeq


class DeclineBody(Body):
    """Why it is declined."""

    reason: Text


Held = tuple[Kept, Setting, datetime]  # a locked case, and when the act was handed in
Act: TypeAlias = Callable[[Connection, Held], Awaitable[Decision | Refused]]


def make_router(door: Door) -> APIRouter:
    """Make the endpoints by which a case passes from hand to hand."""
    router = APIRouter(prefix="/v1", tags=["handing"], route_class=json_route(door.who))
    _for_owners(router, door)
    _for_receivers(router, door)
    _for_mornings(router, door)
    return router


def _for_owners(router: APIRouter, door: Door) -> None:
    @router.post("/cases/{case_id}/transfers", status_code=201)
    async def post_transfer(
        case_id: UUID, body: TransferBody, authorization: Authorization = None
    ) -> views.CaseView:
        who = door.who(authorization)

        async def offer(conn: Connection, held: Held) -> Decision | Refused:
            kept, setting, at = held
            there = await handing.open_transfer(conn, who.tenant_id, case_id)
            wanted = Offer(
                effect_id(case_id, f"transfer/{kept.case.seq}"),
                actor_of(who),
                body.expected_seq,
                body.to.staff,
                body.to.unit,
                body.to.role,
                door.sealed_words(kept, {"reason": body.reason}),
            )
            return transfers.offer(kept.case, there, wanted, at, setting)

        return await _act(door, who, case_id, offer)

    @router.post("/transfers/{transfer_id}/withdrawals")
    async def post_withdrawal(
        transfer_id: UUID, authorization: Authorization = None
    ) -> views.CaseView:
        who = door.who(authorization)

        def withdraw(kept: Kept, there: Transfer) -> Decision | Refused:
            return transfers.withdraw(kept.case, there, actor_of(who))

        return await _on_transfer(door, who, transfer_id, withdraw)


def _for_receivers(router: APIRouter, door: Door) -> None:
    @router.post("/transfers/{transfer_id}/takings")
    async def post_taking(transfer_id: UUID, authorization: Authorization = None) -> views.CaseView:
        who = door.who(authorization)

        def take(kept: Kept, there: Transfer) -> Decision | Refused:
            return transfers.take(kept.case, there, actor_of(who))

        return await _on_transfer(door, who, transfer_id, take)

    @router.post("/transfers/{transfer_id}/declines")
    async def post_decline(
        transfer_id: UUID, body: DeclineBody, authorization: Authorization = None
    ) -> views.CaseView:
        who = door.who(authorization)

        def decline(kept: Kept, there: Transfer) -> Decision | Refused:
            sealed = door.sealed_words(kept, {"reason": body.reason})
            return transfers.decline(kept.case, there, actor_of(who), sealed)

        return await _on_transfer(door, who, transfer_id, decline)


def _for_mornings(router: APIRouter, door: Door) -> None:
    @router.post("/cases/{case_id}/acks")
    async def post_ack(case_id: UUID, authorization: Authorization = None) -> views.CaseView:
        who = door.who(authorization)

        async def answer(_: Connection, held: Held) -> Decision | Refused:
            return calls.answer(held[0].case, actor_of(who))

        return await _act(door, who, case_id, answer)

    @router.post("/handovers/{handover_id}/receipt")
    async def post_receipt(
        handover_id: UUID, authorization: Authorization = None
    ) -> views.CaseView:
        arrived = time.monotonic()
        who = door.who(authorization)
        async with door.pool.acquire(timeout=DOOR_WAIT_S) as conn:
            found = await handing.sheet(conn, who.tenant_id, handover_id)
        if found is None:
            zh, en = "没有这张移交单。", "There is no such hand-over sheet."
            raise Problem(404, "handover_not_found", zh, en)

        async def receive(conn: Connection, held: Held) -> Decision | Refused:
            kept, setting, at = held
            sheet = await handing.sheet_of(conn, who.tenant_id, found[0]) or found[1]
            return handover.receive(kept.case, sheet, actor_of(who), at, setting)

        return await _act(door, who, found[0], receive, arrived=arrived)


async def _on_transfer(
    door: Door,
    who: Identity,
    transfer_id: UUID,
    act: Callable[[Kept, Transfer], Decision | Refused],
) -> views.CaseView:
    arrived = time.monotonic()
    async with door.pool.acquire(timeout=DOOR_WAIT_S) as conn:
        found = await handing.transfer(conn, who.tenant_id, transfer_id)
    if found is None:
        raise Problem(404, "transfer_not_found", "没有这次移交。", "There is no such transfer.")

    async def act_on(conn: Connection, held: Held) -> Decision | Refused:
        now_so = await handing.transfer(conn, who.tenant_id, transfer_id)
        return act(held[0], (now_so or found)[1])

    return await _act(door, who, found[0], act_on, arrived=arrived)


async def _act(
    door: Door, who: Identity, case_id: UUID, act: Act, *, arrived: float | None = None
) -> views.CaseView:
    """Lock the case, decide, record; answer with how it stands.

    `arrived` is when the request came, by the monotonic clock; None: just now.
    """
    arrived = time.monotonic() if arrived is None else arrived
    async with door.pool.acquire(timeout=DOOR_WAIT_S) as conn:
        async with conn.transaction():
            kept, setting = await door.seen(conn, who, case_id, for_update=True)
            at = await handed_in(conn, door.towns, who.tenant_id, arrived)
            decision = await act(conn, (kept, setting, at))
            if isinstance(decision, Refused):
                raise refusals.refusal(decision, kept)
            cause = effect_id(case_id, f"act/{kept.case.seq}")
            facts = numbered(decision, kept.number)
            place = (who.tenant_id, case_id, cause, at)
            await record_act(conn, Announced(*place, facts, decision.case.seq), decision)
            shown = await door.view(conn, who, replace(kept, case=decision.case), setting)
            crash_point("before_commit")
        crash_point("after_commit")
    door.announced()
    return shown
