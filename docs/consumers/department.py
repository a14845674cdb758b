"""Read one department's topic: each record once, in order, from the beginning or from a time.

python department.py HOST:PORT dept.TOWN.DEPARTMENT KNOWN.sqlite3 [2025-03-03T08:00:00+08:00]
Put your own effect of a record into the same transaction: then a repeat takes no effect twice.
"""

import asyncio
import json
import sqlite3
import sys
from datetime import datetime

from aiokafka import AIOKafkaConsumer

LAST = "SELECT max(task_seq) FROM seen WHERE about_case = ?"


async def main(bootstrap: str, topic: str, file: str, since: str = "") -> None:
    known = sqlite3.connect(file)
    known.execute("CREATE TABLE IF NOT EXISTS seen (event_id PRIMARY KEY, about_case, task_seq)")
    how = {"group_id": f"{topic}.own", "enable_auto_commit": False, "auto_offset_reset": "earliest"}
    async with AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, **how) as consumer:
        if since:
            at = int(datetime.fromisoformat(since).timestamp() * 1000)
            ends = await consumer.end_offsets(consumer.assignment())
            found = await consumer.offsets_for_times(dict.fromkeys(ends, at))
            for place, first in found.items():
                consumer.seek(place, first.offset if first else ends[place])
        async for record in consumer:
            about = {name: value.decode() for name, value in record.headers}
            row = (about["ce_id"], about["ce_subject"], int(about["ce_sequence"]))
            with known:
                (last,) = known.execute(LAST, row[1:2]).fetchone()
                if known.execute("INSERT OR IGNORE INTO seen VALUES (?, ?, ?)", row).rowcount:
                    gap = row[2] != (last or 0) + 1 and not (since and last is None)
                    print(json.dumps({"gap": gap, "case": row[1], **json.loads(record.value)}))
            await consumer.commit()


asyncio.run(main(*sys.argv[1:]))
