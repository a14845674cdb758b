"""The door by which an operator has personal texts erased, and what was erased."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from services.chassis.http import Problem
from services.chassis.seal import CannotOpen
from services.doors.document import refusal as refusal_shown
from services.doors.route import json_route
from services.doors.who import Authorization
from services.ledger.api.door import Door
from services.ledger.api.reason import Reason
from services.ledger.checks import PERSONAL
from services.ledger.erasing import erase
from services.ledger.lines import Id
from services.ledger.references import SetUnfit
from services.ledger.store import erasure
from services.ledger.store.erasure import Erasure

_LISTED_MAX = 1_000


class ErasureBody(BaseModel):
    """Which record, and why: a rule or a request's number, nobody's name."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    kind: Annotated[str, Field(max_length=64, json_schema_extra={"enum": sorted(PERSONAL)})]
    id: Id
    reason: Reason


class ErasureView(BaseModel):
    """An erasure. `known`: it was erased before, nothing has changed."""

    kind: str
    id: str
    erased_at: datetime
    erased_by: str
    reason: str
    known: bool


_REFUSED: dict[int | str, dict[str, Any]] = {
    404: refusal_shown("There is no such record"),
    409: refusal_shown("Others still name it"),
}


def make_erasure_router(door: Door) -> APIRouter:
    """Make the endpoints that erase, and that list what was erased."""
    router = APIRouter(
        prefix="/v1/registry", tags=["registry"], route_class=json_route(door.operator)
    )

    @router.post("/erasures", responses=_REFUSED)
    async def post_erasure(body: ErasureBody, authorization: Authorization = None) -> ErasureView:
        """Make a record's personal texts unreadable in all its versions, and remove it."""
        who = door.operator(authorization, "erase")
        if body.kind not in PERSONAL:
            kinds = ", ".join(sorted(PERSONAL))
            zh, en = f"只有这些登记有个人内容：{kinds}。", f"Expected one of: {kinds}."
            raise Problem(422, "kind_not_personal", zh, en, field="kind")
        what = (who.tenant_id, body.kind, body.id, who.staff, body.reason)
        try:
            async with door.within(who.tenant_id) as conn, conn.transaction():
                done, fresh = await erase(conn, door.keys, *what)
        except CannotOpen as error:
            zh = "密钥文件里没有这个租户的密钥，没有抹去：先换回备份的密钥文件。"
            en = "The key file has no keys for this tenant, nothing was erased: put it back first."
            raise Problem(422, "tenant_without_keys", zh, en) from error
        except SetUnfit as error:
            zh = "还有别的登记指着它，没有抹去：先改那些，见 errors。"
            en = "Others still name it, nothing was erased: change those first, see `errors`."
            raise Problem(409, "record_still_named", zh, en, errors=error.faults) from error
        if done is None:
            zh, en = "没有这条登记。", "There is no such record."
            raise Problem(404, "record_not_found", zh, en)
        door.relay.wake()
        return _view(done, known=not fresh)

    @router.get("/erasures")
    async def get_erasures(authorization: Authorization = None) -> list[ErasureView]:
        """List what was erased, the newest first: to be erased again in a restored backup."""
        who = door.operator(authorization, "erase")
        async with door.within(who.tenant_id) as conn:
            found = await erasure.every(conn, who.tenant_id, _LISTED_MAX)
        return [_view(one, known=True) for one in found]

    return router


def _view(one: Erasure, *, known: bool) -> ErasureView:
    return ErasureView(
        kind=one.kind,
        id=one.record_id,
        erased_at=one.erased_at,
        erased_by=one.erased_by,
        reason=one.reason,
        known=known,
    )
