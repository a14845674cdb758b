"""Kafka: the broker, and the only way to subscribe.

FastStream parses a whole batch before its handler, commits what failed, and forgets the keys of a
batch it publishes; so here its parser and decoder are replaced by ones that touch nothing, offsets
are committed by hand after the database has committed, and records are published one by one.
"""

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeAlias

import structlog
from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from aiokafka.partitioner import murmur2
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage
from faststream.kafka import TopicPartition as FastTopicPartition

from services.chassis import inbox
from services.chassis.batch import Apply, Consumer, M, Parse, Subscriber, Subscription, told
from services.chassis.http import Work
from services.chassis.inbox import Record
from services.chassis.postgres import Connection, Pool
from services.chassis.settings import ServiceSettings
from services.telemetry.looks import watch_lag
from services.telemetry.metrics import count

log = structlog.get_logger()
Handle: TypeAlias = Callable[[Consumer, Sequence[Record]], Awaitable[None]]
Option: TypeAlias = Any  # as FastStream takes them
Take: TypeAlias = Callable[[Record], None]

_POLL_S, _STALLED_S = 0.2, 90.0
# A partition that was read empty waits for the fetch that is under way for all the others.
_MS: Any = {"session_timeout_ms": 15_000, "max_poll_interval_ms": 120_000, "fetch_max_wait_ms": 100}
_LAST_MS = 253_402_300_799_000  # the last second of the year 9999


def make_broker(settings: ServiceSettings, service: str) -> KafkaBroker:
    """Make the broker: every write is acknowledged by all replicas and never doubled by a retry."""
    library = logging.getLogger("faststream")
    library.setLevel(logging.ERROR)  # a consumer that fails before its handler is told of there
    library.addFilter(_no_stop)
    return KafkaBroker(
        settings.kafka_bootstrap,
        client_id=f"chuishao-{service}",
        acks="all",
        enable_idempotence=True,
        allow_auto_create_topics=False,
        max_batch_size=256 * 1024,
        max_request_size=1_000_000,  # as the topics': a broker's refusal costs the producer
        graceful_timeout=settings.shutdown_grace_s / 2,
        apply_types=False,
        id_generator=str,  # no correlation id beside the event's own
        logger=library,
    )


def _no_stop(said: logging.LogRecord) -> bool:
    """Let pass all but a handler that ends because its subscriber is stopped: that is no error."""
    return not said.exc_info or not isinstance(said.exc_info[1], asyncio.CancelledError)


async def start_broker(
    broker: KafkaBroker, settings: ServiceSettings, topics: Iterable[str], work: Work
) -> None:
    """Connect once every topic is there; until then readiness says what is missing."""
    work.waiting_for, delay_s = "Kafka", 0.2
    while True:
        admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap)
        try:
            await admin.start()
            missing = ", ".join(sorted(set(topics) - set(await admin.list_topics())))
            if not missing:
                return await broker.start()
            work.waiting_for = f"missing topics: {missing}: run `chuishao topics apply`"
        except (OSError, KafkaError) as error:
            work.waiting_for = f"Kafka: {told(error)}"
        finally:
            await admin.close()
        log.warning("broker_not_reached", reason=work.waiting_for, delay_s=delay_s)
        await asyncio.sleep(delay_s)
        delay_s = min(delay_s * 2, 5.0)


def _subscriber(
    broker: KafkaBroker, settings: ServiceSettings, handle: Handle, *topics: str, **where: Option
) -> Subscriber:
    async def parse(raw: Sequence[ConsumerRecord]) -> KafkaMessage:
        return KafkaMessage(tuple(raw), b"", consumer=subscriber.consumer)

    async def undecoded(message: KafkaMessage) -> object:
        return message.raw_message

    async def on_records(raw: Sequence[ConsumerRecord]) -> None:
        try:
            await handle(subscriber.consumer, [_record(one) for one in raw])
            await asyncio.sleep(settings.consume_wait_ms / 1000)  # go together
        except BaseException as error:
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
                raise  # the subscriber is being stopped
            # FastStream would go on past these records, or read no more and tell nobody. Nothing
            # is committed: start anew.
            log.critical("subscriber_broken", topic=raw[0].topic, exc_info=True)
            os._exit(1)

    subscriber: Subscriber = broker.subscriber(
        *topics,
        **where,
        ack_policy=AckPolicy.MANUAL,
        auto_offset_reset="earliest",
        batch=True,
        batch_timeout_ms=settings.consume_wait_ms,
        max_records=settings.consume_batch_max,
        **_MS,
        fetch_max_bytes=16 * 1024 * 1024,
        parser=parse,
        decoder=undecoded,
    )
    subscriber(on_records)
    return subscriber


def _record(raw: ConsumerRecord) -> Record:
    """Take a record as it is; a time that no calendar has, and a header without a value, may be."""
    at = datetime.fromtimestamp(min(max(raw.timestamp, 0), _LAST_MS) / 1000, UTC)
    headers = {name: value or b"" for name, value in raw.headers}
    return Record(raw.topic, raw.partition, raw.offset, at, raw.key, raw.value, headers)


async def subscribe(  # noqa: PLR0913 - the one place where a subscription is spelled out
    broker: KafkaBroker,
    settings: ServiceSettings,
    pool: Pool,
    *,
    topics: Sequence[str],
    group: str,
    parse: Parse[M],
    apply: Apply[M],
    committed: Callable[[], None] = lambda: None,
) -> Subscription[M]:
    """Consume topics as a group, from the beginning, each batch in one transaction.

    `parse` reads one record; `apply` gets what is fresh and valid, in order, inside the
    transaction that also holds the inbox; `committed` is called after it. An outage gives the
    batch back; a record whose handling fails is set aside and holds its subject alone; too many
    of them halt the consumer.
    """
    subscription = Subscription(settings, pool, topics, parse, apply, committed)
    # A fixed seat in the group is taken up again at once after a crash.
    seat = None if settings.replica is None else f"{group}-{settings.replica}"
    subscription.subscriber = _subscriber(
        broker, settings, subscription.on_batch, *topics, group_id=group, group_instance_id=seat
    )
    await subscription.subscriber.start()
    watch_lag(group, list(topics), subscription.subscriber)
    return subscription


async def follow(
    broker: KafkaBroker, settings: ServiceSettings, topic: str, partitions: int, take: Take
) -> asyncio.Event:
    """Read a topic from its beginning into memory, for ever, without a group.

    The event is set once all has been read that was there at the start. A record that `take`
    cannot take is skipped and counted: what was known before stays.
    """
    caught_up, read, ends = asyncio.Event(), dict.fromkeys(range(partitions), 0), dict[int, int]()

    async def on_batch(_consumer: Consumer, records: Sequence[Record]) -> None:
        for record in records:
            try:
                take(record)
            except Exception as error:  # noqa: BLE001 - the one record; all others must be read
                count("chuishao_records_total", topic=topic, end="rejected")
                log.warning("record_skipped", topic=topic, offset=record.offset, error=told(error))
            read[record.partition] = record.offset + 1
        check()

    def check() -> None:
        if ends and all(read[n] >= end for n, end in ends.items()):
            caught_up.set()

    places = [FastTopicPartition(topic, n) for n in range(partitions)]
    subscriber = _subscriber(broker, settings, on_batch, partitions=places)
    await subscriber.start()
    ends.update(await end_offsets(subscriber.consumer, topic, partitions))
    check()
    return caught_up


def partition_of(key: bytes, partitions: int) -> int:
    """Return where a key lands: equal to the broker's own partitioner."""
    return int(murmur2(key) & 0x7FFFFFFF) % partitions


async def end_offsets(consumer: Consumer, topic: str, partitions: int) -> dict[int, int]:
    """Return the end of each partition as the broker has it now."""
    places = [TopicPartition(topic, n) for n in range(partitions)]
    return {p.partition: end for p, end in (await consumer.end_offsets(places)).items()}


async def is_processed(one: Subscription[Any], partitions: int, conn: Connection | Pool) -> bool:
    """Tell whether this database holds all that its topic holds; not, if the topic is away."""
    try:
        ends = await end_offsets(one.subscriber.consumer, one.name, partitions)
    except KafkaError:
        return False
    done = await inbox.processed(conn, one.name)
    return all(done.get(n, 0) >= end for n, end in ends.items())


async def consume_until_stopped(work: Work, subscriptions: Iterable[Subscription[Any]]) -> None:
    """Let consumers run; one that halts is stopped, one that stands still ends the process."""
    async with asyncio.TaskGroup() as tasks:
        for one in subscriptions:
            tasks.create_task(_keep(work, one))


async def _keep(work: Work, one: Subscription[Any]) -> None:
    was_behind, looked_at = False, time.monotonic()
    while not (work.stopping.is_set() or one.halted.is_set()):
        await asyncio.sleep(_POLL_S)
        if time.monotonic() - looked_at > _STALLED_S:
            behind = await _is_behind(one.subscriber.consumer)
            if was_behind and behind and one.active_at < looked_at:
                raise RuntimeError(f"the consumer of {one.name} stands still before unread records")
            was_behind, looked_at = behind, time.monotonic()
    await one.subscriber.stop()
    if one.halted.is_set():
        work.trouble = "a halted consumer: look into its quarantine, then restart"
    await work.stopping.wait()


async def _is_behind(consumer: Consumer) -> bool:
    try:
        async with asyncio.timeout(_STALLED_S):
            ends = await consumer.end_offsets(list(consumer.assignment()))
            return any([await consumer.position(place) < end for place, end in ends.items()])
    except (KafkaError, OSError):
        return False  # of a broker that is down, nothing is known
