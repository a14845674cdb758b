"""Rows held against the door's own checks, against each other, and against the town as it is.

The registry's door decides; what it would refuse is told here of every row, by its cell.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from itertools import chain

from pydantic import ValidationError

from deploy.exchange import links
from deploy.exchange.cells import HEADS
from deploy.exchange.columns import ID
from deploy.exchange.named import missing
from deploy.exchange.rows import Reading, Row
from deploy.exchange.told import Fault
from deploy.exchange.town import Bodies, Key, Town
from services.ledger.checks import tidied, wrong_in
from services.ledger.domain.numbers import as_kept
from services.ledger.faults import both, wrong_by
from services.ledger.lines import Line

MakeId = Callable[[str], str]
# The fields of a row that name others, and the kind of these.
_NAMED: Mapping[str, Sequence[tuple[str, str]]] = {
    "household": (("grid", "unit"), ("group", "unit")),
    "person": (("household", "household"),),
}


def check(reading: Reading, town: Town, make_id: MakeId, today: date) -> list[Row]:
    """Return rows as they are to be recorded; what is wrong is added to the reading's faults."""
    told = {(fault.sheet, fault.cell) for fault in reading.faults}
    given = links.completed(reading.rows, town)
    rows = [_as_kept(row, town) for row in _named(given, town, make_id)]
    after = {**town.records, **{(row.kind, row.record_id): row.body for row in rows}}
    found = chain(
        _by_the_door(rows, town.tenant_id, today),
        _twice(rows),
        _same_number(rows, after),
        _strangers(rows, town, after),
        links.faults(rows, town, after),
        _headless(rows, after),
    )
    # One thing to mend in a cell at a time.
    reading.faults.extend(one for one in found if (one.sheet, one.cell) not in told)
    return rows


def _named(rows: Iterable[Row], town: Town, make_id: MakeId) -> Iterator[Row]:
    """Give an id to persons who have none: that of the citizen number's holder, or a new one."""
    holders = {
        body["id_number"]: record_id
        for (kind, record_id), body in town.records.items()
        if kind == "person" and body.get("id_number")
    }
    for row in rows:
        number = row.body.get("id_number")
        if row.record_id or row.kind != "person" or not isinstance(number, str):
            yield row
        else:
            kept = as_kept(number)
            yield replace(row, record_id=holders.get(kept) or make_id(kept))


def _as_kept(row: Row, town: Town) -> Row:
    """Lay a row over what is recorded: a field that the file has no place for stays."""
    before = town.records.get((row.kind, row.record_id), {})
    kept = {name: value for name, value in before.items() if name not in row.fields}
    body = tidied(row.kind, {**kept, **row.body})
    return row if body == row.body else replace(row, body=body or {})


def _by_the_door(rows: Sequence[Row], tenant_id: str, today: date) -> Iterator[Fault]:
    for row in rows:
        try:
            Line.model_validate({"kind": row.kind, "id": row.record_id, "body": row.body})
        except ValidationError as error:
            for field, message in wrong_by(error):
                yield row.fault(field, _no_id(row) or message)
            continue
        for field, message in wrong_in(tenant_id, row.kind, row.record_id, row.body, today):
            yield row.fault(field, message)


def _no_id(row: Row) -> str | None:
    if row.record_id:
        return None
    return both("填写编号；人员可以只填身份证号。", "Give an id, or a person's citizen number.")


def _twice(rows: Sequence[Row]) -> Iterator[Fault]:
    first: dict[Key, int] = {}
    for row in rows:
        before = first.setdefault((row.kind, row.record_id), row.number)
        if row.record_id and before != row.number:
            zh = f"第 {before} 行已有这一条：删去其一，或改正编号。"
            en = f"It stands in row {before} already: remove one of them, or mend its id."
            yield row.fault(ID, both(zh, en))


def _same_number(rows: Sequence[Row], after: Bodies) -> Iterator[Fault]:
    """Two people with one citizen number: in the file, or one of them recorded."""
    at = {(row.kind, row.record_id): row.number for row in rows}
    holder: dict[str, Key] = {}
    for key, body in after.items():
        number = body.get("id_number")
        if key[0] == "person" and number and (key not in at or number not in holder):
            holder[number] = key
    for row in rows:
        number = row.body.get("id_number")
        other = holder.get(number, (row.kind, row.record_id)) if number else None
        if other and other != (row.kind, row.record_id):
            who = f"第 {at[other]} 行" if other in at else f"已登记的人员 {other[1]}"
            zh = f"与{who}的身份证号相同：对照证件改正其一。"
            yield row.fault("id_number", both(zh, "Somebody else has this number: mend one."))


def _strangers(rows: Sequence[Row], town: Town, after: Bodies) -> Iterator[Fault]:
    """Grids, groups and households that are not there."""
    there = {**town.beside, **after}
    for row in rows:
        for field, kind in _NAMED.get(row.kind, ()):
            name = row.body.get(field)
            said = missing(town, kind, name, there) if name else None
            if said:
                yield row.fault(field, said)


def _headless(rows: Sequence[Row], after: Bodies) -> Iterator[Fault]:
    """Households of the file in which somebody lives, but none, or more than one, is its head."""
    heads: dict[str, int] = {}
    for (kind, _id), body in after.items():
        if kind == "person" and body.get("household"):
            one = body.get("relation") in HEADS
            heads[body["household"]] = heads.get(body["household"], 0) + one
    told: set[str] = set()
    for row in sorted(rows, key=lambda row: row.kind != "person"):  # a person's row can mend it
        home = row.body.get("household", "") if row.kind == "person" else row.record_id
        if home in told or heads.get(home, 1) == 1 or ("household", home) not in after:
            continue
        told.add(home)
        many = heads[home] > 1
        zh = (
            f"户 {home} 有 {heads[home]} 个户主：只留一个。"
            if many
            else (f"户 {home} 没有户主：把其中一人的“与户主关系”填为“户主”。")
        )
        en = "More than one head: leave one." if many else "No head: mark one of them as 户主."
        yield row.fault("relation", both(zh, en))
