"""Ledger, wired: holds the registry, keeps every fact, counts cases."""

import asyncio
import gc
from functools import partial

from contracts.topics import INTAKE_EVENTS, LEDGER_REGISTRY, NOTIFY_EVENTS, ROUTING_EVENTS
from services.chassis import crash, kafka, log
from services.chassis.http import Check, Work, make_app, serve
from services.chassis.outbox import Relay
from services.chassis.postgres import open_pool
from services.chassis.seal import KeyRing
from services.chassis.token import TokenCheck
from services.doors.document import document
from services.ledger.api.cases import make_case_router
from services.ledger.api.coverage import make_coverage_router
from services.ledger.api.door import Door
from services.ledger.api.erasures import make_erasure_router
from services.ledger.api.life import make_life_router
from services.ledger.api.pages import make_page_router
from services.ledger.api.records import make_record_router
from services.ledger.api.registry import make_clock_router, make_registry_router
from services.ledger.api.search import make_search_router
from services.ledger.api.sensitive import make_sensitive_router
from services.ledger.api.sheets import make_sheet_router
from services.ledger.api.unmask import make_unmask_router
from services.ledger.due import publish_due_until_stopped
from services.ledger.handlers import on_facts, parse
from services.ledger.sealer import Sealer
from services.ledger.settings import LedgerSettings
from services.ledger.store import wall
from services.quarantine.replay import replay_until_stopped
from services.telemetry import traces

NAME = "ledger"
# Objects that are made before the collector looks: a set makes a million, none of them in a circle.
_YOUNG_MAX = 50_000
FACTS = (INTAKE_EVENTS.name, ROUTING_EVENTS.name, NOTIFY_EVENTS.name)


async def main() -> None:
    settings = LedgerSettings()
    log.configure(NAME, json=settings.log_json)
    crash.arm(settings.mode)
    traces.configure(NAME)
    work, broker = Work(), kafka.make_broker(settings, NAME)
    async with open_pool(settings, NAME) as pool:
        relay, sealer = Relay(settings, pool, broker), Sealer(settings, pool)

        async def run() -> None:
            await kafka.start_broker(broker, settings, (*FACTS, LEDGER_REGISTRY.name), work)
            facts = await kafka.subscribe(
                broker,
                settings,
                pool,
                topics=FACTS,
                group=NAME,
                parse=parse,
                apply=on_facts,
            )
            work.waiting_for = None
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(relay.run(work.stopping))
                tasks.create_task(sealer.run(work.stopping))
                tasks.create_task(kafka.consume_until_stopped(work, [facts]))
                tasks.create_task(replay_until_stopped(work, [facts]))
                tasks.create_task(publish_due_until_stopped(work, pool, relay))
            await broker.stop()

        checks: dict[str, Check] = {
            "work": work.check,
            "outbox": relay.check,
            "wall": partial(wall.check, pool),
        }
        app = make_app("Chuishao ledger", checks)
        keys, tokens = KeyRing(settings.key_file), TokenCheck(settings.token_key_file)
        door = Door(settings, pool, keys, tokens, relay)
        app.include_router(make_registry_router(door))
        app.include_router(make_coverage_router(door))
        app.include_router(make_life_router(door))
        app.include_router(make_case_router(door))
        app.include_router(make_sheet_router(door))
        app.include_router(make_erasure_router(door))
        app.include_router(make_page_router(door))
        app.include_router(make_search_router(door))
        app.include_router(make_record_router(door))
        app.include_router(make_unmask_router(door))
        app.include_router(make_sensitive_router(door))
        if settings.mode == "development":
            app.include_router(make_clock_router(door))
        document(app)
        gc.freeze()  # what stays for good need not be looked through with every large set
        gc.set_threshold(_YOUNG_MAX)
        await serve(settings, app, work, run)
