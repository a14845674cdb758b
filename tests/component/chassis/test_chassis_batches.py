"""One batch, one transaction: each record has exactly one end, whatever else the batch holds."""

import asyncio
from collections.abc import Callable
from typing import Any

import asyncpg
import pytest
from aiokafka import TopicPartition
from aiokafka.errors import (
    CommitFailedError,
    IllegalStateError,
    KafkaConnectionError,
    RequestTimedOutError,
)
from prometheus_client import REGISTRY

from services.chassis.batch import NotHere
from services.chassis.inbox import Record, processed
from tests.component.chassis.notes import TOPIC, Consumer, Ground, Handler, key, note, record
from tests.waiting import PATIENCE_S

Broken = Callable[[Record], Record]


def counted(end: str) -> float:
    labels = {"topic": TOPIC, "end": end}
    return REGISTRY.get_sample_value("chuishao_records_total", labels) or 0


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.005)


async def test_a_record_takes_effect_once_however_often_it_comes_in_one_batch(
    ground: Ground,
) -> None:
    consumer, known = Consumer(), counted("known")
    await ground.reader().on_batch(consumer, [record(note(), n) for n in range(50)])
    assert await ground.texts() == ["s0-0"]
    assert consumer.ends == {0: 50}
    assert counted("known") - known == 49


async def test_a_record_takes_effect_once_however_often_it_comes_in_later_batches(
    ground: Ground,
) -> None:
    consumer = Consumer()
    reader, handler = ground.reader(), Handler()
    for n in range(50):
        reader = ground.reader(handler) if n % 7 == 0 else reader
        await reader.on_batch(consumer, [record(note(n=m), 2 * n + m) for m in range(2)])
    assert await ground.texts() == ["s0-0", "s0-1"]
    assert consumer.ends == {0: 100}
    assert len(handler.batches) == 1


async def test_one_batch_may_hold_several_partitions(ground: Ground) -> None:
    consumer = Consumer()
    batch = [record(note(f"s{p}", n), 10 * p + n, p) for p in (2, 0, 1) for n in range(3)]
    await ground.reader().on_batch(consumer, batch)
    assert len(await ground.texts()) == 9
    assert consumer.ends == {0: 3, 1: 13, 2: 23}
    assert await processed(ground.pool, TOPIC) == {0: 3, 1: 13, 2: 23}


async def test_what_was_processed_is_never_taken_back(ground: Ground) -> None:
    consumer, reader = Consumer(), ground.reader()
    await reader.on_batch(consumer, [record(note(n=n), n) for n in range(5)])
    await reader.on_batch(consumer, [record(note(n=1), 1)])
    assert await processed(ground.pool, TOPIC) == {0: 5}


def without(name: str) -> Broken:
    def broken(one: Record) -> Record:
        return record_with(one, headers={k: v for k, v in one.headers.items() if k != name})

    return broken


def record_with(one: Record, **more: Any) -> Record:
    parts = {name: getattr(one, name) for name in Record.__slots__}
    return Record(**{**parts, **more})


def header(name: str, value: bytes) -> Broken:
    return lambda one: record_with(one, headers={**one.headers, name: value})


UNREADABLE: dict[str, Broken] = {
    "no body": lambda one: record_with(one, value=None),
    "an empty body": lambda one: record_with(one, value=b""),
    "a cut body": lambda one: record_with(one, value=b'{"text": "'),
    "a body of the wrong form": lambda one: record_with(one, value=b'{"text": 7}'),
    "a body that is not UTF-8": lambda one: record_with(one, value=b'{"text": "\xff"}'),
    "a nested body": lambda one: record_with(one, value=b"[" * 100_000),
    "a lone surrogate": lambda one: record_with(one, value=b'{"text": "\\ud800"}'),
    "a header that is not UTF-8": header("ce_type", b"\xff"),
    "a missing header": without("ce_tenant"),
    "no header": lambda one: record_with(one, headers={}),
    "an id that is none": header("ce_id", b"1"),
    "a time that is none": header("ce_time", b"soon"),
    "NUL in the tenant": header("ce_tenant", b"a\0b"),
    "NUL in the text": lambda one: record_with(one, value=b'{"text": "a\\u0000b"}'),
    "a text that the table refuses": lambda one: record_with(
        one, value=b'{"text": "refused by the table"}'
    ),
}


@pytest.mark.parametrize("broken", UNREADABLE.values(), ids=UNREADABLE.keys())
async def test_a_bad_record_is_set_aside_and_its_neighbours_take_effect(
    ground: Ground, broken: Broken
) -> None:
    consumer = Consumer()
    batch = [record(note(about, n), 3 * n + m) for n in range(3) for m, about in enumerate("abc")]
    batch[4] = bad = broken(batch[4])
    await ground.reader().on_batch(consumer, batch)
    assert sorted(await ground.texts()) == ["a-0", "a-1", "a-2", "b-0", "c-0", "c-1", "c-2"]
    assert await ground.aside() == [(0, 4, "rejected"), (0, 7, "parked")]
    rejected, parked = await ground.quarantine()
    assert (rejected["body"], rejected["record_key"]) == (bad.value, key("b"))
    assert rejected["reason"]
    assert parked["body"] == batch[7].value
    assert consumer.ends == {0: 9}
    assert not consumer.sought


FAULTS: dict[str, Callable[[], Exception]] = {
    "ValueError": ValueError,
    "KeyError": lambda: KeyError("grid"),
    "RecursionError": RecursionError,
    "AssertionError": AssertionError,
    "UniqueViolation": lambda: asyncpg.UniqueViolationError("one"),
    "StopIteration": StopAsyncIteration,
    "a reason with NUL": lambda: ValueError("a\0b"),
    "a reason with a lone surrogate": lambda: ValueError("a\ud800b"),
    "a long reason": lambda: ValueError("漢" * 10_000),
    "a group": lambda: ExceptionGroup("both", [ValueError(), KeyError()]),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
async def test_a_record_whose_handling_fails_is_found_and_holds_its_subject_alone(
    ground: Ground, fault: Callable[[], Exception]
) -> None:
    consumer = Consumer()
    batch = [record(note(f"s{n % 5}", n), n) for n in range(20)]
    await ground.reader(Handler({"s2-7": fault})).on_batch(consumer, batch)
    wanted = [f"s{n % 5}-{n}" for n in range(20) if n not in {7, 12, 17}]
    assert await ground.texts() == wanted
    assert await ground.aside() == [(0, 7, "rejected"), (0, 12, "parked"), (0, 17, "parked")]
    assert consumer.ends == {0: 20}


@pytest.mark.parametrize("fault", [TypeError, RecursionError, KeyError, AttributeError])
async def test_a_reader_that_fails_on_a_record_sets_it_aside(
    ground: Ground, fault: type[Exception]
) -> None:
    def parse(one: Record) -> Any:
        if one.offset == 1:
            raise fault
        return note(n=one.offset)

    consumer = Consumer()
    batch = [record(note(f"s{n}", n), n) for n in range(3)]
    await ground.reader(parse=parse).on_batch(consumer, batch)
    assert await ground.aside() == [(0, 1, "rejected")]
    assert consumer.ends == {0: 3}


async def test_a_fault_among_five_hundred_is_found_by_halving(ground: Ground) -> None:
    handler = Handler({"s250-250": ValueError})
    await ground.reader(handler).on_batch(
        Consumer(), [record(note(f"s{n}", n), n) for n in range(500)]
    )
    assert len(await ground.texts()) == 499
    assert len(handler.batches) <= 2 * 9 + 2


async def test_later_records_of_a_held_subject_are_parked_in_order_in_later_batches(
    ground: Ground,
) -> None:
    consumer, reader = Consumer(), ground.reader()
    await reader.on_batch(consumer, [record(note("a", 0), 0, value=b"{")])
    for n in range(1, 6):
        batch = [record(note("a", n), 2 * n), record(note("b", n), 2 * n + 1)]
        await reader.on_batch(consumer, batch)
    assert await ground.aside() == [
        (0, 0, "rejected"),
        *((0, 2 * n, "parked") for n in range(1, 6)),
    ]
    assert await ground.texts() == [f"b-{n}" for n in range(1, 6)]


async def test_a_record_without_a_key_holds_nobody(ground: Ground) -> None:
    batch = [record(note("a", n), n, key=None) for n in range(3)]
    batch[0] = record_with(batch[0], value=b"{")
    await ground.reader().on_batch(Consumer(), batch)
    assert await ground.aside() == [(0, 0, "rejected")]
    assert await ground.texts() == ["a-1", "a-2"]


async def test_a_kind_of_fact_that_is_unknown_here_is_skipped_and_counted(ground: Ground) -> None:
    consumer, foreign = Consumer(), counted("foreign")
    batch = [record(note(n=n), n) for n in range(3)]
    batch[1] = header("ce_type", b"note.torn_up.v9")(batch[1])
    await ground.reader().on_batch(consumer, batch)
    assert await ground.texts() == ["s0-0", "s0-2"]
    assert await ground.aside() == []
    assert counted("foreign") - foreign == 1
    assert consumer.ends == {0: 3}


async def test_a_kind_that_is_unknown_here_is_skipped_behind_a_held_record_too(
    ground: Ground,
) -> None:
    batch = [record(note(n=n), n) for n in range(3)]
    batch[0] = record_with(batch[0], value=b"{")
    batch[1] = header("ce_type", b"note.torn_up.v9")(batch[1])
    await ground.reader().on_batch(Consumer(), batch)
    assert await ground.aside() == [(0, 0, "rejected"), (0, 2, "parked")]


async def test_a_batch_that_comes_again_leaves_its_quarantine_as_it_was(ground: Ground) -> None:
    batch = [record(note(about, n), 2 * n + m) for n in range(4) for m, about in enumerate("ab")]
    handler = Handler({"a-1": ValueError})
    await ground.reader(handler).on_batch(Consumer(), batch)
    before, texts = await ground.quarantine(), await ground.texts()
    assert [row["state"] for row in before] == ["rejected", "parked", "parked"]
    for _ in range(3):
        await ground.reader(handler).on_batch(Consumer(), batch)
        await ground.reader(handler).on_batch(Consumer(), batch[5:])
    assert await ground.quarantine() == before
    assert await ground.texts() == texts


async def test_a_repeat_of_what_took_effect_is_known_though_its_subject_is_held(
    ground: Ground,
) -> None:
    first = [record(note("a", 0), 0), record(note("a", 1), 1, value=b"{"), record(note("a", 0), 2)]
    await ground.reader().on_batch(Consumer(), first)
    await ground.reader().on_batch(Consumer(), [record(note("a", 0), 3), record(note("a", 2), 4)])
    assert await ground.texts() == ["a-0"]
    assert await ground.aside() == [(0, 1, "rejected"), (0, 4, "parked")]


async def test_what_is_set_aside_is_kept_whole_whatever_its_headers_are(ground: Ground) -> None:
    headers = {"ce_id": b"\xff\x00", "a\0b": b"1", "c\ud800d": b"2", "empty": b""}
    await ground.reader().on_batch(Consumer(), [record(note(), 0, headers=headers)])
    (row,) = await ground.quarantine()
    assert len(row["headers"]) == 4
    assert row["headers"]["ce_id"] == "/wA="


OUTAGES: list[Callable[[], Exception]] = [
    TimeoutError,
    ConnectionResetError,
    lambda: asyncpg.InterfaceError("connection is closed"),
    lambda: asyncpg.DeadlockDetectedError("40P01"),
    lambda: asyncpg.TooManyConnectionsError("53300"),
    lambda: KafkaConnectionError("gone"),
]


@pytest.mark.parametrize("outage", OUTAGES, ids=lambda one: type(one()).__name__)
async def test_an_outage_gives_the_whole_batch_back_and_commits_nothing(
    ground: Ground, outage: Callable[[], Exception]
) -> None:
    consumer = Consumer()
    batch = [record(note(f"s{n}", n), 5 + n, n % 2) for n in range(6)]
    handler = Handler({"s5-5": outage})
    reader = ground.reader(handler)
    await reader.on_batch(consumer, batch)
    assert await ground.untouched()
    assert not consumer.committed
    assert sorted(consumer.sought) == [(0, 5), (1, 6)]
    assert consumer.held == consumer.assigned
    await until(lambda: not consumer.paused)
    handler.faults = {}
    await reader.on_batch(consumer, batch)
    assert len(await ground.texts()) == 6
    assert consumer.ends == {0: 10, 1: 11}


async def test_a_session_that_is_ended_under_the_handler_is_an_outage(ground: Ground) -> None:
    class Cut(Handler):
        async def apply(self, conn: Any, heard: Any) -> None:
            await super().apply(conn, heard)
            if len(self.batches) == 1:
                pid = await conn.fetchval("SELECT pg_backend_pid()")
                await ground.pool.execute("SELECT pg_terminate_backend($1)", pid)

    consumer, reader = Consumer(), ground.reader(Cut())
    await reader.on_batch(consumer, [record(note(), 0)])
    assert await ground.untouched()
    assert consumer.sought == [(0, 0)]
    await reader.on_batch(consumer, [record(note(), 0)])
    assert await ground.texts() == ["s0-0"]


async def test_an_outage_while_a_fault_is_looked_for_loses_and_doubles_nothing(
    ground: Ground,
) -> None:
    handler = Handler({"s9-9": ValueError, "s12-12": TimeoutError})
    consumer, reader = Consumer(), ground.reader(handler)
    batch = [record(note(f"s{n}", n), n) for n in range(16)]
    await reader.on_batch(consumer, batch)
    assert not consumer.committed
    assert consumer.sought == [(0, 0)]
    handler.faults = {"s9-9": ValueError}
    await reader.on_batch(consumer, batch)
    assert sorted(await ground.texts()) == sorted(f"s{n}-{n}" for n in range(16) if n != 9)
    assert await ground.aside() == [(0, 9, "rejected")]
    assert consumer.ends == {0: 16}


async def test_a_handler_that_exceeds_its_deadline_is_cut_and_its_batch_given_back(
    ground: Ground,
) -> None:
    class Slow(Handler):
        async def apply(self, conn: Any, heard: Any) -> None:
            await super().apply(conn, heard)
            await conn.execute("SELECT pg_sleep(60)")

    consumer = Consumer()
    async with asyncio.timeout(PATIENCE_S):
        await ground.reader(Slow(), handler_deadline_s=0.2).on_batch(consumer, [record(note(), 0)])
    assert await ground.untouched()
    assert consumer.sought == [(0, 0)]


async def test_a_cancelled_handler_commits_nothing(ground: Ground) -> None:
    entered = asyncio.Event()

    class Waiting(Handler):
        async def apply(self, conn: Any, heard: Any) -> None:
            await super().apply(conn, heard)
            entered.set()
            await asyncio.Event().wait()

    consumer = Consumer()
    task = asyncio.create_task(ground.reader(Waiting()).on_batch(consumer, [record(note(), 0)]))
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await ground.untouched()
    assert not consumer.committed


async def test_too_many_rejections_halt_the_reader_and_nothing_is_committed_past_them(
    ground: Ground,
) -> None:
    consumer = Consumer()
    reader = ground.reader(reject_window_records=100, reject_share_max=0.05)
    await reader.on_batch(consumer, [record(note(f"g{n}", n), n) for n in range(50)])
    bad = [record(note(f"b{n}", n), 50 + n, value=b"{") for n in range(20)]
    for one in bad:
        await reader.on_batch(consumer, [one])
    assert reader.halted.is_set()
    assert len(await ground.aside()) == 5
    assert consumer.ends == {0: 55}
    assert await processed(ground.pool, TOPIC) == {0: 55}
    assert consumer.paused == consumer.assigned
    assert consumer.sought == [(0, 55)]


async def test_a_batch_with_too_many_rejections_leaves_no_trace(ground: Ground) -> None:
    consumer = Consumer()
    reader = ground.reader(reject_window_records=100, reject_share_max=0.05)
    batch = [record(note(f"b{n}", n), n, value=b"{" if n % 2 else b"{}") for n in range(20)]
    await reader.on_batch(consumer, batch)
    assert reader.halted.is_set()
    assert await ground.untouched()
    assert not consumer.committed


async def test_rejections_that_lie_far_enough_back_halt_nobody(ground: Ground) -> None:
    consumer = Consumer()
    reader = ground.reader(reject_window_records=100, reject_share_max=0.05)
    for n in range(10):
        batch = [record(note(f"g{n}-{m}", m), 100 * n + m) for m in range(100)]
        batch[0] = record_with(batch[0], value=b"{")
        await reader.on_batch(consumer, batch)
    assert not reader.halted.is_set()
    assert len(await ground.aside()) == 10


async def test_what_is_parked_for_lack_of_something_halts_nobody_and_holds_its_subject(
    ground: Ground,
) -> None:
    consumer = Consumer()
    texts = [f"b{n}-{n}" for n in range(30)]
    faults: dict[str, Callable[[], Exception]] = {one: lambda: NotHere("no town") for one in texts}
    reader = ground.reader(Handler(faults), reject_window_records=100, reject_share_max=0.05)
    await reader.on_batch(consumer, [record(note(f"b{n}", n), n) for n in range(30)])
    await reader.on_batch(consumer, [record(note("b0", 30), 30), record(note("g", 31), 31)])
    assert not reader.halted.is_set()
    assert await ground.texts() == ["g-31"]
    aside = await ground.pool.fetch("SELECT state, reason FROM quarantine ORDER BY record_offset")
    assert {row["state"] for row in aside} == {"parked"}
    assert (len(aside), "no town" in aside[0]["reason"]) == (31, True)


async def test_two_readers_with_the_same_batch_at_once_make_one_effect(ground: Ground) -> None:
    batch = [record(note(f"s{n % 7}", n), n) for n in range(60)]
    batch[20] = record_with(batch[20], value=b"{")
    consumers = [Consumer() for _ in range(4)]
    faults: dict[str, Callable[[], Exception]] = {"s3-31": ValueError}
    readers = [ground.reader(Handler(faults)) for _ in consumers]
    pairs = zip(readers, consumers, strict=True)
    await asyncio.gather(*(reader.on_batch(consumer, batch) for reader, consumer in pairs))
    for reader, consumer in zip(readers, consumers, strict=True):
        await reader.on_batch(consumer, batch)  # what a deadlock gave back
    held = {n for n in range(60) if (n % 7 == 6 and n >= 20) or (n % 7 == 3 and n >= 31)}
    assert len(await ground.texts()) == 60 - len(held)
    assert {offset for _, offset, _ in await ground.aside()} == held
    assert all(consumer.ends == {0: 60} for consumer in consumers)


async def test_offsets_are_committed_for_partitions_that_are_still_ours(ground: Ground) -> None:
    consumer = Consumer()
    consumer.assigned = {TopicPartition(TOPIC, 1)}
    batch = [record(note(f"s{n}", n), n, n % 3) for n in range(6)]
    await ground.reader().on_batch(consumer, batch)
    assert consumer.ends == {1: 5}
    assert len(await ground.texts()) == 6


async def test_a_batch_whose_partitions_are_all_gone_is_applied_and_commits_nothing(
    ground: Ground,
) -> None:
    consumer = Consumer(assigned=set())
    await ground.reader().on_batch(consumer, [record(note(f"s{n}", n), n, n % 3) for n in range(6)])
    assert consumer.ends == {}
    assert len(await ground.texts()) == 6


async def test_a_batch_given_back_amid_a_rebalance_touches_only_what_is_still_ours(
    ground: Ground,
) -> None:
    consumer = Consumer()
    consumer.assigned = {TopicPartition(TOPIC, 1)}
    batch = [record(note(f"s{n}", n), n, n % 3) for n in range(6)]
    reader = ground.reader(Handler({"s0-0": TimeoutError}))
    await reader.on_batch(consumer, batch)
    assert consumer.sought == [(1, 1)]
    consumer.assigned = {TopicPartition(TOPIC, 2)}
    await until(lambda: not consumer.paused & consumer.assigned)


@pytest.mark.parametrize(
    "refusal", [CommitFailedError(), IllegalStateError(), RequestTimedOutError(), TimeoutError()]
)
async def test_offsets_that_cannot_be_committed_mean_repeats_and_no_loss(
    ground: Ground, refusal: Exception
) -> None:
    consumer = Consumer(refusal=refusal)
    await ground.reader().on_batch(consumer, [record(note(), 0)])
    assert await ground.texts() == ["s0-0"]
    await ground.reader().on_batch(Consumer(), [record(note(), 0), record(note(n=1), 1)])
    assert await ground.texts() == ["s0-0", "s0-1"]


async def test_after_each_batch_its_commit_is_announced_and_never_before(ground: Ground) -> None:
    seen: list[int] = []
    reader = ground.reader(Handler({"s0-1": TimeoutError}))
    reader.committed = lambda: seen.append(1)
    await reader.on_batch(Consumer(), [record(note(n=1), 1)])
    assert not seen
    await reader.on_batch(Consumer(), [record(note(n=2), 2)])
    assert seen == [1]
