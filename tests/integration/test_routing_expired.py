"""Records that expire before anybody has read them, on a real broker."""

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import RecordsToDelete

from services.chassis.kafka import end_offsets
from services.routing.clockwork import past_expired
from tests.component.chassis import real


async def test_a_partition_whose_records_have_all_expired_counts_as_read(
    kafka: str, topic_prefix: str
) -> None:
    topic = await real.make_topic(kafka, f"{topic_prefix}expired", 3)
    async with real.producer(kafka) as producer:
        for partition, amount in enumerate((3, 3, 0)):
            for _ in range(amount):
                await producer.send_and_wait(topic, b"{}", partition=partition)
    gone = {
        TopicPartition(topic, 0): RecordsToDelete(3),
        TopicPartition(topic, 1): RecordsToDelete(2),
    }
    async with real.admin(kafka) as client:
        await client.delete_records(gone)
    async with AIOKafkaConsumer(bootstrap_servers=kafka) as consumer:
        ends = await end_offsets(consumer, topic, 3)
        assert ends == {0: 3, 1: 3, 2: 0}
        assert await past_expired(consumer, topic, ends, {}) == {0: 3, 1: 2, 2: 0}
        assert await past_expired(consumer, topic, ends, {1: 3}) == {0: 3, 1: 3, 2: 0}
