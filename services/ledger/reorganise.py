"""What the life of a town asks of its registry, made into one change set."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from services.chassis.postgres import Connection
from services.chassis.seal import KeyRing
from services.ledger.changes import sealed_entries
from services.ledger.domain.life import (
    Lines,
    merge_households,
    merge_units,
    move,
    named_twice,
    outside,
    split_grid,
    split_household,
)
from services.ledger.lines import Id, Line
from services.ledger.references import SetUnfit
from services.ledger.store import elements, history
from services.ledger.store.elements import Key
from services.ledger.store.registry import ChangeSet, Entry

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
        SetUnfit: it names a record that is not there, ends one twice, or a new one is there.
        Faulty: the new record has faults.
    """
    new = _new_of(act)
    await _expect_none(conn, one, [key for key in new if key not in _staying(act)])
    items = enumerate(new.items(), 1)
    given = {n: Line(kind=kind, id=name, body=body) for n, ((kind, name), body) in items}
    made = {
        (entry.kind, entry.record_id): entry
        for entry in sealed_entries(one.tenant_id, given, keys, today)
    }
    lines = await _lines(conn, one, act, {key: entry.body or {} for key, entry in made.items()})
    return [
        replace(made[key], body=body) if key in made else Entry(*key, body)
        for key, body in lines.items()
    ]


def _new_of(act: Act) -> dict[tuple[Literal["unit", "household"], str], dict[str, Any]]:
    """Return the records that an act brings, by kind and id."""
    match act:
        case SplitHousehold(new=new):
            return {("household", new.id): new.body}
        case SplitGrid(new=new):
            return {("unit", new.id): new.body}
        case MergeUnits(mergers=mergers):
            return {("unit", one.into.id): one.into.body for one in mergers}
        case _:
            return {}


def _staying(act: Act) -> set[Key]:
    """Return the units into which others merge and which were there before."""
    if not isinstance(act, MergeUnits):
        return set()
    return {("unit", one.into.id) for one in act.mergers if one.into.id in one.units}


async def _lines(
    conn: Connection, one: ChangeSet, act: Act, made: Mapping[Key, dict[str, Any]]
) -> Lines:
    at = one.valid_from
    match act:
        case Move(persons=persons, household=household):
            kept = await _with_homes(conn, one, [*persons, household])
            _expect(kept, [*_keys("person", persons), ("household", household)])
            return move(kept, persons, household)
        case SplitHousehold(persons=persons, new=new):
            kept = await _with_homes(conn, one, persons)
            _expect(kept, _keys("person", persons))
            return split_household(kept, persons, new.id, made["household", new.id])
        case MergeHouseholds(into=into, households=households):
            gone = [name for name in households if name != into]
            kept = await elements.records(conn, one.tenant_id, _OF_HOMES, at, [*gone, into])
            _expect(kept, _keys("household", [*gone, into]))
            return merge_households(kept, into, gone)
        case SplitGrid(grid=grid, new=new, moved=moved):
            kept = await elements.records(conn, one.tenant_id, _OF_UNITS, at)
            _expect(kept, [("unit", grid)])
            _expect_inside(kept, grid, moved)
            return split_grid(kept, grid, new.id, made["unit", new.id], moved)
        case MergeUnits(mergers=mergers):
            _expect_apart(mergers)
            kept = await elements.records(conn, one.tenant_id, _OF_UNITS, at)
            lines: Lines = {}
            for merger in mergers:
                _expect(kept, _keys("unit", merger.units))
                into = merger.into.id
                done = merge_units(kept, into, made["unit", into], merger.units, at)
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


async def _expect_none(conn: Connection, one: ChangeSet, new: list[Key]) -> None:
    there = await history.versions(conn, one.tenant_id, new)
    faults = [
        {
            "kind": kind,
            "id": name,
            "field": "id",
            "message": f"{kind} {name} 已有或曾有：给新的换一个编号。"
            f" There is or was a {kind} {name}: give the new one another id.",
        }
        for kind, name in there
    ]
    if faults:
        raise SetUnfit(faults)


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


def _expect_inside(kept: dict[Key, dict[str, Any]], grid: str, moved: list[str]) -> None:
    faults = [
        {
            "kind": "unit",
            "id": grid,
            "field": "moved",
            "message": f"{name} 不是网格 {grid} 直属的单位，也不是它的户：改编号，或删去。"
            f" {name} is no unit right below {grid} and no household of it: mend or leave it out.",
        }
        for name in outside(kept, grid, moved)
    ]
    if faults:
        raise SetUnfit(faults)


def _expect_apart(mergers: list[Merger]) -> None:
    faults = [
        {
            "kind": "unit",
            "id": name,
            "field": "mergers",
            "message": f"{name} 写进了两项合并：只留一项。"
            f" {name} stands in two mergers: leave one.",
        }
        for name in named_twice((one.into.id, one.units) for one in mergers)
    ]
    if faults:
        raise SetUnfit(faults)
