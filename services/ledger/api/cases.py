"""What the ledger holds of cases: counts, and every fact."""

from datetime import datetime
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel

from services.chassis.http import Problem
from services.ledger.api.door import Authorization, Door
from services.ledger.store import facts

_FACTS_MAX = 1_000


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
    router = APIRouter(prefix="/v1", tags=["cases"])

    @router.get("/counts")
    async def get_counts(authorization: Authorization = None) -> Counts:
        who = door.who(authorization)
        async with door.pool.acquire() as conn:
            rows = await facts.counts(conn, who.tenant_id)
        counts = [CountView(**row) for row in rows]
        return Counts(tenant=who.tenant_id, cases=sum(one.cases for one in counts), counts=counts)

    @router.get("/cases/{case_id}/facts")
    async def get_facts(case_id: UUID, authorization: Authorization = None) -> CaseFacts:
        who = door.who(authorization)
        async with door.pool.acquire() as conn:
            rows = await facts.facts(conn, who.tenant_id, str(case_id), _FACTS_MAX)
        if not rows:
            raise Problem(404, "case_not_found", "没有这件事。", "There is no such case.")
        return CaseFacts(case_id=case_id, facts=[FactView(**row) for row in rows])

    return router
