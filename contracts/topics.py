"""The topic manifest: every topic, before anything is written for it.

Partition counts are fixed high at the start and never changed: a key would move, and with it the
order of its facts. `chuishao topics apply` makes the broker equal to this list, and makes the
topic of each department in the registry.
"""

from dataclasses import dataclass, replace
from typing import Literal
from zlib import crc32

DAY_MS = 24 * 3600 * 1000
TOMBSTONES_MS = 30 * DAY_MS
RECORD_BYTES_MAX = 1_000_000


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic. `retention_ms` None keeps for ever (compacted topics).

    With `log_append_time` the broker's time is the record's time: it decides punctuality.
    """

    name: str
    owner: Literal["intake", "routing", "notify", "ledger"]
    key: str
    partitions: int
    retention_ms: int | None
    log_append_time: bool
    what: str
    cleanup: Literal["delete", "compact"] = "delete"

    @property
    def retention_days(self) -> int | None:
        return None if self.retention_ms is None else self.retention_ms // DAY_MS

    @property
    def config(self) -> dict[str, str]:
        """The broker's settings for this topic, by Kafka's own names.

        Removals stay on a compacted topic for a while: a reader that was away must see them. What
        they remove goes within a day or so, however little is written: it may have been erased.
        """
        compacted = {
            "delete.retention.ms": str(TOMBSTONES_MS),
            "max.compaction.lag.ms": str(DAY_MS),
        }
        return {
            "cleanup.policy": self.cleanup,
            "retention.ms": str(self.retention_ms or -1),
            "message.timestamp.type": "LogAppendTime" if self.log_append_time else "CreateTime",
            "max.message.bytes": str(RECORD_BYTES_MAX),
            **(compacted if self.cleanup == "compact" else {}),
        }

    def config_for(self, replication: int) -> dict[str, str]:
        """The same with so many replicas: beyond one, a write counts once two have it."""
        return {**self.config, "min.insync.replicas": "2" if replication > 1 else "1"}


INTAKE_EVENTS = Topic(
    "intake.events",
    owner="intake",
    key="tenant|case",
    partitions=24,
    retention_ms=30 * DAY_MS,
    log_append_time=True,
    what="what front ends handed in, as they gave it",
)
ROUTING_EVENTS = Topic(
    "routing.events",
    owner="routing",
    key="tenant|case",
    partitions=24,
    retention_ms=30 * DAY_MS,
    log_append_time=True,
    what="what became of each case: opened, assigned, each step, each clock",
)
NOTIFY_EVENTS = Topic(
    "notify.events",
    owner="notify",
    key="tenant|case",
    partitions=24,
    retention_ms=30 * DAY_MS,
    log_append_time=True,
    what="what became of each message to a person, and what people answered",
)
LEDGER_REGISTRY = Topic(
    "ledger.registry",
    owner="ledger",
    key="tenant|kind|id",
    partitions=12,
    retention_ms=None,
    log_append_time=True,
    what="the registry's current state: units, staff, households, profiles, front ends",
    cleanup="compact",
)

TOPICS = (INTAKE_EVENTS, ROUTING_EVENTS, NOTIFY_EVENTS, LEDGER_REGISTRY)

# One topic like this for each department of each town.
DEPARTMENT_TASKS = Topic(
    "dept.{tenant}.{department}",
    owner="routing",
    key="tenant|case",
    partitions=3,
    retention_ms=30 * DAY_MS,
    log_append_time=True,
    what="what one department must know of the cases to which it is called",
)


def department_topic(tenant_id: str, department: str) -> Topic:
    """Return the topic of one department; a department's id holds no dot, so no two share one."""
    name = DEPARTMENT_TASKS.name.format(tenant=tenant_id, department=department)
    return replace(DEPARTMENT_TASKS, name=name)


def registry_partition(tenant_id: str) -> int:
    """Return the one partition that holds all of a tenant's registry, so that sets stay whole."""
    return crc32(tenant_id.encode()) % LEDGER_REGISTRY.partitions
