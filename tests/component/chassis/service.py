"""The smallest service that stands on the chassis: `python -m tests.component.chassis.service`.

Each note that comes in leaves one effect and one row of the outbox, numbered per subject. Some
notes ask for a fault, since a process cannot be asked from outside.
"""

import asyncio
import json
from collections.abc import Sequence

from faststream.kafka import KafkaBroker
from pydantic_settings import SettingsConfigDict

from contracts.events import Event
from services.chassis import crash, kafka, log, outbox, postgres
from services.chassis.batch import Heard
from services.chassis.http import Work, make_app, serve
from services.chassis.outbox import Outgoing, Relay
from services.chassis.postgres import Connection, open_pool
from services.chassis.settings import ServiceSettings
from services.quarantine.replay import replay_until_stopped
from tests.component.chassis import notes
from tests.component.chassis.notes import NoteTaken

SUBJECT_TABLE = """
CREATE TABLE subject (
    subject_id uuid PRIMARY KEY,
    seq        integer NOT NULL
)
"""
NEXT = """
INSERT INTO subject AS kept (subject_id, seq)
VALUES ($1, 1)
ON CONFLICT (subject_id) DO UPDATE
SET seq = kept.seq + 1
RETURNING seq
"""


class NotesSettings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="NOTES_", frozen=True)

    taken: str
    told: str
    group: str
    idle_in_transaction_s: int = postgres.IDLE_IN_TRANSACTION_S


async def tell(conn: Connection, topic: str, event: Event) -> None:
    """Write the outbox row of a note, numbered within its subject, under the subject's lock."""
    assert isinstance(event.data, NoteTaken)
    seq = await conn.fetchval(NEXT, event.subject_id)
    body = json.dumps({"seq": seq, "event_id": str(event.event_id), "text": event.data.text})
    row = Outgoing(topic, event.key, {"ce_id": str(event.event_id)}, body.encode(), event.key)
    await outbox.write(conn, [row])


async def fault(text: str, broker: KafkaBroker) -> None:
    """Do the fault that a text names, if it names one."""
    producer = broker.config.producer._producer.producer  # type: ignore[attr-defined]  # noqa: SLF001
    match text:
        case "wait":
            await asyncio.Event().wait()
        case "be cancelled":
            raise asyncio.CancelledError
        case "exit":
            raise SystemExit(0)
        case "lose count":
            numbers = producer._txn_manager._sequence_numbers  # noqa: SLF001
            for place in list(numbers):
                numbers[place] += 7
        case "close the producer":
            asyncio.get_running_loop().create_task(producer.stop())
        case _:
            pass


async def main() -> None:
    settings = NotesSettings()
    postgres.IDLE_IN_TRANSACTION_S = settings.idle_in_transaction_s
    log.configure("notes", json=settings.log_json)
    crash.arm(settings.mode)
    work, broker = Work(), kafka.make_broker(settings, "notes")
    handler = notes.Handler()

    async def apply(conn: Connection, heard: Sequence[Heard[Event]]) -> None:
        await handler.apply(conn, heard)
        for one in heard:
            await tell(conn, settings.told, one.message)
        for text in handler.batches[-1]:
            await fault(text, broker)

    async with open_pool(settings, "notes") as pool:
        relay = Relay(settings, pool, broker)

        async def run() -> None:
            await kafka.start_broker(broker, settings, (settings.taken, settings.told), work)
            taken = await kafka.subscribe(
                broker,
                settings,
                pool,
                topics=[settings.taken],
                group=settings.group,
                parse=notes.parse,
                apply=apply,
                committed=relay.wake,
            )
            work.waiting_for = None
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(relay.run(work.stopping))
                tasks.create_task(kafka.consume_until_stopped(work, [taken]))
                tasks.create_task(replay_until_stopped(work, [taken]))
            await broker.stop()

        app = make_app("notes", {"work": work.check, "outbox": relay.check})
        await serve(settings, app, work, run)


if __name__ == "__main__":
    asyncio.run(main())
