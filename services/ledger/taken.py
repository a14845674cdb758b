"""Citizen numbers of a set that other persons of the town have, whichever set they came with."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from services.chassis.postgres import Connection
from services.chassis.seal import CannotOpen, KeyRing, SealedFields
from services.ledger.domain import blind
from services.ledger.domain.access import Subject, allow
from services.ledger.domain.taken import Clash, Spell, clashes
from services.ledger.faults import both
from services.ledger.guard import object_of
from services.ledger.remarks import Numbered
from services.ledger.store import search
from services.ledger.store.registry import ChangeSet

_KIND = "person"
_FIELD: blind.By = "id_number"
_FAULTS_MAX = 50


class NumberTaken(ValueError):  # noqa: N818 - a state of the set
    """A set by which two persons would have one number at one time."""

    def __init__(self, faults: Sequence[Mapping[str, Any]]) -> None:
        super().__init__(f"{len(faults)} faults")
        self.faults = list(faults)


async def check(
    conn: Connection,
    one: ChangeSet,
    numbers: Sequence[Numbered],
    keys: KeyRing,
    subject: Subject,
    now: datetime,
) -> list[str]:
    """Judge a set that the transaction has appended; return remarks on people who came back.

    Raises:
        NumberTaken: somebody else has a number at a moment from which the set holds; each by line.
    """
    ours = {each.record_id: each for each in numbers if each.kind == _KIND}
    found = await _clashes(conn, one, ours, keys, max(one.valid_from, now)) if ours else []
    taken = [each for each in found if not each.former][:_FAULTS_MAX]
    if taken:
        faults = [
            await _fault(conn, ours[each.record_id].line, each, subject, now) for each in taken
        ]
        raise NumberTaken(sorted(faults, key=lambda fault: int(fault["line"])))
    return [_came_back(ours[each.record_id].line, each) for each in found[:_FAULTS_MAX]]


async def _clashes(
    conn: Connection,
    one: ChangeSet,
    ours: Mapping[str, Numbered],
    keys: KeyRing,
    begins: datetime,
) -> list[Clash]:
    """Find who else was ever told with such a number, and judge by their versions alone."""
    key = keys.tenant(one.tenant_id).index
    given = await asyncio.to_thread(
        lambda: [(blind.token(key, _FIELD, each.number), name) for name, each in ours.items()]
    )
    pairs = await search.sharing(conn, one.tenant_id, _KIND, given)
    if not pairs:
        return []
    names = sorted({name for pair in pairs for name in pair})
    rows = await search.spells(conn, one.tenant_id, _KIND, names)
    spells = await asyncio.to_thread(lambda: [_spell(one.tenant_id, row, keys) for row in rows])
    return clashes(spells, one.change_set_id, begins)


def _spell(tenant_id: str, row: Mapping[str, Any], keys: KeyRing) -> Spell:
    number, name = None, row["record_id"]
    if row["sealed"]:
        try:
            texts = keys.open(tenant_id, name, SealedFields(**row["sealed"]), {_FIELD})
            number = texts.get(_FIELD)
        except CannotOpen:  # its key is gone: it is nobody's number any more
            pass
    given = row["version"], row["change_set_id"], row["valid_from"], row["there"]
    return Spell(name, *given, number)


async def _fault(
    conn: Connection, line: int, clash: Clash, subject: Subject, now: datetime
) -> dict[str, Any]:
    what = await object_of(conn, subject.tenant_id, (_KIND, clash.other), now)
    shown = allow(subject, "read", what).allowed
    who, whom = (f"人员 {clash.other}", f"person {clash.other}") if shown else ("别人", "Somebody")
    zh = f"{who}已登记了这个身份证号：是同一人就用他的编号，不是就对照证件改正其一。"
    en = f"{whom} has this number already: take that id if it is the same person, else mend one."
    said = {"line": line, "kind": _KIND, "id": clash.record_id, "field": _FIELD}
    return {**said, "message": both(zh, en), **({"other": clash.other} if shown else {})}


def _came_back(line: int, clash: Clash) -> str:
    zh = f"第 {line} 行 {_KIND}/{clash.record_id}：已注销的 {clash.other} 曾用这个身份证号；"
    en = f"Line {line}: {clash.other}, who is gone, had this number; this stops nothing."
    return both(f"{zh}不影响登记。若是同一人回来，用回原编号，历史才接得上。", en)
