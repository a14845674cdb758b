"""The counting after a run: what was promised against what every store and topic holds."""

import json
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition

from contracts.topics import INTAKE_EVENTS, NOTIFY_EVENTS, ROUTING_EVENTS, Topic
from deploy.local.load import Log
from deploy.local.state import StackState

# An open message that is tried again later is as it should be; one that is due is not.
MESSAGES = """
SELECT
    CASE
        WHEN state <> 'open' THEN state
        WHEN next_at < clock_timestamp() - interval '10 seconds' THEN 'overdue'
        ELSE 'to be tried again'
    END AS state,
    count(*) AS n
FROM intent
GROUP BY 1
"""
FACT_TOPICS = (INTAKE_EVENTS, ROUTING_EVENTS, NOTIFY_EVENTS)


@dataclass(frozen=True, slots=True)
class Fact:
    """A record of a topic, as far as counting needs it."""

    topic: str
    event_id: str
    type: str
    subject: str
    seq: int
    body: bytes


@dataclass(slots=True)
class Verdict:
    """What was counted, and what is wrong: nothing, one hopes."""

    counts: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def expect(self, true: bool, what: str) -> None:
        if not true:
            self.wrong.append(what)


async def read_facts(state: StackState, topics: tuple[Topic, ...] = FACT_TOPICS) -> list[Fact]:
    """Read whole topics, each partition in order."""
    consumer = AIOKafkaConsumer(bootstrap_servers=state.kafka, auto_offset_reset="earliest")
    await consumer.start()
    places = [TopicPartition(t.name, n) for t in topics for n in range(t.partitions)]
    consumer.assign(places)
    await consumer.seek_to_beginning()
    ends = await consumer.end_offsets(places)
    facts: list[Fact] = []
    try:
        while any([await consumer.position(place) < ends[place] for place in places]):
            for records in (await consumer.getmany(timeout_ms=500)).values():
                facts += [_fact(record) for record in records]
    finally:
        await consumer.stop()
    return facts


def _fact(record: Any) -> Fact:
    headers = {name: value.decode() for name, value in record.headers}
    return Fact(
        record.topic,
        headers["ce_id"],
        headers["ce_type"],
        headers["ce_subject"],
        int(headers.get("ce_sequence", "0")),
        record.value,
    )


async def check(state: StackState, log: Log) -> Verdict:
    """Count everything once the stack is at rest."""
    verdict = Verdict()
    facts = await read_facts(state)
    conns = {name: await asyncpg.connect(dsn) for name, dsn in state.dsns.items()}
    try:
        await _cases(verdict, log, conns["routing"])
        _order(verdict, facts)
        await _ledger(verdict, facts, conns["ledger"])
        await _projections(verdict, conns)
        await _messages(verdict, conns["notify"])
        for name, conn in conns.items():
            await _nothing_set_aside(verdict, name, conn)
    finally:
        for conn in conns.values():
            await conn.close()
    return verdict


async def _cases(verdict: Verdict, log: Log, routing: "asyncpg.Connection[Any]") -> None:
    """Each 202 is one case; a report that was never confirmed may be one, never two."""
    rows = await routing.fetch("SELECT case_id, number, seq FROM cases")
    there = {row["case_id"] for row in rows}
    accepted = {one.case_id for one in log.accepted}
    numbers = {row["number"] for row in rows}
    verdict.counts |= {
        "reports sent": len(log.sent),
        "confirmed with 202": len(log.accepted),
        "tries": sum(one.tries for one in log.sent),
        "refusals and lost answers": len(log.refusals),
        "cases": len(there),
        "lost": len(accepted - there),
        "doubled": len(rows) - len(there) + len(log.accepted) - len(accepted),
    }
    verdict.expect(accepted <= there, f"{len(accepted - there)} confirmed reports have no case")
    verdict.expect(len(accepted) == len(log.accepted), "two keys share one case")
    verdict.expect(len(numbers) == len(rows), "two cases share one number")
    verdict.expect(len(there) <= len(log.sent), "more cases than reports")
    kept = await routing.fetch(
        "SELECT case_id, array_agg(seq ORDER BY seq) s FROM case_fact GROUP BY 1"
    )
    gaps = [row for row in kept if row["s"] != list(range(1, len(row["s"]) + 1))]
    verdict.expect(not gaps, f"{len(gaps)} histories have gaps")


def _order(verdict: Verdict, facts: list[Fact]) -> None:
    """Per case, facts appear first in the order 1, 2, 3 …; a repeat has the same bytes."""
    bodies: dict[str, bytes] = {}
    repeats = disorder = changed = 0
    last: dict[str, int] = defaultdict(int)
    for fact in facts:
        if fact.event_id in bodies:
            repeats += 1
            changed += bodies[fact.event_id] != fact.body and fact.topic != INTAKE_EVENTS.name
            continue
        bodies[fact.event_id] = fact.body
        if fact.topic == ROUTING_EVENTS.name:
            disorder += fact.seq != last[fact.subject] + 1
            last[fact.subject] = fact.seq
    verdict.counts |= {
        "records on the topics": len(facts),
        "of them repeats": repeats,
        "out of order": disorder,
    }
    verdict.expect(disorder == 0, f"{disorder} facts came out of order")
    verdict.expect(changed == 0, f"{changed} repeats have other bytes")


async def _ledger(verdict: Verdict, facts: list[Fact], ledger: "asyncpg.Connection[Any]") -> None:
    """The ledger holds each fact of each topic exactly once."""
    rows = await ledger.fetch("SELECT topic, event_id::text FROM case_ledger")
    held = [(row["topic"], row["event_id"]) for row in rows]
    wanted = {(fact.topic, fact.event_id) for fact in facts}
    verdict.counts["facts in the ledger"] = len(held)
    verdict.expect(len(held) == len(set(held)), "the ledger holds a fact twice")
    missing, strange = wanted - set(held), set(held) - wanted
    verdict.expect(not missing, f"the ledger misses {len(missing)} facts")
    verdict.expect(not strange, f"the ledger holds {len(strange)} facts of no topic")


async def _projections(verdict: Verdict, conns: dict[str, "asyncpg.Connection[Any]"]) -> None:
    """What readers made of the facts agrees with routing's own state."""
    cases = await conns["routing"].fetch("SELECT case_id, state, number FROM cases ORDER BY 1")
    wanted = [(row["case_id"], row["state"], row["number"]) for row in cases]
    for name, table in (("intake", "track"), ("ledger", "case_now")):
        rows = await conns[name].fetch(f"SELECT case_id, state, number FROM {table} ORDER BY 1")
        seen = [(row["case_id"], row["state"], row["number"]) for row in rows]
        verdict.expect(seen == wanted, f"{name}.{table} differs from routing")


async def _messages(verdict: Verdict, notify: "asyncpg.Connection[Any]") -> None:
    states = {row["state"]: row["n"] for row in await notify.fetch(MESSAGES)}
    verdict.counts |= {f"messages {state}": n for state, n in sorted(states.items())}
    left = states.get("overdue", 0)
    verdict.expect(left == 0, f"{left} messages are open and nothing is to come")


async def _nothing_set_aside(verdict: Verdict, name: str, conn: "asyncpg.Connection[Any]") -> None:
    for table in ("quarantine", "outbox", "outbox_parked"):
        count = await conn.fetchval(f"SELECT count(*) FROM {table}")
        verdict.expect(count == 0, f"{name}.{table} holds {count} rows")


def show(verdict: Verdict, **more: Any) -> None:
    """Print counts as a table and as one line of JSON."""
    width = max(len(name) for name in (*more, *verdict.counts))
    for name, value in {**more, **verdict.counts}.items():
        print(f"  {name:<{width}}  {value}")
    for line in verdict.wrong:
        print(f"  WRONG: {line}")
    print(json.dumps({**more, **verdict.counts, "wrong": verdict.wrong}, default=str), flush=True)
