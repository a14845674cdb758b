"""More from a reporter, or his report taken back: by himself, or by a front end for him.

Whoever has the tracking code may: it is told to the reporter alone, and nobody can guess it. A
front end shows it beside the case's id, so that nothing needs to be looked up: a report that was
accepted a moment ago can be added to. What becomes of it, routing decides.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from hmac import compare_digest
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from contracts.events import Event, effect_id
from contracts.facts import CaseFollowedUpV1, CaseWithdrawnV1, Sealed
from services.chassis.crash import crash_point
from services.chassis.http import Problem
from services.chassis.postgres import DOOR_WAIT_S, Pool
from services.chassis.seal import KeyRing
from services.doors.attachment_id import check_given_out
from services.intake import store
from services.intake.accept import Acceptor
from services.intake.callers import Callers
from services.intake.checks import (
    idempotency_key,
    named_tenant,
    read_apart,
    sealing,
    starting,
    told_time,
    traceparent,
    validated,
)
from services.intake.domain.shedding import Rank
from services.intake.domain.tracking import normal_code
from services.intake.gate import overloaded
from services.intake.registry import Registry, TownKnown
from services.intake.report import Kept, Part, Slug
from services.intake.unnamed import check_kept
from services.telemetry.metrics import count

TRACK = "track"  # as which front end a reporter writes himself


class FollowUp(Part):
    """More about a case."""

    description: Annotated[str, Field(max_length=10_000), Kept]
    attachments: Annotated[tuple[Slug, ...], Field(max_length=20)] = ()


class Withdrawal(Part):
    """A report taken back, and why."""

    reason: Annotated[str, Field(max_length=2_000), Kept]


class _For(Part):
    tenant: Slug | None = None
    tracking_code: Annotated[str, Field(max_length=64)]


class FollowUpFor(FollowUp, _For):
    """More about a case, from a front end. `tenant` as in `POST /v1/acts`."""


class WithdrawalFor(Withdrawal, _For):
    """A report taken back, by a front end. `tenant` as in `POST /v1/acts`."""


class HandedIn(BaseModel):
    """The answer: the id of the event by which it went to routing."""

    event_id: UUID
    received_at: datetime


@dataclass(frozen=True, slots=True)
class _Case:
    """Which case it is about, and through which front end it came."""

    tenant_id: str
    case_id: UUID
    front_end: str


class FollowUps:
    """Accepts what reporters add at the same counter as reports, within the same limits."""

    def __init__(
        self, acceptor: Acceptor, registry: Registry, keys: KeyRing, pool: Pool, callers: Callers
    ) -> None:
        self._acceptor, self._registry, self._keys, self._pool = acceptor, registry, keys, pool
        self._callers = callers

    async def post_tracked_follow_up(self, request: Request) -> Response:
        return await self._acceptor.answer(request, partial(self._by_code, FollowUp))

    async def post_tracked_withdrawal(self, request: Request) -> Response:
        return await self._acceptor.answer(request, partial(self._by_code, Withdrawal))

    async def post_follow_up(self, request: Request) -> Response:
        return await self._acceptor.answer(request, partial(self._by_id, FollowUpFor))

    async def post_withdrawal(self, request: Request) -> Response:
        return await self._acceptor.answer(request, partial(self._by_id, WithdrawalFor))

    async def _by_code(
        self, model: type[FollowUp] | type[Withdrawal], request: Request
    ) -> Response:
        if not self._registry.complete:
            raise starting()
        # Anybody may knock here, and send as slowly as he likes: the places above are for those
        # who have a key.
        if self._acceptor.gate.crowded(Rank.SOFTWARE):
            raise overloaded()
        who = self._callers.check(request)
        key = idempotency_key(request)
        said = await read_apart(partial(validated, model), await self._acceptor.body(request))
        return await self._take(request, await self._tracked(request, who), key, said)

    async def _by_id(
        self, model: type[FollowUpFor] | type[WithdrawalFor], request: Request
    ) -> Response:
        granted = self._acceptor.who(request)
        key = idempotency_key(request)
        said = await read_apart(partial(validated, model), await self._acceptor.body(request))
        tenant_id, source, _ = self._acceptor.town(named_tenant(said.tenant, granted), granted)
        case = self._shown(request, tenant_id, source, said.tracking_code)
        return await self._take(request, case, key, said)

    async def _tracked(self, request: Request, who: str) -> _Case:
        """Find a case by its code, in what intake follows of it.

        Raises:
            Problem: 404, there is none, or none yet.
        """
        code = normal_code(request.path_params["code"])
        case = None
        if code is not None:
            async with self._pool.acquire(timeout=DOOR_WAIT_S) as conn:
                case = await store.by_code(conn, code)
        if case is None:
            self._callers.was_wrong(who)
            raise code_unknown()
        return _Case(case.tenant_id, case.case_id, TRACK)

    def _shown(self, request: Request, tenant_id: str, source: str, code: str) -> _Case:
        """Return the case that a front end names, if it shows the code that belongs to it.

        Raises:
            Problem: 404; another town's case looks like one that is not there.
        """
        try:
            case_id = UUID(request.path_params["case_id"])
        except ValueError:
            raise _case_unknown() from None
        with sealing(tenant_id):
            its_own = self._keys.tracking_code(tenant_id, str(case_id))
        if not compare_digest(its_own, normal_code(code) or ""):
            raise _case_unknown()
        return _Case(tenant_id, case_id, source)

    async def _take(
        self, request: Request, case: _Case, key: str, said: FollowUp | Withdrawal
    ) -> Response:
        town = self._registry.towns.get(case.tenant_id, TownKnown())
        with sealing(case.tenant_id):
            data, mac = self._fact(case, said)
        if isinstance(said, FollowUp) and said.attachments:
            await check_kept(self._acceptor.contents, case.tenant_id, said.attachments)
        event = Event(
            event_id=effect_id(case.case_id, f"{data.TYPE}|{case.front_end}|{key}|{mac}"),
            tenant_id=case.tenant_id,
            subject_id=case.case_id,
            occurred_at=town.offsets.tenant_time(datetime.now(UTC)),
            source=f"/intake/{case.front_end}",
            data=data,
            traceparent=traceparent(request),
        )
        at = await self._acceptor.publish(event)
        crash_point("after_ack")
        count("chuishao_accepted_total")
        answer = {"event_id": str(event.event_id), "received_at": told_time(town, at)}
        return JSONResponse(answer, 202)

    def _fact(
        self, case: _Case, said: FollowUp | Withdrawal
    ) -> tuple[CaseFollowedUpV1 | CaseWithdrawnV1, str]:
        """Seal what was said; return the fact, and what tells it from others under one key."""
        body = said.model_dump_json(exclude={"tenant", "tracking_code"}, exclude_defaults=True)
        mac = self._keys.body_mac(case.tenant_id, body.encode())
        if isinstance(said, FollowUp):
            check_given_out(self._keys, case.tenant_id, "attachments", said.attachments)
            sealed = self._sealed(case, {"description": said.description})
            more = CaseFollowedUpV1(
                front_end=case.front_end, attachments=said.attachments, sealed=sealed
            )
            return more, mac
        sealed = self._sealed(case, {"reason": said.reason})
        return CaseWithdrawnV1(front_end=case.front_end, sealed=sealed), mac

    def _sealed(self, case: _Case, words: Mapping[str, str]) -> Sealed:
        return Sealed(**asdict(self._keys.seal(case.tenant_id, str(case.case_id), words)))


def code_unknown() -> Problem:
    zh = "没有这个查询码。刚刚上报的，请一分钟后再查。"
    en = "No such tracking code. If you have just reported, try again in a minute."
    return Problem(404, "tracking_code_unknown", zh, en)


def _case_unknown() -> Problem:
    zh = "没有这件事，或者查询码不是它的：请核对编号和 tracking_code。"
    en = "No such case, or not its tracking code: check the id and `tracking_code`."
    return Problem(404, "case_not_found", zh, en)
