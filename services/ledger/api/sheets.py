"""Departments' sheets: how each came when it was called, counted from its slots as they stand."""

from dataclasses import replace
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel

from services.chassis.http import Problem
from services.chassis.postgres import Connection
from services.chassis.token import Identity
from services.doors.fields import Moment
from services.doors.route import JsonRoute
from services.doors.who import Authorization
from services.ledger.api.door import OPERATOR, Door
from services.ledger.clock import town_now
from services.ledger.domain.access import Object, allow
from services.ledger.guard import passed, subject_of, town_of
from services.ledger.store import slots
from services.ledger.store.slots import Outcome, Period

_PAGE_MAX = 200
_KIND = "sheet"

Department = Annotated[str, Path(max_length=64, pattern=r"^[^\x00]+$")]
From = Annotated[Moment | None, Query(alias="from", description="called at or after")]
To = Annotated[Moment | None, Query(description="called before")]


class Sums(BaseModel):
    """What became of a department's calls: `awaited` to `withdrawn` add up to `called`.

    `missed` have not come and `corrected` were said to have missed, wrongly. The time to report in
    is in seconds, of all that came. `arrivals_missed` is counted beside, of those that came.
    """

    department: str
    called: int = 0
    awaited: int = 0
    reported: int = 0
    reported_late: int = 0
    corrected: int = 0
    missed: int = 0
    refused: int = 0
    withdrawn: int = 0
    arrivals_missed: int = 0
    report_in_s_avg: float | None = None
    report_in_s_max: float | None = None


class SlotView(BaseModel):
    """One call of the department. Without `outcome` it is awaited."""

    case_id: UUID
    number: str | None
    whistle_id: UUID
    called_at: datetime
    due_at: datetime | None
    reported_in_at: datetime | None
    outcome: Outcome | None
    arrival_missed: bool


class Sheet(Sums):
    """A department's sums, and a page of what they count, the newest first.

    With `more`, ask again `after` the last whistle.
    """

    slots: list[SlotView]
    more: bool


class Departments(BaseModel):
    """Every department that was called in the period, side by side."""

    departments: list[Sums]


def make_sheet_router(door: Door) -> APIRouter:
    """Make the endpoints of departments' sheets."""
    router = APIRouter(prefix="/v1/departments", tags=["sheets"], route_class=JsonRoute)

    @router.get("")
    async def get_departments(
        authorization: Authorization = None, begin: From = None, to: To = None
    ) -> Departments:
        who, period = door.who(authorization), _period(begin, to)
        async with door.within(who.tenant_id) as conn:
            await _check_seen(conn, who, None)
            rows = await slots.sums(conn, who.tenant_id, None, period)
        return Departments(departments=[Sums(**row) for row in rows])

    @router.get("/{department}/sheet")
    async def get_sheet(
        department: Department,
        authorization: Authorization = None,
        begin: From = None,
        to: To = None,
        limit: Annotated[int, Query(ge=1, le=_PAGE_MAX)] = _PAGE_MAX,
        after: Annotated[UUID | None, Query(description="last whistle of the page before")] = None,
    ) -> Sheet:
        who, period = door.who(authorization), _period(begin, to)
        of = (who.tenant_id, department)
        async with (
            door.within(who.tenant_id) as conn,
            conn.transaction(isolation="repeatable_read", readonly=True),
        ):
            await _check_seen(conn, who, department)
            behind = None
            if after is not None:
                key = (who.tenant_id, after, department)
                behind = (await slots.now(conn, [key])).get(key)
                if behind is None:
                    zh, en = "没有这次吹哨。", "There is no such whistle."
                    raise Problem(404, "whistle_not_found", zh, en, field="after")
            sums = await slots.sums(conn, *of, period)
            rows = await slots.page(conn, *of, period, behind, limit + 1)
        shown = [SlotView(**row) for row in rows[:limit]]
        counted = sums[0] if sums else {"department": department}
        return Sheet(**counted, slots=shown, more=len(rows) > limit)

    return router


def _period(begin: datetime | None, end: datetime | None) -> Period:
    if begin is not None and end is not None and end <= begin:
        zh, en = "to 要晚于 from。", "`to` must be later than `from`."
        raise Problem(422, "period_invalid", zh, en, field="to")
    return begin, end


async def _check_seen(conn: Connection, who: Identity, department: str | None) -> None:
    """Let in a department's people to its own sheet, the town's own unit to all, as `allow` says.

    A department's people may be posted at the town: they see their own sheet alone nevertheless.
    """
    theirs = department is not None and who.department == department
    if who.department is not None and not theirs and OPERATOR not in who.roles:
        zh = "这不是您的部门。只能看本部门的报到表。"
        en = "This is not your department: see the token's `department`."
        raise Problem(403, "department_not_yours", zh, en)
    subject = await subject_of(conn, who)
    if theirs and OPERATOR not in who.roles:  # departments stand beside the tree of units
        own = frozenset([str(department)])
        decision = allow(replace(subject, units=own), "read", Object(who.tenant_id, _KIND, own))
    else:
        town = await town_of(conn, who.tenant_id, _KIND, await town_now(conn, who.tenant_id))
        decision = allow(subject, "read", town)
    passed(decision)
