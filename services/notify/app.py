"""Notify, wired: tells people what concerns them, once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import structlog

from contracts.events import Event
from contracts.registry import Change
from contracts.topics import LEDGER_REGISTRY, NOTIFY_EVENTS, ROUTING_EVENTS
from services.chassis import crash, kafka, log
from services.chassis.batch import Subscription
from services.chassis.copy import until_any
from services.chassis.http import Work, make_app, serve
from services.chassis.outbox import Relay
from services.chassis.postgres import Pool, open_pool
from services.chassis.seal import KeyRing
from services.chassis.token import TokenCheck
from services.doors.document import document
from services.notify import inbox
from services.notify.api import Door, make_router
from services.notify.channels.acs3 import AccessKey
from services.notify.channels.aliyun_rpc import lines
from services.notify.channels.aliyun_sms import Account, AliyunSms
from services.notify.channels.aliyun_voice import AliyunVoice, CallAccount
from services.notify.channels.app_inbox import AppInbox
from services.notify.channels.port import Channel
from services.notify.claims import Claims
from services.notify.compiled import all_templates
from services.notify.delivery import Deliverer
from services.notify.handlers import RoutingEvents, on_registry, parse_registry, parse_routing
from services.notify.record import Recorder
from services.notify.replies import Replies
from services.notify.sender import Sender
from services.notify.settings import NotifySettings
from services.notify.towns import Towns
from services.quarantine.replay import replay_until_stopped
from services.telemetry import traces

NAME = "notify"
TOPICS = (ROUTING_EVENTS.name, NOTIFY_EVENTS.name, LEDGER_REGISTRY.name)

logger = structlog.get_logger()


async def main() -> None:
    settings = NotifySettings()
    log.configure(NAME, json=settings.log_json)
    crash.arm(settings.mode)
    traces.configure(NAME)
    work, towns, keys = Work(), Towns(), KeyRing(settings.key_file)
    recorder, broker = Recorder(settings, towns), kafka.make_broker(settings, NAME)
    async with open_pool(settings, NAME) as pool, open_channels(settings, pool) as channels:
        relay = Relay(settings, pool, broker)
        needs = {name: channel.needs for name, channel in channels.items()}
        sender = Sender(
            settings,
            pool,
            Claims(settings, pool, towns, needs, keys),
            Deliverer(keys, channels, all_templates()),
            recorder,
            relay.wake,
        )

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
                told: Subscription[Event] = await read(
                    topics=[ROUTING_EVENTS.name],
                    group=NAME,
                    parse=parse_routing,
                    apply=RoutingEvents(towns, copied).apply,
                    committed=sender.wake,
                )
                work.waiting_for = None
                tasks.create_task(relay.run(work.stopping))
                tasks.create_task(sender.run(work.stopping))
                tasks.create_task(kafka.consume_until_stopped(work, [told]))
                tasks.create_task(replay_until_stopped(work, [told]))
            await broker.stop()

        def recorded() -> None:
            relay.wake()
            sender.wake()

        app = make_app("Chuishao notify", {"work": work.check, "outbox": relay.check})
        tokens = TokenCheck(settings.token_key_file)
        receipts_token = _secret(settings.receipts_token_file)
        replies = Replies(towns, settings.reply_answer_wait_s)
        door = Door(
            settings, pool, towns, keys, tokens, recorder, recorded, replies, receipts_token
        )
        app.include_router(make_router(door))
        app.include_router(inbox.make_router(door))
        document(app)
        await serve(settings, app, work, run)


@asynccontextmanager
async def open_channels(settings: NotifySettings, pool: Pool) -> AsyncIterator[dict[str, Channel]]:
    """Open the channels that are configured; a message passes over the others."""
    own: dict[str, Channel] = {"app": AppInbox(pool)} if settings.app_inbox else {}
    secret = _secret(settings.gateway_secret_file)
    if not (settings.gateway_url and settings.gateway_key_id and settings.gateway_sign_name):
        logger.warning("channel_not_configured", channel="sms")
        yield own
        return
    account = Account(
        str(settings.gateway_url),
        AccessKey(settings.gateway_key_id, secret or ""),
        settings.gateway_sign_name,
        settings.template_codes,
    )
    async with lines(
        settings.send_concurrency, settings.gateway_connect_s, settings.gateway_deadline_s
    ) as http:
        given: dict[str, Channel] = {**own, "sms": AliyunSms(account, http)}
        if settings.voice_url and settings.voice_show_number:
            calls = CallAccount(
                str(settings.voice_url),
                account.key,
                settings.voice_show_number,
                settings.template_codes,
            )
            given["voice"] = AliyunVoice(calls, http)
        yield given


def _secret(file: Path | None) -> str | None:
    return file.read_text().strip() if file else None
