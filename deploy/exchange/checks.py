"""Rows held against the door's own checks, against each other, and against the town as it is.

The registry's door decides; what it would refuse is told here of every row, by its cell.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from itertools import chain

from pydantic import ValidationError

from contracts.profile import parse
from deploy.exchange import classes, links
from deploy.exchange.cells import HEADS
from deploy.exchange.columns import ID
from deploy.exchange.heads import with_heads
from deploy.exchange.named import missing
from deploy.exchange.rows import Reading, Row
from deploy.exchange.told import Fault
from deploy.exchange.town import Bodies, Key, Town
from services.ledger.checks import tidied, wrong_in
from services.ledger.domain.numbers import as_kept
from services.ledger.faults import both, wrong_by
from services.ledger.lines import Line
from services.ledger.linked import not_a_grid

_NO_ID = both("填写编号；人员可以只填身份证号。", "Give an id, or a person's citizen number.")
_UNFIT_ID = both(
    "编号只能用字母、数字和 . _ : -，以字母或数字开头，最多 64 个字符：请改正。",
    "An id has letters, digits and . _ : - alone, 64 at most, a letter or digit first: mend it.",
)
MakeId = Callable[[str], str]
# The fields of a row that name others, and the kind of these.
_NAMED: Mapping[str, Sequence[tuple[str, str]]] = {
    "household": (("grid", "unit"), ("group", "unit")),
    "person": (("household", "household"),),
}


def check(reading: Reading, town: Town, make_id: MakeId, today: date) -> list[Row]:
    """Return what is to be recorded; what is wrong is added to the reading's faults.

    Beside the file's rows these are households whose head its people change.
    """
    told = reading.covered | {(fault.sheet, fault.cell) for fault in reading.faults}
    given = classes.completed(links.completed(reading.rows, town), town)
    rows = [_as_kept(row, town) for row in _named(given, town, make_id)]
    after = {**town.records, **{row.key: row.body for row in rows}}
    unreadable = {row.key for row in rows if (row.sheet, row.place("relation")) in told}
    found = chain(
        _by_the_door(rows, town.tenant_id, today, told),
        _twice(reading.rows, rows),
        _same_number(rows, after),
        _strangers(rows, town, after),
        _no_grids(rows, town),
        links.faults(rows, town, after),
        classes.faults(rows, town),
        _headless(rows, after, unreadable),
    )
    # One thing to mend in a cell at a time.
    reading.faults.extend(one for one in found if (one.sheet, one.cell) not in told)
    return with_heads(rows, town)


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


def _by_the_door(
    rows: Sequence[Row], tenant_id: str, today: date, told: Collection[tuple[str, str]]
) -> Iterator[Fault]:
    for row in rows:
        try:
            Line.model_validate({"kind": row.kind, "id": row.record_id, "body": row.body})
        except ValidationError as error:
            for field, message in wrong_by(error):
                if field != ID:
                    yield row.fault(field, message)
                elif row.record_id or (row.sheet, row.place("id_number")) not in told:
                    yield row.fault(field, _UNFIT_ID if row.record_id else _NO_ID)
            continue
        for field, message in wrong_in(tenant_id, row.kind, row.record_id, row.body, today):
            yield row.fault(field, message)


def _twice(read: Sequence[Row], rows: Sequence[Row]) -> Iterator[Fault]:
    """Rows of one record; who has no id in the file is told by what he got one from."""
    first: dict[Key, int] = {}
    for as_read, row in zip(read, rows, strict=True):
        before = first.setdefault(row.key, row.number)
        if before == row.number:
            continue
        if row.kind == "person" and not as_read.record_id:
            zh = f"与第 {before} 行的身份证号相同：对照证件改正其一，或删去重复的一行。"
            en = f"Row {before} has the same number: mend one by the card, or remove one."
            yield row.fault("id_number", both(zh, en))
        else:
            zh = f"第 {before} 行已有这一条：删去其一，或改正编号。"
            en = f"It stands in row {before} already: remove one of them, or mend its id."
            yield row.fault(ID, both(zh, en))


def _same_number(rows: Sequence[Row], after: Bodies) -> Iterator[Fault]:
    """Two people with one citizen number: in the file, or one of them recorded."""
    at = {row.key: row.number for row in rows}
    holder: dict[str, Key] = {}
    for key, body in after.items():
        number = body.get("id_number")
        if key[0] == "person" and number and (key not in at or number not in holder):
            holder[number] = key
    for row in rows:
        number = row.body.get("id_number")
        other = holder.get(number, row.key) if number else None
        if other and other != row.key:
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


def _no_grids(rows: Sequence[Row], town: Town) -> Iterator[Fault]:
    """New households in a unit that is no grid; without a profile none is looked at."""
    profile = parse(town.profile) if town.profile else None
    for row in rows:
        unit = town.beside.get(("unit", row.body.get("grid", "")))
        new = row.kind == "household" and town.records.get(row.key) != row.body
        said = not_a_grid(profile, unit["level"]) if profile and unit and new else None
        if said:
            yield row.fault("grid", both(*said))


def _headless(rows: Sequence[Row], after: Bodies, unreadable: Collection[Key]) -> Iterator[Fault]:
    """Households of the file in which somebody lives, but none, or more than one, is its head.

    Where a relation is `unreadable`, that is what is told.
    """
    heads: dict[str, int] = {}
    for (kind, _id), body in after.items():
        if kind == "person" and body.get("household"):
            one = body.get("relation") in HEADS
            heads[body["household"]] = heads.get(body["household"], 0) + one
    told = {str(after[key].get("household")) for key in unreadable}
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
