"""The doors of sensitive groups: off where the profile keeps none, and each use says why first."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, TypeVar

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field

from services.chassis.crash import crash_point
from services.chassis.http import Problem
from services.chassis.postgres import Connection
from services.chassis.seal import CannotOpen
from services.chassis.token import Identity
from services.doors.fields import Checked
from services.doors.route import json_route
from services.doors.who import Authorization
from services.ledger.acts import sensitive_used
from services.ledger.api.door import Door
from services.ledger.api.reason import LongReason, without_controls
from services.ledger.api.records import RecordId, no_record
from services.ledger.api.unmask import READ_REFUSED, seen_enough
from services.ledger.clock import town_now
from services.ledger.domain.access import allow
from services.ledger.guard import object_of, refusal, subject_of
from services.ledger.sensitive import Drawer
from services.ledger.store import access, audit, history, registry, sensitive
from services.ledger.store.history import When

_PERSON = "person"
T = TypeVar("T")


Group = Annotated[str, Path(pattern="^[a-z][a-z0-9_]*$", max_length=64)]
Note = Annotated[str, Field(max_length=500), Checked(without_controls)]


class WhyBody(BaseModel):
    """Why, for the audit log: nothing personal in it."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)
    reason: LongReason


class EntryBody(WhyBody):
    """Since when somebody belongs to a group, and what those who help him must know."""

    since: date | None = None
    note: Note = ""


class PutView(BaseModel):
    """What became of an entry. `known`: it was kept so already, nothing has changed."""

    person: str
    group: str
    version: int
    known: bool = False


class EntryView(BaseModel):
    """One entry of a person."""

    group: str
    zh: str
    since: date | None
    note: str
    version: int
    recorded_by: str
    recorded_at: datetime
    ended_at: datetime | None


class EntriesView(BaseModel):
    """A person's entries. `left`: how many fields more the caller may see unmasked today."""

    person: str
    entries: list[EntryView]
    left: int


@dataclass(frozen=True, slots=True)
class _Asked:
    """One request, let in: by whom, at what moment, of which person, with the town's groups."""

    door: Door
    who: Identity
    now: datetime
    groups: Mapping[str, str]
    drawer: Drawer

    def check_group(self, group: str) -> None:
        if group not in self.groups:
            shown = ", ".join(self.groups)
            zh = f"镇配置里没有这一类敏感人群。有：{shown}。"
            en = f"The profile keeps no such sensitive group; there are: {shown}."
            raise Problem(404, "sensitive_group_unknown", zh, en, field="group")


def make_sensitive_router(door: Door) -> APIRouter:
    """Make the endpoints of sensitive groups; no list of them is given to anybody."""
    router = APIRouter(
        prefix="/v1/registry/person", tags=["registry"], route_class=json_route(door.who)
    )

    @router.put("/{record_id}/sensitive/{group}")
    async def put_entry(
        record_id: RecordId, group: Group, body: EntryBody, authorization: Authorization = None
    ) -> PutView:
        """Keep that a person belongs to a sensitive group, in the place of what was kept before."""
        who = door.who(authorization)
        since = body.since.isoformat() if body.since else ""
        texts = {"group": group, "since": since, "note": body.note}

        async def put(conn: Connection, asked: _Asked) -> PutView:
            asked.check_group(group)
            when = When(asked.now)
            held = await history.holds(conn, who.tenant_id, _PERSON, record_id, when)
            if held is None or held.body is None:
                raise no_record()
            version, known = await asked.drawer.put(conn, texts, who.staff)
            return PutView(person=record_id, group=group, version=version, known=known)

        return await _audited(door, who, (record_id, group, "put"), body.reason, put)

    @router.post("/{record_id}/sensitive/{group}/end")
    async def post_end(
        record_id: RecordId, group: Group, body: WhyBody, authorization: Authorization = None
    ) -> PutView:
        """Say that a person belongs to a sensitive group no longer."""
        who = door.who(authorization)

        async def end(conn: Connection, asked: _Asked) -> PutView:
            asked.check_group(group)
            version = await asked.drawer.end(conn, group, asked.now)
            if version is None:
                zh, en = "没有这一条登记。", "There is no such entry."
                raise Problem(404, "sensitive_entry_not_found", zh, en)
            return PutView(person=record_id, group=group, version=version)

        return await _audited(door, who, (record_id, group, "end"), body.reason, end)

    @router.post("/{record_id}/sensitive-read", responses=READ_REFUSED)
    async def post_read(
        record_id: RecordId, body: WhyBody, authorization: Authorization = None
    ) -> EntriesView:
        """Show a person's entries; it counts as one field of the day's budget of unmasking."""
        who = door.who(authorization)
        return await _audited(door, who, (record_id, "", "read"), body.reason, _shown)

    return router


async def _audited(
    door: Door,
    who: Identity,
    what: tuple[str, str, str],
    reason: str,
    work: Callable[[Connection, _Asked], Awaitable[T | Problem]],
) -> T:
    """Do what is asked for and write that it was, in one transaction; then answer.

    Raises:
        Problem: a refusal, which is in the audit log too; or there is nothing to do it with, which
            is not.
    """
    person, group, act = what
    async with door.within(who.tenant_id) as conn:
        async with conn.transaction():
            if act != "read":  # nobody is erased meanwhile
                await registry.take_turn(conn, who.tenant_id)
            groups = await sensitive.groups(conn, who.tenant_id)
            if not groups:
                zh = "本镇没有开启敏感人群登记：镇配置 registry.sensitive_groups 里一类也没有。"
                en = "The town keeps no sensitive groups: see registry.sensitive_groups."
                raise Problem(404, "sensitive_groups_off", zh, en)
            asked = _Asked(
                *(door, who, await town_now(conn, who.tenant_id), groups),
                Drawer(door.keys, who.tenant_id, person),
            )
            barred = await _let_in(conn, asked)
            answer: T | Problem
            answer = await _done(conn, asked, work) if barred is None else barred
            refused = answer.body["code"] if isinstance(answer, Problem) else None
            place = asked.drawer.place(group) if group else None
            await audit.write(conn, sensitive_used(who, (act, person, place), reason, refused))
        crash_point("after_sensitive")
    if isinstance(answer, Problem):
        raise answer
    return answer


async def _let_in(conn: Connection, asked: _Asked) -> Problem | None:
    record = (_PERSON, asked.drawer.person)
    what = await object_of(conn, asked.who.tenant_id, record, asked.now)
    subject = await subject_of(conn, asked.who, "sensitive")
    refused = refusal(allow(subject, "sensitive", what))
    if refused is not None and not what.known:
        raise refused
    return refused


async def _done(
    conn: Connection,
    asked: _Asked,
    work: Callable[[Connection, _Asked], Awaitable[T | Problem]],
) -> T | Problem:
    try:
        return await work(conn, asked)
    except CannotOpen as error:
        zh, en = "密钥已不在，无法再看。", "Its key is gone: it cannot be opened again."
        raise Problem(410, "sealed_gone", zh, en) from error


async def _shown(conn: Connection, asked: _Asked) -> EntriesView | Problem:
    day, ends = await access.day(conn, asked.who.tenant_id, asked.now)
    most = asked.door.settings.unmask_fields_per_day_max
    spent = await access.spend(conn, (asked.who.tenant_id, asked.who.staff, day), 1, most)
    if spent is None:
        return seen_enough(most, asked.now, ends)
    entries = []
    for kept in await asked.drawer.all(conn):
        said = asked.drawer.opened(kept)
        if said["group"] in asked.groups:  # what the town keeps no longer is shown to nobody
            entries.append(
                EntryView(
                    group=said["group"],
                    zh=asked.groups[said["group"]],
                    since=date.fromisoformat(said["since"]) if said["since"] else None,
                    note=said["note"],
                    version=kept.version,
                    recorded_by=kept.recorded_by,
                    recorded_at=kept.recorded_at,
                    ended_at=kept.ended_at,
                )
            )
    return EntriesView(person=asked.drawer.person, entries=entries, left=most - spent)
