"""Intake, wired: takes reports in over HTTP and puts them on Kafka."""

import asyncio

import structlog

from contracts.topics import INTAKE_EVENTS, LEDGER_REGISTRY, ROUTING_EVENTS
from services.chassis import crash, kafka, log
from services.chassis.http import Work, make_app, serve
from services.chassis.postgres import open_pool
from services.chassis.seal import KeyRing
from services.chassis.token import TokenCheck
from services.doors.document import document
from services.intake import attachment_api
from services.intake.accept import Acceptor
from services.intake.api import make_router, with_front_ends
from services.intake.attachments import Attachments
from services.intake.callers import Callers
from services.intake.contents import Contents
from services.intake.follow_ups import FollowUps
from services.intake.handlers import Tracking, parse
from services.intake.registry import Registry
from services.intake.settings import IntakeSettings
from services.quarantine.replay import replay_until_stopped
from services.telemetry import traces

NAME = "intake"
TOPICS = (INTAKE_EVENTS.name, ROUTING_EVENTS.name, LEDGER_REGISTRY.name)

logger = structlog.get_logger()


async def main() -> None:
    settings = IntakeSettings()
    log.configure(NAME, json=settings.log_json)
    crash.arm(settings.mode)
    traces.configure(NAME)
    work, registry, keys = Work(), Registry(), KeyRing(settings.key_file)
    broker = kafka.make_broker(settings, NAME)
    lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def on_fatal(error: BaseException) -> None:
        if not lost.done():
            lost.set_exception(error)  # the producer cannot go on: start anew

    async with open_pool(settings, NAME) as pool:

        async def run() -> None:
            await kafka.start_broker(broker, settings, TOPICS, work)
            work.waiting_for = "the registry"
            caught_up = await kafka.follow(
                broker, settings, LEDGER_REGISTRY.name, LEDGER_REGISTRY.partitions, registry.take
            )
            await caught_up.wait()
            await registry.any_town.wait()
            registry.complete = True
            tracked = await kafka.subscribe(
                broker,
                settings,
                pool,
                topics=[ROUTING_EVENTS.name],
                group="intake.track",
                parse=parse,
                apply=Tracking(keys).apply,
            )
            work.waiting_for = None
            async with asyncio.TaskGroup() as tasks:
                failing = tasks.create_task(_raise_when(lost))
                tasks.create_task(replay_until_stopped(work, [tracked]))
                tasks.create_task(attachments.unnamed.sweep_until_stopped(work))
                await kafka.consume_until_stopped(work, [tracked])
                failing.cancel()
            await broker.stop()

        # The database is not part of readiness: reports are accepted without it.
        app = make_app("Chuishao intake", {"work": work.check})
        contents = Contents(settings, keys)
        acceptor = Acceptor(settings, broker, registry, keys, contents, on_fatal)
        callers = Callers(settings)
        app.include_router(make_router(pool, registry, callers, acceptor.gate))
        attachments = Attachments(settings, acceptor, registry, keys, pool, contents)
        tokens = TokenCheck(settings.token_key_file)
        app.include_router(attachment_api.make_router(attachments, acceptor, tokens))
        follow_ups = FollowUps(acceptor, registry, keys, pool, callers)
        doors = with_front_ends(app, acceptor, settings, follow_ups)
        document(app)
        await serve(settings, doors, work, run)


async def _raise_when(lost: "asyncio.Future[None]") -> None:
    await lost
