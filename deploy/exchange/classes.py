"""Classes of households in the words of the town's profile: what it does not have is told."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from contracts.profile import parse
from deploy.exchange.rows import Row
from deploy.exchange.told import Fault
from deploy.exchange.town import Town
from services.ledger.faults import both

_FIELD = "household_class"


def words_of(town: Town) -> Mapping[str, str]:
    """Return the name of each class by its id; the id itself where two have one name."""
    known = parse(town.profile).registry.household_classes if town.profile else ()
    names = [one.zh for one in known]
    return {one.id: one.zh if names.count(one.zh) == 1 else one.id for one in known}


def completed(rows: Iterable[Row], town: Town) -> Iterator[Row]:
    """Give classes their ids."""
    ids = {said: one for one, said in words_of(town).items()}
    for row in rows:
        named = ids.get(row.body.get(_FIELD, "")) if row.kind == "household" else None
        yield replace(row, body={**row.body, _FIELD: named}) if named else row


def faults(rows: Sequence[Row], town: Town) -> Iterator[Fault]:
    """Yield new classes that the profile does not have; without a profile none is looked at."""
    words = words_of(town)
    shown = "、".join(words.values()) or "（镇配置里没有户类别）"
    for row in rows:
        said = row.body.get(_FIELD) if row.kind == "household" else None
        as_before = town.records.get(row.key) == row.body
        if said and said not in words and town.profile is not None and not as_before:
            zh = f"没有这种户类别：改为 {shown}，或留空。"
            yield row.fault(_FIELD, both(zh, "No such class: take one of these, or none."))
