"""Whether the town runs on its own structure, and where a unit that is gone has its people now."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel

from contracts.profile import parse
from services.chassis.http import Problem
from services.doors.route import JsonRoute
from services.doors.who import Authorization
from services.ledger.api.door import Door
from services.ledger.clock import town_now
from services.ledger.coverage import Body, rules_of, town_of
from services.ledger.domain.coverage import Coverage, Level, examine
from services.ledger.guard import check_town
from services.ledger.store import elements
from services.ledger.store.elements import Key

_FINDINGS_MAX = 1_000
Code = Annotated[str, Path(max_length=64, pattern=r"^[^\x00]+$")]


class FindingView(BaseModel):
    """What is missing: `kind` and `subject` are the record, `field` is what to mend."""

    code: str
    level: Level
    kind: str
    subject: str
    name: str
    field: str
    zh: str
    en: str


class FigureView(BaseModel):
    """A number the profile declares (or none) beside the one the registry holds."""

    of: str
    zh: str
    declared: int | None
    kind: str
    held: float
    fits: bool


class TeamView(BaseModel):
    """Of the units of a level, how many have the whole of a team."""

    team: str
    zh: str
    level: str
    units: int
    complete: int


class CoverageView(BaseModel):
    """The registry against the newest profile. `counts` are findings by code, all of them."""

    tenant: str
    profile_version: int
    counts: dict[str, int]
    figures: list[FigureView]
    teams: list[TeamView]
    findings: list[FindingView]
    more: bool


class FormerView(BaseModel):
    """A unit that has taken over a code, and until when the code was another's."""

    unit: str
    zh: str
    code: str
    former_zh: str
    valid_to: datetime


class FormersView(BaseModel):
    units: list[FormerView]


def make_coverage_router(door: Door) -> APIRouter:
    """Make the endpoints that look at the registry as a whole."""
    router = APIRouter(prefix="/v1/registry", tags=["registry"], route_class=JsonRoute)

    @router.get("/coverage")
    async def get_coverage(
        authorization: Authorization = None,
        limit: Annotated[int, Query(ge=1, le=_FINDINGS_MAX)] = _FINDINGS_MAX,
    ) -> CoverageView:
        who = door.who(authorization)
        async with (
            door.within(who.tenant_id) as conn,
            conn.transaction(isolation="repeatable_read", readonly=True),
        ):
            now = await town_now(conn, who.tenant_id)
            await check_town(conn, who, "coverage", "profile", now)
            written = await elements.newest_profile(conn, who.tenant_id)
            rows, persons = await elements.bones(conn, who.tenant_id, now)
        if written is None:
            zh, en = "还没有镇配置：先登记。", "No profile is recorded yet: record one first."
            raise Problem(409, "profile_missing", zh, en)
        version, body = written
        told = await asyncio.to_thread(_told, version, body, rows, persons)
        return CoverageView(
            tenant=who.tenant_id,
            profile_version=version,
            counts=dict(Counter(one.code for one in told.findings)),
            figures=[FigureView(**asdict(one)) for one in told.figures],
            teams=[TeamView(**asdict(one)) for one in told.teams],
            findings=[FindingView(**asdict(one)) for one in told.findings[:limit]],
            more=len(told.findings) > limit,
        )

    @router.get("/former-units/{code}")
    async def get_former_unit(code: Code, authorization: Authorization = None) -> FormersView:
        """Find the units that have taken over an old unit's code."""
        who = door.who(authorization)
        async with door.within(who.tenant_id) as conn:
            now = await town_now(conn, who.tenant_id)
            found = await elements.formerly(conn, who.tenant_id, code, now)
        if not found:
            zh, en = "没有单位有过这个编号。", "No unit has taken over this code."
            raise Problem(404, "unit_not_found", zh, en)
        return FormersView(
            units=[
                FormerView(
                    unit=unit,
                    zh=zh,
                    code=code,
                    former_zh=alias["zh"],
                    valid_to=alias["valid_to"],
                )
                for unit, zh, alias in found
            ]
        )

    return router


def _told(
    version: int, written: Body, rows: Mapping[Key, Body], persons: Mapping[str, int]
) -> Coverage:
    return examine(town_of(rows, persons), rules_of(parse(written), version))
