"""A town, its facts as records, a sender of our own and a real gateway: what these tests share."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import Any
from uuid import UUID, uuid4

import httpx
import uvicorn
from fastapi import FastAPI

from contracts.events import Event, Fact, effect_id
from contracts.facts import (
    CaseAssignedV1,
    CaseClosedV1,
    CaseDeadlineMissedV1,
    CaseDeadlineWarnedV1,
    CaseOpenedV1,
    Owner,
    Sealed,
)
from contracts.registry import Change
from contracts.topics import LEDGER_REGISTRY, ROUTING_EVENTS
from deploy.local.secrets import Secrets
from deploy.sandbox.app import build_app, utc_now
from deploy.sandbox.server import SandboxServer
from deploy.sandbox.settings import SandboxSettings
from services.chassis.batch import Subscription
from services.chassis.http import make_app
from services.chassis.inbox import Record
from services.chassis.postgres import Pool
from services.chassis.seal import KeyRing
from services.chassis.token import TokenCheck
from services.notify import inbox
from services.notify.api import Door, make_router
from services.notify.app import open_channels
from services.notify.channels.port import Channel
from services.notify.claims import Claims
from services.notify.compiled import CALL_TEMPLATES_FILE, TEMPLATES_FILE, all_templates
from services.notify.delivery import Deliverer
from services.notify.handlers import RoutingEvents, on_registry, parse_registry, parse_routing
from services.notify.record import Recorder
from services.notify.replies import Replies
from services.notify.sender import Sender
from services.notify.settings import NotifySettings
from services.notify.towns import Towns
from tests import factories
from tests.factories import TENANT
from tests.waiting import PATIENCE_S

KEY_ID, SECRET, SIGN, RECEIPTS_TOKEN = "chuishao", "gateway-secret", "吹哨", "receipts-token"
SHOW_NUMBER = "057100000000"
CALLBACK = f"/v1/receipts/aliyun?token={RECEIPTS_TOKEN}"
WORKER = Owner(unit="g01", role="grid_worker", staff="s-gw-01")
DUE = datetime(2025, 3, 5, 8, 30, tzinfo=UTC)  # 16:30 in the town
AHEAD = datetime(2099, 3, 5, 8, 30, tzinfo=UTC)
REPORTER_PHONE = "13812345678"

# Real time, made short: each of these is seconds or minutes in earnest.
QUICK: dict[str, Any] = {
    "gateway_deadline_s": 1.0,
    "send_lease_s": 2.0,
    "send_poll_s": 0.02,
    "retry_wait_s_max": 0.05,
    "lookup_wait_s": 0.05,
    "lost_after_s": 2.0,
    "unresolved_after_s": 20,
    "quiet_hours": False,  # whatever the hour is at which tests run
    "app_inbox": False,  # what is tested goes by SMS
}


class Consumer:
    """Kafka's consumer as a batch sees it: nothing is assigned, so nothing is committed."""

    def __init__(self) -> None:
        self.given_back = 0
        self.copied = True

    async def is_copied(self, _conn: object) -> bool:
        """Tell whether notify's copy of the registry is whole."""
        return self.copied

    def assignment(self) -> set[object]:
        return set()

    async def commit(self, _offsets: object) -> None:
        return None

    def pause(self, *_partitions: object) -> None:
        self.given_back += 1

    def resume(self, *_partitions: object) -> None:
        return None


@dataclass
class World:
    """One database of notify, its town, and how facts come in."""

    pool: Pool
    keys: Secrets
    ring: KeyRing
    settings: NotifySettings
    towns: Towns = field(default_factory=Towns)
    consumer: Consumer = field(default_factory=Consumer)
    offsets: "count[int]" = field(default_factory=count)
    numbers: "count[int]" = field(default_factory=lambda: count(1))

    async def registry(self, changes: Sequence[Change]) -> None:
        subscription = Subscription(
            self.settings,
            self.pool,
            [LEDGER_REGISTRY.name],
            parse_registry,
            on_registry,
            lambda: None,
        )
        records = factories.registry_records(changes, offset=next(self.offsets) * 10_000)
        await subscription.on_batch(self.consumer, records)

    async def town(self, *more: dict[str, Any], tenant: str = TENANT) -> None:
        """Take in a small seeded town; `more` replaces records of it."""
        lines = {
            (line["kind"], line["id"]): line
            for line in (*factories.town_lines(tenant=tenant), *more)
        }
        await self.registry(factories.registry_changes(self.ring, lines.values(), tenant=tenant))

    def records(self, events: Iterable[Event], at: datetime | None = None) -> list[Record]:
        at = at or datetime.now(UTC)
        return [
            factories.record_of(event, topic=ROUTING_EVENTS.name, offset=next(self.offsets), at=at)
            for event in events
        ]

    async def hear(self, *events: Event, at: datetime | None = None) -> None:
        """Hand facts to the handler as one batch, as Kafka would."""
        await self.hear_records(self.records(events, at))

    async def hear_records(self, records: Sequence[Record]) -> None:
        subscription = Subscription(
            self.settings,
            self.pool,
            [ROUTING_EVENTS.name],
            parse_routing,
            RoutingEvents(self.towns, self.consumer.is_copied).apply,
            lambda: None,
        )
        await subscription.on_batch(self.consumer, records)

    def opened(self, **more: Any) -> Event:
        """Open a case, with a number of its own."""
        return opened(self.ring, number=f"250303-{next(self.numbers):04d}", **more)

    async def assign(self, owner: Owner = WORKER, **more: Any) -> UUID:
        """Open a case and assign it: one message, by SMS, to its owner."""
        first = self.opened(owner=owner, **more)
        case_id, tenant = first.subject_id, first.tenant_id
        await self.hear(first, assigned(case_id, owner, tenant))
        return case_id

    @asynccontextmanager
    async def sending(self, **more: Any) -> AsyncIterator[Sender]:
        """Run a sender while the block lasts."""
        settings = self.settings.model_copy(update=more)
        async with open_channels(settings, self.pool) as channels:
            sender, stopping = self.sender(settings, channels), asyncio.Event()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(sender.run(stopping))
                yield sender
                stopping.set()
                sender.wake()

    def sender(self, settings: NotifySettings, channels: dict[str, Channel]) -> Sender:
        return Sender(
            settings,
            self.pool,
            self.claims(settings, channels),
            Deliverer(self.ring, channels, all_templates()),
            Recorder(settings, self.towns),
            lambda: None,
        )

    def claims(self, settings: NotifySettings, channels: dict[str, Channel]) -> Claims:
        needs = {name: channel.needs for name, channel in channels.items()}
        return Claims(settings, self.pool, self.towns, needs, self.ring)

    async def until(self, state: str, messages: int = 1) -> None:
        """Wait until so many messages are in a state."""
        query = f"SELECT count(*) >= {messages} FROM intent WHERE state = '{state}'"  # noqa: S608
        await self.eventually(query)

    async def eventually(self, query: str) -> None:
        """Wait until a query finds something."""
        async with asyncio.timeout(PATIENCE_S):
            while not await self.pool.fetchval(query):
                await asyncio.sleep(0.01)

    async def attempts(self) -> list[tuple[str, str, str | None]]:
        """Return every attempt as (channel, state, code), in order."""
        query = "SELECT channel, state, code FROM attempt ORDER BY intent_id, number"
        return [tuple(row) for row in await self.pool.fetch(query)]

    async def sms(self) -> list[tuple[str, str | None]]:
        """Return what became of every attempt by SMS, as (state, code), in order."""
        return [(state, code) for channel, state, code in await self.attempts() if channel == "sms"]

    async def facts(self) -> list[tuple[str, dict[str, Any]]]:
        """Return what is to be announced, as (type, body), in order of writing."""
        query = (
            "SELECT headers ->> 'ce_type', convert_from(body, 'UTF8')::jsonb FROM outbox"
            " ORDER BY id"
        )
        return [tuple(row) for row in await self.pool.fetch(query)]

    def app(self, recorded: Any = lambda: None) -> FastAPI:
        tokens = TokenCheck(self.settings.token_key_file)
        recorder = Recorder(self.settings, self.towns)
        door = Door(
            self.settings,
            self.pool,
            self.towns,
            self.ring,
            tokens,
            recorder,
            recorded,
            Replies(self.towns, self.settings.reply_answer_wait_s),
            RECEIPTS_TOKEN,
        )
        app = make_app("notify", {})
        app.include_router(make_router(door))
        app.include_router(inbox.make_router(door))
        return app


def event(case_id: UUID, fact: Fact, tenant: str = TENANT, cause: str = "") -> Event:
    return Event(
        event_id=effect_id(case_id, f"{fact.TYPE}|{cause}"),
        tenant_id=tenant,
        subject_id=case_id,
        occurred_at=factories.START,
        source="/routing",
        data=fact,
        seq=1,
    )


def opened(ring: KeyRing, tenant: str = TENANT, **more: Any) -> Event:
    """A case is opened; its reporter can be reached by phone unless told otherwise."""
    case_id, reporter = uuid4(), None
    contacts = more.pop("contacts", {"name": "张三", "phone": f"+86{REPORTER_PHONE}"})
    if contacts:
        reporter = Sealed(**asdict(ring.seal(tenant, str(case_id), contacts)))
    given = {
        "number": "250303-0001",
        "front_end": "demo",
        "category": "dispute_neighbour",
        "severity": "ordinary",
        "class": "general",
        "flow": "standard_case",
        "profile_version": 1,
        "state": "reported",
        "grid": "g01",
        "village": "v1",
        "owner": WORKER,
        "received_at": factories.START,
        "reporter": reporter,
        **more,
    }
    return event(case_id, CaseOpenedV1.model_validate(given), tenant)


def assigned(case_id: UUID, owner: Owner = WORKER, tenant: str = TENANT) -> Event:
    return event(case_id, CaseAssignedV1(owner=owner, rule="roster"), tenant)


def warned(case_id: UUID, due_at: datetime = AHEAD) -> Event:
    return event(case_id, CaseDeadlineWarnedV1(deadline="class", due_at=due_at))


def missed(case_id: UUID, due_at: datetime = DUE) -> Event:
    return event(case_id, CaseDeadlineMissedV1(deadline="class", due_at=due_at))


def closed(case_id: UUID) -> Event:
    by = {"staff": "s-gw-01", "role": "grid_worker"}
    return event(case_id, CaseClosedV1.model_validate({"by": by, "state": "closed"}))


@dataclass
class Gateway:
    """A real sandbox gateway on a port of its own."""

    http: httpx.AsyncClient
    url: str

    async def fault(self, kind: str, **more: Any) -> None:
        given = {"kind": kind, **more}
        if "share" not in given:
            given.setdefault("next", 1)
        answer = await self.http.post("/sandbox/faults", json={"faults": [given]})
        assert answer.status_code == 201, answer.text

    async def messages(self, **where: Any) -> list[dict[str, Any]]:
        """Return what has reached phones, the oldest first."""
        answer = await self.http.get("/sandbox/messages", params={"limit": 50_000, **where})
        found: list[dict[str, Any]] = answer.json()["messages"]
        return found

    async def calls(self, count: int) -> list[dict[str, Any]]:
        """Return the calls that have rung, once there are so many."""
        async with asyncio.timeout(PATIENCE_S):
            while len(rung := [m for m in await self.messages() if m["call"]]) < count:
                await asyncio.sleep(0.01)
        return rung

    async def press(self, call: dict[str, Any], key: str) -> int:
        """Answer a call and press a key; none: hang up."""
        path = f"/sandbox/calls/{call['message_id']}"
        return (await self.http.post(path, json={"key": key})).status_code

    async def texts(self, **where: Any) -> list[str]:
        return [one["text"] for one in await self.messages(**where) if not one["call"]]


class SilentServer(uvicorn.Server):
    """Leaves the signals to pytest."""

    @contextmanager
    def capture_signals(self) -> Any:
        yield


@asynccontextmanager
async def serve(server: uvicorn.Server) -> AsyncIterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await serving


@asynccontextmanager
async def gateway(
    callback_url: str | None = None, clock: Callable[[], datetime] = utc_now, **more: Any
) -> AsyncIterator[Gateway]:
    settings = SandboxSettings.model_validate(
        {
            "port": 0,
            "access_keys": {KEY_ID: SECRET},
            "sign_names": [SIGN],
            "templates_file": TEMPLATES_FILE,
            "limits": {"per_day_max": None},
            "call_templates_file": CALL_TEMPLATES_FILE,
            "calls": {
                "show_numbers": [SHOW_NUMBER],
                "per_minute_max": None,
                "per_hour_max": None,
                "per_day_max": None,
            },
            "receipts": {
                "callback_url": callback_url,
                "calls_url": callback_url and callback_url.replace("/aliyun?", "/aliyun_voice?"),
                "delay_s": 0,
                "retry_first_s": 0.01,
                "retry_longest_s": 0.05,
            },
            "stop_grace_s": 1,
            **more,
        }
    )
    closing = asyncio.Event()
    server = SandboxServer(build_app(settings, closing, clock), settings, closing)
    async with (
        serve(server) as url,
        httpx.AsyncClient(base_url=url, trust_env=False, timeout=10) as http,
    ):
        yield Gateway(http, url)
