"""Taking an act in: a department's software reports in without waiting for routing.

The promises are those of a report: 202 only once Kafka has it, and nothing but memory and Kafka
in the way. What the rules say to the act, the department reads on its topic.
"""

from datetime import UTC, datetime
from functools import partial
from typing import Literal
from uuid import UUID

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from contracts.events import Event, effect_id
from contracts.facts import Actor, CaseStepRequestedV1, Means
from services.chassis.crash import crash_point
from services.chassis.http import Problem
from services.intake.accept import Acceptor
from services.intake.checks import (
    idempotency_key,
    named_tenant,
    read_apart,
    told_time,
    traceparent,
    validated,
)
from services.intake.report import Part, Slug
from services.telemetry.metrics import count

_ROLE = "front_end"  # as whom a program acts: nobody's own role


class Act(Part):
    """One act. `tenant` may be left out by a key that is for one town alone."""

    tenant: Slug | None = None
    case_id: UUID
    act: Literal["report_in"]
    whistle_id: UUID
    department: Slug
    means: Means


class ActAccepted(BaseModel):
    """The answer to an accepted act: it counts from `received_at`."""

    act_id: UUID
    received_at: datetime


class Acts:
    """Accepts acts at the same counter as reports, within the same limits."""

    def __init__(self, acceptor: Acceptor) -> None:
        self._acceptor = acceptor

    async def post_act(self, request: Request) -> Response:
        return await self._acceptor.answer(request, self._post_act)

    async def _post_act(self, request: Request) -> Response:
        granted = self._acceptor.who(request)
        key = idempotency_key(request)
        act = await read_apart(partial(validated, Act), await self._acceptor.body(request))
        tenant_id, source, town = self._acceptor.town(named_tenant(act.tenant, granted), granted)
        departments = granted[tenant_id][1].departments
        if act.department not in departments:
            names = ", ".join(departments) or "–"
            zh, en = f"这个密钥只能为这些部门办事：{names}。", f"This key acts only for: {names}."
            raise Problem(403, "department_not_granted", zh, en, field="department")
        said = act.model_dump_json(exclude={"tenant"})
        event = Event(
            event_id=effect_id(act.case_id, f"{CaseStepRequestedV1.TYPE}|{source}|{key}|{said}"),
            tenant_id=tenant_id,
            subject_id=act.case_id,
            occurred_at=town.offsets.tenant_time(datetime.now(UTC)),
            source=f"/intake/{source}",
            data=CaseStepRequestedV1(
                front_end=source,
                act=act.act,
                whistle_id=act.whistle_id,
                department=act.department,
                means=act.means,
                by=Actor(staff=source, role=_ROLE, unit=act.department),
            ),
            traceparent=traceparent(request),
        )
        at = await self._acceptor.publish(event)
        crash_point("after_ack")
        count("chuishao_accepted_total")
        accepted = {
            "act_id": str(event.event_id),
            "received_at": told_time(town, at),
        }
        return JSONResponse(accepted, 202)
