"""HTTP in: what a case is, what happened to it and why, whose turn it is, and the next step."""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Header, Query
from pydantic import BaseModel, ConfigDict, Field

from contracts.events import effect_id
from contracts.text import NOT_KEPT, is_blank
from services.chassis.clock import database_now
from services.chassis.crash import crash_point
from services.chassis.http import Problem
from services.chassis.postgres import DOOR_WAIT_S, Connection, Pool
from services.chassis.seal import KeyRing, SealedFields
from services.chassis.token import BadToken, Identity, TokenCheck
from services.doors.route import json_route
from services.routing import views
from services.routing.domain.steps import allowed_steps, asks_first, take_step
from services.routing.domain.town import Setting
from services.routing.domain.values import SYSTEM, Act, Actor, Case, Decision, Owner, Refused
from services.routing.domain.whistle import Slot, holding, release
from services.routing.hands import hands, sheet_view, transfer_view
from services.routing.record import Announced, record_act, record_settled
from services.routing.store import cases, facts, handing, slots, timers, upward
from services.routing.store.cases import Kept
from services.routing.towns import Towns

_OPAQUE = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_TEXT_MAX = 2_000
_PROOFS_MAX = 20
_PAGE_MAX = 200
_HISTORY_MAX = 1_000
_FOLLOW_UPS_MAX = 100
_WORDS = {"summary", "description"}
# What was said when departments, or the level above, were called and answered.
_SAYING = (
    "whistle.blown.v1",
    "whistle.refused.v1",
    "whistle.ruled.v1",
    "whistle.called_upward.v1",
    "whistle.answered.v1",
    "case.consulted.v1",
)
_SAID = {"reason", "basis", "note", "answer", "result"}
_SAID_MAX = 100

Authorization = Annotated[str | None, Header(description="Bearer token: `chuishao token`")]


class StepBody(BaseModel):
    """A step, with what it needs: `reason`, `result`, `proof`, `satisfied` … as the flow says."""

    model_config = ConfigDict(extra="allow", hide_input_in_errors=True)
    step: Annotated[str, Field(max_length=64)]
    expected_seq: Annotated[int, Field(ge=0, description="the `seq` you last saw")]


@dataclass(frozen=True, slots=True)
class Door:
    """What the endpoints need."""

    pool: Pool
    towns: Towns
    keys: KeyRing
    tokens: TokenCheck
    announced: Callable[[], None]

    def who(self, authorization: str | None) -> Identity:
        try:
            return self.tokens.identity(authorization)
        except BadToken as error:
            raise Problem(401, "token_invalid", "请重新登录。", str(error)) from error

    async def seen(
        self,
        conn: Connection,
        who: Identity,
        case_id: UUID,
        *,
        for_update: bool = False,
        step: str | None = None,
    ) -> tuple[Kept, Setting]:
        """Read a case that this person may see, or take on by a `step` since he was asked first.

        Raises:
            Problem: 404 where there is none in the tenant, 403 where it is another unit's.
        """
        kept = await cases.get(conn, who.tenant_id, case_id, for_update=for_update)
        if kept is None:
            raise views.not_found()
        setting = await self.towns.setting(conn, who.tenant_id, kept.profile_version)
        case = kept.case
        path = setting.town.path(setting.lowest(case.grid, case.village))
        others = (*case.joint, *(case.call.called if case.call else ()))
        near = {*path, case.owner.unit, *(one.unit for one in others)}
        if not who.units & near and not _takes_on(case, step, actor_of(who), setting):
            called = await slots.called(conn, who.tenant_id, case_id)
            above = await upward.of_cases(conn, [(who.tenant_id, case_id)])
            units = {call.unit for calls in above.values() for call in calls}
            invited = who.department in called or bool(who.units & units)
            if not invited and not await _is_offered(conn, who, case_id):
                raise views.forbidden()
        return kept, setting

    async def view(
        self, conn: Connection, who: Identity, kept: Kept, setting: Setting
    ) -> views.CaseView:
        key = (kept.tenant_id, kept.case.case_id)
        clocks = await timers.clocks(conn, *key)
        called = (await slots.of_cases(conn, [key]))[key]
        calls = (await upward.of_cases(conn, [key]))[key]
        steps = allowed_steps(kept.case, actor_of(who), setting)
        more = await facts.follow_ups(conn, *key, _FOLLOW_UPS_MAX)
        follow_ups = [
            views.FollowUpView(
                reason=one.reason, received_at=one.received_at, text=self._words(kept, one.sealed)
            )
            for one in more
        ]
        said = [self._said(kept, fact) for fact in await facts.said(conn, *key, _SAYING, _SAID_MAX)]
        words = views.Words(self._words(kept, kept.sealed), follow_ups, said)
        offered = await handing.open_transfer(conn, *key)
        in_hands = hands(kept, offered, await handing.sheet_of(conn, *key))
        return views.case_view(kept, clocks, steps, words, called, calls, in_hands)

    def _said(self, kept: Kept, fact: Mapping[str, Any]) -> views.SaidView:
        words = self._words(kept, fact["body"]["sealed"], _SAID)
        department = fact["body"].get("department")
        return views.SaidView(**{**fact, "words": words, "department": department})

    def _words(
        self, kept: Kept, sealed: Mapping[str, Any], names: set[str] = _WORDS
    ) -> dict[str, str]:
        subject = str(kept.case.case_id)
        return self.keys.open(kept.tenant_id, subject, SealedFields(**sealed), names)

    def sealed_words(self, kept: Kept, texts: Mapping[str, str]) -> Mapping[str, object]:
        like = SealedFields(**kept.sealed)
        sealed = self.keys.seal(kept.tenant_id, str(kept.case.case_id), texts, like)
        return {"kid": sealed.kid, "key": sealed.key, "fields": sealed.fields}


def _takes_on(case: Case, step: str | None, actor: Actor, setting: Setting) -> bool:
    """Tell whether somebody takes on a case of another's since he was asked first."""
    wanted = setting.rules.flows[case.flow].step(step or "")
    if wanted is None or not asks_first(case, wanted, setting):
        return False
    return wanted.id in allowed_steps(case, actor, setting)


async def _is_offered(conn: Connection, who: Identity, case_id: UUID) -> bool:
    """Tell whether a case is offered to somebody."""
    offered = await handing.open_transfer(conn, who.tenant_id, case_id)
    return offered is not None and offered.to.held_by(actor_of(who)) is not None


def make_router(door: Door) -> APIRouter:
    """Make the endpoints of routing."""
    router = APIRouter(prefix="/v1", tags=["cases"], route_class=json_route(door.who))

    @router.get("/cases/{case_id}")
    async def get_case(case_id: UUID, authorization: Authorization = None) -> views.CaseView:
        who = door.who(authorization)
        async with door.pool.acquire(timeout=DOOR_WAIT_S) as conn:
            kept, setting = await door.seen(conn, who, case_id)
            return await door.view(conn, who, kept, setting)

    @router.get("/cases/{case_id}/history")
    async def get_history(case_id: UUID, authorization: Authorization = None) -> views.History:
        who = door.who(authorization)
        async with door.pool.acquire(timeout=DOOR_WAIT_S) as conn:
            await door.seen(conn, who, case_id)
            told = await facts.history(conn, who.tenant_id, case_id, _HISTORY_MAX)
        return views.History(case_id=case_id, facts=[_history_entry(fact) for fact in told])

    @router.get("/cases/{case_id}/why")
    async def get_why(case_id: UUID, authorization: Authorization = None) -> views.Why:
        who = door.who(authorization)
        async with door.pool.acquire(timeout=DOOR_WAIT_S) as conn:
            kept, _ = await door.seen(conn, who, case_id)
        tried = [views.WhyEntry.model_validate(one) for one in kept.why]
        return views.Why(case_id=case_id, number=kept.number, tried=tried)

    @router.get("/queues/{unit}")
    async def get_queue(
        unit: str,
        authorization: Authorization = None,
        limit: Annotated[int, Query(ge=1, le=_PAGE_MAX)] = _PAGE_MAX,
        after: Annotated[UUID | None, Query(description="the last case of the page before")] = None,
    ) -> views.Queue:
        who = door.who(authorization)
        async with door.pool.acquire(timeout=DOOR_WAIT_S) as conn:
            return await _page(conn, door, who, unit, limit, after)

    @router.post("/cases/{case_id}/steps")
    async def post_step(
        case_id: UUID, body: StepBody, authorization: Authorization = None
    ) -> views.CaseView:
        arrived = time.monotonic()
        who = door.who(authorization)
        async with door.pool.acquire(timeout=DOOR_WAIT_S) as conn:
            async with conn.transaction():
                kept, setting = await door.seen(conn, who, case_id, for_update=True, step=body.step)
                now = await handed_in(conn, door.towns, who.tenant_id, arrived)
                kept = await _step(conn, door, kept, setting, who, body, now)
                # Shown before it is committed: nothing can fail, or be refused, after that.
                shown = await door.view(conn, who, kept, setting)
                crash_point("before_commit")
            crash_point("after_commit")
            door.announced()
            return shown

    return router


async def _page(
    conn: Connection, door: Door, who: Identity, unit: str, limit: int, after: UUID | None
) -> views.Queue:
    known = (await door.towns.known(conn, [who.tenant_id])).get(who.tenant_id)
    path = known.town.path(unit) if known else ()
    if known and not path and unit == known.rules.whistle.upward_to:
        path = (unit,)  # the level above need not be in the town's registry
    if not path:
        raise Problem(404, "unit_not_found", "没有这个单位。", "There is no such unit.")
    if not who.units.intersection(path):
        zh, en = "这不是您的单位。", "This is neither your unit nor one below it."
        raise Problem(403, "unit_not_allowed", zh, en)
    behind = cases.FRONT
    if after is not None:
        last = await cases.get(conn, who.tenant_id, after)
        if last is None:
            raise views.not_found()
        behind = (last.case.received_at, after)
    found = await cases.queue(conn, who.tenant_id, unit, behind, limit + 1)
    partners = known.town.rosters.groups.get(unit, ()) if known else ()
    together = await cases.joint_queue(conn, who.tenant_id, unit, partners, _PAGE_MAX)
    offered = await handing.transfers_to(conn, who.tenant_id, unit, _PAGE_MAX)
    sheets = await handing.sheets_at(conn, who.tenant_id, unit, _PAGE_MAX)
    return views.Queue(
        unit=unit,
        cases=[views.queue_entry(row) for row in found[:limit]],
        more=len(found) > limit,
        joint=[views.queue_entry(row) for row in together],
        transfers=[transfer_view(one, id_, number) for id_, number, one in offered],
        handovers=[sheet_view(one, id_, number) for id_, number, one in sheets],
    )


async def _step(
    conn: Connection,
    door: Door,
    kept: Kept,
    setting: Setting,
    who: Identity,
    body: StepBody,
    now: datetime,
) -> Kept:
    step = setting.rules.flows[kept.case.flow].step(body.step)
    texts, given = _given(body.model_extra or {}, step.needs) if step else ({}, {})
    if texts:
        given["sealed"] = door.sealed_words(kept, texts)
    act = Act(body.step, actor_of(who), {**texts, **given}, body.expected_seq)
    key = (kept.tenant_id, kept.case.case_id)
    called = (await slots.of_cases(conn, [key]))[key]
    awaited = holding(called, setting.rules.whistle)
    decision = take_step(kept.case, act, now, setting, awaited)
    if isinstance(decision, Refused):
        raise views.refusal(decision, kept)
    cause = effect_id(kept.case.case_id, f"act/{kept.case.seq}")
    announced = Announced(*key, cause, now, decision.facts, decision.case.seq)
    await record_act(conn, announced, decision)
    after = decision.case
    if after.closed or after.owner != kept.case.owner:
        await handing.moot(conn, [key])
    if after.closed and any(slot.pending for slot in called):
        after = await _let_go(conn, decision, called, Announced(*key, cause, now, (), 0), setting)
    return replace(kept, case=after)


async def _let_go(
    conn: Connection,
    decision: Decision,
    called: Sequence[Slot],
    about: Announced,
    setting: Setting,
) -> Case:
    """Let every department go whose case has closed."""
    by = Owner(decision.case.owner.unit, SYSTEM, SYSTEM)
    going = [slot for slot in called if slot.pending]
    gone = release(decision.case, going, by, about.at, setting.rules)
    cause = effect_id(about.case_id, f"closed/{decision.case.seq}")
    told = replace(about, cause=cause).telling(gone.facts, gone.case.seq)
    await record_settled(conn, told, gone)
    return gone.case


def _given(
    extra: Mapping[str, Any], needs: tuple[str, ...]
) -> tuple[dict[str, str], dict[str, object]]:
    """Part what came with a step into words, which will be sealed, and the rest.

    Raises:
        Problem: 422 naming each field that the step does not take or that has the wrong form.
    """
    texts: dict[str, str] = {}
    given: dict[str, object] = {}
    faults = []
    for name, value in extra.items():
        if name not in (*needs, "note"):
            faults.append({"field": name, "message": _NO_SUCH_FIELD})
        elif name == "satisfied" and isinstance(value, bool):
            given[name] = value
        elif name == "proof" and _is_proof(value):
            given[name] = tuple(value)
        elif name not in ("satisfied", "proof") and _is_text(value):
            texts[name] = value
        else:
            faults.append({"field": name, "message": _EXPECTED.get(name, _EXPECTED_TEXT)})
    if faults:
        named = ", ".join(fault["field"] for fault in faults)
        zh, en = f"字段有误：{named}。", f"Invalid fields: {named}. See `errors`."
        raise Problem(422, "invalid_fields", zh, en, errors=faults)
    return texts, given


_NO_SUCH_FIELD = "这一步没有这一项，请删去。 This step takes no such field: remove it."
_EXPECTED = {
    "satisfied": "应为 true 或 false。 Expected true or false.",
    "proof": f"应为 1 至 {_PROOFS_MAX} 个附件编号的列表。 Expected a list of attachment ids.",
}
_EXPECTED_TEXT = (
    f"应为 1 至 {_TEXT_MAX} 字的文字，不能只有空白。 Expected 1 to {_TEXT_MAX} characters of text."
)


def _is_proof(value: object) -> bool:
    return (
        isinstance(value, list)
        and 1 <= len(value) <= _PROOFS_MAX
        and all(isinstance(one, str) and _OPAQUE.fullmatch(one) for one in value)
    )


def plain_text(value: str) -> str:
    """Return text that can be kept.

    Raises:
        ValueError: it is empty, too long, or holds what cannot be kept.
    """
    if not _is_text(value):
        raise ValueError(_EXPECTED_TEXT)
    return value


def _is_text(value: object) -> bool:
    """Tell whether it is text that can be kept: no control characters, no half characters."""
    if not isinstance(value, str) or len(value) > _TEXT_MAX or is_blank(value):
        return False
    return NOT_KEPT.search(value) is None


def actor_of(who: Identity) -> Actor:
    """Return who acts, as the rules see him."""
    return Actor(who.staff, who.roles, who.units, who.department)


async def handed_in(conn: Connection, towns: Towns, tenant_id: str, arrived: float) -> datetime:
    """Return the tenant's time at which the request came: our own slowness makes nobody late."""
    waited = timedelta(seconds=time.monotonic() - arrived)
    real = await database_now(conn) - waited
    known = await towns.known(conn, [tenant_id])
    return known[tenant_id].offsets.tenant_time(real)


def _history_entry(fact: Mapping[str, Any]) -> views.HistoryEntry:
    data = {
        name: value for name, value in fact["body"].items() if name not in ("sealed", "reporter")
    }
    return views.HistoryEntry(**{**fact, "data": data})
