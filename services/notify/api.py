"""HTTP in: what became of a case's messages; receipts and replies that providers push."""

import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Security
from fastapi.security import APIKeyQuery

from services.chassis.clock import database_now
from services.chassis.http import Problem
from services.chassis.postgres import DOOR_WAIT_S, Connection, Pool
from services.chassis.seal import KeyRing
from services.chassis.token import Identity, TokenCheck
from services.doors.body import DEADLINE_S, read_body
from services.doors.route import JsonRoute
from services.doors.who import Authorization, identified
from services.notify import views
from services.notify.receipts import ALIYUN, ALIYUN_VOICE, PUSHED_MAX, read_receipts, take_receipts
from services.notify.record import Recorder
from services.notify.replies import Replies, read_replies
from services.notify.settings import NotifySettings
from services.notify.store import attempts, cases, intents
from services.notify.towns import Towns

_PAGE_MAX = 200
# Word for word: only this tells the provider that it need not come again.
TAKEN: dict[str, int | str] = {"code": 0, "msg": "接收成功"}
# Whatever the elements are: one that is unreadable is left out, or all would come again.
_BATCH = {"type": "array", "maxItems": PUSHED_MAX}
_PUSHED = {"requestBody": {"required": True, "content": {"application/json": {"schema": _BATCH}}}}
_BY_TOKEN = APIKeyQuery(name="token", scheme_name="receipts_token", auto_error=False)
Token = Annotated[str | None, Security(_BY_TOKEN)]
Provider = Annotated[str, Path(json_schema_extra={"enum": [ALIYUN, ALIYUN_VOICE]})]


@dataclass(frozen=True, slots=True)
class Door:
    """What the endpoints need. Without a receipts token nobody may hand in receipts."""

    settings: NotifySettings
    pool: Pool
    towns: Towns
    keys: KeyRing
    tokens: TokenCheck
    recorder: Recorder
    recorded: Callable[[], None]
    replies: Replies
    receipts_token: str | None = field(repr=False)

    def who(self, authorization: str | None) -> Identity:
        return identified(self.tokens, authorization)

    async def check_seen(self, conn: Connection, who: Identity, case_id: UUID) -> None:
        """Refuse whoever's unit neither lies on the case's path nor owns it, as routing does."""
        key = (who.tenant_id, case_id)
        kept = (await cases.some(conn, [key])).get(key)
        if kept is None:
            raise Problem(404, "case_not_found", "没有这件事。", "There is no such case.")
        case, known = kept.case, await self.towns.known(conn, [who.tenant_id])
        town = known[who.tenant_id].town if known else None
        path = town.path(case.grid or case.village or town.root) if town else ()
        if not who.units.intersection((*path, case.owner.unit)):
            zh, en = "这件事不归您的单位。", "This case does not belong to your unit."
            raise Problem(403, "unit_not_allowed", zh, en)

    def check_provider(
        self, provider: str, token: str | None, known_providers: Sequence[str] = (ALIYUN,)
    ) -> None:
        """Compare in constant time: a push carries no other proof of who sends it."""
        known = self.receipts_token
        if known is None or not hmac.compare_digest((token or "").encode(), known.encode()):
            raise Problem(401, "token_invalid", "回执地址的口令不对。", "Wrong receipts token.")
        if provider not in known_providers:
            named = ", ".join(known_providers)
            zh, en = f"没有这个服务商，可用：{named}。", f"No such provider; known: {named}."
            raise Problem(404, "provider_unknown", zh, en)


def make_router(door: Door) -> APIRouter:
    """Make the endpoints of notify."""
    router = APIRouter(prefix="/v1", tags=["messages"], route_class=JsonRoute)

    @router.get("/messages")
    async def get_messages(
        case_id: UUID,
        authorization: Authorization = None,
        limit: Annotated[int, Query(ge=1, le=_PAGE_MAX)] = _PAGE_MAX,
    ) -> views.Messages:
        who = door.who(authorization)
        async with door.pool.acquire(timeout=DOOR_WAIT_S) as conn:
            await door.check_seen(conn, who, case_id)
            kept = await intents.of_case(conn, who.tenant_id, case_id, limit + 1)
            tried = await attempts.of_intents(conn, [one.intent.key for one in kept])
            offsets = (await door.towns.offsets(conn, [who.tenant_id]))[who.tenant_id]
            now = await database_now(conn)
        shown = [
            views.message_view(one, tried[one.intent.key], offsets, now) for one in kept[:limit]
        ]
        return views.Messages(case_id=case_id, messages=shown, more=len(kept) > limit)

    @router.post("/receipts/{provider}", tags=["receipts"], openapi_extra=_PUSHED)
    async def post_receipts(
        provider: Provider, request: Request, token: Token = None
    ) -> dict[str, int | str]:
        door.check_provider(provider, token, (ALIYUN, ALIYUN_VOICE))
        body = await read_body(request, door.settings.receipts_bytes_max, DEADLINE_S)
        receipts = read_receipts(provider, body, door.keys)
        async with door.pool.acquire(timeout=DOOR_WAIT_S) as conn, conn.transaction():
            await take_receipts(conn, door.recorder, receipts)
        door.recorded()
        return TAKEN

    @router.post("/replies/{provider}", tags=["receipts"], openapi_extra=_PUSHED)
    async def post_replies(
        provider: Provider, request: Request, token: Token = None
    ) -> dict[str, int | str]:
        door.check_provider(provider, token)
        body = await read_body(request, door.settings.receipts_bytes_max, DEADLINE_S)
        said = read_replies(body, door.keys)
        async with door.pool.acquire(timeout=DOOR_WAIT_S) as conn, conn.transaction():
            await door.replies.take(conn, said)
        door.recorded()
        return TAKEN

    return router
