"""Change sets: what comes through the registry's door becomes sealed records and their facts."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from contracts.calendar import Calendar, Unfit, unfit
from contracts.events import NAMESPACE, effect_id
from contracts.registry import Change
from contracts.topics import LEDGER_REGISTRY, registry_partition
from services.chassis import outbox
from services.chassis.http import Problem, read_json
from services.chassis.outbox import Outgoing
from services.chassis.postgres import Connection
from services.chassis.seal import KeyRing
from services.ledger import references
from services.ledger.checks import PERSONAL, tidied, wrong_in
from services.ledger.domain import blind
from services.ledger.faults import both, wrong_by
from services.ledger.remarks import numbers_of, told_twice
from services.ledger.store import due, history, registry, search
from services.ledger.store.registry import ChangeSet, Entry, Expected

_ENTRIES_PER_STATEMENT = 5_000
_FAULTS_MAX = 50
Fault = dict[str, Any]


class Line(BaseModel):
    """One line of a change set. `body` null removes the record. Clocks have their own door.

    With `expected_version` (0: none yet) it is refused where another was recorded meanwhile.
    """

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)
    kind: Literal[
        "tenant",
        "profile",
        "calendar",
        "front_end",
        "unit",
        "staff",
        "department",
        "household",
        "person",
        "roster",
        "absence",
        "backup_pair",
        "place",
        "thing",
        "matter",
        "organisation",
        "link",
        "party_unit",
        "code_list",
    ]
    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]*$", max_length=64)]
    body: dict[str, Any] | None
    expected_version: Annotated[int, Field(ge=0, strict=True)] | None = None


class Faulty(ValueError):  # noqa: N818 - a state of the set
    """A set with faults: nothing of it is recorded."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__(f"{len(faults)} faults")
        self.faults = faults[:_FAULTS_MAX]


def read_lines(body: bytes) -> dict[int, Line]:
    """Read NDJSON: lines by their number; empty ones are passed over.

    Raises:
        Faulty: the faulty lines, each by its number.
    """
    lines: dict[int, Line] = {}
    faults: list[Fault] = []
    for number, text in enumerate(body.splitlines(), 1):
        if text.strip() and len(faults) < _FAULTS_MAX:
            try:
                line = Line.model_validate(read_json(text))
                lines[number] = line.model_copy(update={"body": tidied(line.kind, line.body)})
            except (Problem, ValidationError) as error:
                faults += _unreadable(number, error)
    if not lines and not faults:
        none = both("至少要有一条记录。", "Expected at least one record.")
        faults = [_fault(1, "body", none)]
    if faults:
        raise Faulty(faults)
    return lines


def _unreadable(number: int, error: Problem | ValidationError) -> Iterator[Fault]:
    if isinstance(error, Problem):
        yield _fault(number, "line", both(error.body["title"], error.body["detail"]))
        return
    yield from (_fault(number, field, said) for field, said in wrong_by(error))


def _fault(number: int, field: str, message: str) -> Fault:
    return {"line": number, "field": field, "message": message}


def sealed_entries(
    tenant_id: str, lines: Mapping[int, Line], keys: KeyRing, today: date
) -> list[Entry]:
    """Check every record and seal what is personal; nobody is born after `today`.

    Raises:
        Faulty: the records that are wrong, each by its line.
    """
    faults: list[Fault] = []
    first: dict[tuple[str, str], int] = {}
    for number, line in lines.items():
        before = first.setdefault((line.kind, line.id), number)
        if before != number:
            zh = f"第 {before} 行已有这一条：删去其一。"
            en = f"It stands in line {before} already: remove one of them."
            faults.append(_fault(number, "id", both(zh, en)))
        wrong = wrong_in(tenant_id, line.kind, line.id, line.body, today)
        faults += [_fault(number, field, message) for field, message in wrong]
        if len(faults) >= _FAULTS_MAX:
            break
    faults += [_fault(*one) for one in told_twice(numbers_of(lines))]
    if faults:
        raise Faulty(faults)
    return [_sealed(tenant_id, number, line, keys) for number, line in lines.items()]


def _sealed(tenant_id: str, number: int, line: Line, keys: KeyRing) -> Entry:
    version = line.expected_version
    expected = None if version is None else Expected(version, number)
    if line.body is None:
        return Entry(line.kind, line.id, None, expected)
    body = dict(line.body)
    personal = {name: body.pop(name, None) for name in PERSONAL.get(line.kind, ())}
    texts = {name: text for name, text in personal.items() if text}
    found_by = frozenset[bytes]()
    if texts:
        sealed = keys.seal(tenant_id, line.id, texts)
        body["sealed"] = {"kid": sealed.kid, "key": sealed.key, "fields": sealed.fields}
        found_by = blind.tokens(keys.tenant(tenant_id).index, line.kind, texts)
    return Entry(line.kind, line.id, body, expected, found_by)


class ProfileFinal(ValueError):  # noqa: N818 - a state of the version
    """A profile's version is recorded with another body already: cases are pinned to that one."""


class CalendarUnfit(ValueError):  # noqa: N818 - a state of the table
    """A calendar that may not take the place of the one that is recorded."""

    def __init__(self, why: list[Unfit]) -> None:
        super().__init__(f"{len(why)} faults")
        self.why = why


class VersionConflict(ValueError):  # noqa: N818 - a state of the records
    """Records of a set were recorded by somebody else since its author has looked."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__(f"{len(faults)} faults")
        self.faults = faults[:_FAULTS_MAX]


class SetReused(ValueError):  # noqa: N818 - a state of the set
    """A set with this id is recorded with other content."""


def digest_of(
    tenant_id: str, lines: Mapping[int, Line], keys: KeyRing, valid_from: datetime | None = None
) -> str:
    """Tell a set from others by records and moment, whatever the spacing; keyed: it tells no name.

    A set that holds from whenever it is recorded has no moment of its own.
    """
    said: list[Any] = [
        line.model_dump(mode="json", exclude_defaults=True) for line in lines.values()
    ]
    if valid_from is not None:
        said.append(valid_from.timestamp())
    return keys.body_mac(tenant_id, json.dumps(said, sort_keys=True).encode())


async def record_set(
    conn: Connection, one: ChangeSet, entries: Sequence[Entry], now: datetime
) -> bool:
    """Record a set and announce it, in the caller's transaction; False if it is known already.

    What holds from a moment to come is announced then (services/ledger/due.py); what another
    version stands before, never.

    Raises:
        ProfileFinal: it would change what a version of a profile says.
        CalendarUnfit: its calendar is not newer, or takes an official year back.
        SetReused: its id is known with other content.
        VersionConflict: a record has another version than its line expects.
        SetUnfit: a record would name what is not there then.
    """
    if not await registry.open_set(conn, one, len(entries)):
        if await registry.digest(conn, one) not in (None, one.digest):
            raise SetReused(one.change_set_id)
        return False
    await _check_expected(conn, one.tenant_id, [entry for entry in entries if entry.expected])
    for entry in entries:
        await _check(conn, one.tenant_id, entry)
    for start in range(0, len(entries), _ENTRIES_PER_STATEMENT):
        part = entries[start : start + _ENTRIES_PER_STATEMENT]
        await registry.append(conn, one, part)
        await search.put(conn, one.tenant_id, part)
    begins = max(one.valid_from, now)
    held = await _judge(conn, one, entries, begins, coming=begins > now)
    if begins > now:
        await due.put(conn, one, _published(entries))
    else:
        await publish(conn, one, held)
    return True


async def _judge(
    conn: Connection, one: ChangeSet, entries: Sequence[Entry], begins: datetime, *, coming: bool
) -> Sequence[Entry]:
    """Judge the town when a set begins to hold, and at each later moment that is known of.

    What is past is not judged. Returns the records that hold when it begins.
    """
    if not await history.later(conn, one.tenant_id, one.valid_from):  # so nothing stands before it
        await references.check(conn, one.tenant_id, entries, begins, coming=coming)
        return entries
    held = await history.held_by(conn, one, entries, begins)
    await references.check(conn, one.tenant_id, held, begins, coming=coming)
    for moment in await history.later(conn, one.tenant_id, begins):
        then = await history.held_by(conn, one, entries, moment)
        await references.check(conn, one.tenant_id, then, moment, coming=True)
    return held


async def publish(conn: Connection, one: ChangeSet, entries: Sequence[Entry]) -> None:
    """Announce records of a set, as far as they leave ledger at all."""
    published = _published(entries)
    for start in range(0, len(published), _ENTRIES_PER_STATEMENT):
        part = published[start : start + _ENTRIES_PER_STATEMENT]
        await outbox.write(conn, list(_outgoing(one, part, published[-1])))


def _published(entries: Sequence[Entry]) -> list[Entry]:
    return [entry for entry in entries if entry.kind in Change.KINDS]


async def _check_expected(conn: Connection, tenant_id: str, entries: Sequence[Entry]) -> None:
    faults: list[Fault] = []
    for start in range(0, len(entries), _ENTRIES_PER_STATEMENT):
        part = entries[start : start + _ENTRIES_PER_STATEMENT]
        there = await history.versions(conn, tenant_id, [(e.kind, e.record_id) for e in part])
        for entry in part:
            version = there.get((entry.kind, entry.record_id), 0)
            if entry.expected and entry.expected.version != version:
                faults.append(_conflicting(entry, entry.expected, version))
    if faults:
        raise VersionConflict(faults)


def _conflicting(entry: Entry, expected: Expected, version: int) -> Fault:
    zh = f"别人已改到第 {version} 版：请重新读取，在它之上再改。"
    en = f"It is at version {version} by now: read it again and change that."
    return {
        **_fault(expected.line, "expected_version", both(zh, en)),
        "kind": entry.kind,
        "id": entry.record_id,
        "version": version,
    }


async def _check(conn: Connection, tenant_id: str, entry: Entry) -> None:
    """Hold a record against what is recorded already, where that binds it."""
    if entry.kind not in ("profile", "calendar") or entry.body is None:
        return
    kept = await registry.newest(conn, tenant_id, entry.kind, entry.record_id)
    if entry.kind == "profile" and kept not in (None, entry.body):
        raise ProfileFinal(entry.record_id)
    if entry.kind == "calendar" and kept is not None:
        why = unfit(Calendar.model_validate(kept), Calendar.model_validate(entry.body))
        if why:
            raise CalendarUnfit(why)


def _outgoing(one: ChangeSet, entries: Iterable[Entry], last: Entry) -> Iterator[Outgoing]:
    cause = effect_id(NAMESPACE, f"{one.tenant_id}|{one.change_set_id}")
    for entry in entries:
        change = change_of(one, entry, cause, last=entry is last)
        yield Outgoing(
            LEDGER_REGISTRY.name,
            change.key,
            change.headers,
            change.body,
            lane_key=one.tenant_id.encode(),
            partition=registry_partition(one.tenant_id),
        )


def change_of(one: ChangeSet, entry: Entry, cause: UUID, *, last: bool) -> Change:
    model = Change.KINDS[entry.kind]
    return Change(
        event_id=effect_id(cause, f"{entry.kind}/{entry.record_id}"),
        tenant_id=one.tenant_id,
        kind=entry.kind,  # type: ignore[arg-type]  # it is a key of KINDS
        record_id=entry.record_id,
        change_set=one.change_set_id,
        last=last,
        valid_from=one.valid_from,
        data=None if entry.body is None else model.model_validate(entry.body),
    )
