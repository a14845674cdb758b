"""Lines of a change set as they come through the registry's door, and the digest of them all."""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.chassis.http import Problem, read_json
from services.chassis.seal import KeyRing
from services.ledger.checks import tidied
from services.ledger.faults import both, wrong_by

FAULTS_MAX = 50
Fault = dict[str, Any]


Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]*$", max_length=64)]


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
    id: Id
    body: dict[str, Any] | None
    expected_version: Annotated[int, Field(ge=0, strict=True)] | None = None


class Faulty(ValueError):  # noqa: N818 - a state of the set
    """A set with faults: nothing of it is recorded."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__(f"{len(faults)} faults")
        self.faults = faults[:FAULTS_MAX]


def read_lines(body: bytes) -> dict[int, Line]:
    """Read NDJSON: lines by their number; empty ones are passed over.

    Raises:
        Faulty: the faulty lines, each by its number.
    """
    lines: dict[int, Line] = {}
    faults: list[Fault] = []
    for number, text in enumerate(body.splitlines(), 1):
        if text.strip() and len(faults) < FAULTS_MAX:
            try:
                line = lines[number] = Line.model_validate(read_json(text))
                line.body = tidied(line.kind, line.body)
            except (Problem, ValidationError) as error:
                faults += _unreadable(number, error)
    if not lines and not faults:
        none = both("至少要有一条记录。", "Expected at least one record.")
        faults = [fault(1, "body", none)]
    if faults:
        raise Faulty(faults)
    return lines


def _unreadable(number: int, error: Problem | ValidationError) -> Iterator[Fault]:
    if isinstance(error, Problem):
        yield fault(number, "line", both(error.body["title"], error.body["detail"]))
        return
    yield from (fault(number, field, said) for field, said in wrong_by(error))


def fault(number: int, field: str, message: str) -> Fault:
    """Return a fault as the door tells it."""
    return {"line": number, "field": field, "message": message}


def digest_of(
    tenant_id: str, lines: Mapping[int, Line], keys: KeyRing, valid_from: datetime | None = None
) -> str:
    """Tell a set from others by records and moment, whatever the spacing; keyed: it tells no name.

    A set that holds from whenever it is recorded has no moment of its own.
    """
    said: list[Any] = [_said(line) for line in lines.values()]
    if valid_from is not None:
        said.append(valid_from.timestamp())
    return keys.body_mac(tenant_id, json.dumps(said, sort_keys=True).encode())


def _said(line: Line) -> dict[str, Any]:
    expected = line.expected_version
    given = {} if expected is None else {"expected_version": expected}
    return {"kind": line.kind, "id": line.id, "body": line.body, **given}
