"""What the life of a town asks of its registry, made into one change set."""

from datetime import date
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from services.chassis.postgres import Connection
from services.chassis.seal import KeyRing
from services.ledger.changes import Line, sealed_entries
from services.ledger.domain.life import (
    Lines,
    merge_households,
    merge_units,
    move,
    split_grid,
    split_household,
)
from services.ledger.references import SetUnfit
from services.ledger.store import elements
from services.ledger.store.elements import Key
from services.ledger.store.registry import ChangeSet, Entry

Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]*$", max_length=64)]
Ids = Annotated[list[Id], Field(min_length=1, max_length=5_000)]
_OF_UNITS = (
    "unit", "staff", "household", "place", "thing", "matter", "organisation", "link",
    "party_unit", "roster", "backup_pair",
)  # fmt: skip
_OF_HOMES = ("household", "person", "link")


class _Act(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class NewRecord(_Act):
    """A record to be: as a line of a change set has it."""

    id: Id
    body: dict[str, Any]


class Move(_Act):
    """People move into a household."""

    act: Literal["move"]
    persons: Ids
    household: Id


class SplitHousehold(_Act):
    """Some of a household's people found a new one."""

    act: Literal["split_household"]
    persons: Ids
    new: NewRecord


class MergeHouseholds(_Act):
    """Households join another one."""

    act: Literal["merge_households"]
    into: Id
    households: Ids


class SplitGrid(_Act):
    """A grid gives groups and households to a new one; it keeps its own id and its open cases."""

    act: Literal["split_grid"]
    grid: Id
    new: NewRecord
    moved: Ids


class Merger(_Act):
    """Units become one; their codes stay its aliases."""

    into: NewRecord
    units: Ids


class MergeUnits(_Act):
    """Units merge, several mergers at once: they are seen together or not at all."""

    act: Literal["merge_units"]
    mergers: Annotated[list[Merger], Field(min_length=1, max_length=500)]


Act: TypeAlias = Annotated[
    Move | SplitHousehold | MergeHouseholds | SplitGrid | MergeUnits, Field(discriminator="act")
]


async def entries_of(
    conn: Connection, one: ChangeSet, act: Act, keys: KeyRing, today: date
) -> list[Entry]:
    """Make an act's change set from the registry as of its moment; the caller has the town's turn.

    Raises:
        SetUnfit: it names a record that is not there, or ends one twice.
        Faulty: the new record has faults.
    """
    lines = await _lines(conn, one, act, keys, today)
    return [Entry(kind, name, body) for (kind, name), body in lines.items()]


async def _lines(conn: Connection, one: ChangeSet, act: Act, keys: KeyRing, today: date) -> Lines:
    def sealed(kind: Literal["unit", "household"], new: NewRecord) -> dict[str, Any]:
        line = Line(kind=kind, id=new.id, body=new.body)
        return sealed_entries(one.tenant_id, {1: line}, keys, today)[0].body or {}

    at = one.valid_from
    match act:
        case Move(persons=persons, household=household):
            kept = await _with_homes(conn, one, [*persons, household])
            _expect(kept, [*_keys("person", persons), ("household", household)])
            return move(kept, persons, household)
        case SplitHousehold(persons=persons, new=new):
            kept = await _with_homes(conn, one, persons)
            _expect(kept, _keys("person", persons))
            return split_household(kept, persons, new.id, sealed("household", new))
        case MergeHouseholds(into=into, households=households):
            gone = [name for name in households if name != into]
            kept = await elements.records(conn, one.tenant_id, _OF_HOMES, at, [*gone, into])
            _expect(kept, _keys("household", [*gone, into]))
            return merge_households(kept, into, gone)
        case SplitGrid(grid=grid, new=new, moved=moved):
            kept = await elements.records(conn, one.tenant_id, _OF_UNITS, at)
            _expect(kept, [("unit", grid)])
            return split_grid(kept, grid, new.id, sealed("unit", new), moved)
        case MergeUnits(mergers=mergers):
            kept = await elements.records(conn, one.tenant_id, _OF_UNITS, at)
            lines: Lines = {}
            for merger in mergers:
                _expect(kept, _keys("unit", merger.units))
                unit = sealed("unit", merger.into)
                done = merge_units(kept, merger.into.id, unit, merger.units, one.valid_from)
                lines |= done
                kept = {key: body for key, body in {**kept, **done}.items() if body is not None}
            return lines


async def _with_homes(
    conn: Connection, one: ChangeSet, about: list[str]
) -> dict[Key, dict[str, Any]]:
    town, at = one.tenant_id, one.valid_from
    kept = await elements.records(conn, town, ("household", "person"), at, about)
    homes = [body["household"] for body in kept.values() if body.get("household")]
    return {**kept, **await elements.records(conn, town, ("household",), at, homes)}


def _keys(kind: str, names: list[str]) -> list[Key]:
    return [(kind, name) for name in names]


def _expect(kept: dict[Key, dict[str, Any]], wanted: list[Key]) -> None:
    faults = [
        {
            "kind": kind,
            "id": name,
            "field": "id",
            "message": f"没有 {kind} {name}：改编号。 There is no {kind} {name}: mend the id.",
        }
        for kind, name in wanted
        if (kind, name) not in kept
    ]
    if faults:
        raise SetUnfit(faults)
