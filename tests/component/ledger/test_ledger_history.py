"""What the registry was: SQL, the rule and a replay of the sets say the same, on real rows."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any
from uuid import uuid4

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploy.local.set_aside import opened
from services.chassis.postgres import Connection
from services.ledger import linked
from services.ledger.domain.history import fold
from services.ledger.store import elements, history, registry
from services.ledger.store.history import Held, When
from services.ledger.store.registry import ChangeSet, Entry
from services.ledger.store.wall import turn_to
from tests.component.ledger.office import Office
from tests.conftest import Database

DAYS = [datetime(2025, 1, day, tzinfo=UTC) for day in range(1, 6)]
RECORDS, GRIDS = ["h1", "h2", "h3"], ["g1", "g2"]
LONG_AGO, FOR_EVER = datetime(2000, 1, 1, tzinfo=UTC), datetime(3000, 1, 1, tzinfo=UTC)
STEP = timedelta(microseconds=1)
Body = dict[str, Any] | None


@dataclass(frozen=True)
class Given:
    """A set as it is recorded."""

    valid_from: datetime
    bodies: dict[str, Body]


BODIES = st.none() | st.builds(
    lambda grid, note: {"grid": grid, "note": note}, st.sampled_from(GRIDS), st.integers(0, 9)
)
SETS = st.lists(
    st.builds(
        Given, st.sampled_from(DAYS), st.dictionaries(st.sampled_from(RECORDS), BODIES, min_size=1)
    ),
    min_size=1,
    max_size=5,
)


async def record(conn: Connection, tenant: str, sets: Sequence[Given]) -> list[datetime]:
    """Record sets one after the other; return since when each is known."""
    for n, one in enumerate(sets):
        entries = [Entry("household", name, body) for name, body in one.bodies.items()]
        change_set = ChangeSet(tenant, f"s{n}", "test", one.valid_from)
        assert await registry.open_set(conn, change_set, len(entries))
        await registry.append(conn, change_set, entries)
    rows = await conn.fetch(
        "SELECT recorded_at FROM change_set WHERE tenant_id = $1 ORDER BY change_set_id", tenant
    )
    return [row["recorded_at"] for row in rows]


def replay(
    sets: Sequence[Given], known: Sequence[datetime], as_of: datetime, known_on: datetime
) -> dict[str, Body]:
    """Apply whole sets, one by one, in the order in which they hold."""
    there = [
        (one.valid_from, n)
        for n, one in enumerate(sets)
        if one.valid_from <= as_of and known[n] <= known_on
    ]
    state: dict[str, Body] = {}
    for _, n in sorted(there):
        state |= sets[n].bodies
    return {name: body for name, body in state.items() if body is not None}


async def versions(conn: Connection, tenant: str) -> dict[str, list[Held]]:
    rows = await conn.fetch(
        "SELECT record_id, version, body, change_set_id, valid_from, recorded_at"
        " FROM registry_record WHERE tenant_id = $1",
        tenant,
    )
    found: dict[str, list[Held]] = {name: [] for name in RECORDS}
    for row in rows:
        found[row["record_id"]].append(Held(**row))
    return found


async def by_sql(conn: Connection, tenant: str, when: When) -> dict[str, Held]:
    held = [await history.holds(conn, tenant, "household", name, when) for name in RECORDS]
    return {one.record_id: one for one in held if one is not None and one.body is not None}


# What is read is the same server for all examples; each has a tenant of its own.
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sets=SETS)
async def test_the_sql_the_rule_and_a_replay_say_the_same(
    ledger: Office, sets: list[Given]
) -> None:
    tenant = f"t-{uuid4().hex}"
    async with ledger.pool.acquire() as conn, conn.transaction():
        known = await record(conn, tenant, sets)
        kept = await versions(conn, tenant)
        moments = [at + far for at in known for far in (-STEP, timedelta())]
        for as_of, known_on in product([LONG_AGO, *DAYS, FOR_EVER], [LONG_AGO, *moments, FOR_EVER]):
            when = When(as_of, known_on)
            told = await by_sql(conn, tenant, when)
            ruled = {name: fold(those, as_of, known_on) for name, those in kept.items()}
            assert told == {n: o for n, o in ruled.items() if o is not None and o.body is not None}
            replayed = replay(sets, known, as_of, known_on)
            assert {name: one.body for name, one in told.items()} == replayed
            page = await history.page(conn, tenant, "household", when, "", 10)
            assert {one.record_id: one for one in page} == told
            for grid in GRIDS:
                theirs = (conn, tenant, "household", grid, when)
                paged = await history.page_of_place(*theirs, "", 10)
                assert [one.record_id for one in paged] == sorted(
                    name for name, body in replayed.items() if body and body["grid"] == grid
                )


async def test_all_records_of_a_set_are_known_from_one_moment(office: Office) -> None:
    grid = {"level": "grid", "zh": "x"}
    lines = [
        {"kind": "unit", "id": f"g{n}", "body": {**grid, **({"parent": "g0"} if n else {})}}
        for n in range(6_000)
    ]
    assert (await office.post_set("s1", lines)).status_code == 200
    rows, (one,) = await office.rows("registry_record"), await office.rows("change_set")
    assert {row["recorded_at"] for row in rows} == {one["recorded_at"]}


FILL = """
INSERT INTO registry_record (
    tenant_id, kind, record_id, version, body, change_set_id, valid_from, recorded_at
)
SELECT 'many', 'household', 'h' || to_char(n, 'FM000000'), version,
    jsonb_build_object('grid', 'g' || n % 300), 's', '2025-01-01'::timestamptz + version * '1 day'::interval,
    '2025-01-01'::timestamptz
FROM generate_series(1, 50000) AS n, generate_series(1, 2) AS version
UNION ALL
SELECT 'many', 'person', 'p' || n, 1,
    jsonb_build_object('household', 'h' || to_char(n, 'FM000000')), 's', '2025-01-02', '2025-01-01'::timestamptz
FROM generate_series(1, 50000) AS n
"""  # noqa: E501


async def many(conn: Connection) -> None:
    """Fill in a hundred thousand versions of households, and somebody in each."""
    await conn.execute(
        "INSERT INTO change_set (tenant_id, change_set_id, recorded_by, valid_from, entries)"
        " SELECT 'many', 's' || n, 'test', now(), 1 FROM generate_series(1, 5000) AS n"
        " UNION ALL SELECT 'many', 's', 'test', now(), 1"
    )
    await conn.execute(FILL)
    await conn.execute("ANALYZE registry_record, change_set")


PLACE = ("many", "household")
TWO = (["household"] * 2, ["h000001", "h040000"])
REFERENCES = [list(column) for column in zip(*linked._FIELDS, strict=True)]  # noqa: SLF001
READS: list[tuple[str, tuple[Any, ...], float]] = [
    (history.HOLDS, (*PLACE, "h000777", FOR_EVER, FOR_EVER), 2),
    (history.HISTORY, (*PLACE, "h000777", None, 200), 4),
    (history.PAGE, (*PLACE, "h025000", FOR_EVER, None, 201), 500),
    (history.PAGE_OF_PLACE, (*PLACE, "", FOR_EVER, None, 201, "g7"), 1_000),
    (history.PAGE_OF_HOMES, ("many", "", FOR_EVER, None, 201, "g7"), 2_000),
    (history.HELD_BY, ("many", "s", *TWO, FOR_EVER), 4),
    (history.VERSIONS, ("many", *TWO), 4),
    (elements.NAMING, ("many", *REFERENCES, ["household"], ["h000777"], FOR_EVER, []), 4),
    (elements.NAMING, ("many", *REFERENCES, ["person"], ["p777"], FOR_EVER, ["matter"]), 6),
]


async def test_a_read_of_many_records_costs_what_it_returns(database: Database) -> None:
    """In a database of its own: what other tests leave behind would make other plans."""
    async with opened(await database("ledger")) as conn, conn.transaction():
        await many(conn)
        await conn.execute("SET LOCAL ROLE ledger_service")
        await turn_to(conn, "many")
        for statement, given_, rows_max in READS:
            said = await conn.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", *given_)
            (plan,) = json.loads(said)
            nodes = list(_nodes(plan["Plan"]))
            kinds = {one["Node Type"] for one in nodes if one.get("Relation Name")}
            assert "Seq Scan" not in kinds, (statement, plan)
            assert sum(map(_rows_read, nodes)) <= rows_max, (statement, plan)


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for one in plan.get("Plans", ()):
        yield from _nodes(one)


def _rows_read(node: dict[str, Any]) -> float:
    if "Relation Name" not in node:
        return 0.0
    each: float = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
    return each * float(node["Actual Loops"])
