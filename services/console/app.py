"""The console, wired: the live board, from its own copy of what routing announces."""

import asyncio

from contracts.topics import LEDGER_REGISTRY, ROUTING_EVENTS
from services.chassis import crash, kafka, log
from services.chassis.http import Work, make_app, serve
from services.chassis.postgres import open_pool
from services.chassis.token import TokenCheck
from services.console.api import Hall, add_pages
from services.console.handlers import BoardFacts, parse
from services.console.hearing import Hearing
from services.console.ledger import open_ledger
from services.console.live import Boards
from services.console.register import Register, add_register
from services.console.render import Pages
from services.console.settings import ConsoleSettings
from services.console.stream import Streams
from services.console.towns import Towns
from services.doors.document import document
from services.quarantine.replay import replay_until_stopped
from services.telemetry import traces

NAME = "console"
TOPICS = (ROUTING_EVENTS.name, LEDGER_REGISTRY.name)


async def main() -> None:
    settings = ConsoleSettings()
    log.configure(NAME, json=settings.log_json)
    crash.arm(settings.mode)
    traces.configure(NAME)
    work, towns = Work(), Towns()
    broker = kafka.make_broker(settings, NAME)
    async with open_pool(settings, NAME) as pool, open_ledger(settings) as ledger:
        boards, hearing = Boards(settings, pool, towns), Hearing(pool)

        async def run() -> None:
            await kafka.start_broker(broker, settings, TOPICS, work)
            work.waiting_for = "the registry"
            caught_up = await kafka.follow(
                broker, settings, LEDGER_REGISTRY.name, LEDGER_REGISTRY.partitions, towns.take
            )
            await caught_up.wait()
            towns.complete = True
            await towns.any_town.wait()
            facts = await kafka.subscribe(
                broker,
                settings,
                pool,
                topics=[ROUTING_EVENTS.name],
                group=NAME,
                parse=parse,
                apply=BoardFacts(towns).apply,
            )
            work.waiting_for = None
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_end_streams(work, boards))
                tasks.create_task(boards.run(work.stopping))
                tasks.create_task(hearing.run(facts.subscriber.consumer, work.stopping))
                tasks.create_task(kafka.consume_until_stopped(work, [facts]))
                tasks.create_task(replay_until_stopped(work, [facts]))
            await broker.stop()

        async def seen() -> str | None:
            unseen = boards.unseen_s > settings.stale_s and work.waiting_for is None
            return "the database: the board cannot look at it" if unseen else None

        app = make_app("Chuishao console", {"work": work.check, "board": seen})
        pages = Pages(settings)
        streams = Streams(boards, pages, hearing, settings.beat_s)
        add_pages(app, Hall(settings, pool, towns, boards, pages, streams))
        add_register(app, Register(towns, TokenCheck(settings.token_key_file), ledger))
        document(app)
        await serve(settings, app, work, run)


async def _end_streams(work: Work, boards: Boards) -> None:
    await work.closing.wait()
    boards.close()
