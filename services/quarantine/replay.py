"""Records that an operator has let go take effect, in order, beside the running consumers.

The held record comes first, then those parked behind it, each once: the inbox knows what has
taken effect. A record that fails again holds its subject again. While one row of a subject is
left, consumers go on parking behind it, so nothing overtakes.
"""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any, TypeAlias

import structlog

from services.chassis import inbox
from services.chassis.batch import Heard, NotHere, Subscription, is_passing, told
from services.chassis.crash import crash_point
from services.chassis.http import Work
from services.chassis.inbox import EventKey, Record
from services.chassis.postgres import Connection, Pool
from services.quarantine import store
from services.quarantine.store import Release
from services.telemetry.metrics import count

log = structlog.get_logger()

_POLL_S, _PUT_OFF_S, _OUTAGE_WAIT_S = 1.0, 5.0, 20.0
Readers: TypeAlias = Mapping[str, Subscription[Any]]  # by topic


class SetOpen(ConnectionError):  # noqa: N818 - a state
    """Another change set of the tenant has not come whole yet: not now."""


@dataclass(frozen=True, slots=True)
class _Failed:
    record: Record
    error: Exception


async def replay_until_stopped(work: Work, subscriptions: Sequence[Subscription[Any]]) -> None:
    """Take up what operators let go of these subscriptions' records, until the service stops."""
    readers = {topic: one for one in subscriptions for topic in one.topics}
    pool = subscriptions[0].pool
    while not work.stopping.is_set():
        wait_s = _POLL_S
        try:
            if await replay_next(pool, readers):
                continue
            await store.forget(pool)
        except Exception as error:
            if not is_passing(error):
                raise  # a statement of ours is wrong
            wait_s = _OUTAGE_WAIT_S
            log.warning("replay_given_back", error=told(error), delay_s=wait_s)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(work.stopping.wait(), wait_s)


async def replay_next(pool: Pool, readers: Readers) -> bool:
    """Take up the oldest release, a batch of it at most; tell whether there was one."""
    release = None
    settings = next(iter(readers.values())).settings
    try:
        deadline = asyncio.timeout(settings.handler_deadline_s)
        async with deadline, pool.acquire() as conn, conn.transaction():
            release = await store.take(conn, list(readers))
            if release is None:
                return False
            waiting = await store.rows(conn, release, list(readers), settings.consume_batch_max)
            if not waiting:
                return True  # another has done or dropped them since `take` looked
            reader = readers[waiting[0].topic]
            mine = list(takewhile(lambda one: readers[one.topic] is reader, waiting))
            done, failed = await _in_turn(conn, reader, release, mine)
            if done:
                await store.replayed(conn, release, done)
            if failed:
                await _hold_again(conn, reader, release, failed)
            crash_point("before_replayed")
        crash_point("after_replayed")
    except Exception as error:
        if release is None or not is_passing(error):
            raise
        log.warning("replay_given_back", error=told(error), delay_s=_PUT_OFF_S)
        await store.put_off(pool, release, _PUT_OFF_S)
        return True
    reader.committed()
    count("chuishao_records_total", len(done), topic=reader.name, end="replayed")
    log.info("records_replayed", topic=reader.name, applied=len(done), rejected=int(bool(failed)))
    return True


async def _in_turn(
    conn: Connection, reader: Subscription[Any], release: Release, records: Sequence[Record]
) -> tuple[list[Record], _Failed | None]:
    """Let records take effect together; if that fails, one by one up to the first that does."""
    try:
        async with conn.transaction():
            await _take_effect(conn, reader, release, records)
    except Exception as error:
        if is_passing(error):
            raise
        if len(records) == 1:
            return [], _Failed(records[0], error)
    else:
        return list(records), None
    done: list[Record] = []
    for one in records:
        taken, failed = await _in_turn(conn, reader, release, [one])
        if failed:
            return done, failed
        done += taken
    return done, None


async def _take_effect(
    conn: Connection, reader: Subscription[Any], release: Release, records: Sequence[Record]
) -> None:
    heard: dict[EventKey, Heard[Any]] = {}
    for one in records:
        record = await _of_its_set(conn, release, one)
        message = reader.parse(record)
        if message is not None:
            heard.setdefault((message.tenant_id, message.event_id), Heard(record, message))
    new = await inbox.match(conn, inbox.CLAIM, list(heard))
    fresh = [one for event, one in heard.items() if event in new]
    if fresh:
        await reader.apply(conn, fresh)


async def _of_its_set(conn: Connection, release: Release, record: Record) -> Record:
    """Let a change whose set has gone on without it take effect by itself, amid no other set."""
    change_set = record.headers.get("ce_changeset", b"").decode(errors="replace")
    tenant_id = record.headers.get("ce_tenant", b"").decode(errors="replace")
    if not change_set:
        return record
    own, other = await store.open_sets(conn, tenant_id, change_set)
    if own:
        return record
    if other and not release.waited:
        raise SetOpen(f"another change set of {tenant_id} has not come whole yet")
    return replace(record, headers={**record.headers, "ce_last": b"true"})


async def _hold_again(
    conn: Connection, reader: Subscription[Any], release: Release, failed: _Failed
) -> None:
    place = failed.record
    _, read = reader.read(place)  # what cannot be read is told as when it came
    what = inbox.plain(str(read) if isinstance(read, ValueError) else told(failed.error))
    log.error("replay_failed", topic=place.topic, offset=place.offset, error=what)
    state = "parked" if isinstance(failed.error, NotHere) else "rejected"
    await store.held_again(conn, release, place, state, what)
