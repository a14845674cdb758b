"""The registry's door: change sets go in whole or not at all; and development's virtual clocks."""

import asyncio
import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, Field

from contracts.registry import ClockOffset, TenantClock
from services.chassis.clock import database_now
from services.chassis.http import Problem
from services.chassis.seal import CannotOpen, KeyRing
from services.chassis.token import Identity
from services.doors.body import read_body
from services.doors.fields import Moment
from services.doors.route import JsonRoute, json_route
from services.doors.who import Authorization
from services.ledger import taken
from services.ledger.acts import clock_moved, set_recorded, set_tried
from services.ledger.aliases import alias_warnings
from services.ledger.api.door import Door
from services.ledger.api.reason import Reason
from services.ledger.changes import (
    CalendarUnfit,
    ProfileFinal,
    SetReused,
    VersionConflict,
    check_lines,
    record_lines,
    record_set,
)
from services.ledger.clock import offsets_of, today, town_now
from services.ledger.domain.virtual_clock import AHEAD_MAX, Offset, Refused, moved, now_of
from services.ledger.due import publish_due
from services.ledger.guard import subject_of
from services.ledger.lines import Faulty, Line, digest_of, read_lines
from services.ledger.references import SetUnfit
from services.ledger.remarks import DIVISIONS, Numbered, followed, numbers_of, unknown_places
from services.ledger.store import audit, elements, history, registry
from services.ledger.store.registry import ChangeSet, Entry
from services.ledger.taken import NumberTaken

_SET_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")
SetId = Annotated[str, Path(json_schema_extra={"pattern": f"^{_SET_ID.pattern}$"})]
# What a record holds, its kind decides.
_SET = {"required": True, "content": {"application/x-ndjson": {"schema": {"type": "object"}}}}


class SetView(BaseModel):
    """What became of a change set. `known`: it was recorded before, nothing has changed.

    `warnings` are for a person to look at; what they speak of is recorded.
    """

    change_set: str
    entries: int
    known: bool
    warnings: list[str] = []


class ClockBody(BaseModel):
    """Either `advance_s`, seconds forward, or `set_to`, a moment. Development alone."""

    advance_s: Annotated[float, Field(ge=0, le=AHEAD_MAX.total_seconds())] | None = None
    set_to: Moment | None = None


class ClockView(BaseModel):
    tenant: str
    now: datetime
    ahead_s: float


def make_registry_router(door: Door) -> APIRouter:
    """Make the endpoints that change and count the registry."""
    router = APIRouter(prefix="/v1/registry", tags=["registry"], route_class=JsonRoute)

    @router.post("/change-sets/{change_set_id}", openapi_extra={"requestBody": _SET})
    async def post_change_set(
        change_set_id: SetId,
        request: Request,
        authorization: Authorization = None,
        valid_from: Moment | None = None,
        reason: Reason | None = None,
        dry_run: bool = False,
    ) -> SetView:
        """Record a change set: NDJSON, a record per line, all or nothing. Repeatable by its id.

        `reason` is kept with the set and in the audit log. With `dry_run` all is judged and
        answered alike, and nothing is recorded or announced: the audit log has the dry run alone.
        """
        who = door.operator(authorization)
        if not _SET_ID.fullmatch(change_set_id):
            zh, en = "变更集编号有误。", "change_set_id: expected letters, digits, . _ : -"
            raise Problem(422, "change_set_id_invalid", zh, en, field="change_set_id")
        limits = door.settings.change_set_bytes_max, door.settings.change_set_deadline_s
        body = await read_body(request, *limits)
        try:
            lines, digest, numbers = await asyncio.to_thread(
                _checked, who.tenant_id, body, door.keys, valid_from
            )
        except Faulty as error:
            zh, en = "变更集有误，一条也没有记入。", "The set has faults; nothing was recorded."
            raise Problem(422, "change_set_faulty", zh, en, errors=error.faults) from error
        except CannotOpen as error:
            zh, en = "密钥文件里没有这个租户的密钥。", "The key file has no keys for this tenant."
            raise Problem(422, "tenant_without_keys", zh, en) from error
        given = _Given(change_set_id, lines, digest, numbers, valid_from, reason)
        try:
            view = await _record(door, who, given, dry_run=dry_run)
        except REFUSALS as error:
            raise conflict(error) from error
        if not dry_run:
            door.relay.wake()
        return view

    @router.get("/counts")
    async def get_registry_counts(authorization: Authorization = None) -> dict[str, int]:
        who = door.who(authorization)
        async with door.within(who.tenant_id) as conn:
            now = await town_now(conn, who.tenant_id)
            return await registry.count_by_kind(conn, who.tenant_id, now)

    return router


class _Given(NamedTuple):
    """A set as it came."""

    change_set_id: str
    lines: Mapping[int, Line]
    digest: str
    numbers: list[Numbered]
    valid_from: datetime | None
    reason: str | None


class _DryRun(Exception):  # noqa: N818 - no error: all that was written is taken back
    """Ends the transaction of a set that was to be judged alone."""


async def _record(door: Door, who: Identity, given: _Given, *, dry_run: bool) -> SetView:
    """Record a set, or judge it as if it were recorded; what refuses it is raised."""
    tenant_id, lines, numbers = who.tenant_id, given.lines, given.numbers
    with suppress(_DryRun):
        async with door.within(who.tenant_id) as conn, conn.transaction():
            await registry.take_turn(conn, tenant_id)
            now = await town_now(conn, tenant_id)
            of = (tenant_id, given.change_set_id, who.staff, given.valid_from or now)
            one = ChangeSet(*of, given.digest, given.reason)
            entries = await record_lines(conn, one, lines, door.keys, now)
            returned = list[str]()
            if entries is not None:
                asks = await subject_of(conn, who)
                returned = await taken.check(conn, one, numbers, door.keys, asks, now)
                await audit.write(conn, set_recorded(one, entries, given.reason))
            later = await history.overtaken(conn, one, entries or _plain(lines))
            known = await elements.codes(conn, tenant_id, DIVISIONS) if numbers else ()
            if dry_run:
                raise _DryRun
    if dry_run and entries is not None:
        async with door.within(who.tenant_id) as conn:
            await audit.write(conn, set_tried(one, entries, given.reason))
    return SetView(
        change_set=given.change_set_id,
        entries=len(lines),
        known=entries is None,
        warnings=[
            *alias_warnings(_plain(lines)),
            *unknown_places(numbers, known),
            *followed(later),
            *returned,
        ],
    )


def make_clock_router(door: Door) -> APIRouter:
    """Make the door that moves virtual clocks; mounted in development alone."""
    router = APIRouter(
        prefix="/v1/dev", tags=["development"], route_class=json_route(door.operator)
    )

    @router.get("/clock")
    async def get_clock(authorization: Authorization = None) -> ClockView:
        who = door.operator(authorization)
        async with door.within(who.tenant_id) as conn:
            offsets, real = await offsets_of(conn, who.tenant_id), await database_now(conn)
        return _clock_view(who.tenant_id, offsets, real)

    @router.post("/clock")
    async def post_clock(body: ClockBody, authorization: Authorization = None) -> ClockView:
        who = door.operator(authorization)
        if (body.advance_s is None) == (body.set_to is None):
            zh, en = "请给出 advance_s 或 set_to 之一。", "Give either advance_s or set_to."
            raise Problem(422, "clock_body_invalid", zh, en, field="advance_s")
        async with door.within(who.tenant_id) as conn, conn.transaction():
            await registry.take_turn(conn, who.tenant_id)
            real = await database_now(conn)
            offsets = await offsets_of(conn, who.tenant_id)
            now = now_of(offsets, real)
            to = body.set_to or now + timedelta(seconds=body.advance_s or 0)
            after = moved(offsets, real, to)
            if isinstance(after, Refused):
                raise Problem(409, "clock_not_moved", f"{after.zh}。", f"{after.en}.")
            set_id = f"~clock-{len(after)}"  # no set through the other door has such an id
            one = ChangeSet(who.tenant_id, set_id, who.staff, to)
            await record_set(conn, one, [Entry("clock", "clock", _clock_body(after))], to)
            await audit.write(conn, clock_moved(one, _clock_body(offsets), _clock_body(after)))
            await publish_due(conn, who.tenant_id, to)
        door.relay.wake()
        return _clock_view(who.tenant_id, after, real)

    return router


REFUSALS = (ProfileFinal, CalendarUnfit, SetReused, VersionConflict, SetUnfit, NumberTaken)


def conflict(
    error: ProfileFinal | CalendarUnfit | SetReused | VersionConflict | SetUnfit | NumberTaken,
) -> Problem:
    """Say why a set cannot stand beside what is recorded."""
    match error:
        case ProfileFinal():
            zh = f"配置版本 {error} 已登记为别的内容，版本不可改：请用下一个版本号。"
            en = f"Profile version {error} is recorded with another body: take the next number."
            return Problem(409, "profile_version_final", zh, en)
        case CalendarUnfit(why=why):
            zh = "这份日历不能取代已登记的，一条也没有记入：见 errors。"
            en = "The calendar may not replace the recorded one; nothing was changed: see `errors`."
            faults = [{"field": one.field, "message": f"{one.zh} {one.en}"} for one in why]
            return Problem(409, "calendar_unfit", zh, en, errors=faults)
        case SetReused():
            zh = f"变更集 {error} 已登记为别的内容，这一份一条也没有记入：请换一个编号。"
            en = f"Set {error} is recorded with other content; nothing was changed: take a new id."
            return Problem(409, "change_set_reused", zh, en)
        case VersionConflict(faults=found):
            zh = "有记录被别人先改了，一条也没有记入：见 errors。"
            en = "Somebody else was first; nothing was recorded: see `errors`."
            return Problem(409, "version_conflict", zh, en, errors=found)
        case SetUnfit(faults=found):
            zh = "这份变更集与登记对不上，一条也没有记入：见 errors。"
            en = "The set does not fit the registry; nothing was recorded: see `errors`."
            return Problem(409, "change_set_unfit", zh, en, errors=found)
        case NumberTaken(faults=found):
            zh = "有人的身份证号已登记给别人，一条也没有记入：见 errors。"
            en = "A citizen number is another person's; nothing was recorded: see `errors`."
            return Problem(409, "id_number_taken", zh, en, errors=found)


def _checked(
    tenant_id: str, body: bytes, keys: KeyRing, valid_from: datetime | None
) -> tuple[Mapping[int, Line], str, list[Numbered]]:
    lines = read_lines(body)
    check_lines(tenant_id, lines, today())
    return lines, digest_of(tenant_id, lines, keys, valid_from), numbers_of(lines)


def _plain(lines: Mapping[int, Line]) -> list[Entry]:
    """Return a set's records as they came; never to be kept."""
    return [Entry(one.kind, one.id, one.body) for one in lines.values()]


def _clock_body(offsets: tuple[Offset, ...]) -> dict[str, Any]:
    entries = tuple(
        ClockOffset(from_at=one.from_at, seconds=one.ahead.total_seconds()) for one in offsets
    )
    return TenantClock(offsets=entries).model_dump(mode="json")


def _clock_view(tenant_id: str, offsets: tuple[Offset, ...], real: datetime) -> ClockView:
    now = now_of(offsets, real)
    return ClockView(tenant=tenant_id, now=now, ahead_s=(now - real).total_seconds())
