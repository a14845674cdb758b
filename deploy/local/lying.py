"""What lies on topics: every record up to the ends that they have as it is asked."""

from collections.abc import AsyncIterator, Mapping
from typing import Any, TypeAlias

from aiokafka import AIOKafkaConsumer, TopicPartition

from contracts.topics import Topic

Marks: TypeAlias = Mapping[TopicPartition, int]


async def ends_of(bootstrap: str, *topics: Topic) -> Marks:
    """Return where each partition ends now."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap)
    try:
        await consumer.start()
        ends: Marks = await consumer.end_offsets(_places(topics))
    finally:
        await consumer.stop()
    return ends


async def lying_on(
    bootstrap: str, *topics: Topic, since: Marks | None = None
) -> AsyncIterator[Any]:
    """Yield what lies on topics, each partition in order, from the beginning or from marks on."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    try:
        await consumer.start()
        places = _places(topics)
        consumer.assign(places)
        if since is None:
            await consumer.seek_to_beginning()
        else:
            for place in places:
                consumer.seek(place, since[place])
        ends = await consumer.end_offsets(places)
        while any([await consumer.position(place) < end for place, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=200)).values():
                for record in records:
                    yield record
    finally:
        await consumer.stop()


def _places(topics: tuple[Topic, ...]) -> list[TopicPartition]:
    return [TopicPartition(topic.name, n) for topic in topics for n in range(topic.partitions)]
