"""Each crash window with the crash in it: at least once in, exactly one effect out."""

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from services.chassis.settings import ServiceSettings
from tests import factories
from tests.component.chassis import notes, real
from tests.component.chassis.real import Process
from tests.conftest import Database as Databases

POINTS = ("before_commit", "after_commit", "before_offsets", "after_publish", "after_relay")
SUBJECTS = [f"s{n}" for n in range(7)]


class Load:
    """Sends notes without end until told to stop."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self.sent = 0
        self._bootstrap, self._topic = bootstrap, topic

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        stop = asyncio.Event()

        async def run() -> None:
            async with real.producer(self._bootstrap) as to:
                while not stop.is_set():
                    batch = real.about(SUBJECTS, self.sent, self.sent + 10)
                    await real.send(to, self._topic, batch)
                    self.sent += 10
                    await asyncio.sleep(0.02)

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(run())
            yield
            stop.set()


@asynccontextmanager
async def ground(
    kafka: str, dsn: str, prefix: str, place: Path, **more: str
) -> AsyncIterator[tuple[Process, real.Database, Load, str]]:
    await real.prepare(dsn)
    taken = await real.make_topic(kafka, f"{prefix}taken", 4)
    told = await real.make_topic(kafka, f"{prefix}told", 4)
    keys = factories.secrets(place)
    settings = factories.settings(ServiceSettings, keys, dsn=dsn, kafka=kafka)
    async with (
        real.process(settings, place, taken, told, f"{prefix}g", **more) as process,
        real.looking_into(dsn) as database,
    ):
        yield process, database, Load(kafka, taken), told


async def check_all(kafka: str, database: real.Database, load: Load, told: str) -> int:
    """Each note sent has one effect, and one number of its subject; return the repeats."""

    async def done() -> bool:
        return await database.count() >= load.sent and await database.count("outbox") == 0

    await real.until(done)
    texts = await database.texts()
    assert sorted(texts) == sorted(f"{SUBJECTS[n % 7]}-{n}" for n in range(load.sent))
    for name in SUBJECTS:
        mine = [int(text.partition("-")[2]) for text in texts if text.startswith(f"{name}-")]
        assert mine == sorted(mine)
    assert await database.count("inbox") == load.sent
    assert await database.count("quarantine") == 0
    records = await real.lying_on(kafka, told)
    wanted = Counter(notes.key(SUBJECTS[n % 7]) for n in range(load.sent))
    assert real.without_gap(records) == wanted
    return len(records) - load.sent


async def test_a_process_that_dies_anywhere_loses_and_doubles_nothing(
    kafka: str, database: Databases, topic_prefix: str, tmp_path: Path
) -> None:
    dsn = await database("notes")
    async with ground(kafka, dsn, topic_prefix, tmp_path, REPLICA="0") as made:
        process, looked, load, told = made
        async with load.running():
            for point in POINTS:
                await process.start(CHUISHAO_CRASH_AT=f"{point}:3")
                assert await process.ends() == -signal.SIGKILL, point
            before = await looked.count()
            await process.start()

            async def goes_on() -> bool:
                return await looked.count() > before

            restart_s = await real.until(goes_on)
        repeats = await check_all(kafka, looked, load, told)
    print(f"\n{load.sent} notes, {repeats} repeats told, first batch {restart_s:.1f} s after start")


@pytest.mark.long
@pytest.mark.parametrize("passage", [1, 2, 7, 20])
@pytest.mark.parametrize("point", POINTS)
async def test_a_process_that_dies_at_each_point_again_and_again(
    kafka: str, database: Databases, topic_prefix: str, tmp_path: Path, point: str, passage: int
) -> None:
    dsn = await database("notes")
    async with ground(kafka, dsn, topic_prefix, tmp_path, REPLICA="0") as made:
        process, looked, load, told = made
        async with load.running():
            for _ in range(3):
                await process.start(CHUISHAO_CRASH_AT=f"{point}:{passage}")
                assert await process.ends() == -signal.SIGKILL
            await process.start()
            await real.until(process.is_ready)
        await check_all(kafka, looked, load, told)


@pytest.mark.parametrize("fault", ["lose count", "close the producer"])
async def test_a_process_whose_producer_is_lost_ends_and_starts_anew(
    kafka: str, database: Databases, topic_prefix: str, tmp_path: Path, fault: str
) -> None:
    dsn = await database("notes")
    async with ground(kafka, dsn, topic_prefix, tmp_path, REPLICA="0") as made:
        process, looked, _, told = made
        async with real.producer(kafka) as to:
            await real.send(to, f"{topic_prefix}taken", real.about(SUBJECTS, 0, 20))
            await process.start()

            async def told_all() -> bool:
                return await looked.count() == 20 and await looked.count("outbox") == 0

            await real.until(told_all)
            await real.send(to, f"{topic_prefix}taken", [notes.note("s0", 10**6, fault)])
            await real.send(to, f"{topic_prefix}taken", real.about(SUBJECTS, 20, 40))
        assert await process.ends(15) > 0
        await process.start()

        async def done() -> bool:
            return await looked.count() == 41 and await looked.count("outbox") == 0

        await real.until(done)
        assert sum(real.without_gap(await real.lying_on(kafka, told)).values()) == 41


@pytest.mark.parametrize("fault", ["be cancelled", "exit"])
async def test_a_handler_that_would_end_its_reader_in_silence_ends_the_process(
    kafka: str, database: Databases, topic_prefix: str, tmp_path: Path, fault: str
) -> None:
    dsn = await database("notes")
    async with ground(kafka, dsn, topic_prefix, tmp_path, REPLICA="0") as made:
        process, looked, _, _ = made
        async with real.producer(kafka) as to:
            await real.send(to, f"{topic_prefix}taken", [notes.note("s0", 0, fault)])
        await process.start()
        assert await process.ends(15) > 0
        assert await looked.count("inbox") == 0


async def test_a_graceful_stop_commits_nothing_unfinished_and_leaves_the_group(
    kafka: str, database: Databases, topic_prefix: str, tmp_path: Path
) -> None:
    dsn = await database("notes")
    async with ground(kafka, dsn, topic_prefix, tmp_path, SHUTDOWN_GRACE_S="3") as made:
        process, looked, _, _ = made
        topic, group = f"{topic_prefix}taken", f"{topic_prefix}g"
        async with real.producer(kafka) as to:
            await real.send(to, topic, real.about(["s0"], 0, 5))
            await process.start()

            async def five() -> bool:
                return await looked.count() == 5

            await real.until(five)
            await real.send(to, topic, [notes.note("s0", 5, "wait")])

        async def in_hand() -> bool:
            return bool(await looked.conn.fetchval(IN_HAND))

        await real.until(in_hand)
        process.signal(signal.SIGTERM)
        assert await process.ends() == 0
        assert await looked.count() == 5
        async with real.admin(kafka) as client:
            committed = await client.list_consumer_group_offsets(group)
            described = await client.describe_consumer_groups([group])
        assert sum(end.offset for end in committed.values()) == 5
        assert not described[0].groups[0][5]
        assert "Traceback" not in process.log_path.read_text(), "a stop is no error"


IN_HAND = """
SELECT EXISTS (
    SELECT
    FROM pg_stat_activity
    WHERE datname = current_database() AND state = 'idle in transaction'
        AND query LIKE '%outbox%'
)
"""


async def test_an_idle_service_stops_at_once(
    kafka: str, database: Databases, topic_prefix: str, tmp_path: Path
) -> None:
    dsn = await database("notes")
    async with ground(kafka, dsn, topic_prefix, tmp_path, REPLICA="0") as made:
        process = made[0]
        for number in (signal.SIGTERM, signal.SIGINT):
            await process.start()
            await real.until(process.is_ready)
            process.signal(number)
            assert await process.ends(15) == 0  # long before its grace is over
