"""The clocks: what has come due is fired in order, each once, and never by our own slowness.

A timer fires only when everything handed in before its moment has been read, so that a backlog of
ours makes nobody late. The database's clock decides; nothing is kept in memory but what has been
read of the topic's ends.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import KafkaTimeoutError

from contracts.events import effect_id
from contracts.topics import INTAKE_EVENTS, NOTIFY_EVENTS
from services.chassis import inbox
from services.chassis.batch import Consumer, is_passing
from services.chassis.clock import database_now
from services.chassis.crash import crash_point
from services.chassis.kafka import end_offsets
from services.chassis.postgres import Connection, Pool
from services.routing.domain.calls import unanswered
from services.routing.domain.timers import fire
from services.routing.domain.town import Setting
from services.routing.domain.values import ANSWER, Case, Fact
from services.routing.early import give_up
from services.routing.record import Announced, announce
from services.routing.settings import RoutingSettings
from services.routing.store import calendars, cases, handing, timers
from services.routing.store.cases import Key
from services.routing.store.timers import Due
from services.routing.struck import Struck, is_whistles
from services.routing.towns import Towns
from services.telemetry.metrics import gauge

log = structlog.get_logger()

_SEEN_MAX = 10_000
_GIVE_UP_EVERY_S = 10.0
# Where acts are handed in. Both are keyed and parted alike: a case has one partition on each.
_HANDED_IN = (INTAKE_EVENTS, NOTIFY_EVENTS)

Outcome = tuple[Due, Literal["fired", "void"]]


class Gate:
    """Tells up to when each partition has been read, by the broker's ends at known moments."""

    def __init__(self, margin: timedelta) -> None:
        self._margin = margin
        self._seen: dict[int, deque[tuple[int, datetime]]] = {}
        self._cleared: dict[int, datetime] = {}

    def saw(self, ends: Mapping[int, int], at: datetime) -> None:
        """Note the ends, as they were at `at` or later (real time)."""
        for partition, end in ends.items():
            seen = self._seen.setdefault(partition, deque(maxlen=_SEEN_MAX))
            if seen and seen[-1][0] == end:
                seen.pop()
            seen.append((end, at))

    def cleared(self, processed: Mapping[int, int]) -> dict[int, datetime]:
        """Return the real time up to which all that was handed in has been processed."""
        for partition, seen in self._seen.items():
            while seen and processed.get(partition, 0) >= seen[0][0]:
                self._cleared[partition] = seen.popleft()[1] - self._margin
        return self._cleared


async def past_expired(
    consumer: Consumer, topic: str, ends: Mapping[int, int], processed: Mapping[int, int]
) -> dict[int, int]:
    """Return up to where partitions are read: what expired before it was read never comes."""
    behind = [TopicPartition(topic, n) for n, end in ends.items() if processed.get(n, 0) < end]
    firsts = await consumer.beginning_offsets(behind) if behind else {}
    begun = {place.partition: first for place, first in firsts.items()}
    return {n: max(processed.get(n, 0), begun.get(n, 0)) for n in ends}


class Clockwork:
    """Fires timers until told to stop."""

    def __init__(
        self,
        settings: RoutingSettings,
        pool: Pool,
        towns: Towns,
        consumer: Consumer,
        fired: Callable[[int], None],
    ) -> None:
        self._settings, self._pool, self._towns = settings, pool, towns
        self._consumer, self._fired = consumer, fired
        margin = timedelta(seconds=settings.timer_margin_s)
        self._gates = {topic: Gate(margin) for topic in _HANDED_IN}
        self._clear: dict[int, datetime] = {}
        self._more = False
        self._told_until = self._given_up_until = 0.0

    async def run(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            fired = 0
            try:
                fired = await self.tick()
                await self._tell_waiting()
                await self._give_up_early()
            except Exception as error:
                # The silence of a broker that stands still is none that aiokafka calls retriable.
                if not is_passing(error) and not isinstance(error, KafkaTimeoutError):
                    raise
                self._fired(0)
                log.warning("timers_waited", error=repr(error))
            if fired < self._settings.timer_batch_max:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stopping.wait(), self._settings.timer_wait_s)
        self._fired(0)

    async def tick(self) -> int:
        """Fire one batch of what has come due; return how many timers got their outcome."""
        async with self._pool.acquire() as conn:
            now = await database_now(conn)  # before the ends are read: they are at least as new
            if not self._more:  # else what has been read is enough for another batch
                self._clear = await self._cleared(conn, now)
            async with conn.transaction():
                due = await timers.due(conn, now, self._clear, self._settings.timer_batch_max)
                if due:
                    await self._fire(conn, due, now)
        self._more = len(due) == self._settings.timer_batch_max
        if due:
            crash_point("after_timers")
            log.info("timers_decided", timers=len(due))
        self._fired(len(due))
        return len(due)

    async def _cleared(self, conn: Connection, now: datetime) -> dict[int, datetime]:
        """Return up to when each partition has been read on every topic; see `Gate.cleared`."""
        every = []
        for topic, gate in self._gates.items():
            ends = await end_offsets(self._consumer, topic.name, topic.partitions)
            gate.saw(ends, now)
            done = await inbox.processed(conn, topic.name)
            every.append(gate.cleared(await past_expired(self._consumer, topic.name, ends, done)))
        shared = set.intersection(*map(set, every))
        return {n: min(cleared[n] for cleared in every) for n in shared}

    async def waiting_s(self) -> float:
        """Return for how long the oldest timer that is due has waited."""
        async with self._pool.acquire() as conn:
            return await timers.waiting_s(conn, await database_now(conn))

    async def _tell_waiting(self) -> None:
        """Now and then, tell how long a timer has waited; too long is an operator's business."""
        if time.monotonic() < self._told_until:
            return
        alarm_s = self._settings.timer_overdue_alarm_s
        self._told_until = time.monotonic() + alarm_s / 2
        waited_s = await self.waiting_s()
        gauge("chuishao_timer_waiting_seconds", waited_s)
        if waited_s > alarm_s:
            log.error("timers_held_up", seconds=round(waited_s))

    async def _give_up_early(self) -> None:
        """Now and then, set aside what has waited in vain for the report that it is about."""
        if time.monotonic() < self._given_up_until:
            return
        wait_s = self._settings.early_wait_s
        self._given_up_until = time.monotonic() + min(wait_s, _GIVE_UP_EVERY_S)
        await give_up(self._pool, self._towns, self._clear, timedelta(seconds=wait_s))

    async def _fire(self, conn: Connection, due: list[Due], now: datetime) -> None:
        """Decide a batch: whatever its size, each statement runs once."""
        kept = await cases.get_locked(conn, {one.key for one in due})
        tenants = {one.tenant_id for one in due}
        await calendars.hold(conn, tenants)
        still_open = await timers.still_open(conn, due)
        known = await self._towns.known(conn, tenants)
        times = {one: known[one].offsets.tenant_time(now) for one in tenants}
        pins = {
            one.timer_id: (one.tenant_id, kept[one.key].profile_version)
            for one in due
            if one.deadline == ANSWER or is_whistles(one.deadline)
        }
        settings = await self._towns.settings(conn, set(pins.values()))
        struck = await Struck.read(conn, due)
        moved: dict[Key, Case] = {}
        outcomes: list[Outcome] = []
        announced: list[Announced] = []
        for one in due:
            if (one.tenant_id, one.timer_id) not in still_open:
                continue  # a person met it while we waited for the case
            key, at = one.key, times[one.tenant_id]
            before = moved.get(key, kept[key].case)
            pin = pins.get(one.timer_id)
            after, facts = _strike(before, one, at, settings[pin] if pin else None, struck)
            if after is not before:
                moved[key] = after
            outcomes.append((one, "fired" if facts else "void"))
            if facts:
                cause = effect_id(one.case_id, f"timer/{one.timer_id}")
                announced.append(Announced(*key, cause, at, facts, after.seq))
        await timers.decide(conn, outcomes, now)
        await cases.advance(conn, moved)
        await handing.moot(conn, [k for k, one in moved.items() if one.owner != kept[k].case.owner])
        await struck.put(conn)
        await announce(conn, announced)


def _strike(
    case: Case, one: Due, at: datetime, setting: Setting | None, struck: Struck
) -> tuple[Case, Sequence[Fact]]:
    """Let one moment come; without facts it no longer matters.

    `setting` is for what depends on the town: a whistle's moments, and answers.
    """
    if setting is None:
        after, fact = fire(case, one.deadline, one.kind, one.due_at, at)
        return after, [fact] if fact else []
    if one.deadline == ANSWER:
        return unanswered(case, at, setting)
    done = struck.strike(case, one, at, setting)
    return (done.case, done.facts) if done else (case, [])
