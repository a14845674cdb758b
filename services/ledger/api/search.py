"""Looking records up: by number, phone, name, address or who looks after them. Masked.

What is looked for whole could be tried out: such look-ups that find nothing have a budget, and
those by a number are in the audit log before they are answered.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from services.chassis.http import Problem
from services.chassis.postgres import Connection
from services.chassis.token import Identity
from services.doors.route import JsonRoute
from services.doors.who import Authorization
from services.ledger import cursors
from services.ledger.acts import searched
from services.ledger.api.budget import SPENT, spent_up
from services.ledger.api.door import Door
from services.ledger.api.records import (
    Limit,
    PlaceId,
    RecordView,
    Times,
    texts_of,
    view_of,
)
from services.ledger.clock import town_now
from services.ledger.domain import blind
from services.ledger.domain.access import OPERATOR, Object, Subject, allow
from services.ledger.guard import passed, subject_of
from services.ledger.store import access, audit, registry, search
from services.ledger.store.history import Held, When

_PAGE = 50
_ROUNDS_MAX = 10  # how many pages of candidates one request looks at
_ROUND = 500  # candidates of a later one: a page that ends early tells next to nothing of others
_OF_PLACES = ("person", "household")  # listed by where they are, as far as the caller's units go
_BY: tuple[blind.By, ...] = (
    "id_number",
    "credit_code",
    "phone",
    "name",
    "begins",
    "initials",
    "address",
)
Text = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^\x00]+$")]
_NUMBERS = ("id_number", "credit_code", "phone")
_WHOLE = (*_NUMBERS, "name")  # looked for whole
Cursor = Annotated[str, Field(max_length=512, pattern=r"^[A-Za-z0-9_-]*$")]
Found = list[tuple[Held, dict[str, str]]]  # what holds, and its personal texts in the clear
Page = tuple[Found, str | None]  # what was found, and the last that was looked at, if not all was


class Looked(Times):
    """What to look for, one of: a number, a phone, a name whole, how it begins, its initials.

    Or parts of an `address` that follow each other, or `staff`, who looks after it by a link.
    `unit` narrows to what belongs there or below.
    """

    kind: Literal["person", "staff", "organisation", "household", "place", "thing"] = "person"
    id_number: Text | None = None
    credit_code: Text | None = None
    phone: Text | None = None
    name: Text | None = None
    begins: Text | None = None
    initials: Annotated[str, Field(pattern="^[A-Za-z]{2,20}$")] | None = None
    address: Text | None = None
    staff: PlaceId | None = None
    unit: PlaceId | None = None
    after: Cursor = ""
    limit: Limit = _PAGE

    def given(self) -> list[tuple[str, str]]:
        named = [(one, getattr(self, one)) for one in (*_BY, "staff")]
        return [(name, text) for name, text in named if text is not None]


class FoundView(BaseModel):
    """What was found, by id. With `after`, ask the same again with it: a page may hold fewer.

    It is good for who asked, and for nothing else.
    """

    kind: str
    records: list[RecordView]
    after: str | None


@dataclass(frozen=True, slots=True)
class _Search:
    """One request: who asks for what. `units`: to which of them it must belong; None: any."""

    door: Door
    who: Identity
    looked: Looked
    by: str
    text: str
    after: str
    when: When
    now: datetime
    units: list[str] | None
    places: list[str]

    @property
    def tenant_id(self) -> str:
        return self.who.tenant_id

    @property
    def wanted(self) -> search.Wanted:
        key = _index_key(self.door, self.who)
        return self.looked.kind, blind.token(key, _as_by(self.by), self.text)


def make_search_router(door: Door) -> APIRouter:
    """Make the door that looks records up; mount it before those that take any kind."""
    router = APIRouter(prefix="/v1/registry", tags=["registry"], route_class=JsonRoute)

    @router.get("/search", response_model=FoundView, responses=SPENT)
    async def get_search(
        looked: Annotated[Looked, Query()], authorization: Authorization = None
    ) -> Response:
        """Look records up. Whoever is not of the town finds what belongs to units of his."""
        who = door.who(authorization)
        by, text = _one_of(looked)
        counts = _counts(by, text)
        one_view: Any = {} if counts else {"isolation": "repeatable_read", "readonly": True}
        async with door.within(who.tenant_id) as conn, conn.transaction(**one_view):
            asked = await _asked(conn, door, who, looked, (by, text))
            answer = await (_counted(conn, asked) if counts else _look(conn, asked))
        if isinstance(answer, Problem):
            raise answer
        found, last = answer
        after = None if last is None else _cursor(door, who, looked, last)
        shown = [view_of(looked.kind, held, texts) for held, texts in found]
        view = FoundView(kind=looked.kind, records=shown, after=after)
        return Response(view.model_dump_json(), media_type="application/json")  # checked once

    return router


def _one_of(looked: Looked) -> tuple[str, str]:
    given = looked.given()
    if len(given) != 1:
        names = ", ".join((*_BY, "staff"))
        zh, en = f"请给出其中一项：{names}。", f"Give exactly one of {names}."
        raise Problem(422, "search_invalid", zh, en, field=given[1][0] if given else "name")
    by, text = given[0]
    field = "name" if by in ("begins", "initials") else by
    if by != "staff" and field not in blind.INDEXED.get(looked.kind, ()):
        zh, en = f"{looked.kind} 不能按 {by} 查。", f"No {looked.kind} is looked for by {by}."
        raise Problem(422, "search_invalid", zh, en, field=by)
    return by, text


def _counts(by: str, text: str) -> bool:
    """Tell whether a look-up could try out what a mask hides: a name by its beginning, too."""
    return by in _WHOLE or (by == "begins" and len(text) > 1)


def _question(who: Identity, looked: Looked) -> list[object]:
    said = looked.model_dump(mode="json", exclude={"after", "limit"})
    return [who.tenant_id, who.staff, said]


def _index_key(door: Door, who: Identity) -> bytes:
    return door.keys.tenant(who.tenant_id).index


def _cursor(door: Door, who: Identity, looked: Looked, last: str) -> str:
    return cursors.sealed(_index_key(door, who), _question(who, looked), last)


def _opened(door: Door, who: Identity, looked: Looked) -> str:
    if not looked.after:
        return ""
    try:
        return cursors.opened(_index_key(door, who), _question(who, looked), looked.after)
    except ValueError as error:
        zh = "after 不是这次查询上一页给出的：请原样带回，或从头查。"
        en = "`after` is not from the page before of this search: give it as it was, or begin anew."
        raise Problem(422, "cursor_invalid", zh, en, field="after") from error


async def _counted(conn: Connection, asked: _Search) -> Page | Problem:
    """Look, and let it count if nothing is found; a later page has been counted by the first.

    It counts before anything is looked for: a refusal must not tell what would have been found.
    """
    most, first = asked.door.settings.search_empty_per_day_max, not asked.after
    day, ends = await access.day(conn, asked.tenant_id, asked.now)
    whose = (asked.tenant_id, asked.who.staff, day)
    if first and not await access.try_search(conn, whose, most):
        await _tell(conn, asked, None)
        return _tried_enough(most, asked.now, ends)
    page = await _look(conn, asked)
    if first and page[0]:
        await access.give_back(conn, whose)
    await _tell(conn, asked, len(page[0]))
    return page


async def _tell(conn: Connection, asked: _Search, found: int | None) -> None:
    if asked.by in _NUMBERS:
        await audit.write(conn, searched(asked.who, asked.looked.kind, asked.by, found))


def _tried_enough(most: int, now: datetime, ends: datetime) -> Problem:
    zh = f"今天没查到的次数已满 {most} 次"
    en = f"Look-ups that found nothing: {most} a day are enough;"
    return spent_up("search_budget", (zh, en), now, ends, searches_max=most)


async def _asked(
    conn: Connection, door: Door, who: Identity, looked: Looked, what: tuple[str, str]
) -> _Search:
    now = await town_now(conn, who.tenant_id)
    subject = await subject_of(conn, who)
    town = [] if OPERATOR in who.roles else await registry.path(conn, who.tenant_id, None, now)
    every = Object(who.tenant_id, looked.kind, frozenset(town), whole=True)
    decision = allow(subject, "search", every)
    if decision.code != "unit_not_allowed":
        passed(decision)
    units, places = await _scope(conn, subject, looked.unit, now, town_wide=decision.allowed)
    when = looked.when(now)
    after = _opened(door, who, looked)
    return _Search(door, who, looked, *what, after, when, now, units, places)


async def _scope(
    conn: Connection, subject: Subject, unit: str | None, now: datetime, *, town_wide: bool
) -> tuple[list[str] | None, list[str]]:
    """Return the units to which a record must belong, and where such records are listed.

    A household that belongs to a group is listed under its grid.
    """
    if town_wide and unit is None:
        return None, []
    tenant, wanted = subject.tenant_id, sorted(subject.units) if unit is None else [unit]
    units = set(await registry.below(conn, tenant, wanted, now))
    if unit is not None and not town_wide:
        units &= {*await registry.below(conn, tenant, sorted(subject.units), now)}
    above = await registry.paths(conn, tenant, wanted, now)
    return sorted(units), sorted(units.union(above))


async def _look(conn: Connection, asked: _Search) -> Page:
    """Go through the candidates page by page until enough are found or none is left."""
    after, limit, found = asked.after, asked.looked.limit, Found()
    if asked.units == []:
        return found, None
    for n in range(_ROUNDS_MAX):
        ids, more = await _candidates(conn, asked, after, max(limit, _ROUND if n else 0) + 1)
        found += _fitting(asked, await _held(conn, asked, ids), limit + 1 - len(found))
        if len(found) > limit:
            return found[:limit], found[limit - 1][0].record_id
        if not more:
            return found, None
        after = ids[-1]
    return found, after


async def _candidates(
    conn: Connection, asked: _Search, after: str, limit: int
) -> tuple[list[str], bool]:
    """Return ids of what may be looked for, and whether there may be more of them."""
    tenant, kind = asked.tenant_id, asked.looked.kind
    if asked.by == "staff":
        ids = await search.linked(conn, tenant, (kind, asked.text), asked.when, after, limit)
    elif asked.units is None or kind not in _OF_PLACES:
        ids = await search.found(conn, tenant, asked.wanted, after, limit)
    else:
        ids = await search.found_in(conn, tenant, asked.wanted, asked.places, after, limit)
    return ids, len(ids) == limit


async def _held(conn: Connection, asked: _Search, ids: list[str]) -> list[Held]:
    if not ids:
        return []
    kind, scope = asked.looked.kind, (asked.when, asked.now, asked.units)
    return await search.held(conn, asked.tenant_id, kind, ids, *scope)


def _as_by(name: str) -> blind.By:
    return next(one for one in _BY if one == name)


def _fitting(asked: _Search, held: list[Held], most: int) -> Found:
    """Compare what a digest has found with the text itself: it may be of another version."""
    fitting = Found()
    for one in held:
        texts = texts_of(asked.tenant_id, one, asked.door.keys, asked.by)
        if asked.by == "staff" or blind.fits(_as_by(asked.by), asked.text, texts):
            fitting.append((one, texts))
        if len(fitting) == most:
            break
    return fitting
