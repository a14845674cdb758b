"""The doors' question: may this caller do that? What `allow` needs is read here."""

from datetime import datetime

from services.chassis.http import Problem
from services.chassis.postgres import Connection
from services.chassis.token import Identity
from services.ledger.domain.access import OPERATOR, Decision, Object, Subject, Verb, allow
from services.ledger.reach import units_of
from services.ledger.store import access, registry

_STATUS = {"record_not_found": 404}


async def subject_of(conn: Connection, who: Identity, verb: Verb = "read") -> Subject:
    """Return who asks, with what the newest profile lets his roles do."""
    needed = OPERATOR not in who.roles or verb == "sensitive"
    can = await access.can(conn, who.tenant_id, who.roles) if needed else frozenset[str]()
    return Subject(who.tenant_id, who.roles, who.units, can, who.department)


async def town_of(conn: Connection, tenant_id: str, kind: str, now: datetime) -> Object:
    """Return all of a kind in a town."""
    path = await registry.path(conn, tenant_id, None, now)
    return Object(tenant_id, kind, frozenset(path), whole=True)


async def object_of(
    conn: Connection,
    tenant_id: str,
    record: tuple[str, str],
    now: datetime,
    listed: str | None = None,
) -> Object:
    """Return a record with where it belongs; with `listed`, what of that kind belongs to it."""
    kind = listed or record[0]
    units = await units_of(conn, tenant_id, *record, now)
    if units is None:
        return Object(tenant_id, kind, known=False)
    path = await registry.paths(conn, tenant_id, units, now, town=True)
    return Object(tenant_id, kind, frozenset(path))


async def check_record(
    conn: Connection, who: Identity, verb: Verb, record: tuple[str, str], now: datetime
) -> None:
    """Refuse what somebody may not do to a record, as `allow` says."""
    what = await object_of(conn, who.tenant_id, record, now)
    passed(allow(await subject_of(conn, who), verb, what))


async def check_of(
    conn: Connection, who: Identity, kind: str, place: tuple[str, str], now: datetime
) -> None:
    """Refuse who may not list what of a kind belongs to a place, as `allow` says."""
    what = await object_of(conn, who.tenant_id, place, now, listed=kind)
    passed(allow(await subject_of(conn, who), "list", what))


async def check_town(conn: Connection, who: Identity, verb: Verb, kind: str, now: datetime) -> None:
    """Refuse what somebody may not do to all of a kind, as `allow` says."""
    what = await town_of(conn, who.tenant_id, kind, now)
    passed(allow(await subject_of(conn, who), verb, what))


async def sees_town(conn: Connection, who: Identity, kind: str, now: datetime) -> bool:
    """Tell whether somebody may list all of a kind."""
    what = await town_of(conn, who.tenant_id, kind, now)
    return allow(await subject_of(conn, who), "list", what).allowed


def passed(decision: Decision) -> None:
    """Go on where it is allowed.

    Raises:
        Problem: the refusal.
    """
    refused = refusal(decision)
    if refused is not None:
        raise refused


def refusal(decision: Decision) -> Problem | None:
    """Return how a refusal is answered: 404 for what is not there, else 403."""
    if decision.allowed:
        return None
    status = _STATUS.get(decision.code, 403)
    return Problem(status, decision.code, decision.zh, decision.en)
