"""HTTP in: a department's queue. Its software takes tasks for a while, and says what it has done.

What lies in the queue are the records of the department's topic; of one case always the first
that has not been acknowledged, so that a case's records are worked off in order. Leases run by
the real clock.
"""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from services.chassis.http import Problem
from services.chassis.postgres import DOOR_WAIT_S, Connection
from services.chassis.token import Identity
from services.doors.route import json_route
from services.doors.who import Authorization
from services.routing.door import Door
from services.routing.given import Body
from services.routing.store import queue

_LIMIT_MAX = 200
_LEASE_S_MAX = 3_600


class Task(BaseModel):
    """One record of a department; what it says stands in `data`, as on the topic."""

    task_id: UUID
    case_id: UUID
    task_seq: int
    type: str
    occurred_at: datetime
    data: dict[str, Any]


class LeasedTask(Task):
    """One record, lent until `lease_until`."""

    lease_id: UUID
    lease_until: datetime


class Tasks(BaseModel):
    """What was lent, the oldest first."""

    department: str
    tasks: list[LeasedTask]


class AckBody(Body):
    """Whose lease it is."""

    lease_id: UUID


class NackBody(AckBody):
    """When it may be lent again."""

    after_s: Annotated[int, Field(ge=0, le=_LEASE_S_MAX)] = 0


class TaskAnswer(BaseModel):
    task_id: UUID
    acked: bool


def make_router(door: Door) -> APIRouter:
    """Make the endpoints of departments' queues."""
    router = APIRouter(
        prefix="/v1/departments", tags=["departments"], route_class=json_route(door.who)
    )

    @router.get("/{department}/tasks")
    async def get_tasks(
        department: str,
        authorization: Authorization = None,
        limit: Annotated[int, Query(ge=1, le=_LIMIT_MAX)] = 50,
        lease_s: Annotated[int, Query(ge=1, le=_LEASE_S_MAX)] = 60,
    ) -> Tasks:
        who = door.who(authorization)
        async with door.pool.acquire(timeout=DOOR_WAIT_S) as conn:
            await check_reader(conn, door, who, department)
            rows = await queue.lease(conn, who.tenant_id, department, limit, lease_s)
        return Tasks(department=department, tasks=[LeasedTask(**row) for row in rows])

    @router.post("/{department}/tasks/{task_id}/ack")
    async def post_ack(
        department: str, task_id: UUID, body: AckBody, authorization: Authorization = None
    ) -> TaskAnswer:
        who = door.who(authorization)
        async with door.pool.acquire(timeout=DOOR_WAIT_S) as conn:
            await check_reader(conn, door, who, department)
            place = (who.tenant_id, department, task_id)
            if not await queue.ack(conn, *place, body.lease_id):
                raise await _not_held(conn, *place)
        return TaskAnswer(task_id=task_id, acked=True)

    @router.post("/{department}/tasks/{task_id}/nack")
    async def post_nack(
        department: str, task_id: UUID, body: NackBody, authorization: Authorization = None
    ) -> TaskAnswer:
        who = door.who(authorization)
        async with door.pool.acquire(timeout=DOOR_WAIT_S) as conn:
            await check_reader(conn, door, who, department)
            place = (who.tenant_id, department, task_id)
            if not await queue.nack(conn, *place, body.lease_id, body.after_s):
                raise await _not_held(conn, *place)
        return TaskAnswer(task_id=task_id, acked=False)

    return router


async def check_reader(conn: Connection, door: Door, who: Identity, department: str) -> None:
    """Let in whoever may report in for this department.

    Raises:
        Problem: 403, it is another department's, or the role may not.
    """
    if who.department != department:
        zh, en = "这不是您的部门。", "This is not your department: see the token's `department`."
        raise Problem(403, "department_not_yours", zh, en)
    known = (await door.towns.known(conn, [who.tenant_id])).get(who.tenant_id)
    reporters = known.rules.whistle.reporters if known else ()
    if who.roles.isdisjoint(reporters):
        zh = f"您的角色不能报到（{'、'.join(reporters)}）。"
        en = "Your role may not report in. See `names`."
        raise Problem(403, "role_not_allowed", zh, en, names=list(reporters))


async def _not_held(conn: Connection, tenant_id: str, department: str, task_id: UUID) -> Problem:
    if not await queue.there(conn, tenant_id, department, task_id):
        return Problem(404, "task_not_found", "没有这条任务。", "There is no such task.")
    zh = "租约已失效，任务可能已交给别人。请重新领取。"
    en = "This lease holds no longer, and somebody else may have the task: ask for tasks again."
    return Problem(409, "lease_stale", zh, en, field="lease_id")
