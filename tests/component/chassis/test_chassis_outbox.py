"""The relay on a real outbox: order, fairness, and what can never be sent; the broker is a stub.

What a real broker does to the relay is tested in `tests/integration`.
"""

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

import pytest
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    MessageSizeTooLargeError,
    OutOfOrderSequenceNumber,
    ProducerClosed,
)

from services.chassis import outbox
from services.chassis.outbox import LANES, Outgoing, Relay
from tests.component.chassis.notes import Ground
from tests.waiting import PATIENCE_S

Fate = Callable[[bytes], BaseException | None]
PARKED = "SELECT record_key, topic, body FROM outbox_parked ORDER BY id"


@dataclass
class Broker:
    """Takes records in; `fate` says what becomes of each, by its body."""

    missing: set[str] = field(default_factory=set)
    fate: Fate = lambda _: None
    sent: list[tuple[str, bytes, bytes | None]] = field(default_factory=list)
    parts: list[dict[str, Any]] = field(default_factory=list)
    unanswered: set[bytes] = field(default_factory=set)

    async def publish(
        self, body: bytes | None, topic: str, *, key: bytes, no_confirm: bool, **more: Any
    ) -> "asyncio.Future[object]":
        assert no_confirm
        if topic in self.missing:
            await asyncio.Event().wait()
        answer: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        fate = self.fate(body or b"")
        if isinstance(fate, MessageSizeTooLargeError | ProducerClosed):
            raise fate
        if fate is not None:
            answer.set_exception(fate)
        elif body not in self.unanswered:
            answer.set_result(None)
            self.sent.append((topic, key, body))
            self.parts.append(more)
        return answer

    def bodies(self, topic: str = "t") -> list[bytes | None]:
        return [body for sent_to, _, body in self.sent if sent_to == topic]


def relay(ground: Ground, broker: Any, **more: Any) -> Relay:
    return Relay(ground.settings.model_copy(update=more), ground.pool, broker)


def row(key: str, body: str, topic: str = "t", lane_key: str = "", **more: Any) -> Outgoing:
    lane = (lane_key or key).encode()
    return Outgoing(topic, key.encode(), {"ce_id": body}, body.encode(), lane, **more)


async def write(ground: Ground, *rows: Outgoing) -> None:
    async with ground.pool.acquire() as conn, conn.transaction():
        await outbox.write(conn, rows)


async def waiting(ground: Ground) -> list[str]:
    rows = await ground.pool.fetch("SELECT body FROM outbox ORDER BY id")
    return [one["body"].decode() for one in rows]


async def parked(ground: Ground) -> list[tuple[str, str]]:
    rows = await ground.pool.fetch(PARKED)
    return [(one["record_key"].decode(), one["body"].decode()) for one in rows]


def in_lane(wanted: int, avoid: str = "") -> str:
    names = (f"{avoid}k{n}" for n in range(100_000))
    return next(name for name in names if crc32(name.encode()) % LANES == wanted)


async def test_rows_go_out_in_order_with_all_that_belongs_to_them(ground: Ground) -> None:
    broker = Broker()
    rows = [row("a", "1", partition=7), row("b", "2"), row("a", "3")]
    tombstone = Outgoing("t", b"b", {"ce_id": "4"}, None, b"b")
    await write(ground, *rows, tombstone)
    assert await relay(ground, broker).round() == 4
    assert set(broker.bodies()) == {b"1", b"2", b"3", None}
    by_id = {one["headers"]["ce_id"]: one["partition"] for one in broker.parts}
    assert by_id == {"1": 7, "2": None, "3": None, "4": None}
    assert await waiting(ground) == []


async def test_a_subjects_rows_go_out_in_order_while_many_write_and_two_relay(
    ground: Ground,
) -> None:
    broker, stopping = Broker(), asyncio.Event()
    chance = random.Random(7)
    pauses = [chance.uniform(0, 0.004) for _ in range(160)]
    count: dict[str, int] = defaultdict(int)

    async def writer(n: int) -> None:
        for m in range(20):
            subject = f"s{(n * 7 + m * 3) % 5}"
            async with ground.pool.acquire() as conn, conn.transaction():
                await conn.execute("SELECT pg_advisory_xact_lock(1, hashtext($1))", subject)
                seq, count[subject] = count[subject], count[subject] + 1
                await outbox.write(conn, [row(subject, f"{subject}:{seq}")])
                await asyncio.sleep(pauses[n * 20 + m])  # commits come in another order than ids

    relays = [relay(ground, broker) for _ in range(2)]
    running = [asyncio.create_task(one.run(stopping)) for one in relays]
    await asyncio.gather(*(writer(n) for n in range(6)))
    async with asyncio.timeout(PATIENCE_S):
        while await waiting(ground):
            await asyncio.sleep(0.02)
    stopping.set()
    await asyncio.gather(*running)
    for subject, total in count.items():
        mine = [body for _, key, body in broker.sent if key == subject.encode()]
        assert mine == [f"{subject}:{n}".encode() for n in range(total)]


async def test_a_busy_lane_starves_no_other(ground: Ground) -> None:
    broker = Broker()
    busy = in_lane(3)
    await write(ground, *(row(busy, f"busy{n}") for n in range(1_000)))
    await write(ground, *(row(in_lane(n), f"calm{n}") for n in range(LANES) if n != 3))
    await relay(ground, broker, relay_rows_max=128).round()
    sent = {(body or b"").decode() for body in broker.bodies()}
    assert {f"calm{n}" for n in range(LANES) if n != 3} <= sent
    assert len(sent) == LANES + 1


async def test_a_lane_alone_has_the_whole_round(ground: Ground) -> None:
    broker = Broker()
    await write(ground, *(row("a", str(n)) for n in range(150)))
    one = relay(ground, broker, relay_rows_max=100)
    assert [await one.round(), await one.round(), await one.round()] == [100, 50, 0]
    assert broker.bodies() == [str(n).encode() for n in range(150)]


def too_large(body: bytes) -> BaseException | None:
    return MessageSizeTooLargeError() if b"huge" in body else None


async def test_a_row_that_is_too_large_is_parked_with_its_keys_later_rows(ground: Ground) -> None:
    broker = Broker(fate=too_large)
    one = relay(ground, broker)
    await write(ground, row("a", "1"), row("a", "huge"), row("a", "3"), row("b", "4"))
    assert await one.round() == 2
    await write(ground, row("a", "5"), row("b", "6"))
    assert await one.round() == 1
    assert await parked(ground) == [("a", "huge"), ("a", "3"), ("a", "5")]
    assert sorted(broker.bodies(), key=str) == [b"1", b"4", b"6"]
    assert await waiting(ground) == []


async def test_a_row_that_the_broker_finds_too_large_is_parked_before_the_producer_is_given_up(
    ground: Ground,
) -> None:
    class Strict(Broker):
        """Refuses on arrival; after that the producer's numbers are out of order."""

        async def publish(self, body: bytes | None, *args: Any, **more: Any) -> Any:
            answer = await super().publish(body, *args, **more)
            if body in {b"huge", b"3"}:
                kind = MessageSizeTooLargeError if body == b"huge" else OutOfOrderSequenceNumber
                answer = asyncio.get_running_loop().create_future()
                answer.set_exception(kind())
            return answer

    await write(ground, row("a", "1"), row("a", "huge"), row("b", "3"))
    with pytest.raises(OutOfOrderSequenceNumber):
        await relay(ground, Strict()).round()
    assert await parked(ground) == [("a", "huge")]
    assert await waiting(ground) == ["3"]
    broker = Broker()
    assert await relay(ground, broker).round() == 1
    assert broker.bodies() == [b"3"]


async def test_what_is_parked_on_one_topic_holds_up_no_other_topic(ground: Ground) -> None:
    broker = Broker(fate=too_large)
    await write(ground, row("a", "huge", "x"), row("a", "2"), row("a", "3", "x"))
    await relay(ground, broker).round()
    assert broker.bodies("t") == [b"2"]
    assert await parked(ground) == [("a", "huge"), ("a", "3")]


async def test_a_key_waits_at_its_first_failure_and_the_others_go_on(ground: Ground) -> None:
    broker = Broker(fate=lambda body: KafkaConnectionError() if body == b"2" else None)
    one = relay(ground, broker)
    await write(ground, row("a", "1"), row("a", "2"), row("a", "3"), row("b", "4"))
    assert await one.round() == 2
    assert await waiting(ground) == ["2", "3"]
    broker.fate = lambda _: None
    assert await one.round() == 2
    firsts = list(dict.fromkeys(body for body in broker.bodies() if body != b"4"))
    assert firsts in ([b"1", b"2", b"3"], [b"1", b"3", b"2"])
    assert [body for body in broker.bodies() if body != b"4"][-2:] == [b"2", b"3"]


async def test_an_answer_that_does_not_come_costs_its_key_the_round_and_nobody_else(
    ground: Ground,
) -> None:
    broker = Broker(unanswered={b"2"})
    one = relay(ground, broker, relay_deadline_s=0.2)
    await write(ground, row("a", "1"), row("a", "2"), row("a", "3"), row("b", "4"))
    assert await one.round() == 2
    assert await waiting(ground) == ["2", "3"]


async def test_topics_that_are_missing_hold_up_no_other_and_heal(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "_PUBLISH_WAIT_S", 0.3)
    monkeypatch.setattr(outbox, "_STALLED_WAIT_S", 1.0)
    missing = {f"missing{n}" for n in range(10)}
    broker = Broker(missing=set(missing))
    one = relay(ground, broker, relay_rows_max=100, relay_deadline_s=1.0)
    key = in_lane(5)
    for topic in sorted(missing):
        await write(ground, *(row(key, f"{topic}-{n}", topic) for n in range(20)))
    await write(
        ground, *(row(in_lane(5, f"{n}-"), f"good{n}") for n in range(20)), row(key, "same")
    )
    stopping = asyncio.Event()
    running = asyncio.create_task(one.run(stopping))
    async with asyncio.timeout(PATIENCE_S):
        while len(broker.bodies()) < 21:
            await asyncio.sleep(0.02)
        assert len(await waiting(ground)) == 200
        broker.missing.clear()
        while await waiting(ground):
            await asyncio.sleep(0.02)
    stopping.set()
    await running
    for topic in missing:
        assert broker.bodies(topic) == [f"{topic}-{n}".encode() for n in range(20)]
    assert len(broker.bodies()) == 21


async def test_a_partition_that_the_topic_has_not_holds_up_no_other_topic(ground: Ground) -> None:
    class Narrow(Broker):
        async def publish(self, body: bytes | None, *args: Any, **more: Any) -> Any:
            assert not more["partition"], "Unrecognized partition"
            return await super().publish(body, *args, **more)

    broker = Narrow()
    await write(ground, row("a", "1", "narrow", partition=9), row("b", "2"))
    assert await relay(ground, broker).round() == 1
    assert broker.bodies() == [b"2"]
    assert await waiting(ground) == ["1"]


@pytest.mark.parametrize("lost", [ProducerClosed(), KafkaError("Unexpected error")], ids=repr)
async def test_a_relay_whose_producer_is_lost_ends(ground: Ground, lost: KafkaError) -> None:
    await write(ground, row("a", "1"), row("b", "2"))
    broker = Broker(fate=lambda body: lost if body == b"2" else None)
    with pytest.raises(type(lost)):
        await relay(ground, broker).run(asyncio.Event())
    assert "2" in await waiting(ground)


async def test_a_relay_survives_an_outage_and_goes_on(ground: Ground) -> None:
    stopping, broker = asyncio.Event(), Broker()
    running = asyncio.create_task(relay(ground, broker).run(stopping))
    await write(ground, row("a", "1"))
    async with asyncio.timeout(PATIENCE_S):
        while not broker.sent:
            await asyncio.sleep(0.01)
        ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%outbox%'"
        with suppress(OSError):
            await ground.pool.execute(ended + " AND pid <> pg_backend_pid()")
        await write(ground, row("a", "2"))
        while await waiting(ground):
            await asyncio.sleep(0.01)
    stopping.set()
    await running
    assert broker.bodies()[-1] == b"2"


async def test_a_round_that_is_cut_leaves_its_rows_and_its_lanes_to_others(ground: Ground) -> None:
    await write(ground, row("a", "1"))
    cut = asyncio.create_task(relay(ground, Broker(unanswered={b"1"})).round())
    broker = Broker()
    async with asyncio.timeout(PATIENCE_S):
        while not await ground.pool.fetchval("SELECT count(*) FROM pg_locks WHERE classid = 4711"):
            await asyncio.sleep(0.01)
        assert await relay(ground, broker).round() == 0
        cut.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cut
        assert await relay(ground, broker).round() == 1


class EmptyOutbox:
    """A pool whose every look at the outbox finds nothing, when the test lets it."""

    def __init__(self) -> None:
        self.looks: asyncio.Queue[asyncio.Event] = asyncio.Queue()

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator["EmptyOutbox"]:
        yield self

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        yield

    async def fetch(self, *_: object) -> list[object]:
        look = asyncio.Event()
        self.looks.put_nowait(look)
        await look.wait()
        return []


async def test_a_commit_amid_a_look_at_the_outbox_is_looked_for_at_once(ground: Ground) -> None:
    pool: Any = EmptyOutbox()
    stopping, loop = asyncio.Event(), asyncio.get_running_loop()
    one = Relay(ground.settings, pool, Broker())  # type: ignore[arg-type]  # a stub
    running = asyncio.create_task(one.run(stopping))
    for _ in range(8):  # until it looks no more often than five times a second
        (await pool.looks.get()).set()
    waited: list[float] = []
    look = await pool.looks.get()
    for _ in range(3):  # a busy machine may hold one of them up
        one.wake()
        look.set()
        started = loop.time()
        look = await pool.looks.get()
        waited.append(loop.time() - started)
    assert min(waited) < 0.1
    stopping.set()
    look.set()
    await running


async def test_readiness_tells_of_a_row_that_waits_too_long(ground: Ground) -> None:
    one = relay(ground, Broker())
    assert await one.check() is None
    await write(ground, row("a", "1"))
    assert await one.check() is None
    await ground.pool.execute("UPDATE outbox SET created_at = now() - interval '2 minutes'")
    assert await one.check() == "the outbox waits for 120 s"


async def test_lanes_do_not_move() -> None:
    assert LANES == 64
    assert "generate_series(0, 63)" in outbox.FREE_LANES
