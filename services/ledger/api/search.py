"""Looking somebody up: by number, phone, name or who looks after him. Answers are masked."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from services.chassis.http import Problem
from services.chassis.postgres import Connection
from services.chassis.seal import CannotOpen, SealedFields
from services.chassis.token import Identity
from services.doors.route import JsonRoute
from services.doors.who import Authorization
from services.ledger.api.door import Door
from services.ledger.api.records import AfterId, Limit, PlaceId, RecordView, view_of
from services.ledger.clock import town_now
from services.ledger.domain import blind
from services.ledger.domain.access import Object, Subject, allow
from services.ledger.guard import passed, subject_of
from services.ledger.reach import units_in
from services.ledger.store import elements, registry, search
from services.ledger.store.history import Held, When

_PAGE = 50
_ROUNDS_MAX = 20  # how many pages of candidates one request looks at
_BY: tuple[blind.By, ...] = (
    "id_number",
    "credit_code",
    "phone",
    "name",
    "begins",
    "initials",
)
Text = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^\x00]+$")]


class Looked(BaseModel):
    """What to look for, one of: a number, a phone, a name whole, how it begins, its initials.

    Or `staff`, who looks after it by a link. `unit` narrows to what belongs there or below.
    """

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)
    kind: Literal["person", "staff", "organisation", "household"] = "person"
    id_number: Text | None = None
    credit_code: Text | None = None
    phone: Text | None = None
    name: Text | None = None
    begins: Text | None = None
    initials: Annotated[str, Field(pattern="^[A-Za-z]{2,20}$")] | None = None
    staff: PlaceId | None = None
    unit: PlaceId | None = None
    after: AfterId = ""
    limit: Limit = _PAGE

    def given(self) -> list[tuple[str, str]]:
        named = [(one, getattr(self, one)) for one in (*_BY, "staff")]
        return [(name, text) for name, text in named if text is not None]


class FoundView(BaseModel):
    """What was found, by id. With `after`, ask again after it: a page may hold fewer than asked."""

    kind: str
    records: list[RecordView]
    after: str | None


@dataclass(frozen=True, slots=True)
class _Search:
    """One request: who asks for what, and how the town is built."""

    door: Door
    subject: Subject
    looked: Looked
    by: str
    text: str
    when: When
    parents: Mapping[str, str | None]
    town_wide: bool

    @property
    def tenant_id(self) -> str:
        return self.subject.tenant_id


def make_search_router(door: Door) -> APIRouter:
    """Make the door that looks records up; mount it before those that take any kind."""
    router = APIRouter(prefix="/v1/registry", tags=["registry"], route_class=JsonRoute)

    @router.get("/search")
    async def get_search(
        looked: Annotated[Looked, Query()], authorization: Authorization = None
    ) -> FoundView:
        """Look records up. Whoever is not of the town finds what belongs to units of his."""
        who = door.who(authorization)
        by, text = _one_of(looked)
        async with (
            door.within(who.tenant_id) as conn,
            conn.transaction(isolation="repeatable_read", readonly=True),
        ):
            now = await town_now(conn, who.tenant_id)
            asked = await _asked(conn, door, who, looked, (by, text), now)
            held, after = await _look(conn, asked)
        shown = [view_of(who.tenant_id, looked.kind, one, door.keys) for one in held]
        return FoundView(kind=looked.kind, records=shown, after=after)

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


async def _asked(
    conn: Connection,
    door: Door,
    who: Identity,
    looked: Looked,
    what: tuple[str, str],
    now: datetime,
) -> _Search:
    parents = await registry.parents(conn, who.tenant_id, now)
    subject, when = await subject_of(conn, who), When(now)
    town = frozenset(unit for unit, parent in parents.items() if parent is None)
    decision = allow(subject, "search", Object(who.tenant_id, looked.kind, town, whole=True))
    if decision.code != "unit_not_allowed":
        passed(decision)
    return _Search(door, subject, looked, *what, when, parents, decision.allowed)


async def _look(conn: Connection, asked: _Search) -> tuple[list[Held], str | None]:
    """Go through the candidates page by page until enough are found or none is left."""
    after, limit, held = asked.looked.after, asked.looked.limit, list[Held]()
    for _ in range(_ROUNDS_MAX):
        candidates = await _candidates(conn, asked, after)
        fitting = [one for _, one in candidates if one and one.body and _fits(asked, one)]
        held += await _seen(conn, asked, fitting)
        if len(held) > limit:
            return held[:limit], held[limit - 1].record_id
        if len(candidates) < limit + 1:
            return held, None
        after = candidates[-1][0]
    return held, after


async def _candidates(conn: Connection, asked: _Search, after: str) -> list[search.Found]:
    looked, page = asked.looked, (asked.when, after, asked.looked.limit + 1)
    if asked.by == "staff":
        return await search.linked(conn, asked.tenant_id, (asked.text, looked.kind), *page)
    key = asked.door.keys.tenant(asked.tenant_id).index
    token = blind.token(key, _as_by(asked.by), asked.text)
    return await search.found(conn, asked.tenant_id, (token, looked.kind), *page)


def _as_by(name: str) -> blind.By:
    return next(one for one in _BY if one == name)


def _fits(asked: _Search, held: Held) -> bool:
    """Compare what a digest has found with the text itself: it may be of another version."""
    if asked.by == "staff":
        return True
    by, body = _as_by(asked.by), held.body or {}
    sealed = SealedFields(**body.get("sealed", {"kid": "", "key": "", "fields": {}}))
    names = {"name"} if by in ("begins", "initials") else {str(by)}
    try:
        texts = asked.door.keys.open(asked.tenant_id, held.record_id, sealed, names)
    except CannotOpen:  # its key is gone: nobody is to find it
        return False
    return blind.fits(by, asked.text, texts)


async def _seen(conn: Connection, asked: _Search, held: list[Held]) -> list[Held]:
    """Leave what the caller may see, and what belongs to the unit that is asked for."""
    unit = asked.looked.unit
    if not held or (asked.town_wide and unit is None):
        return held
    homes = {(one.body or {}).get("household") for one in held}
    wanted = [("household", home) for home in homes if isinstance(home, str)]
    bodies = await elements.bodies(conn, asked.tenant_id, wanted, asked.when.as_of)
    seen = []
    for one in held:
        body: Mapping[str, Any] = one.body or {}
        home = bodies.get(("household", body.get("household", "")), body)
        path = frozenset(_above(units_in(home), asked.parents))
        what = Object(asked.tenant_id, asked.looked.kind, path)
        within = unit is None or unit in path
        if within and (asked.town_wide or allow(asked.subject, "search", what).allowed):
            seen.append(one)
    return seen


def _above(units: Iterable[str], parents: Mapping[str, str | None]) -> set[str]:
    found: set[str] = set()
    for first in units:
        unit: str | None = first
        while unit is not None and unit in parents and unit not in found:
            found.add(unit)
            unit = parents[unit]
    return found
