"""Who heads a household, as its people's relations tell: the household's record says so too."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from deploy.exchange.cells import HEADS
from deploy.exchange.rows import Row
from deploy.exchange.town import Bodies, Town

_FIELD = "head"


def with_heads(rows: Sequence[Row], town: Town) -> list[Row]:
    """Return the rows, and the households whose head the file's people change.

    Only households that a row's person lives in, or leaves, are looked at, and none of which a
    row names the head itself.
    """
    after = {**town.records, **{row.key: row.body for row in rows}}
    by_key = {row.key: row for row in rows}
    heads = _heads(after)
    for home, person in _homes(rows, town).items():
        key = "household", home
        row = by_key.get(key) or _beside(home, person, town)
        if row is None or (key in by_key and _FIELD in row.fields):
            continue
        now = row.body.get(_FIELD)
        lives = after.get(("person", now), {}).get("household") == home if now else False
        told = heads.get(home, [])
        head = told[0] if len(told) == 1 else now if lives else None
        if head != now:
            body = {name: value for name, value in row.body.items() if name != _FIELD}
            by_key[key] = replace(row, body={**body, _FIELD: head} if head else body)
    return list(by_key.values())


def _heads(after: Bodies) -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = {}
    for (kind, name), body in after.items():
        if kind == "person" and body.get("household") and body.get("relation") in HEADS:
            found.setdefault(body["household"], []).append(name)
    return found


def _homes(rows: Sequence[Row], town: Town) -> Mapping[str, Row]:
    """Return the households that people of the file live in or leave, with one of these people."""
    found: dict[str, Row] = {}
    for row in rows:
        if row.kind == "person":
            for home in _homes_of(row, town):
                found.setdefault(home, row)
    return found


def _homes_of(row: Row, town: Town) -> Iterator[str]:
    for body in (row.body, town.records.get(row.key, {})):
        home = body.get("household")
        if home:
            yield home


def _beside(home: str, person: Row, town: Town) -> Row | None:
    """Return a recorded household as a row, told where the file tells of its person."""
    body = town.records.get(("household", home))
    if body is None:
        return None
    cells = {_FIELD: person.cells["relation"]} if "relation" in person.cells else {}
    return Row("household", home, body, [_FIELD], person.sheet, person.number, cells)
