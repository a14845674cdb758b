"""Set a group's offsets to what its service's database has read; the service must be stopped.

python docs/runbooks/set_back.py HOST:PORT GROUP DSN TOPIC…
"""

import asyncio
import sys

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition

from contracts.topics import TOPICS

PROCESSED = """
SELECT topic, partition, next_offset
FROM processed_offset
WHERE topic = ANY($1::text[])
"""


async def set_back(bootstrap: str, group: str, dsn: str, topics: list[str]) -> None:
    """Let the group begin where the database ends; what was never read begins at 0."""
    conn = await asyncpg.connect(dsn)
    rows = await conn.fetch(PROCESSED, topics)
    await conn.close()
    places = [
        TopicPartition(t.name, n) for t in TOPICS if t.name in topics for n in range(t.partitions)
    ]
    wanted = dict.fromkeys(places, 0)
    wanted |= {TopicPartition(r["topic"], r["partition"]): r["next_offset"] for r in rows}
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False
    )
    await consumer.start()
    try:
        consumer.assign(places)
        for place in places:
            before = await consumer.committed(place)
            if (before or 0) != wanted[place]:
                print(f"{place.topic}/{place.partition}: {before} -> {wanted[place]}")
        await consumer.commit(wanted)
    finally:
        await consumer.stop()


if __name__ == "__main__":
    asyncio.run(set_back(*sys.argv[1:4], sys.argv[4:]))
