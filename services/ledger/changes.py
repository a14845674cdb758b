"""Change sets: what comes through the registry's door becomes sealed records and their facts."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from contracts import profile as town_profile
from contracts.events import NAMESPACE, effect_id
from contracts.profile import ProfileError
from contracts.registry import Change, Kind
from contracts.topics import LEDGER_REGISTRY, registry_partition
from services.chassis import outbox
from services.chassis.outbox import Outgoing
from services.chassis.postgres import Connection
from services.chassis.seal import KeyRing
from services.ledger.store import registry
from services.ledger.store.registry import ChangeSet, Entry

_ENTRIES_PER_STATEMENT = 5_000
# What is sealed before it is kept. Persons and addresses never leave ledger.
_PERSONAL: Mapping[str, tuple[str, ...]] = {
    "staff": ("name", "phone", "openid"),
    "person": ("name", "id_number", "birth_date", "sex", "phone", "relation"),
    "household": ("address",),
}
Fault = dict[str, Any]


class Line(BaseModel):
    """One line of a change set. `body` null removes the record."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)
    kind: Kind | Literal["person"]
    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]*$", max_length=64)]
    body: dict[str, Any] | None


class Faulty(ValueError):  # noqa: N818 - a state of the set
    """A set with faults: nothing of it is recorded."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__(f"{len(faults)} faults")
        self.faults = faults


def read_lines(body: bytes, faults_max: int = 50) -> list[Line]:
    """Read NDJSON.

    Raises:
        Faulty: every faulty line by its number, up to `faults_max`.
    """
    lines: list[Line] = []
    faults: list[Fault] = []
    for number, text in enumerate(body.splitlines(), 1):
        if not text.strip():
            continue
        try:
            lines.append(Line.model_validate_json(text))
        except ValidationError as error:
            faults += _faults(number, error)
        if len(faults) >= faults_max:
            break
    if not lines and not faults:
        faults = [{"line": 1, "field": "body", "message": "expected at least one record"}]
    if faults:
        raise Faulty(faults[:faults_max])
    return lines


def _faults(number: int, error: ValidationError) -> Iterator[Fault]:
    for one in error.errors(include_url=False, include_input=False):
        field = ".".join(str(part) for part in one["loc"]) or "line"
        yield {"line": number, "field": field, "message": one["msg"]}


def sealed_entries(tenant_id: str, lines: Sequence[Line], keys: KeyRing) -> list[Entry]:
    """Check every record against its contract and seal what is personal.

    Raises:
        Faulty: every record that breaks its contract, by line.
    """
    entries: list[Entry] = []
    faults: list[Fault] = []
    for number, line in enumerate(lines, 1):
        try:
            entries.append(_entry(tenant_id, line, keys))
        except ValidationError as error:
            faults += _faults(number, error)
        except ProfileError as error:
            faults += [{"line": number, "field": p.path, "message": p.en} for p in error.problems]
    if faults:
        raise Faulty(faults)
    return entries


def _entry(tenant_id: str, line: Line, keys: KeyRing) -> Entry:
    if line.body is None:
        return Entry(line.kind, line.id, None)
    body = dict(line.body)
    texts = {
        name: str(value)
        for name in _PERSONAL.get(line.kind, ())
        if (value := body.pop(name, None)) not in (None, "")
    }
    if texts:
        body["sealed"] = asdict(keys.seal(tenant_id, line.id, texts))
    model = Change.KINDS.get(line.kind)
    if model is not None:
        model.model_validate(body)
    if line.kind == "profile":
        town_profile.parse(body["body"])
    return Entry(line.kind, line.id, body)


async def record_set(conn: Connection, one: ChangeSet, entries: Sequence[Entry]) -> bool:
    """Record a set and announce it, in the caller's transaction; False if it is known already."""
    if not await registry.open_set(conn, one, len(entries)):
        return False
    for start in range(0, len(entries), _ENTRIES_PER_STATEMENT):
        await registry.append(conn, one, entries[start : start + _ENTRIES_PER_STATEMENT])
    published = [entry for entry in entries if entry.kind in Change.KINDS]
    for start in range(0, len(published), _ENTRIES_PER_STATEMENT):
        part = published[start : start + _ENTRIES_PER_STATEMENT]
        await outbox.write(conn, list(_outgoing(one, part, published[-1])))
    return True


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
