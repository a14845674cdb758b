"""A change of the registry that was set aside comes back without breaking another change set."""

import json
from collections.abc import Mapping, Sequence
from uuid import uuid5

import pytest

from contracts.events import NAMESPACE
from contracts.registry import Change, Unit, read_change
from services.chassis.batch import Heard, Subscription
from services.chassis.copy import apply_changes
from services.chassis.inbox import Record
from services.chassis.postgres import Connection
from services.quarantine.replay import replay_next
from tests.component.chassis.notes import START, Consumer, Ground

TOPIC = "ledger.registry"
CORRECT = "UPDATE quarantine SET corrected_headers = headers, corrected_body = $1"
RELEASE = "INSERT INTO quarantine_release (record_key, released_by) SELECT record_key, 'op' FROM quarantine"  # noqa: E501
UNITS = "SELECT record_id FROM registry_copy ORDER BY record_id"


def parse(record: Record) -> Change | None:
    return read_change(record.headers, record.value)


async def apply(conn: Connection, heard: Sequence[Heard[Change]]) -> None:
    await apply_changes(conn, [one.message for one in heard])


def reader(ground: Ground) -> Subscription[Change]:
    return Subscription(ground.settings, ground.pool, [TOPIC], parse, apply, lambda: None)


def unit(name: str) -> Mapping[str, object]:
    return {"zh": name, "level": "village", "parent": "town"}


def change(offset: int, change_set: str, name: str, *, last: bool = False) -> Record:
    data = Unit.model_validate(unit(name))
    place = (uuid5(NAMESPACE, f"{change_set}{name}"), "yihe", "unit", name)
    made = Change(*place, change_set, last, START, data)  # type: ignore[arg-type]  # unpacked
    headers = {key: value.encode() for key, value in made.headers.items()}
    return Record(TOPIC, 0, offset, START, made.key, made.body, headers)


def bad(one: Record) -> Record:
    return Record(one.topic, one.partition, one.offset, one.at, one.key, b"{", one.headers)


async def units(ground: Ground) -> list[str]:
    return [row["record_id"] for row in await ground.pool.fetch(UNITS)]


async def let_go(ground: Ground, name: str) -> None:
    await ground.pool.execute(CORRECT, json.dumps(unit(name)).encode())
    await ground.pool.execute(RELEASE)


@pytest.mark.parametrize("last", [False, True])
async def test_a_change_whose_set_has_gone_on_takes_effect_by_itself(
    ground: Ground, *, last: bool
) -> None:
    changes = [change(0, "a", "u1"), bad(change(1, "a", "u2", last=last))]
    later = [change(2, "a", "u3", last=True)] if not last else [change(2, "b", "u3", last=True)]
    await reader(ground).on_batch(Consumer(), changes + later)
    assert await units(ground) == ["u1", "u3"]
    await let_go(ground, "u2")
    assert await replay_next(ground.pool, {TOPIC: reader(ground)})
    assert await units(ground) == ["u1", "u2", "u3"]


async def test_a_change_joins_its_own_set_while_that_is_open(ground: Ground) -> None:
    await reader(ground).on_batch(Consumer(), [change(0, "a", "u1"), bad(change(1, "a", "u2"))])
    await let_go(ground, "u2")
    assert await replay_next(ground.pool, {TOPIC: reader(ground)})
    assert await units(ground) == []
    await reader(ground).on_batch(Consumer(), [change(2, "a", "u3", last=True)])
    assert await units(ground) == ["u1", "u2", "u3"]


async def test_a_change_waits_while_another_set_is_open(ground: Ground) -> None:
    changes = [bad(change(0, "a", "u1")), change(1, "a", "u2", last=True), change(2, "b", "u3")]
    await reader(ground).on_batch(Consumer(), changes)
    await let_go(ground, "u1")
    assert await replay_next(ground.pool, {TOPIC: reader(ground)})
    assert await units(ground) == ["u2"]
    assert len(await ground.quarantine()) == 1
    await reader(ground).on_batch(Consumer(), [change(3, "b", "u4", last=True)])
    await ground.pool.execute("UPDATE quarantine_release SET next_at = now()")
    assert await replay_next(ground.pool, {TOPIC: reader(ground)})
    assert await units(ground) == ["u1", "u2", "u3", "u4"]


async def test_a_set_that_has_lost_its_end_is_waited_for_no_longer_than_a_minute(
    ground: Ground,
) -> None:
    changes = [bad(change(0, "a", "u1")), change(1, "a", "u2", last=True), change(2, "b", "u3")]
    await reader(ground).on_batch(Consumer(), changes)
    await let_go(ground, "u1")
    old = "UPDATE quarantine_release SET released_at = now() - interval '61 s'"
    await ground.pool.execute(old)
    assert await replay_next(ground.pool, {TOPIC: reader(ground)})
    assert "u1" in await units(ground)
