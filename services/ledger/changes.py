"""Change sets: what comes through the registry's door becomes sealed records and their facts."""

from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from datetime import date, datetime
from uuid import UUID

from contracts.calendar import Calendar, Unfit, unfit
from contracts.events import NAMESPACE, effect_id
from contracts.registry import Change
from contracts.topics import LEDGER_REGISTRY, registry_partition
from services.chassis import outbox
from services.chassis.outbox import Outgoing
from services.chassis.postgres import Connection
from services.chassis.seal import KeyRing
from services.ledger import references
from services.ledger.checks import wrong_in
from services.ledger.faults import both
from services.ledger.lines import FAULTS_MAX, Fault, Faulty, Line, fault
from services.ledger.remarks import numbers_of, told_twice
from services.ledger.sealing import PART, sealed, sealing
from services.ledger.store import due, history, registry, search
from services.ledger.store.registry import ChangeSet, Entry, Expected


def sealed_entries(
    tenant_id: str, lines: Mapping[int, Line], keys: KeyRing, today: date
) -> list[Entry]:
    """Check every record and seal what is personal; nobody is born after `today`.

    Raises:
        Faulty: the records that are wrong, each by its line.
    """
    check_lines(tenant_id, lines, today)
    return sealed(tenant_id, [*lines.items()], keys)


def check_lines(tenant_id: str, lines: Mapping[int, Line], today: date) -> None:
    """Check every record by itself and against the others of its set.

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
            faults.append(fault(number, "id", both(zh, en)))
        wrong = wrong_in(tenant_id, line.kind, line.id, line.body, today)
        faults += [fault(number, field, message) for field, message in wrong]
        if len(faults) >= FAULTS_MAX:
            break
    faults += [fault(*one) for one in told_twice(numbers_of(lines))]
    if faults:
        raise Faulty(faults)


async def _in_parts(entries: Sequence[Entry]) -> AsyncGenerator[Sequence[Entry], None]:
    for start in range(0, len(entries), PART):
        yield entries[start : start + PART]


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
        self.faults = faults[:FAULTS_MAX]


class SetReused(ValueError):  # noqa: N818 - a state of the set
    """A set with this id is recorded with other content."""


async def record_lines(
    conn: Connection, one: ChangeSet, lines: Mapping[int, Line], keys: KeyRing, now: datetime
) -> Sequence[Entry] | None:
    """Record a set of checked lines as `record_set` does, sealing them meanwhile.

    Returns its records as they are kept; None if it is known already.
    """
    return await _record(conn, one, len(lines), sealing(one.tenant_id, lines, keys), now)


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
    return await _record(conn, one, len(entries), _in_parts(entries), now) is not None


async def _record(
    conn: Connection,
    one: ChangeSet,
    size: int,
    parts: AsyncGenerator[Sequence[Entry], None],
    now: datetime,
) -> Sequence[Entry] | None:
    if not await registry.open_set(conn, one, size):
        if await registry.digest(conn, one) not in (None, one.digest):
            raise SetReused(one.change_set_id)
        return None
    entries = await _append(conn, one, parts)
    begins = max(one.valid_from, now)
    held = await _judge(conn, one, entries, begins, coming=begins > now)
    if begins > now:
        await due.put(conn, one, _published(entries))
    else:
        await publish(conn, one, held)
    return entries


async def _append(
    conn: Connection, one: ChangeSet, parts: AsyncGenerator[Sequence[Entry], None]
) -> Sequence[Entry]:
    """Append what stands against nothing that is recorded; the first conflicts are told together.

    Raises:
        ProfileFinal, CalendarUnfit, VersionConflict: see `record_set`.
    """
    entries: list[Entry] = []
    conflicts: list[Fault] = []
    async with aclosing(parts):
        async for part in parts:
            expecting = [entry for entry in part if entry.expected]
            conflicts += await _conflicts(conn, one.tenant_id, expecting)
            if conflicts:
                continue
            for entry in part:
                await _check(conn, one.tenant_id, entry)
            await registry.append(conn, one, part)
            await search.put(conn, one.tenant_id, part)
            entries += part
    if conflicts:
        raise VersionConflict(conflicts)
    return entries


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
    for start in range(0, len(published), PART):
        part = published[start : start + PART]
        await outbox.write(conn, list(_outgoing(one, part, published[-1])))


def _published(entries: Sequence[Entry]) -> list[Entry]:
    return [entry for entry in entries if entry.kind in Change.KINDS]


async def _conflicts(conn: Connection, tenant_id: str, entries: Sequence[Entry]) -> list[Fault]:
    if not entries:
        return []
    there = await history.versions(conn, tenant_id, [(e.kind, e.record_id) for e in entries])
    faults = []
    for entry in entries:
        version = there.get((entry.kind, entry.record_id), 0)
        if entry.expected and entry.expected.version != version:
            faults.append(_conflicting(entry, entry.expected, version))
    return faults


def _conflicting(entry: Entry, expected: Expected, version: int) -> Fault:
    zh = f"别人已改到第 {version} 版：请重新读取，在它之上再改。"
    en = f"It is at version {version} by now: read it again and change that."
    return {
        **fault(expected.line, "expected_version", both(zh, en)),
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
