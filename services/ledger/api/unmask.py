"""Unmasking: who must know a text says why, and that is in the audit log before he sees it."""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from services.chassis.crash import crash_point
from services.chassis.http import Problem
from services.chassis.postgres import Connection
from services.chassis.seal import CannotOpen, KeyRing, SealedFields
from services.chassis.token import Identity
from services.doors.document import refusal as refusal_shown
from services.doors.fields import Checked
from services.doors.route import json_route
from services.doors.who import Authorization
from services.ledger.acts import unmasked
from services.ledger.api.budget import SPENT, spent_up
from services.ledger.api.door import Door
from services.ledger.api.reason import LongReason
from services.ledger.api.records import Kind, RecordId
from services.ledger.clock import town_now
from services.ledger.domain.access import allow
from services.ledger.faults import both
from services.ledger.guard import object_of, refusal, subject_of
from services.ledger.store import access, audit, history
from services.ledger.store.history import Held, When

_FIELDS_MAX = 20
READ_REFUSED: dict[int | str, dict[str, Any]] = {
    410: refusal_shown("Its key is gone"),
    **SPENT,
}
Answer = tuple[Held, dict[str, str], int]  # the record, its texts, what is left of the day


def _once(fields: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(fields)) < len(fields):
        raise ValueError(both("同一项写了两次，各写一次。", "One stands twice: name each once."))
    return fields


Name = Annotated[str, Field(pattern=r"^[a-z][a-z_]*$", max_length=64)]
Names = Annotated[
    tuple[Name, ...],
    Field(min_length=1, max_length=_FIELDS_MAX),
    Checked(_once, {"uniqueItems": True}),
]


class UnmaskBody(BaseModel):
    """Which fields of a record, and why, for the audit log: nothing personal in it."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)
    fields: Names
    reason: LongReason


class UnmaskedView(BaseModel):
    """The texts as they stand now. `left`: how many fields more the caller may ask for today."""

    kind: str
    id: str
    version: int
    fields: dict[str, str]
    left: int


def make_unmask_router(door: Door) -> APIRouter:
    """Make the one door that shows personal texts unmasked."""
    router = APIRouter(prefix="/v1/registry", tags=["registry"], route_class=json_route(door.who))

    @router.post("/{kind}/{record_id}/unmask", responses=READ_REFUSED)
    async def post_unmask(
        kind: Kind, record_id: RecordId, body: UnmaskBody, authorization: Authorization = None
    ) -> UnmaskedView:
        """Show fields of a record unmasked. Each counts against the caller's budget of the day."""
        who, record = door.who(authorization), (kind, record_id)
        async with door.within(who.tenant_id) as conn:
            async with conn.transaction():
                answer = await _answer(conn, door, who, record, body.fields)
                refused = answer.body["code"] if isinstance(answer, Problem) else None
                act = unmasked(who, record, body.fields, body.reason, refused)
                await audit.write(conn, act)
            crash_point("after_unmask")
        if isinstance(answer, Problem):
            raise answer
        held, texts, left = answer
        return UnmaskedView(kind=kind, id=record_id, version=held.version, fields=texts, left=left)

    return router


async def _answer(
    conn: Connection, door: Door, who: Identity, record: tuple[str, str], fields: tuple[str, ...]
) -> Answer | Problem:
    """Return what is shown, or a refusal that belongs in the audit log.

    Raises:
        Problem: there is nothing to show, whoever asks; nothing is kept of that.
    """
    now = await town_now(conn, who.tenant_id)
    what = await object_of(conn, who.tenant_id, record, now)
    held = await history.holds(conn, who.tenant_id, *record, When(now))
    refused = refusal(allow(await subject_of(conn, who), "unmask", what))
    if not what.known:
        raise refused or AssertionError("what is not there was allowed")
    if refused is not None:
        return refused
    if held is None or held.body is None:
        raise Problem(404, "record_not_found", "没有这条记录。", "There is no such record.")
    texts = _opened(who.tenant_id, record[1], held.body, fields, door.keys)
    day, ends = await access.day(conn, who.tenant_id, now)
    most = door.settings.unmask_fields_per_day_max
    spent = await access.spend(conn, (who.tenant_id, who.staff, day), len(fields), most)
    return seen_enough(most, now, ends) if spent is None else (held, texts, most - spent)


def _opened(
    tenant_id: str, record_id: str, body: dict[str, Any], fields: Iterable[str], keys: KeyRing
) -> dict[str, str]:
    sealed = SealedFields(**body.get("sealed", {"kid": "", "key": "", "fields": {}}))
    none = [name for name in fields if name not in sealed.fields]
    if none:
        there = ", ".join(sorted(sealed.fields)) or "-"
        said = both(f"没有这一项，有：{there}。", f"No such field; there are: {there}.")
        faults = [{"field": f"fields.{name}", "message": said} for name in none]
        zh, en = "这条记录没有这些加密的项。", "The record has no such sealed fields."
        raise Problem(422, "field_unknown", zh, en, errors=faults)
    try:
        return keys.open(tenant_id, record_id, sealed, set(fields))
    except CannotOpen as error:
        zh, en = "密钥已不在，原文无法再看。", "Its key is gone: it cannot be opened again."
        raise Problem(410, "sealed_gone", zh, en) from error


def seen_enough(most: int, now: datetime, ends: datetime) -> Problem:
    """Say that somebody's budget of unmasked fields does not suffice."""
    zh = f"今天看原文的额度（{most} 项）不够了"
    en = f"Your budget of {most} fields a day does not suffice:"
    return spent_up("unmask_budget", (zh, en), now, ends, fields_max=most)
