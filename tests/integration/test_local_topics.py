"""The manifest is applied to a real broker, whose refusals are heard."""

import asyncio

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from contracts.topics import INTAKE_EVENTS, LEDGER_REGISTRY, TOPICS, Topic
from deploy.local.errors import LocalStackError
from deploy.local.ports import unused_ports
from deploy.local.topics import apply_topics
from tests.waiting import PATIENCE_S


def named(prefix: str, *topics: Topic) -> list[Topic]:
    """Return these topics under names of this test's own."""
    return [
        Topic(**{field: getattr(t, field) for field in t.__slots__} | {"name": prefix + t.name})
        for t in topics
    ]


async def configs(kafka: str, topic: str) -> dict[str, str]:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        wanted = ConfigResource(ConfigResourceType.TOPIC, topic)
        (answer,) = await admin.describe_configs([wanted])
    finally:
        await admin.close()
    return {entry[0]: entry[1] for entry in answer.resources[0][4]}


async def make(kafka: str, topic: Topic, partitions: int, given: dict[str, str]) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic.name, partitions, 1, topic_configs=given)])
        async with asyncio.timeout(PATIENCE_S):
            while topic.name not in await admin.list_topics():
                await asyncio.sleep(0.05)
    finally:
        await admin.close()


async def test_all_is_made_once_and_then_left_alone(kafka: str, topic_prefix: str) -> None:
    topics = named(topic_prefix, *TOPICS)
    first = await apply_topics(kafka, topics)
    again = await apply_topics(kafka, topics)
    assert {one.done for one in first} == {"made"}
    assert {one.done for one in again} == {"unchanged"}
    for topic in topics:
        assert topic.config_for(1).items() <= (await configs(kafka, topic.name)).items()


async def test_what_differs_is_set_and_what_an_operator_gave_stays(
    kafka: str, topic_prefix: str
) -> None:
    (topic,) = named(topic_prefix, LEDGER_REGISTRY)
    given = {"cleanup.policy": "delete", "segment.ms": "3600000", "min.insync.replicas": "2"}
    await make(kafka, topic, topic.partitions, given)
    assert [one.done for one in await apply_topics(kafka, [topic])] == ["changed"]
    # The controller answers before the broker has heard of it.
    async with asyncio.timeout(PATIENCE_S):
        while (now := await configs(kafka, topic.name))["cleanup.policy"] != "compact":
            await asyncio.sleep(0.05)
    assert now["segment.ms"] == "3600000"
    assert now["min.insync.replicas"] == "1", "two in-sync copies of one could never be had"
    assert [one.done for one in await apply_topics(kafka, [topic])] == ["unchanged"]


async def test_more_copies_than_brokers_are_refused_with_the_fix(
    kafka: str, topic_prefix: str
) -> None:
    (topic,) = named(topic_prefix, INTAKE_EVENTS)
    with pytest.raises(LocalStackError, match="at most the brokers' number") as raised:
        await apply_topics(kafka, [topic], replication=3)
    assert topic.name in str(raised.value)
    assert [one.done for one in await apply_topics(kafka, [topic])] == ["made"]


async def test_a_setting_that_the_broker_refuses_is_told(kafka: str, topic_prefix: str) -> None:
    (topic,) = named(topic_prefix, INTAKE_EVENTS)
    await apply_topics(kafka, [topic])
    odd = Topic(**{f: getattr(topic, f) for f in topic.__slots__} | {"retention_ms": -5})
    with pytest.raises(LocalStackError, match=f"not changed topic {topic.name}"):
        await apply_topics(kafka, [odd])


async def test_another_number_of_partitions_is_refused(kafka: str, topic_prefix: str) -> None:
    (topic,) = named(topic_prefix, INTAKE_EVENTS)
    await make(kafka, topic, 3, {})
    with pytest.raises(LocalStackError, match="has 3 partitions"):
        await apply_topics(kafka, [topic])


async def test_a_broker_that_is_not_there_is_told_without_a_trace() -> None:
    nobody = f"127.0.0.1:{unused_ports(1)[0]}"
    with pytest.raises(LocalStackError, match=nobody):
        await apply_topics(nobody)
