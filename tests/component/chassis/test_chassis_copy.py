"""A reader's own copy of the registry: a change set is seen whole or not at all."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from contracts import registry
from services.chassis.batch import Heard, Subscription
from services.chassis.copy import OpenSets, apply_changes
from services.chassis.inbox import Record
from services.chassis.postgres import Connection, open_pool
from services.chassis.seal import KeyRing
from tests import factories
from tests.component.chassis.notes import Consumer, Ground

START = datetime(2025, 3, 3, tzinfo=UTC)
COPY = "SELECT tenant_id, kind, record_id, body FROM registry_copy ORDER BY 1, 2, 3"
STAGED = "SELECT count(*) FROM registry_staged"
VERSION = "SELECT version FROM registry_version WHERE tenant_id = $1"

Rows = dict[tuple[str, str, str], Any]


@dataclass(frozen=True, slots=True)
class Change:
    change_set: str
    record_id: str
    value: int | None = 0
    last: bool = False
    tenant_id: str = "yihe"
    kind: str = "unit"
    valid_from: datetime = START

    @property
    def body(self) -> bytes | None:
        return None if self.value is None else json.dumps({"value": self.value}).encode()


async def take(ground: Ground, *changes: Change) -> None:
    async with ground.pool.acquire() as conn, conn.transaction():
        await apply_changes(conn, changes)


async def rows(ground: Ground) -> Rows:
    return {tuple(row)[:3]: row["body"]["value"] for row in await ground.pool.fetch(COPY)}


async def units(ground: Ground) -> dict[str, Any]:
    return {name: value for (_, _, name), value in (await rows(ground)).items()}


async def test_half_a_set_waits_for_the_other_half(ground: Ground) -> None:
    await take(ground, Change("a", "u1", 1), Change("a", "u2", 2))
    assert await units(ground) == {}
    await take(ground, Change("a", "u3", 3, last=True))
    assert await units(ground) == {"u1": 1, "u2": 2, "u3": 3}
    assert await ground.pool.fetchval(STAGED) == 0


async def test_a_set_whose_end_is_gone_takes_effect_where_another_begins(ground: Ground) -> None:
    await take(ground, Change("a", "u1", 1), Change("a", "u2", 2))
    await take(ground, Change("b", "u3", 3))
    assert await units(ground) == {"u1": 1, "u2": 2}
    await take(ground, Change("b", "u1", 9, last=True))
    assert await units(ground) == {"u1": 9, "u2": 2, "u3": 3}


async def test_a_set_that_comes_up_again_ends_the_one_between(ground: Ground) -> None:
    await take(ground, Change("a", "u1", 1), Change("b", "u2", 2), Change("a", "u3", 3))
    assert await units(ground) == {"u1": 1, "u2": 2}
    assert await ground.pool.fetchval(STAGED) == 1


async def test_within_a_set_the_last_word_on_a_record_counts(ground: Ground) -> None:
    await take(ground, *(Change("a", "u1", n) for n in range(4)), Change("a", "u1", 7, last=True))
    assert await units(ground) == {"u1": 7}


async def test_a_record_without_a_body_is_removed(ground: Ground) -> None:
    await take(ground, Change("a", "u1", 1), Change("a", "u2", 2, last=True))
    await take(ground, Change("b", "u1", None), Change("b", "u9", None))
    assert await units(ground) == {"u1": 1, "u2": 2}
    await take(ground, Change("b", "u3", 3, last=True))
    assert await units(ground) == {"u2": 2, "u3": 3}


async def test_a_record_removed_and_made_again_in_one_set_is_there(ground: Ground) -> None:
    await take(ground, Change("a", "u1", 1, last=True))
    await take(ground, Change("b", "u1", None), Change("b", "u1", 2, last=True))
    assert await units(ground) == {"u1": 2}
    await take(ground, Change("c", "u1", 3), Change("c", "u1", None, last=True))
    assert await units(ground) == {}


async def test_one_tenants_open_set_holds_up_no_other(ground: Ground) -> None:
    mixed = [
        Change("a", "u1", 1),
        Change("x", "u1", 5, tenant_id="other"),
        Change("a", "u2", 2),
        Change("x", "u2", 6, last=True, tenant_id="other"),
    ]
    await take(ground, *mixed)
    assert await rows(ground) == {("other", "unit", "u1"): 5, ("other", "unit", "u2"): 6}
    assert await ground.pool.fetchval(VERSION, "yihe") is None
    await take(ground, Change("a", "u3", 3, last=True))
    assert len(await rows(ground)) == 5


async def test_the_version_moves_exactly_when_something_took_effect(ground: Ground) -> None:
    await take(ground, Change("a", "u1", 1, last=True))
    assert await ground.pool.fetchval(VERSION, "yihe") == 1
    await take(ground, Change("b", "u1", 2))
    assert await ground.pool.fetchval(VERSION, "yihe") == 1
    await take(ground, Change("b", "u2", 2, last=True))
    assert await ground.pool.fetchval(VERSION, "yihe") == 2


async def test_a_body_that_is_no_json_for_postgresql_stops_its_batch_alone(ground: Ground) -> None:
    @dataclass(frozen=True, slots=True)
    class Nul(Change):
        @property
        def body(self) -> bytes | None:
            return b'{"value": "a\\u0000b"}'

    with pytest.raises(Exception, match="u0000"):
        await take(ground, Change("a", "u1", 1), Nul("a", "u2", last=True))
    assert await ground.pool.fetchval(STAGED) == 0


def parse_registry(record: Record) -> registry.Change | None:
    return registry.read_change(record.headers, record.value)


async def copy_registry(conn: Connection, heard: Sequence[Heard[registry.Change]]) -> None:
    await apply_changes(conn, [one.message for one in heard])


async def test_a_restart_between_two_halves_is_not_seen(ground: Ground) -> None:
    changes = factories.registry_changes(KeyRing(ground.settings.key_file), change_set="seed-1")
    records = factories.registry_records(changes)
    middle = len(records) // 2

    async def read(batch: list[Record]) -> None:
        async with open_pool(ground.settings, "test") as pool:  # a process of its own
            one = Subscription(
                ground.settings, pool, ["registry"], parse_registry, copy_registry, lambda: None
            )
            await one.on_batch(Consumer(), batch)

    await read(records[:middle])
    assert await ground.pool.fetchval("SELECT count(*) FROM registry_copy") == 0
    await read(records[: middle + 5])
    await read(records[middle - 5 :])
    await read(records)
    assert await ground.pool.fetchval("SELECT count(*) FROM registry_copy") == len(records)
    assert await ground.pool.fetchval(VERSION, factories.TENANT) == 1
    assert await ground.pool.fetchval(STAGED) == 0


TENANTS = [f"town{n}" for n in range(8)]
CHANGES = st.lists(
    st.builds(
        Change,
        change_set=st.sampled_from("ab"),
        record_id=st.sampled_from(["u1", "u2"]),
        value=st.one_of(st.none(), st.integers(0, 9)),
        last=st.sampled_from([False, False, True]),
        tenant_id=st.sampled_from(TENANTS),
    ),
    min_size=10,
    max_size=50,
)


@settings(
    max_examples=25,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # each try costs a transaction
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(whole=CHANGES, cuts=st.sets(st.integers(0, 50), max_size=3))
async def test_the_copy_is_what_the_rule_says_however_the_changes_are_batched(
    ground: Ground, whole: list[Change], cuts: set[int]
) -> None:
    await ground.pool.execute("TRUNCATE registry_copy, registry_staged, registry_version")
    edges = [0, *sorted(cuts), len(whole)]
    for start, end in pairwise(edges):
        if whole[start:end]:
            await take(ground, *whole[start:end])
    wanted: Rows = {}
    one_by_one: OpenSets[Change] = OpenSets()
    fed = [done for change in whole for done in one_by_one.feed(change)]
    for change in fed:
        wanted[change.tenant_id, change.kind, change.record_id] = change.value
    assert await rows(ground) == {k: value for k, value in wanted.items() if value is not None}
    assert await ground.pool.fetchval(STAGED) == len(whole) - len(fed)
