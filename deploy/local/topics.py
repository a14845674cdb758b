"""The topic manifest, applied: what is missing is made, what differs is set, nothing is lost."""

from collections.abc import Sequence
from dataclasses import dataclass

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from contracts.topics import TOPICS, Topic
from deploy.local.errors import LocalStackError


@dataclass(frozen=True, slots=True)
class Applied:
    """What was done to one topic."""

    topic: Topic
    done: str  # made, changed, unchanged


async def apply_topics(
    bootstrap: str, topics: Sequence[Topic] = TOPICS, replication: int = 1
) -> list[Applied]:
    """Make the broker equal to the manifest.

    Raises:
        LocalStackError: a topic has another partition count; that is never changed.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        there = {one["topic"]: len(one["partitions"]) for one in await admin.describe_topics()}
        missing = [topic for topic in topics if topic.name not in there]
        for topic in topics:
            _check_partitions(topic, there.get(topic.name))
        if missing:
            await admin.create_topics([_new(topic, replication) for topic in missing])
        kept = [topic for topic in topics if topic not in missing]
        changed = await _changed(admin, kept)
        if changed:
            await admin.alter_configs([_resource(topic, topic.config) for topic in changed])
    finally:
        await admin.close()
    return [
        Applied(t, "made" if t in missing else "changed" if t in changed else "unchanged")
        for t in topics
    ]


def _check_partitions(topic: Topic, partitions: int | None) -> None:
    if partitions is not None and partitions != topic.partitions:
        raise LocalStackError(
            f"主题 {topic.name} 有 {partitions} 个分区，清单要 {topic.partitions} 个。"
            "分区数不能改，改了就乱了同一件事的先后；什么都没有动。",
            f"Topic {topic.name} has {partitions} partitions, the manifest says "
            f"{topic.partitions}. The number never changes: it would break the order of a case's "
            "facts. Nothing was touched.",
        )


def _new(topic: Topic, replication: int) -> NewTopic:
    return NewTopic(topic.name, topic.partitions, replication, topic_configs=topic.config)


def _resource(topic: Topic, configs: dict[str, str] | None) -> ConfigResource:
    return ConfigResource(ConfigResourceType.TOPIC, topic.name, configs)


async def _changed(admin: AIOKafkaAdminClient, topics: Sequence[Topic]) -> list[Topic]:
    if not topics:
        return []
    answers = await admin.describe_configs([_resource(topic, None) for topic in topics])
    found: dict[str, dict[str, str]] = {}
    for answer in answers:
        for resource in answer.resources:
            name, entries = resource[3], resource[4]
            found[name] = {entry[0]: entry[1] for entry in entries}
    return [
        topic
        for topic in topics
        if any(found.get(topic.name, {}).get(key) != value for key, value in topic.config.items())
    ]
