"""The counting after a run: what was promised against what every store and topic holds."""

import asyncio
import json
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg

from contracts.facts import CaseAssignedV1
from contracts.topics import INTAKE_EVENTS, NOTIFY_EVENTS, ROUTING_EVENTS, Topic
from deploy.local.load import Log
from deploy.local.lying import lying_on
from deploy.local.quiet import Watch
from deploy.local.state import StackState
from deploy.sandbox.truth import FACT, Message

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
# What readers keep of each case, under the names that routing has for it too.
PROJECTIONS = {
    "intake": ("track", "case_id, state, number"),
    "ledger": ("case_now", "case_id, state, number"),
    "console": ("board_case", "case_id, state, number, seq, owner_unit, owner_role"),
}
ATTEMPTS = "SELECT attempt_id::text, intent_id::text, state FROM attempt"
# The provider had not said what became of it: a second message may follow.
IN_DOUBT = {"unknown", "lost", "unresolved"}
# A receipt comes seconds after its message.
AWAITING = """
SELECT count(*)
FROM attempt
WHERE state = 'accepted' AND started_at > clock_timestamp() - interval '20 seconds'
"""
RETRY_S = 0.3
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
    return [_fact(record) for record in await read_records(state, topics)]


async def read_records(state: StackState, topics: tuple[Topic, ...]) -> list[Any]:
    """Read whole topics as they lie there, each partition in order."""
    return [record async for record in lying_on(state.kafka, *topics)]


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


async def until_rest(state: StackState, timeout_s: float = 300) -> float:
    """Wait until nothing is to be done and no receipt is to come; return the seconds it took."""
    started = time.monotonic()
    conn = await asyncpg.connect(state.dsns["notify"])
    async with Watch(state) as watch:
        await watch.until_quiet(timeout_s)
        while await conn.fetchval(AWAITING):
            await asyncio.sleep(RETRY_S)
        await watch.until_quiet(60)
    await conn.close()
    return time.monotonic() - started


async def check(state: StackState, log: Log) -> Verdict:
    """Count everything once the stack is at rest."""
    await until_rest(state)
    verdict = Verdict()
    facts = await read_facts(state)
    conns = {name: await asyncpg.connect(dsn) for name, dsn in state.dsns.items()}
    try:
        await _cases(verdict, log, conns["routing"])
        _order(verdict, facts)
        await _ledger(verdict, facts, conns["ledger"])
        await projections(verdict, conns)
        await _messages(verdict, conns["notify"])
        await told(verdict, facts, conns["notify"])
        await phones(verdict, state, conns["notify"])
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


async def projections(verdict: Verdict, conns: dict[str, "asyncpg.Connection[Any]"]) -> None:
    """What readers made of the facts agrees with routing's own state."""
    for name, (table, columns) in PROJECTIONS.items():
        wanted = await conns["routing"].fetch(f"SELECT {columns} FROM cases ORDER BY case_id")
        seen = await conns[name].fetch(f"SELECT {columns} FROM {table} ORDER BY case_id")
        verdict.expect(
            [tuple(row) for row in seen] == [tuple(row) for row in wanted],
            f"{name}.{table} differs from routing",
        )


async def _messages(verdict: Verdict, notify: "asyncpg.Connection[Any]") -> None:
    states = {row["state"]: row["n"] for row in await notify.fetch(MESSAGES)}
    verdict.counts |= {f"messages {state}": n for state, n in sorted(states.items())}
    left = states.get("overdue", 0)
    verdict.expect(left == 0, f"{left} messages are open and nothing is to come")


async def told(verdict: Verdict, facts: list[Fact], notify: "asyncpg.Connection[Any]") -> None:
    """Whoever was given a case is told so: by every profile's rules."""
    rows = await notify.fetch("SELECT event_id::text FROM intent")
    causes = {row["event_id"] for row in rows}
    assigned = {fact.event_id for fact in facts if fact.type == CaseAssignedV1.TYPE}
    verdict.counts |= {
        "assignments": len(assigned),
        "of them without a message": len(assigned - causes),
    }
    verdict.expect(assigned <= causes, f"{len(assigned - causes)} assignments were told to nobody")


async def phones(verdict: Verdict, state: StackState, notify: "asyncpg.Connection[Any]") -> None:
    """By the provider's own book nobody got a message twice, unless it left the first in doubt."""
    attempts = {row["attempt_id"]: row for row in await notify.fetch(ATTEMPTS)}
    doubted = {row["intent_id"] for row in attempts.values() if row["state"] in IN_DOUBT}
    reached = await asyncio.to_thread(reached_phones, state.data_dir / "sandbox" / "truth.ndjson")
    got = Counter(
        (attempts[one.out_id]["intent_id"], one.phone) for one in reached if one.out_id in attempts
    )
    strange = sum(one.out_id not in attempts for one in reached)
    twice = [intent for (intent, _), count in got.items() if count > 1]
    wrong = [intent for intent in twice if intent not in doubted]
    verdict.counts |= {
        "messages that reached a phone": len(reached),
        "of them a second after one in doubt": len(twice) - len(wrong),
        "of them a second without need": len(wrong),
    }
    verdict.expect(not strange, f"{strange} messages on phones are of no attempt")
    verdict.expect(not wrong, f"{len(wrong)} messages came twice without need")


def reached_phones(truth: Path) -> list[Message]:
    """Read from the sandbox's file what phones have shown."""
    facts = [FACT.validate_json(line) for line in truth.read_bytes().splitlines()]
    return [fact for fact in facts if isinstance(fact, Message) and fact.reached_at is not None]


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
