"""Is everything done? Lags, outboxes, due timers and due messages of a running stack."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition

from contracts.topics import INTAKE_EVENTS, LEDGER_REGISTRY, NOTIFY_EVENTS, ROUTING_EVENTS, TOPICS
from deploy.local.state import StackState

# Which topics each service reads into its database.
READS: Mapping[str, tuple[str, ...]] = {
    "intake": (ROUTING_EVENTS.name,),
    "routing": (INTAKE_EVENTS.name, NOTIFY_EVENTS.name, LEDGER_REGISTRY.name),
    "notify": (ROUTING_EVENTS.name, LEDGER_REGISTRY.name),
    "ledger": (INTAKE_EVENTS.name, ROUTING_EVENTS.name, NOTIFY_EVENTS.name),
    "console": (ROUTING_EVENTS.name,),
}

PROCESSED = "SELECT topic, partition, next_offset FROM processed_offset"
WAITING_ROWS = "SELECT count(*) FROM outbox"

# A timer is due by its tenant's time; those of held cases wait for a person.
DUE_TIMERS = """
SELECT count(*)
FROM timer
LEFT JOIN registry_copy AS clock
    ON clock.tenant_id = timer.tenant_id AND clock.kind = 'clock'
WHERE timer.outcome IS NULL
    AND ($1::text IS NULL OR timer.tenant_id = $1)
    AND timer.fires_at <= clock_timestamp() + make_interval(
        secs => coalesce((clock.body -> 'offsets' -> -1 ->> 'seconds')::float8, 0)
    )
    AND NOT EXISTS (
        SELECT
        FROM quarantine
        WHERE record_key = convert_to(timer.tenant_id || '|' || timer.case_id, 'UTF8')
    )
"""

# During a send, `next_at` is the end of its lease.
DUE_MESSAGES = """
SELECT count(*)
FROM intent
WHERE state = 'open'
    AND ($1::text IS NULL OR tenant_id = $1)
    AND (
        next_at <= clock_timestamp()
        OR EXISTS (
            SELECT
            FROM attempt
            WHERE attempt.tenant_id = intent.tenant_id
                AND attempt.intent_id = intent.intent_id
                AND attempt.state = 'sending'
        )
    )
"""


# The places that work passes through, in their order. What has been done by the time when a place
# is seen empty has left it; twice round, for what is done makes more to do.
ROUND = ("outbox", "lag", "timers", "outbox", "lag", "messages")
PASSES = 2 * ROUND


@dataclass(frozen=True, slots=True)
class Waiting:
    """What is still to be done, by name; nothing is quiet."""

    lag: Mapping[str, int]
    outbox: Mapping[str, int]
    timers: int
    messages: int

    @property
    def total(self) -> int:
        return sum(self.lag.values()) + sum(self.outbox.values()) + self.timers + self.messages

    def at(self, place: str) -> int:
        """Return what waits at one place of a `ROUND`."""
        found: int | Mapping[str, int] = getattr(self, place)
        return found if isinstance(found, int) else sum(found.values())

    def __str__(self) -> str:
        parts = {
            **{f"lag of {name}": n for name, n in self.lag.items()},
            **{f"outbox of {name}": n for name, n in self.outbox.items()},
            "due timers": self.timers,
            "due messages": self.messages,
        }
        return ", ".join(f"{name} {n}" for name, n in parts.items() if n) or "nothing"


class Watch:
    """Looks at one stack; open it as a context."""

    def __init__(self, state: StackState) -> None:
        self._state = state
        self._consumer = AIOKafkaConsumer(bootstrap_servers=state.kafka)
        self._conns: dict[str, asyncpg.Connection[asyncpg.Record]] = {}

    async def __aenter__(self) -> Self:
        try:
            await self._consumer.start()
            for service in self._state.services:
                self._conns[service] = await asyncpg.connect(self._state.dsns[service])
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()
        for conn in self._conns.values():
            await conn.close()

    async def waiting(self, tenant: str | None = None) -> Waiting:
        """Return what is to be done now; of one tenant's timers and messages, if it is named."""
        places = [TopicPartition(t.name, n) for t in TOPICS for n in range(t.partitions)]
        ends = await self._consumer.end_offsets(places)
        lag, outbox = {}, {}
        for service, conn in self._conns.items():
            done = {
                (r["topic"], r["partition"]): r["next_offset"] for r in await conn.fetch(PROCESSED)
            }
            lag[service] = sum(
                max(0, end - done.get((place.topic, place.partition), 0))
                for place, end in ends.items()
                if place.topic in READS[service]
            )
            outbox[service] = await conn.fetchval(WAITING_ROWS)
        timers = await self._conns["routing"].fetchval(DUE_TIMERS, tenant)
        notify = self._conns.get("notify")
        messages = await notify.fetchval(DUE_MESSAGES, tenant) if notify else 0
        return Waiting(lag, outbox, timers, messages)

    async def until_quiet(self, timeout_s: float, tenant: str | None = None) -> float:
        """Wait until all is done; return the seconds it took. Others than `tenant` may go on.

        Raises:
            TimeoutError: it did not come to rest; the text names what was left.
        """
        started = time.monotonic()
        passed = 0
        while passed < len(PASSES):
            waiting = await self.waiting(tenant)
            if not waiting.total:
                passed += len(ROUND)  # every place at once
            elif not waiting.at(PASSES[passed]):
                passed += 1
            if time.monotonic() - started > timeout_s:
                raise TimeoutError(f"not at rest after {timeout_s:.0f} s: {waiting}")
            await asyncio.sleep(0.1)
        return time.monotonic() - started
