"""Words of a resident lie open nowhere: in no store, on no topic, in no log of the whole stack."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import asyncpg

from contracts.topics import TOPICS
from deploy.cli.told import Town
from deploy.local.quiet import Watch
from deploy.local.state import StackState
from deploy.local.whole import Running
from tests.component.routing.test_routing_secrets import shapes
from tests.conftest import Database
from tests.faults.check import read_records
from tests.faults.ground import TENANT
from tests.system.doors import QUIET_S, opened, report

WORDS = ("金丝雀甲", "金丝雀乙", "金丝雀丙", "金丝雀丁", "金丝雀路九号", "16099998888")
TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"


def lying_open(values: Iterable[object], words: Iterable[str]) -> list[str]:
    """Return the words that these values show: plain, escaped, as hexadecimal or as base64."""
    text = "\n".join(
        value.decode(errors="replace") if isinstance(value, bytes) else str(value)
        for value in values
    )
    return [word for word in words if any(shape in text for shape in shapes(word))]


async def cells(dsn: str) -> dict[str, list[object]]:
    """Return all that a database holds, by table; bytes as bytes."""
    conn = await asyncpg.connect(dsn)
    held = {
        name: [cell for row in await conn.fetch(f"SELECT * FROM {name}") for cell in row]  # noqa: S608
        for name in [row["tablename"] for row in await conn.fetch(TABLES)]
    }
    await conn.close()
    return held


def logs(place: Path) -> Iterator[tuple[str, str]]:
    """Yield every log but the sandbox's: it is the provider and sees the number it sends to."""
    for path in sorted(place.rglob("*.log")):
        if path.stem != "sandbox" and "kafka/data" not in str(path):
            yield path.name, path.read_text(encoding="utf-8", errors="replace")


async def test_the_search_sees_bytes_and_other_shapes(database: Database) -> None:
    dsn = await database("console")
    conn = await asyncpg.connect(dsn)
    await conn.execute("CREATE TABLE bag (plain text, raw bytea, escaped bytea, form jsonb)")
    first, second, third, fourth = WORDS[:4]
    escaped = shapes(third)[1].encode()
    form = f'{{"hex": "{shapes(fourth)[2]}"}}'
    await conn.execute(
        "INSERT INTO bag VALUES ($1, $2, $3, $4)", first, second.encode(), escaped, form
    )
    await conn.close()
    held = await cells(dsn)
    assert lying_open(held["bag"], WORDS) == [first, second, third, fourth]


async def test_planted_words_are_in_no_topic_log_or_table(
    running: Running, state: StackState
) -> None:
    accepted, _ = await report(
        state,
        "canary",
        summary=WORDS[0],
        description=f"{WORDS[1]}的详情",
        location={"grid": "g01", "address": WORDS[4]},
        reporter={"name": WORDS[2], "phone": WORDS[5]},
    )
    town = Town(state, TENANT)
    case = await opened(town, accepted["case_id"], "g01")
    where = (case["owner"]["role"], case["owner"]["unit"], case["owner"]["staff"])
    case = await town.step(case, {"step": "first_ask", "note": WORDS[3]}, *where)
    case = await town.step(case, {"step": "grid_settle"}, *where)
    await town.step(case, {"step": "resolve", "result": WORDS[3], "proof": ["photo-1"]}, *where)
    async with Watch(state) as watch:
        await watch.until_quiet(QUIET_S)
    for service, dsn in state.dsns.items():
        for table, held in (await cells(dsn)).items():
            assert not lying_open(held, WORDS), f"{service}.{table}"
    records = await read_records(state, TOPICS)
    assert {record.topic for record in records} == {topic.name for topic in TOPICS}
    for record in records:
        parts = [record.key, record.value, *(part for pair in record.headers for part in pair)]
        assert not lying_open(parts, WORDS), record.topic
    found = dict(logs(running.layout.data_dir))
    assert {"kafka.log", "postgres.log", "intake.log", "notify.log"} <= set(found)
    for name, text in found.items():
        assert not lying_open([text], WORDS), name


ENTERED = """
SELECT DISTINCT usename
FROM pg_stat_activity
WHERE datname = 'ledger' AND application_name = 'chuishao-ledger'
"""


async def test_ledger_has_entered_as_the_role_that_owns_nothing(running: Running) -> None:
    conn = await asyncpg.connect(running.dsn("ledger"))
    assert [row["usename"] for row in await conn.fetch(ENTERED)] == ["ledger_service"]
    await conn.close()
