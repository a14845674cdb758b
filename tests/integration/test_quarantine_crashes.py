"""Bad records on a real topic: held, corrected, replayed through kills; and a reader that halts."""

import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from contracts.events import Event
from deploy.local import let_go, set_aside
from services.chassis.settings import ServiceSettings
from tests import factories
from tests.component.chassis import notes, real
from tests.component.chassis.real import Process
from tests.conftest import Database as Databases
from tests.waiting import PATIENCE_S

# The notes' own kind of fact is in no contract, so it is corrected here without being checked.
CORRECT = """
UPDATE quarantine
SET corrected_headers = headers, corrected_body = $2
WHERE record_key = $1 AND state = 'rejected'
"""


@dataclass
class Ground:
    dsn: str
    kafka: str
    taken: str
    told: str
    process: Process
    looked: real.Database

    async def send(self, *events: Event, body: bytes | None = None) -> None:
        """Put notes on the topic, all with one body where one is given."""
        async with real.producer(self.kafka) as to:
            for event in events:
                headers = [(name, value.encode()) for name, value in event.headers.items()]
                await to.send_and_wait(self.taken, body or event.body, event.key, headers=headers)

    async def correct(self, about: str) -> None:
        await self.looked.conn.execute(CORRECT, notes.key(about), notes.note(about, 0).body)

    async def subjects(self) -> list[set_aside.Subject]:
        return await set_aside.subjects("notes", self.dsn)


@pytest.fixture
async def ground(
    kafka: str, database: Databases, topic_prefix: str, tmp_path: Path
) -> AsyncIterator[Ground]:
    async with opened(kafka, await database("notes"), topic_prefix, tmp_path) as made:
        yield made


@asynccontextmanager
async def opened(kafka: str, dsn: str, prefix: str, place: Path) -> AsyncIterator[Ground]:
    await real.prepare(dsn)
    taken = await real.make_topic(kafka, f"{prefix}taken", 2)
    told = await real.make_topic(kafka, f"{prefix}told", 2)
    keys = factories.secrets(place)
    settings = factories.settings(ServiceSettings, keys, dsn=dsn, kafka=kafka)
    more = {"REPLICA": "0", "REJECT_WINDOW_RECORDS": "100", "CONSUME_BATCH_MAX": "20"}
    async with (
        real.process(settings, place, taken, told, f"{prefix}g", **more) as process,
        real.looking_into(dsn) as looked,
    ):
        yield Ground(dsn, kafka, taken, told, process, looked)


async def test_what_is_replayed_through_kills_takes_effect_once_and_in_order(
    ground: Ground,
) -> None:
    held = ["a", "b"]
    for about in held:
        await ground.send(notes.note(about, 0), body=b"{")
    await ground.send(*real.about([*held, "good"], 3, 60))
    await ground.process.start(CHUISHAO_CRASH_AT="before_replayed:1")

    async def read() -> bool:
        return await ground.looked.count() == 19 and await ground.looked.count("quarantine") == 40

    await real.until(read)
    found = await ground.subjects()
    assert [(one.behind, one.state) for one in found] == [(19, "rejected")] * 2
    for about in held:
        await ground.correct(about)
    kept = [await let_go.release(ground.dsn, one.place, "op") for one in found]
    assert await ground.process.ends() == -signal.SIGKILL
    assert await ground.looked.count("quarantine") == 40
    await ground.process.start(CHUISHAO_CRASH_AT="after_replayed:1")
    assert await ground.process.ends() == -signal.SIGKILL
    assert await ground.looked.count("quarantine") == 20
    await ground.send(notes.note("a", 60), notes.note("b", 60))  # go on while they are replayed
    await ground.process.start()
    await let_go.until_taken({"notes": ground.dsn}, kept, PATIENCE_S)

    async def all_told() -> bool:
        return await ground.looked.count() == 61 and await ground.looked.count("outbox") == 0

    await real.until(all_told)
    texts = await ground.looked.texts()
    for m, about in enumerate(held):
        mine_now = [text for text in texts if text.startswith(f"{about}-")]
        assert mine_now == [f"{about}-{n}" for n in (0, *range(3 + m, 60, 3), 60)]
    assert await ground.looked.count("quarantine") == 0
    numbers = real.without_gap(await real.lying_on(ground.kafka, ground.told))
    assert numbers == {notes.key("a"): 21, notes.key("b"): 21, notes.key("good"): 19}


async def test_a_halted_reader_goes_on_once_an_operator_has_dealt_with_its_records(
    ground: Ground,
) -> None:
    """Somebody wrote twelve bad records, where five in a hundred may be."""
    names = [f"s{n}" for n in range(12)]
    await ground.send(*(notes.note(one, 0) for one in names), body=b'{"text": 7}')
    await ground.send(*(notes.note(one, 1) for one in names))
    await ground.process.start()

    async def halted() -> bool:
        return "halted" in (await ground.process.waiting() or {}).get("work", "")

    await real.until(halted)
    assert await ground.looked.count() == 0, "nothing is read past them"
    await ground.process.kill()

    async def aside() -> bool:
        return len(await ground.subjects()) == 12

    await ground.process.start(NOTES_REJECT_SHARE_MAX="0.9")
    await real.until(aside)
    for one in await ground.subjects():
        await let_go.drop(ground.dsn, one.place, "op", "a stranger wrote it")

    async def gone_on() -> bool:
        return await ground.looked.count() == 12 and await ground.looked.count("quarantine") == 0

    await real.until(gone_on)
    assert sorted(await ground.looked.texts()) == sorted(f"{one}-1" for one in names)
    assert await ground.looked.count("quarantine_act") == 24
