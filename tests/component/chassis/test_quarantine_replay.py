"""What an operator lets go takes effect once, in order, beside the consumers that go on."""

import asyncio
from collections.abc import Callable, Sequence

import pytest

from contracts.events import Event
from services.chassis.batch import Heard, NotHere
from services.chassis.postgres import Connection
from services.quarantine import store
from services.quarantine.replay import replay_next
from tests.component.chassis.notes import TOPIC, Consumer, Ground, Handler, key, note, record
from tests.waiting import PATIENCE_S

RELEASE = """
INSERT INTO quarantine_release (record_key, released_by)
VALUES ($1, 'op')
ON CONFLICT (record_key) DO NOTHING
"""
CORRECT = """
UPDATE quarantine
SET corrected_headers = headers, corrected_body = $1
WHERE state = 'rejected' AND coalesce(record_key, $2) = $2
"""
ACTS = "SELECT act, record_offset FROM quarantine_act ORDER BY act_id"


async def held(ground: Ground, about: str = "a", behind: int = 5) -> Consumer:
    """Let a bad record hold a subject, and others wait behind it; another subject goes on."""
    consumer, reader = Consumer(), ground.reader()
    await reader.on_batch(consumer, [record(note(about, 0), 0, value=b"{")])
    for n in range(1, behind + 1):
        batch = [record(note(about, n), 2 * n), record(note("other", n), 2 * n + 1)]
        await reader.on_batch(consumer, batch)
    return consumer


async def replay(ground: Ground, handler: Handler | None = None, size: int = 500) -> int:
    """Take up all that was let go; return how many batches it took."""
    readers, batches = {TOPIC: ground.reader(handler, consume_batch_max=size)}, 0
    while await replay_next(ground.pool, readers):
        batches += 1
        assert batches < 100
    return batches


async def correct(ground: Ground, about: str) -> None:
    await ground.pool.execute(CORRECT, note(about, 0).body, key(about))


async def of(ground: Ground, about: str) -> list[str]:
    return [text for text in await ground.texts() if text.startswith(f"{about}-")]


async def test_nothing_is_replayed_that_nobody_let_go(ground: Ground) -> None:
    await held(ground)
    assert await replay(ground) == 0
    assert len(await ground.quarantine()) == 6


async def test_the_held_record_comes_first_and_those_behind_it_follow_in_order(
    ground: Ground,
) -> None:
    await held(ground)
    await correct(ground, "a")
    await ground.pool.execute(RELEASE, key("a"))
    assert await replay(ground) == 1
    assert await of(ground, "a") == [f"a-{n}" for n in range(6)]
    assert await ground.quarantine() == []
    acts = [tuple(row) for row in await ground.pool.fetch(ACTS)]
    assert acts == [("replayed", 2 * n) for n in range(6)]


@pytest.mark.parametrize("size", [1, 2, 5, 6])
async def test_a_long_row_is_taken_up_in_batches(ground: Ground, size: int) -> None:
    await held(ground)
    await correct(ground, "a")
    await ground.pool.execute(RELEASE, key("a"))
    assert await replay(ground, size=size) == -(-6 // size)
    assert await of(ground, "a") == [f"a-{n}" for n in range(6)]


async def test_what_was_let_go_twice_takes_effect_once(ground: Ground) -> None:
    consumer = await held(ground)
    await correct(ground, "a")
    for _ in range(2):
        await ground.pool.execute(RELEASE, key("a"))
        await replay(ground)
    again = [record(note("a", n), 2 * n) for n in range(6)]
    await ground.reader().on_batch(consumer, again)
    assert await of(ground, "a") == [f"a-{n}" for n in range(6)]
    assert await ground.quarantine() == []


async def test_a_record_that_is_as_bad_as_before_holds_its_subject_again(ground: Ground) -> None:
    await held(ground)
    first = await ground.quarantine()
    await ground.pool.execute(RELEASE, key("a"))
    assert await replay(ground) == 1
    assert await of(ground, "a") == []
    again = await ground.quarantine()
    assert [row["state"] for row in again] == ["rejected", *["parked"] * 5]
    assert again[0]["reason"] == first[0]["reason"]  # the record's fault, not a place in our code
    assert await replay(ground) == 0


FAILING: dict[str, tuple[Callable[[], Exception], str]] = {
    "a fault": (lambda: KeyError("grid"), "rejected"),
    "not here": (lambda: NotHere("no units"), "parked"),
}


@pytest.mark.parametrize(("error", "state"), FAILING.values(), ids=FAILING.keys())
async def test_one_that_fails_behind_holds_the_rest_alone(
    ground: Ground, error: Callable[[], Exception], state: str
) -> None:
    await held(ground)
    await correct(ground, "a")
    await ground.pool.execute(RELEASE, key("a"))
    await replay(ground, Handler({"a-3": error}))
    assert await of(ground, "a") == ["a-0", "a-1", "a-2"]
    first, *behind = await ground.quarantine()
    assert (first["record_offset"], first["state"]) == (6, state)
    assert type(error()).__name__ in first["reason"]
    assert [row["record_offset"] for row in behind] == [8, 10]
    await ground.pool.execute(RELEASE, key("a"))
    await replay(ground)
    assert await of(ground, "a") == [f"a-{n}" for n in range(6)]


async def test_an_outage_gives_everything_back_and_others_are_not_kept_waiting(
    ground: Ground,
) -> None:
    await held(ground, "a")
    await ground.reader().on_batch(Consumer(), [record(note("b", 0), 0, 1, value=b"{")])
    for about in "ab":
        await correct(ground, about)
        await ground.pool.execute(RELEASE, key(about))
    await replay(ground, Handler({"a-4": lambda: ConnectionError("away")}))
    assert await of(ground, "a") == []
    assert await of(ground, "b") == ["b-0"]
    await ground.pool.execute("UPDATE quarantine_release SET next_at = now()")
    await replay(ground)
    assert await of(ground, "a") == [f"a-{n}" for n in range(6)]


async def test_a_record_without_a_key_is_let_go_by_its_place(ground: Ground) -> None:
    bad = [record(note("a", n), n, key=None, value=b"{") for n in range(2)]
    await ground.reader().on_batch(Consumer(), bad)
    await correct(ground, "a")
    await ground.pool.execute(
        "INSERT INTO quarantine_release (topic, partition, record_offset, released_by)"
        " VALUES ($1, 0, 0, 'op')",
        TOPIC,
    )
    await replay(ground)
    assert await ground.texts() == ["a-0"]
    assert await ground.aside() == [(0, 1, "rejected")]


async def test_one_parked_by_a_batch_that_saw_it_held_follows_by_itself(ground: Ground) -> None:
    """The batch's transaction is open while the last record of its subject is replayed."""
    consumer = await held(ground, behind=0)
    await correct(ground, "a")
    entered, go_on = asyncio.Event(), asyncio.Event()

    class Slow(Handler):
        async def apply(self, conn: Connection, heard: Sequence[Heard[Event]]) -> None:
            await super().apply(conn, heard)
            entered.set()
            await go_on.wait()

    batch = [record(note("a", 1), 1), record(note("b", 0), 2)]
    under_way = asyncio.create_task(ground.reader(Slow()).on_batch(consumer, batch))
    await entered.wait()
    await ground.pool.execute(RELEASE, key("a"))
    assert await replay(ground) == 1
    go_on.set()
    await under_way
    assert await ground.aside() == [(0, 1, "parked")]
    await ground.reader().on_batch(consumer, [record(note("a", 2), 3)])
    assert await replay(ground) == 1
    await ground.reader().on_batch(consumer, [record(note("a", 3), 4)])
    assert await of(ground, "a") == [f"a-{n}" for n in range(4)]


async def test_what_somebody_drops_while_it_is_taken_up_is_no_fault(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    await held(ground)
    await ground.pool.execute(RELEASE, key("a"))
    take = store.take

    async def meanwhile(conn: Connection, topics: Sequence[str]) -> store.Release | None:
        release = await take(conn, topics)
        await ground.pool.execute("DELETE FROM quarantine")
        return release

    monkeypatch.setattr(store, "take", meanwhile)
    assert await replay(ground) == 1
    assert await of(ground, "a") == []


async def take_up(ground: Ground, done: asyncio.Event) -> None:
    readers = {TOPIC: ground.reader(consume_batch_max=3)}
    while not done.is_set() or await ground.quarantine():
        if not await replay_next(ground.pool, readers):
            await asyncio.sleep(0.002)


async def test_many_replayers_and_consumers_at_once_keep_each_subject_in_order(
    ground: Ground,
) -> None:
    subjects = [f"s{n}" for n in range(6)]
    consumer, reader = Consumer(), ground.reader()
    bad = [record(note(one, 0), n, value=b"{") for n, one in enumerate(subjects)]
    await reader.on_batch(consumer, bad)

    async def consume() -> None:
        for n in range(1, 40):
            batch = [record(note(one, n), 10 * n + m) for m, one in enumerate(subjects)]
            await reader.on_batch(consumer, batch)

    done = asyncio.Event()
    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as tasks:
        for _ in range(3):
            tasks.create_task(take_up(ground, done))
        consuming = tasks.create_task(consume())
        for one in subjects:
            await correct(ground, one)
            await ground.pool.execute(RELEASE, key(one))
            await asyncio.sleep(0.02)
        await consuming
        done.set()
    texts = await ground.texts()
    wanted = [f"s{m}-{n}" for m in range(6) for n in range(40)]
    assert sorted(texts, key=lambda text: text.partition("-")[0]) == wanted
