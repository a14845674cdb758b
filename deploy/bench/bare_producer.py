"""The producer of both floors: as careful as the services' own, so that the two compare."""

from aiokafka import AIOKafkaProducer


def bare_producer(bootstrap: str) -> AIOKafkaProducer:
    return AIOKafkaProducer(
        bootstrap_servers=bootstrap,
        acks="all",
        enable_idempotence=True,
        max_batch_size=256 * 1024,
    )
