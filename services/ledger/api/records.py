"""Reading the registry: a record as it is or was, its history, and lists. Personal texts masked."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, get_args

from fastapi import APIRouter, HTTPException, Path, Query, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from services.chassis.http import Problem
from services.chassis.postgres import Connection
from services.chassis.seal import CannotOpen, KeyRing, SealedFields
from services.chassis.token import Identity
from services.doors.fields import Moment
from services.doors.route import JsonRoute
from services.doors.who import Authorization
from services.ledger.api.door import Door
from services.ledger.clock import town_now
from services.ledger.domain.masks import HIDDEN, MASKS, masked
from services.ledger.guard import check_of, check_record, check_town, sees_town
from services.ledger.lines import Line
from services.ledger.store import history, registry, search
from services.ledger.store.history import Held, When

_PAGE_MAX = 200
_KINDS = sorted(get_args(Line.model_fields["kind"].annotation))
# What a page of a kind can be narrowed to: the field of the query, which is the kind it names.
_OF_UNIT = ("unit", "household", "roster", "place", "thing", "matter", "organisation")
_PLACES = {**dict.fromkeys(_OF_UNIT, ("unit",)), "person": ("unit", "household")}
_SECRET = ("key_digest",)


def _known_kind(kind: str) -> str:
    if kind not in _KINDS:
        known = ", ".join(_KINDS)
        raise ValueError(f"没有这一类，有：{known}。 No such kind; there are: {known}.")
    return kind


Place = tuple[str, str] | None  # the kind and the id to which a list is narrowed
Kind = Annotated[str, AfterValidator(_known_kind), Path(json_schema_extra={"enum": _KINDS})]
RecordId = Annotated[str, Path(max_length=64, pattern=r"^[^\x00]+$")]
Limit = Annotated[int, Field(ge=1, le=_PAGE_MAX)]
PlaceId = Annotated[str, Field(max_length=64, pattern=r"^[^\x00]+$")]
AfterId = Annotated[str, Field(max_length=64, pattern=r"^[^\x00]*$")]


class Times(BaseModel):
    """`as_of`: when it held, by the town's time, else now. `known_on`: recorded by then, or all."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)
    as_of: Moment | None = None
    known_on: Moment | None = None

    def when(self, now: datetime) -> When:
        return When(self.as_of or now, self.known_on)


class Wanted(Times):
    """Which records of a kind: of one unit or household, `after` the last of the page before."""

    unit: PlaceId | None = None
    household: PlaceId | None = None
    after: AfterId = ""
    limit: Limit = _PAGE_MAX


class Paged(BaseModel):
    """A page of versions: those `before` the last of the page before."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)
    before: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = None
    limit: Limit = _PAGE_MAX


class RecordView(BaseModel):
    """A record as it held. Personal texts are masked; what does not open is hidden whole."""

    kind: str
    id: str
    version: int
    valid_from: datetime
    recorded_at: datetime
    change_set: str
    body: dict[str, Any]


class VersionView(BaseModel):
    """One version of a record: which set, who, why; from when it holds, since when it is known."""

    version: int
    change_set: str
    recorded_by: str
    reason: str | None
    valid_from: datetime
    recorded_at: datetime
    removed: bool


class HistoryView(BaseModel):
    """A record's versions, the newest first. With `more`, ask again `before` the last one."""

    kind: str
    id: str
    versions: list[VersionView]
    more: bool


class PageView(BaseModel):
    """Records of a kind by their ids. With `more`, ask again `after` the last one."""

    kind: str
    as_of: datetime
    records: list[RecordView]
    more: bool


def make_record_router(door: Door) -> APIRouter:
    """Make the endpoints that read records; mount it last, its paths take any kind."""
    router = APIRouter(prefix="/v1/registry", tags=["registry"], route_class=JsonRoute)

    @router.get("/change-sets/{change_set_id}", include_in_schema=False)
    @router.get("/reorganisations/{change_set_id}", include_in_schema=False)
    async def get_nothing(change_set_id: str) -> None:  # noqa: ARG001 - the path has it
        """Hold these two names against the paths of kinds, below."""
        raise HTTPException(405, headers={"Allow": "POST"})

    @router.get("/{kind}", response_model=PageView)
    async def get_records(
        kind: Kind, wanted: Annotated[Wanted, Query()], authorization: Authorization = None
    ) -> Response:
        """List a kind's records; those of one unit (grid) or household, where the kind has one.

        Persons of a unit are those of the households of a grid. With another moment, whoever is not
        of the town sees of them what belongs to his units now.
        """
        who, place = door.who(authorization), _place(kind, wanted)
        async with door.within(who.tenant_id) as conn:
            now = await town_now(conn, who.tenant_id)
            await _check_list(conn, who, kind, place, now)
            when = wanted.when(now)
            if when == When(now) or await sees_town(conn, who, kind, now):
                page = (wanted.after, wanted.limit + 1)
                held = await _page(conn, who.tenant_id, kind, place, when, *page)
            else:
                held = await _page_of_own(conn, who, (kind, place), when, now, wanted)
        more = len(held) > wanted.limit
        shown = [_shown(who.tenant_id, kind, one, door.keys) for one in held[: wanted.limit]]
        view = PageView(kind=kind, as_of=when.as_of, records=shown, more=more)
        return Response(view.model_dump_json(), media_type="application/json")  # checked once

    @router.get("/{kind}/{record_id}")
    async def get_record(
        kind: Kind,
        record_id: RecordId,
        times: Annotated[Times, Query()],
        authorization: Authorization = None,
    ) -> RecordView:
        """Show a record as it is, or as of another moment, or as it was known on another."""
        who = door.who(authorization)
        async with door.within(who.tenant_id) as conn:
            now = await town_now(conn, who.tenant_id)
            await check_record(conn, who, "read", (kind, record_id), now)
            when = times.when(now)
            held = await history.holds(conn, who.tenant_id, kind, record_id, when)
        if held is None or held.body is None:
            raise no_record()
        return _shown(who.tenant_id, kind, held, door.keys)

    @router.get("/{kind}/{record_id}/history")
    async def get_history(
        kind: Kind,
        record_id: RecordId,
        page: Annotated[Paged, Query()],
        authorization: Authorization = None,
    ) -> HistoryView:
        """List a record's versions: set, who, why, from when it holds, since when it is known."""
        who = door.who(authorization)
        async with door.within(who.tenant_id) as conn:
            now = await town_now(conn, who.tenant_id)
            await check_record(conn, who, "history", (kind, record_id), now)
            record = (who.tenant_id, kind, record_id)
            rows = await history.history(conn, *record, page.before, page.limit + 1)
        versions = [VersionView(change_set=row.pop("change_set_id"), **row) for row in rows]
        more = len(versions) > page.limit
        return HistoryView(kind=kind, id=record_id, versions=versions[: page.limit], more=more)

    return router


def _place(kind: str, wanted: Wanted) -> Place:
    """Return the kind and the id to which a list is narrowed."""
    named = (("unit", wanted.unit), ("household", wanted.household))
    given = {name: one for name, one in named if one}
    allowed = _PLACES.get(kind, ())
    for name in given:
        if name not in allowed or len(given) > 1:
            zh = f"{kind} 不能按 {name} 查：请去掉 {name}。"
            en = f"Records of {kind} cannot be listed by {name}: leave it out."
            raise Problem(422, "filter_unknown", zh, en, field=name)
    return next(iter(given.items()), None)


async def _page(
    conn: Connection, tenant_id: str, kind: str, place: Place, when: When, after: str, limit: int
) -> list[Held]:
    if place is None:
        return await history.page(conn, tenant_id, kind, when, after, limit)
    if (kind, place[0]) == ("person", "unit"):
        return await history.page_of_homes(conn, tenant_id, place[1], when, after, limit)
    return await history.page_of_place(conn, tenant_id, kind, place[1], when, after, limit)


async def _page_of_own(
    conn: Connection,
    who: Identity,
    what: tuple[str, Place],
    when: When,
    now: datetime,
    wanted: Wanted,
) -> list[Held]:
    """Return of those that were there then what belongs now to units of the caller's."""
    (kind, place), tenant, after = what, who.tenant_id, wanted.after
    units = await registry.below(conn, tenant, sorted(who.units), now)
    own: list[Held] = []
    while len(own) <= wanted.limit:
        page = await _page(conn, tenant, kind, place, when, after, _PAGE_MAX)
        ids = [one.record_id for one in page]
        own += await search.held(conn, tenant, kind, ids, when, now, units)
        if len(page) < _PAGE_MAX:
            break
        after = ids[-1]
    return own


async def _check_list(
    conn: Connection, who: Identity, kind: str, place: Place, now: datetime
) -> None:
    """Let the town's own list all, and others what belongs to a place of theirs."""
    if place is None:
        await check_town(conn, who, "list", kind, now)
    else:
        await check_of(conn, who, kind, place, now)


def no_record() -> Problem:
    zh, en = "没有这条记录。", "There is no such record."
    return Problem(404, "record_not_found", zh, en)


def texts_of(tenant_id: str, held: Held, keys: KeyRing, *more: str) -> dict[str, str]:
    """Open what is shown in part, and `more`; never for an answer. What does not open is left out.

    What is hidden whole stays shut.
    """
    body = held.body or {}
    if "sealed" not in body:
        return {}
    try:
        sealed = SealedFields(**body["sealed"])
        return keys.open(tenant_id, held.record_id, sealed, {*MASKS, *more})
    except CannotOpen:  # its key is gone: there is nothing left to show
        return {}


def _shown(tenant_id: str, kind: str, held: Held, keys: KeyRing) -> RecordView:
    return view_of(kind, held, texts_of(tenant_id, held, keys))


def view_of(kind: str, held: Held, texts: Mapping[str, str]) -> RecordView:
    """Show a version, its personal texts masked; those that were not opened are hidden whole."""
    body = dict(held.body or {})
    sealed = body.pop("sealed", {"fields": ()})
    body |= {name: HIDDEN for name in _SECRET if name in body}
    body |= dict.fromkeys(sealed["fields"], HIDDEN)
    return RecordView(
        kind=kind,
        id=held.record_id,
        version=held.version,
        valid_from=held.valid_from,
        recorded_at=held.recorded_at,
        change_set=held.change_set_id,
        body=body | masked(texts),
    )
