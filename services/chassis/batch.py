"""One batch of records, one transaction: the effect, the inbox and the offsets together.

An outage gives the whole batch back. A record whose handling fails is found by halving, set aside
with its reason, and holds its subject alone. Too many of them halt the consumer. A cancelled
handler commits nothing.
"""

import asyncio
import random
import re
import time
import traceback
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeAlias, TypeVar
from uuid import UUID

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError

from services.chassis import inbox
from services.chassis.crash import crash_point
from services.chassis.inbox import Aside, EventKey, Record
from services.chassis.postgres import Connection, Pool, is_outage
from services.chassis.settings import ServiceSettings
from services.telemetry import traces
from services.telemetry.metrics import count, gauge, observe

log = structlog.get_logger()

_COMMIT_WAIT_S = 10.0
Consumer: TypeAlias = Any  # aiokafka has no types
Subscriber: TypeAlias = Any  # nor have FastStream's subscribers any that help here


def is_passing(error: BaseException) -> bool:
    """Tell whether waiting can help: an outage of the database, or a retriable broker error."""
    return is_outage(error) or (isinstance(error, KafkaError) and bool(error.retriable))


def told(error: BaseException) -> str:
    """Tell an error by kind, message and place in our code, without any value of a row."""
    message = re.split(r"['\"\n]", str(error), maxsplit=1)[0]  # values follow in quotes, or below
    constraint = getattr(error, "constraint_name", None) or ""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "/services/" in f.filename]
    where = [f"({f.filename.rpartition('/services/')[2]}:{f.lineno})" for f in frames[-1:]]
    return " ".join([f"{type(error).__name__}:", *message.split(), *constraint.split(), *where])


class Message(Protocol):
    """What a parsed record must tell for the inbox."""

    @property
    def tenant_id(self) -> str: ...
    @property
    def event_id(self) -> UUID: ...


M = TypeVar("M", bound=Message)
# None is a kind that this reader does not know; a ValueError is a bad record.
Read: TypeAlias = tuple[Record, M | ValueError | None]
Parse: TypeAlias = Callable[[Record], M | None]


@dataclass(frozen=True, slots=True)
class Heard(Generic[M]):
    """A fresh, valid record: where and when it came, and what it says."""

    record: Record
    message: M


Apply: TypeAlias = Callable[[Connection, Sequence[Heard[M]]], Awaitable[None]]


class NotHere(ValueError):  # noqa: N818 - a state
    """What a record needs is not here, and nothing is wrong with it: parked, not rejected."""


class Halted(Exception):  # noqa: N818 - a state
    """Too large a share of records was rejected: a person must look before it goes on."""


@dataclass(eq=False)
class Subscription(Generic[M]):
    """Consumes topics in batches, each batch in one transaction; see `subscribe`."""

    settings: ServiceSettings
    pool: Pool
    topics: Sequence[str]
    parse: Parse[M]
    apply: Apply[M]
    committed: Callable[[], None]
    subscriber: Subscriber = None
    halted: asyncio.Event = field(default_factory=asyncio.Event)
    active_at: float = field(default_factory=time.monotonic)
    _outages: int = 0
    _debt: float = 0.0

    @property
    def name(self) -> str:
        return ",".join(self.topics)

    async def on_batch(self, consumer: Consumer, records: Sequence[Record]) -> None:
        """Handle one batch; nothing is raised, since FastStream would swallow it."""
        if self.halted.is_set():
            return
        started = time.monotonic()
        observe("chuishao_batch_records", len(records), topic=self.name)
        try:
            await self._settle([self.read(record) for record in records])
        except Halted as error:
            _rewind(consumer, records, None)
            self.halted.set()
            gauge("chuishao_consumer_halted", 1, topic=self.name)
            log.critical("consumer_halted", topic=self.name, reason=str(error))
        except Exception as error:  # noqa: BLE001 - whatever is left here: not now
            delay_s = self._delay_s()
            _rewind(consumer, records, delay_s)
            count("chuishao_outages_total", topic=self.name)
            log.warning("batch_given_back", topic=self.name, error=told(error), delay_s=delay_s)
        else:
            self._outages = 0
            self.committed()
            crash_point("before_offsets")
            await self._commit(consumer, records)
            observe("chuishao_batch_seconds", time.monotonic() - started, topic=self.name)

    def read(self, record: Record) -> Read[M]:
        """Read a record, or tell what is wrong with it."""
        try:
            return record, self.parse(record)
        except ValueError as error:
            return record, error
        except Exception as error:
            if is_passing(error):
                raise
            return record, ValueError(told(error))

    async def _settle(self, batch: Sequence[Read[M]]) -> None:
        """Take the batch whole; if its handling fails, halve it until the culprit stands alone."""
        try:
            await self._transact(batch)
        except Exception as error:
            if is_passing(error) or isinstance(error, Halted):
                raise
            if middle := len(batch) // 2:
                await self._settle(batch[:middle])
                await self._settle(batch[middle:])
            else:
                culprit, what = batch[0][0], told(error)
                end = NotHere if isinstance(error, NotHere) else ValueError
                log.error("handling_failed", topic=culprit.topic, offset=culprit.offset, error=what)  # noqa: TRY400 - a traceback may repeat what a row holds
                await self._transact([(culprit, end(what))])

    async def _transact(self, batch: Sequence[Read[M]]) -> None:
        self.active_at = time.monotonic()
        deadline = asyncio.timeout(self.settings.handler_deadline_s)
        with traces.processing(batch) as batch:  # noqa: PLR1704 - the same, each under its span
            async with deadline, self.pool.acquire() as conn, conn.transaction():
                asides, heard = await _sort(conn, batch)
                new = await inbox.match(conn, inbox.CLAIM, list(heard))
                fresh = [one for event, one in heard.items() if event in new]
                if fresh:
                    await self.apply(conn, fresh)
                await inbox.set_aside(conn, asides)
                await inbox.mark_processed(conn, (record for record, _ in batch))
                rejected = sum(aside.state == "rejected" for aside in asides)
                debt = self._debt_after(len(batch) - rejected, rejected)
                crash_point("before_commit")
        crash_point("after_commit")
        self._debt = debt
        ends = {"applied": len(fresh), "rejected": rejected, "parked": len(asides) - rejected}
        ends["foreign"] = sum(message is None for _, message in batch)
        ends["known"] = len(batch) - sum(ends.values())
        for end, amount in ends.items():
            count("chuishao_records_total", amount, topic=self.name, end=end)
        log.info("batch_applied", topic=self.name, **{k: n for k, n in ends.items() if n})

    def _debt_after(self, good: int, rejected: int) -> float:
        """Count what was rejected, less the share that is allowed of what was not."""
        share = self.settings.reject_share_max
        debt = max(0.0, self._debt - good * share) + rejected
        if rejected and debt > self.settings.reject_window_records * share:
            raise Halted(f"more than {share:.0%} of the records were rejected")
        return debt

    def _delay_s(self) -> float:
        self._outages = min(self._outages + 1, 16)
        ceiling = min(0.2 * 2**self._outages, self.settings.outage_wait_s_max)
        return round(random.uniform(ceiling / 2, ceiling), 2)  # noqa: S311 - jitter, no secret

    async def _commit(self, consumer: Consumer, records: Sequence[Record]) -> None:
        """Commit this batch, for partitions still ours; a failure means repeats, no loss."""
        ends = {TopicPartition(one.topic, one.partition): one.offset + 1 for one in records}
        try:
            async with asyncio.timeout(_COMMIT_WAIT_S):
                if ours := ends.keys() & consumer.assignment():  # none, amid a rebalance
                    await consumer.commit({place: ends[place] for place in ours})
        except (KafkaError, IllegalStateError, TimeoutError) as error:
            count("chuishao_commit_failures_total", topic=self.name)
            log.warning("offsets_not_committed", topic=self.name, error=repr(error))


async def _sort(
    conn: Connection, batch: Sequence[Read[M]]
) -> tuple[list[Aside], dict[EventKey, Heard[M]]]:
    """Part a batch: what is bad or stands behind something bad, and what can be handled."""
    held = await inbox.held_keys(conn, {record.key for record, _ in batch} - {None})
    stuck = held | {record.key for record, message in batch if isinstance(message, ValueError)}
    doubtful = [_event(message) for record, message in batch if record.key in stuck]
    known = await inbox.match(conn, inbox.KNOWN, [one for one in doubtful if one is not None])
    asides: list[Aside] = []
    heard: dict[EventKey, Heard[M]] = {}
    for record, message in batch:
        event = _event(message)
        if message is None or event in known or event in heard:
            continue  # none of ours, or a repeat, also where its subject is held meanwhile
        if record.key in held:
            asides.append(Aside(record, "parked", "an earlier record of its subject is held"))
        elif isinstance(message, ValueError):
            blameless = isinstance(message, NotHere)
            asides.append(Aside(record, "parked" if blameless else "rejected", str(message)))
            held |= {record.key} - {None}
        else:
            heard[message.tenant_id, message.event_id] = Heard(record, message)
    return asides, heard


def _event(message: Message | ValueError | None) -> EventKey | None:
    if message is None or isinstance(message, ValueError):
        return None
    return message.tenant_id, message.event_id


def _rewind(consumer: Consumer, records: Sequence[Record], delay_s: float | None) -> None:
    """Seek to the batch's first records and pause every partition; resume later, or never."""
    first = {TopicPartition(one.topic, one.partition): one.offset for one in reversed(records)}
    held = consumer.assignment()
    for partition in first.keys() & held:
        consumer.seek(partition, first[partition])
    consumer.pause(*held)
    if delay_s is not None:
        loop = asyncio.get_running_loop()
        loop.call_later(delay_s, lambda: consumer.resume(*(held & consumer.assignment())))
