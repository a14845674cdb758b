"""Whether the board has heard all that was announced, against a consumer that is made up."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError

from contracts.topics import ROUTING_EVENTS
from services.console.hearing import Hearing
from tests.component.console.world import Story, World


@dataclass
class Broker:
    """Where each partition begins and ends; away if told so."""

    ends: dict[int, int] = field(default_factory=dict)
    firsts: dict[int, int] = field(default_factory=dict)
    away: bool = False

    async def end_offsets(self, places: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        return self._told(places, self.ends)

    async def beginning_offsets(
        self, places: Iterable[TopicPartition]
    ) -> dict[TopicPartition, int]:
        return self._told(places, self.firsts)

    def _told(
        self, places: Iterable[TopicPartition], known: dict[int, int]
    ) -> dict[TopicPartition, int]:
        if self.away:
            raise KafkaConnectionError("away")
        return {place: known.get(place.partition, 0) for place in places}


async def processed(world: World, partition: int, next_offset: int) -> None:
    await world.pool.execute(
        "INSERT INTO processed_offset VALUES ($1, $2, $3) ON CONFLICT (topic, partition)"
        " DO UPDATE SET next_offset = excluded.next_offset",
        ROUTING_EVENTS.name,
        partition,
        next_offset,
    )


async def test_nothing_is_called_heard_before_the_first_look(world: World) -> None:
    assert Hearing(world.pool).silent_s == float("inf")


async def test_what_is_announced_counts_as_heard_once_it_is_processed(world: World) -> None:
    hearing, broker = Hearing(world.pool), Broker(ends={3: 7})
    await hearing.look(broker)
    assert hearing.silent_s == float("inf")
    broker.ends[3] = 9  # more comes meanwhile: it is waited for the next time
    await processed(world, 3, 7)
    await hearing.look(broker)
    first = hearing.silent_s
    assert first < 5
    await hearing.look(broker)
    assert hearing.silent_s > first
    await processed(world, 3, 9)
    await hearing.look(broker)
    assert hearing.silent_s < 5


async def test_what_the_topic_no_longer_keeps_is_not_waited_for(world: World) -> None:
    hearing, broker = Hearing(world.pool), Broker(ends={3: 7}, firsts={3: 7})
    await hearing.look(broker)
    assert hearing.silent_s < 5


async def test_a_broker_that_is_away_makes_silence_and_ends_nothing(world: World) -> None:
    hearing, broker = Hearing(world.pool), Broker(away=True)
    stopping = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(hearing.run(broker, stopping))
        await asyncio.sleep(0)
        stopping.set()
    assert hearing.silent_s == float("inf")
    broker.away = False
    await hearing.look(broker)
    assert hearing.silent_s < 5


async def test_the_handlers_own_marks_are_what_is_compared(world: World) -> None:
    world.town()
    records = world.records(Story().opened().told)
    await world.hear_records(records)
    hearing, broker = Hearing(world.pool), Broker(ends={0: records[-1].offset + 1})
    await hearing.look(broker)
    assert hearing.silent_s < 5
