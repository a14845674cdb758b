"""The topic manifest, applied: what is missing is made, what differs is set, nothing is lost."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import InvalidReplicationFactorError, KafkaError, for_code

from contracts.topics import LEDGER_REGISTRY, TOPICS, Topic, department_topic
from deploy.local.errors import LocalStackError
from deploy.local.lying import lying_on

# What Kafka calls the source of a setting that was given to this very topic.
DYNAMIC_TOPIC_CONFIG = 1
LISTED_TIMEOUT_S = 20.0

Configs = Mapping[str, str]
Refusal = tuple[str, int, str | None]  # topic, error code (0: none), the broker's words


@dataclass(frozen=True, slots=True)
class Applied:
    """What was done to one topic."""

    topic: Topic
    done: str  # made, changed, unchanged


async def apply_topics(
    bootstrap: str, topics: Sequence[Topic] = TOPICS, replication: int = 1
) -> list[Applied]:
    """Make what is missing, with so many copies, and set what the manifest names and differs.

    Of a topic that is there, copies and settings which the manifest does not name stay as they
    are; how many of its copies must have a record follows from the copies that it has.

    Raises:
        LocalStackError: a topic has another partition count, which is never changed; or the
            broker does not answer, or refused something.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        await admin.start()
        return await _apply(admin, topics, replication)
    except KafkaError as error:
        raise _silent(bootstrap, error) from error
    finally:
        await admin.close()


async def apply_every(bootstrap: str, replication: int = 1) -> list[Applied]:
    """Apply the manifest, and make the topic of each department in the registry.

    Raises:
        LocalStackError: as `apply_topics`.
    """
    applied = await apply_topics(bootstrap, replication=replication)
    if any(one.topic is LEDGER_REGISTRY and one.done == "made" for one in applied):
        return applied  # nobody is registered yet
    return applied + await apply_topics(bootstrap, await registered_topics(bootstrap), replication)


async def registered_topics(bootstrap: str) -> list[Topic]:
    """Return the topic of each department that the registry on this broker holds.

    Raises:
        LocalStackError: the broker does not answer.
    """
    there: dict[bytes, bool] = {}
    try:
        async for one in lying_on(bootstrap, LEDGER_REGISTRY):
            there[one.key or b""] = one.value is not None
    except KafkaError as error:
        raise _silent(bootstrap, error) from error
    names = (key.decode().partition("|department|") for key, kept in sorted(there.items()) if kept)
    return [department_topic(tenant, department) for tenant, _, department in names if department]


def _silent(bootstrap: str, error: KafkaError) -> LocalStackError:
    return LocalStackError(
        f"Kafka（{bootstrap}）没有应答。请检查地址，等它起来后再运行一次。",
        f"Kafka at {bootstrap} does not answer. Check the address; run it again once it is up.",
        repr(error),
    )


async def _apply(
    admin: AIOKafkaAdminClient, topics: Sequence[Topic], replication: int
) -> list[Applied]:
    there = {one["topic"]: one["partitions"] for one in await admin.describe_topics()}
    for topic in topics:
        if topic.name in there:
            _check_partitions(topic, len(there[topic.name]))
    missing = [topic for topic in topics if topic.name not in there]
    if missing:
        answer = await admin.create_topics([_new(topic, replication) for topic in missing])
        _check("建立", "made", answer.topic_errors)
        await _until_listed(admin, frozenset(topic.name for topic in missing))
    given = await _given(admin, [topic for topic in topics if topic not in missing])
    named = {
        topic.name: topic.config_for(len(there[topic.name][0]["replicas"]))
        for topic in topics
        if topic.name in there
    }
    changed = [
        topic
        for topic in topics
        if topic.name in named and not named[topic.name].items() <= given[topic.name].items()
    ]
    if changed:
        # The request replaces all that was given to a topic: what is to stay is sent along.
        wanted = [_resource(topic, {**given[topic.name], **named[topic.name]}) for topic in changed]
        for answer in await admin.alter_configs(wanted):
            _check("修改", "changed", ((r[3], r[0], r[1]) for r in answer.resources))
    return [
        Applied(t, "made" if t in missing else "changed" if t in changed else "unchanged")
        for t in topics
    ]


async def _until_listed(admin: AIOKafkaAdminClient, names: frozenset[str]) -> None:
    """Wait until the broker itself knows what the controller has made."""
    async with asyncio.timeout(LISTED_TIMEOUT_S):
        while not names <= set(await admin.list_topics()):  # noqa: ASYNC110 - of another process
            await asyncio.sleep(0.05)


def _check(zh: str, en: str, refusals: Iterable[Refusal]) -> None:
    for name, code, words in refusals:
        if not code:
            continue
        error = for_code(code)
        reason = f"{error.__name__}: {words}" if words else error.__name__
        if error is InvalidReplicationFactorError:
            fix = (
                "--replication 不能多于 broker 数",
                "Copies (--replication) are at most the brokers' number",
            )
        else:
            fix = ("请消除原因再运行一次", "Remove the cause and run it again")
        raise LocalStackError(
            f"Kafka 没有{zh}主题 {name}（{reason}）。{fix[0]}；已经办好的不受影响。",
            f"Kafka has not {en} topic {name}. {fix[1]}; what was done stays.",
        )


def _check_partitions(topic: Topic, partitions: int) -> None:
    if partitions != topic.partitions:
        raise LocalStackError(
            f"主题 {topic.name} 有 {partitions} 个分区，清单要 {topic.partitions} 个。"
            "分区数不能改，改了就乱了同一件事的先后；什么都没有动。",
            f"Topic {topic.name} has {partitions} partitions, the manifest says "
            f"{topic.partitions}. The number never changes: it would break the order of a case's "
            "facts. Nothing was touched.",
        )


def _new(topic: Topic, replication: int) -> NewTopic:
    return NewTopic(
        topic.name, topic.partitions, replication, topic_configs=topic.config_for(replication)
    )


def _resource(topic: Topic, configs: Configs | None) -> ConfigResource:
    return ConfigResource(ConfigResourceType.TOPIC, topic.name, configs)


async def _given(admin: AIOKafkaAdminClient, topics: Sequence[Topic]) -> dict[str, Configs]:
    """Return the settings that were given to each topic itself, by its name."""
    if not topics:
        return {}
    found: dict[str, Configs] = {}
    for answer in await admin.describe_configs([_resource(topic, None) for topic in topics]):
        for code, words, _, name, entries in answer.resources:
            _check("给出", "described", [(name, code, words)])
            found[name] = {one[0]: one[1] for one in entries if one[3] == DYNAMIC_TOPIC_CONFIG}
    return found
