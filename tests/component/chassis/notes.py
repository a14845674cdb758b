"""A small reader to stand for every service: notes come in, each leaves one effect."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid5

import asyncpg
from aiokafka import TopicPartition

from contracts.events import NAMESPACE, Event, Fact, read_event, subject_key
from services.chassis.batch import Heard, Subscription
from services.chassis.inbox import Record
from services.chassis.postgres import Connection, Pool
from services.chassis.settings import ServiceSettings

TENANT, TOPIC = "yihe", "notes"
START = datetime(2025, 3, 3, 2, 0, tzinfo=UTC)

EFFECT_TABLE = """
CREATE TABLE effect (
    n          bigint GENERATED ALWAYS AS IDENTITY,
    tenant_id  text NOT NULL,
    subject_id uuid NOT NULL,
    event_id   uuid NOT NULL,
    text       text NOT NULL CHECK (text <> 'refused by the table')
)
"""
EFFECT = """
INSERT INTO effect (tenant_id, subject_id, event_id, text)
SELECT * FROM unnest($1::text[], $2::uuid[], $3::uuid[], $4::text[])
"""
EFFECTS = "SELECT event_id, text FROM effect ORDER BY n"
QUARANTINE = "SELECT * FROM quarantine ORDER BY topic, partition, record_offset"
EMPTY = """
SELECT (SELECT count(*) FROM effect) + (SELECT count(*) FROM inbox)
    + (SELECT count(*) FROM quarantine) + (SELECT count(*) FROM processed_offset) = 0
"""


class NoteTaken(Fact):
    TYPE = "note.taken.v1"
    text: str = ""


def subject(name: str) -> UUID:
    return uuid5(NAMESPACE, name)


def note(about: str = "s0", n: int = 0, text: str = "") -> Event:
    """Make the n-th note about a subject."""
    said = NoteTaken(text=text or f"{about}-{n}")
    return Event(uuid5(subject(about), str(n)), TENANT, subject(about), START, "/test", said)


def record(event: Event, offset: int, partition: int = 0, **more: Any) -> Record:
    """Return a note as it lies on the topic; `more` replaces parts of the record."""
    headers = {name: value.encode() for name, value in event.headers.items()}
    made = Record(TOPIC, partition, offset, START, event.key, event.body, headers)
    return replace(made, **more)


def key(about: str) -> bytes:
    return subject_key(TENANT, subject(about))


def parse(record: Record) -> Event | None:
    return read_event({NoteTaken.TYPE: NoteTaken}, record.headers, record.value)


@dataclass
class Handler:
    """Writes one effect for each note; a note whose text names a fault makes it fail."""

    faults: Mapping[str, Callable[[], Exception]] = field(default_factory=dict)
    batches: list[list[str]] = field(default_factory=list)

    async def apply(self, conn: Connection, heard: Sequence[Heard[Event]]) -> None:
        texts = [_text(one) for one in heard]
        self.batches.append(texts)
        columns: list[list[Any]] = [
            [one.message.tenant_id for one in heard],
            [one.message.subject_id for one in heard],
            [one.message.event_id for one in heard],
            texts,
        ]
        await conn.execute(EFFECT, *columns)
        for text in texts:
            if text in self.faults:
                raise self.faults[text]()  # noqa: RSE102 - a function that makes one


def _text(one: Heard[Event]) -> str:
    assert isinstance(one.message.data, NoteTaken)
    return one.message.data.text


@dataclass
class Consumer:
    """The consumer as the chassis uses it; what real consumers do is tested on real Kafka."""

    assigned: set[TopicPartition] = field(
        default_factory=lambda: {TopicPartition(TOPIC, n) for n in range(3)}
    )
    committed: dict[TopicPartition, int] = field(default_factory=dict)
    sought: list[tuple[int, int]] = field(default_factory=list)
    paused: set[TopicPartition] = field(default_factory=set)
    held: set[TopicPartition] = field(default_factory=set)  # paused at some time
    refusal: Exception | None = None

    def assignment(self) -> set[TopicPartition]:
        return set(self.assigned)

    def seek(self, place: TopicPartition, offset: int) -> None:
        assert place in self.assigned
        self.sought.append((place.partition, offset))

    def pause(self, *places: TopicPartition) -> None:
        assert set(places) <= self.assigned
        self.paused |= set(places)
        self.held |= set(places)

    def resume(self, *places: TopicPartition) -> None:
        assert set(places) <= self.assigned
        self.paused -= set(places)

    async def commit(self, offsets: dict[TopicPartition, int]) -> None:
        if self.refusal is not None:
            raise self.refusal
        if not offsets:
            raise ValueError(offsets)
        assert offsets.keys() <= self.assigned
        self.committed.update(offsets)

    @property
    def ends(self) -> dict[int, int]:
        return {place.partition: end for place, end in self.committed.items()}


@dataclass
class Ground:
    """One database, and readers on it."""

    settings: ServiceSettings
    pool: Pool

    def reader(
        self, handler: Handler | None = None, parse: Callable[[Record], Any] = parse, **more: Any
    ) -> Subscription[Event]:
        apply = (handler or Handler()).apply
        settings = self.settings.model_copy(update=more)
        return Subscription(settings, self.pool, [TOPIC], parse, apply, lambda: None)

    async def texts(self) -> list[str]:
        """Return what took effect, in order; each once, or the test fails."""
        rows = await self.pool.fetch(EFFECTS)
        assert len({row["event_id"] for row in rows}) == len(rows), "an effect came twice"
        return [row["text"] for row in rows]

    async def quarantine(self) -> list[asyncpg.Record]:
        return list(await self.pool.fetch(QUARANTINE))

    async def aside(self) -> list[tuple[int, int, str]]:
        """Return partition, offset and state of what is set aside."""
        rows = await self.quarantine()
        return [(row["partition"], row["record_offset"], row["state"]) for row in rows]

    async def untouched(self) -> bool:
        return bool(await self.pool.fetchval(EMPTY))
