"""What the ledger holds of cases: counts, and every fact."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict

from services.chassis.http import Problem
from services.chassis.postgres import Connection
from services.chassis.token import Identity
from services.doors.route import JsonRoute
from services.doors.who import Authorization
from services.ledger.api.door import Door
from services.ledger.clock import town_now
from services.ledger.domain.access import Object, allow
from services.ledger.guard import passed, subject_of
from services.ledger.store import facts, registry

_FACTS_MAX = 1_000


class NoQuery(BaseModel):
    """Nothing can be asked for: what looks like a filter would be no filter."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class CountView(BaseModel):
    """How many cases share these."""

    owner_unit: str
    state: str
    case_class: str
    late: bool
    closed: bool
    fallback: str
    grid: str
    cases: int


class Counts(BaseModel):
    """A tenant's cases, counted by every dimension at once; sum what you need."""

    tenant: str
    cases: int
    counts: list[CountView]


class FactView(BaseModel):
    topic: str
    type: str
    seq: int
    at: datetime
    occurred_at: str  # as it came
    event_id: UUID


class CaseFacts(BaseModel):
    case_id: UUID
    facts: list[FactView]


def make_case_router(door: Door) -> APIRouter:
    """Make the endpoints that read the case ledger."""
    router = APIRouter(prefix="/v1", tags=["cases"], route_class=JsonRoute)

    @router.get("/counts")
    async def get_counts(
        _: Annotated[NoQuery, Query()], authorization: Authorization = None
    ) -> Counts:
        who = door.who(authorization)
        async with door.within(who.tenant_id) as conn:
            rows = await facts.counts(conn, who.tenant_id)
        counts = [CountView(**row) for row in rows]
        return Counts(tenant=who.tenant_id, cases=sum(one.cases for one in counts), counts=counts)

    @router.get("/cases/{case_id}/facts")
    async def get_facts(case_id: UUID, authorization: Authorization = None) -> CaseFacts:
        who = door.who(authorization)
        async with door.within(who.tenant_id) as conn:
            rows = await facts.facts(conn, who.tenant_id, str(case_id), _FACTS_MAX)
            if not rows:
                raise Problem(404, "case_not_found", "没有这件事。", "There is no such case.")
            await _check_seen(conn, who, case_id)
        return CaseFacts(case_id=case_id, facts=[FactView(**row) for row in rows])

    return router


async def _check_seen(conn: Connection, who: Identity, case_id: UUID) -> None:
    """Refuse whose unit neither lies on the case's path nor owns it, as `allow` says."""
    key = (who.tenant_id, case_id)
    case = (await facts.now(conn, [key])).get(key)
    place, owner = (case.grid or case.village, case.owner_unit) if case else (None, None)
    path = await registry.path(conn, who.tenant_id, place, await town_now(conn, who.tenant_id))
    units = frozenset(one for one in (*path, owner) if one)
    passed(allow(await subject_of(conn, who), "read", Object(who.tenant_id, "case", units)))
