"""The floor under routing: read the same reports, insert the same rows, produce the same facts.

What is inserted and produced was made by routing before. Nothing is decided, no outbox is written;
a batch is one transaction, and its offsets are committed after it.
"""

import argparse
import asyncio
import json
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import asyncpg
import uvloop
from aiokafka import AIOKafkaConsumer

from contracts.topics import INTAKE_EVENTS, ROUTING_EVENTS
from deploy.bench.bare_producer import bare_producer
from deploy.local.lying import lying_on

BATCH_MAX, WAIT_MS = 500, 50

COLUMNS = """
SELECT c.table_name, array_agg(c.column_name::text ORDER BY c.ordinal_position) AS names,
    array_agg(format_type(a.atttypid, a.atttypmod) ORDER BY c.ordinal_position) AS types
FROM information_schema.columns AS c
JOIN pg_attribute AS a
    ON a.attrelid = format('public.%I', c.table_name)::regclass AND a.attname = c.column_name
WHERE c.table_schema = 'public' AND c.table_name <> 'quarantine'
GROUP BY c.table_name
HAVING bool_or(c.column_name = 'case_id') OR c.table_name = 'inbox'
"""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of one table by their case (the inbox's by their event), and how they are inserted."""

    insert: str
    rows: Mapping[str, Sequence[asyncpg.Record]]

    def columns(self, keys: Sequence[str]) -> list[list[Any]]:
        """Return the columns of the rows that belong to these cases or events."""
        return [list(column) for column in zip(*self._rows(keys), strict=True)]

    def _rows(self, keys: Sequence[str]) -> list[asyncpg.Record]:
        return [row for key in keys for row in self.rows.get(key, ())]


async def tables(conn: "asyncpg.Connection[asyncpg.Record]") -> list[Table]:
    """Read what routing has made, table by table."""
    found = []
    for name, names, types in await conn.fetch(COLUMNS):
        by, rows = ("event_id" if name == "inbox" else "case_id"), defaultdict(list)
        for row in await conn.fetch(f"SELECT {', '.join(names)} FROM {name}"):
            rows[str(row[by])].append(row)
        given = ", ".join(f"${n}::{kind}[]" for n, kind in enumerate(types, 1))
        insert = (
            f"INSERT INTO {name} ({', '.join(names)}) OVERRIDING SYSTEM VALUE "
            f"SELECT * FROM unnest({given})"
        )
        if rows:
            found.append(Table(insert, rows))
    return found


Facts = Mapping[bytes, Sequence[tuple[bytes | None, Sequence[tuple[str, bytes]]]]]


async def facts(bootstrap: str) -> Facts:
    """Read what routing has told, by case."""
    told: dict[bytes, list[tuple[bytes | None, Sequence[tuple[str, bytes]]]]] = defaultdict(list)
    async for record in lying_on(bootstrap, ROUTING_EVENTS):
        told[record.key].append((record.value, record.headers))
    return told


@dataclass(frozen=True, slots=True)
class Done:
    """So many cases since the first batch was in, in so many seconds of the clock and of ours."""

    cases: int
    seconds: float
    cpu_seconds: float


async def replay(bootstrap: str, dsn: str, topic: str, made: Sequence[Table], told: Facts) -> Done:
    """Do routing's work again without its thoughts."""
    conn = await asyncpg.connect(dsn)
    producer = bare_producer(bootstrap)
    consumer = AIOKafkaConsumer(
        INTAKE_EVENTS.name,
        bootstrap_servers=bootstrap,
        group_id="bench.floor",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    await producer.start()
    await consumer.start()
    done = first = 0
    began = used = 0.0
    while done < len(told):
        batches = await consumer.getmany(timeout_ms=WAIT_MS, max_records=BATCH_MAX)
        records = [record for batch in batches.values() for record in batch]
        if not records:
            continue
        cases = [record.key.decode().rpartition("|")[2] for record in records]
        events = [dict(record.headers)["ce_id"].decode() for record in records]
        async with conn.transaction():
            for table in made:
                columns = table.columns(cases + events)
                if columns:
                    await conn.execute(table.insert, *columns)
        waiting = [
            await producer.send(topic, value, key=record.key, headers=list(headers))
            for record in records
            for value, headers in told[record.key]
        ]
        await asyncio.gather(*waiting)
        await consumer.commit()
        done += len(records)
        if not first:
            first, began, used = done, time.monotonic(), time.process_time()
    took, cpu = time.monotonic() - began, time.process_time() - used
    await consumer.stop()
    await producer.stop()
    await conn.close()
    return Done(done - first, took, cpu)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("bootstrap", "source", "target", "topic"):
        parser.add_argument(f"--{name}", required=True)
    given = parser.parse_args()
    source = await asyncpg.connect(given.source)
    made, told = await tables(source), await facts(given.bootstrap)
    await source.close()
    done = await replay(given.bootstrap, given.target, given.topic, made, told)
    print(json.dumps(asdict(done)))


if __name__ == "__main__":
    uvloop.run(main())
