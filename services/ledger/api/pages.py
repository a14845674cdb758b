"""A grid with its people, households and cases; a household with all that was ever said of it.

Each is read as of one moment. Personal texts are masked.
"""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, TypeAdapter

from services.doors.route import JsonRoute
from services.doors.who import Authorization
from services.ledger.api.coverage import FindingView
from services.ledger.api.door import Door
from services.ledger.api.records import RecordId, Times, no_record
from services.ledger.clock import town_now
from services.ledger.guard import check_of, check_record
from services.ledger.looks import look_at_grid, look_at_household
from services.ledger.opened import Opener
from services.ledger.store.history import When

_WRITTEN: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, Any])


class NoQuery(BaseModel):
    """Nothing can be asked for."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class UnitPart(BaseModel):
    id: str
    level: str
    zh: str


class StaffPart(BaseModel):
    """Somebody with a post at the grid or below it; name and phone are masked."""

    id: str
    role: str
    unit: str
    rank: int
    name: str
    phone: str


class LinkPart(BaseModel):
    """Who looks after something: by a `record` of a link, or by the `post` that he holds."""

    link: str
    staff: str
    name: str
    primary: bool
    by: str
    to_kind: str
    to: str


class HomePart(BaseModel):
    """A household in a grid's list: `head` is masked, `open` and `late` count its cases."""

    id: str
    group: str | None
    household_class: str | None
    more_classes: list[str]
    watched: bool
    head: str | None
    persons: int
    links: list[LinkPart]
    open: int
    late: int


class CasePart(BaseModel):
    case_id: UUID
    number: str
    category: str
    case_class: str
    state: str
    owner_unit: str
    owner_role: str
    closed: bool
    late: bool
    household: str | None


class GridView(BaseModel):
    """A grid as it is. `path` leads from the town to it; with `more` not all is listed."""

    tenant: str
    at: datetime
    grid: UnitPart
    path: list[UnitPart]
    groups: list[UnitPart]
    staff: list[StaffPart]
    links: list[LinkPart]
    households: list[HomePart]
    cases: list[CasePart]
    findings: list[FindingView]
    more: bool


class MemberPart(BaseModel):
    """Somebody who lives in the household; texts are masked."""

    id: str
    head: bool
    body: dict[str, Any]


class ChangePart(BaseModel):
    """A field that a version says otherwise than the one before. Personal texts are masked."""

    field: str
    before: Any
    after: Any


class EntryPart(BaseModel):
    """One version of a record: `act` is how it came about, `changes` what differs."""

    kind: str
    id: str
    version: int
    act: str
    who: str
    reason: str | None
    change_set: str
    valid_from: datetime
    recorded_at: datetime
    changes: list[ChangePart]


class HouseholdView(BaseModel):
    """A household as of a moment, as it was known then; `history` is all of it, newest first."""

    tenant: str
    at: datetime
    id: str
    version: int
    valid_from: datetime
    recorded_at: datetime
    body: dict[str, Any]
    path: list[UnitPart]
    members: list[MemberPart]
    links: list[LinkPart]
    cases: list[CasePart]
    history: list[EntryPart]
    more: bool


def make_page_router(door: Door) -> APIRouter:
    """Make the endpoints from which pages are made."""
    router = APIRouter(prefix="/v1", tags=["registry"], route_class=JsonRoute)

    @router.get("/grids/{grid_id}", response_model=GridView)
    async def get_grid(
        grid_id: RecordId, _: Annotated[NoQuery, Query()], authorization: Authorization = None
    ) -> Response:
        """Show a grid: its people by post, its households, their links and cases, what it lacks."""
        who = door.who(authorization)
        async with (
            door.within(who.tenant_id) as conn,
            conn.transaction(isolation="repeatable_read", readonly=True),
        ):
            now = await town_now(conn, who.tenant_id)
            await check_of(conn, who, "household", ("unit", grid_id), now)
            found = await look_at_grid(conn, who.tenant_id, grid_id, When(now), Opener(door.keys))
        if found is None:
            raise no_record()
        # Not checked against its model: that took as long as all else. A test does.
        view = _WRITTEN.dump_json({"tenant": who.tenant_id, "at": now, **found})
        return Response(view, media_type="application/json")

    @router.get("/households/{household_id}")
    async def get_household(
        household_id: RecordId,
        times: Annotated[Times, Query()],
        authorization: Authorization = None,
    ) -> HouseholdView:
        """Show a household as of a moment, as known on another, with its whole history."""
        who = door.who(authorization)
        async with (
            door.within(who.tenant_id) as conn,
            conn.transaction(isolation="repeatable_read", readonly=True),
        ):
            now = await town_now(conn, who.tenant_id)
            await check_record(conn, who, "read", ("household", household_id), now)
            when = times.when(now)
            opener = Opener(door.keys)
            found = await look_at_household(conn, who.tenant_id, household_id, when, opener)
        if found is None:
            raise no_record()
        return HouseholdView(tenant=who.tenant_id, at=when.as_of, **found)

    return router
