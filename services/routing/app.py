"""Routing, wired: decides who answers for a case, and keeps its clocks."""

import asyncio
import gc
from functools import partial

from contracts.events import Event
from contracts.registry import Change
from contracts.topics import INTAKE_EVENTS, LEDGER_REGISTRY, NOTIFY_EVENTS, ROUTING_EVENTS
from services.chassis import crash, kafka, log
from services.chassis.batch import Subscription
from services.chassis.copy import until_any
from services.chassis.http import Work, make_app, serve
from services.chassis.postgres import open_pool
from services.chassis.seal import KeyRing
from services.chassis.token import TokenCheck
from services.doors.document import document
from services.quarantine.replay import replay_until_stopped
from services.routing import handing, pull, stages, stream, whistles
from services.routing.api import make_router
from services.routing.auditor import Auditor
from services.routing.clockwork import Clockwork
from services.routing.door import Door
from services.routing.handlers import (
    IntakeEvents,
    on_registry,
    parse_intake,
    parse_notify,
    parse_registry,
)
from services.routing.recount import Recount
from services.routing.relay import GivingWay
from services.routing.requests import take_requests
from services.routing.settings import RoutingSettings
from services.routing.stream import Streams
from services.routing.topics import TopicWatch, topics_of
from services.routing.towns import Towns
from services.telemetry import traces

NAME = "routing"
TOPICS = (INTAKE_EVENTS.name, ROUTING_EVENTS.name, NOTIFY_EVENTS.name, LEDGER_REGISTRY.name)


async def main() -> None:
    settings = RoutingSettings()
    log.configure(NAME, json=settings.log_json)
    crash.arm(settings.mode)
    traces.configure(NAME)
    work, towns = Work(), Towns()
    broker = kafka.make_broker(settings, NAME)
    async with open_pool(settings, NAME) as pool:
        relay = GivingWay(settings, pool, broker)

        async def run() -> None:
            await kafka.start_broker(broker, settings, TOPICS, work)
            work.waiting_for = "the registry"
            read = partial(kafka.subscribe, broker, settings, pool)
            registry: Subscription[Change] = await read(
                topics=[LEDGER_REGISTRY.name],
                group=f"{NAME}.registry",
                parse=parse_registry,
                apply=on_registry,
            )
            copied = partial(kafka.is_processed, registry, LEDGER_REGISTRY.partitions)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(kafka.consume_until_stopped(work, [registry]))
                tasks.create_task(replay_until_stopped(work, [registry]))
                await until_any(pool, "profile", copied)
                reports: Subscription[Event] = await read(
                    topics=[INTAKE_EVENTS.name],
                    group=NAME,
                    parse=parse_intake,
                    apply=IntakeEvents(towns, copied).apply,
                    committed=relay.wake,
                )
                replies: Subscription[Event] = await read(
                    topics=[NOTIFY_EVENTS.name],
                    group=f"{NAME}.replies",
                    parse=parse_notify,
                    apply=partial(take_requests, towns=towns),
                    committed=relay.wake,
                )
                consumer = reports.subscriber.consumer
                there = partial(topics_of, settings.kafka_bootstrap)
                workers = (
                    relay,
                    Clockwork(settings, pool, towns, consumer, relay.fired),
                    Auditor(settings, pool),
                    Recount(settings, pool, towns, relay.wake),
                    TopicWatch(settings, pool, there, relay.wake),
                )
                work.waiting_for = None
                for one in workers:
                    tasks.create_task(one.run(work.stopping))
                tasks.create_task(kafka.consume_until_stopped(work, [reports, replies]))
                tasks.create_task(replay_until_stopped(work, [reports, replies]))
            await broker.stop()

        app = make_app("Chuishao routing", {"work": work.check, "outbox": relay.check})
        keys, tokens = KeyRing(settings.key_file), TokenCheck(settings.token_key_file)
        door = Door(pool, towns, keys, tokens, relay.wake)
        app.include_router(make_router(door))
        app.include_router(whistles.make_router(door))
        app.include_router(stages.make_router(door))
        app.include_router(pull.make_router(door))
        app.include_router(stream.make_router(door, Streams(settings, door, work.closing)))
        app.include_router(handing.make_router(door))
        document(app)
        gc.freeze()  # what stays for good need not be looked through with every large batch
        await serve(settings, app, work, run)
