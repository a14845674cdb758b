"""The life of a registry: people move, households and grids split, units merge. Pure.

Records in by kind and id, the lines of one change set out, by kind and id too; None removes. What
is sealed in a record stays as it is, since it is tied to the record's id.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

Key = tuple[str, str]  # kind and id
Body = Mapping[str, Any]
Records = Mapping[Key, Body]
Lines = dict[Key, dict[str, Any] | None]

# The fields of a kind that name one unit; lists are told apart where they are merged.
_UNIT_FIELDS: Mapping[str, tuple[str, ...]] = {
    "unit": ("parent",),
    "household": ("grid", "group"),
    "place": ("grid",),
    "thing": ("grid",),
    "matter": ("unit",),
    "organisation": ("unit",),
}
_PAIR_MIN = 2


def move(records: Records, persons: Collection[str], household: str) -> Lines:
    """Let people move into a household; a household whose head leaves has none until it is told."""
    lines: Lines = {}
    left: set[str] = set()
    for name in persons:
        body = records["person", name]
        left.add(body.get("household") or household)
        lines["person", name] = {**body, "household": household}
    for home in left - {household}:
        body = records["household", home]
        if body.get("head") in persons:
            lines["household", home] = {n: value for n, value in body.items() if n != "head"}
    return lines


def split_household(records: Records, persons: Collection[str], new: str, body: Body) -> Lines:
    """Let some of a household's people found a new one; `body` tells where it is and its head."""
    lines = move(records, persons, new)
    return {("household", new): dict(body), **lines}


def merge_households(records: Records, into: str, gone: Collection[str]) -> Lines:
    """Let households join another one: their people move in, and their links lead to it."""
    lines: Lines = {}
    for (kind, name), body in records.items():
        if kind == "person" and body.get("household") in gone:
            lines[kind, name] = {**body, "household": into}
    lines.update({("household", name): None for name in gone})
    return {**lines, **_relinked(records, "household", into, gone)}


def split_grid(records: Records, grid: str, new: str, body: Body, moved: Collection[str]) -> Lines:
    """Let a grid give some of its groups and households to a new one.

    The old one keeps its id, so its open cases keep their owners. `moved` are ids of units below
    it and of households in it; a group's households go with it. Without its
    group a household is in none.
    """
    lines: Lines = {("unit", new): dict(body)}
    groups = _with_all_below(records, moved)
    for (kind, name), record in records.items():
        if kind == "unit" and name in moved and record.get("parent") == grid:
            lines[kind, name] = {**record, "parent": new}
        if kind == "household" and record["grid"] == grid:
            if record.get("group") in groups:
                lines[kind, name] = {**record, "grid": new}
            elif name in moved:
                alone = {field: value for field, value in record.items() if field != "group"}
                lines[kind, name] = {**alone, "grid": new}
    return lines


def outside(records: Records, grid: str, moved: Iterable[str]) -> list[str]:
    """Return what a grid cannot give away: neither a unit right below it nor a household in it."""
    return [
        name
        for name in moved
        if records.get(("unit", name), {}).get("parent") != grid
        and records.get(("household", name), {}).get("grid") != grid
    ]


def named_twice(mergers: Iterable[tuple[str, Iterable[str]]]) -> list[str]:
    """Return the units that stand in more than one merger, each `into` and its units."""
    counted = Counter(unit for into, units in mergers for unit in {into, *units})
    return sorted(unit for unit, times in counted.items() if times > 1)


def _with_all_below(records: Records, units: Collection[str]) -> set[str]:
    found: set[str] = set()
    more = set(units)
    while more:
        found |= more
        below = {name for (kind, name), body in records.items()
                 if kind == "unit" and body.get("parent") in more}  # fmt: skip
        more = below - found
    return found


def merge_units(
    records: Records, into: str, body: Body, gone: Sequence[str], at: datetime
) -> Lines:
    """Let units become one: whatever named them names it, and their codes are its aliases.

    Duty rosters of the units that end are removed: the new unit decides its own.
    """
    aliases = list(body.get("aliases", ()))
    for name in dict.fromkeys(gone):
        ended = records["unit", name]
        aliases += ended.get("aliases", ())
        if name != into:
            aliases.append({"code": name, "zh": ended["zh"], "valid_to": at.isoformat()})
    lines: Lines = {}
    for (kind, name), record in records.items():
        if kind == "unit" and (name in gone or name == into):
            continue
        after = _renamed(kind, record, into, gone)
        if after != record:
            lines[kind, name] = after
    lines.update(_relinked(records, "unit", into, gone))
    lines.update({("unit", name): None for name in gone if name != into})
    return {("unit", into): {**body, "aliases": aliases}, **lines}


def _renamed(kind: str, record: Body, into: str, gone: Collection[str]) -> dict[str, Any] | None:
    """Return a record that names the new unit instead of those that end; None ends it with them."""
    after = dict(record)
    for field in _UNIT_FIELDS.get(kind, ()):
        if after.get(field) in gone:
            after[field] = into
    match kind:
        case "staff":
            after["posts"] = list(_posts(record["posts"], into, gone))
        case "party_unit" if "units" in record:
            after["units"] = _each_once(record["units"], into, gone)
        case "backup_pair":
            after["grids"] = _each_once(record["grids"], into, gone)
            if len(after["grids"]) < _PAIR_MIN:
                return None
        case "roster" if record.get("unit") in gone:
            return None
        case _:
            pass
    return after


def _posts(posts: Sequence[Body], into: str, gone: Collection[str]) -> Iterator[dict[str, Any]]:
    held: dict[tuple[str, str], dict[str, Any]] = {}
    for post in posts:
        after = {**post, "unit": into if post["unit"] in gone else post["unit"]}
        kept = held.setdefault((after["unit"], after["role"]), after)
        if after.get("rank", 1) < kept.get("rank", 1):
            held[after["unit"], after["role"]] = after
    yield from held.values()


def _each_once(names: Sequence[str], into: str, gone: Collection[str]) -> list[str]:
    return list(dict.fromkeys(into if name in gone else name for name in names))


def _relinked(records: Records, kind: str, into: str, gone: Collection[str]) -> Lines:
    """Lead links to what has taken over; whoever is linked with it already keeps one link."""
    links = {name: body for (of, name), body in records.items() if of == "link"}
    known = {
        (body["link"], body["staff"])
        for body in links.values()
        if (body["to_kind"], body["to"]) == (kind, into)
    }
    lines: Lines = {}
    for name, body in links.items():
        if body["to_kind"] == kind and body["to"] in gone and body["to"] != into:
            who = (body["link"], body["staff"])
            lines["link", name] = None if who in known else {**body, "to": into}
            known.add(who)
    return lines
