"""Routing on a real database: records are handed in, people act over HTTP, the outbox is read."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import asyncpg
import httpx

from contracts.events import Event, read_event
from contracts.facts import ROUTING_FACTS, CaseDeadlineMissedV1
from contracts.registry import Change
from contracts.topics import INTAKE_EVENTS, LEDGER_REGISTRY, NOTIFY_EVENTS, ROUTING_EVENTS
from deploy.local.secrets import Secrets
from services.chassis.batch import Subscription
from services.chassis.http import make_app
from services.chassis.inbox import Record
from services.chassis.kafka import partition_of
from services.chassis.postgres import Pool, open_pool
from services.chassis.seal import KeyRing
from services.chassis.token import TokenCheck
from services.routing import handing, pull, stages, stream, whistles
from services.routing.api import make_router
from services.routing.clockwork import Clockwork
from services.routing.door import Door
from services.routing.handlers import (
    IntakeEvents,
    on_registry,
    parse_intake,
    parse_notify,
    parse_registry,
)
from services.routing.requests import take_requests
from services.routing.settings import RoutingSettings
from services.routing.stream import Streams
from services.routing.towns import Towns
from tests import factories
from tests.factories import START

ROLES = {"grid_worker", "grid_leader", "dedicated_grid_worker", "village_cadre", "village_team"} | {
    "center_clerk",
}
OUTBOX = """
SELECT topic, record_key, headers, body, lane
FROM outbox
WHERE headers ->> 'ce_tenant' = $1
ORDER BY id
"""


class Consumer:
    """Kafka's consumer as routing sees it: nothing is assigned; the topic's ends are as told."""

    def __init__(self) -> None:
        self.ends: Counter[int] = Counter()
        self.reply_ends: Counter[int] = Counter()
        self.reply_firsts: Counter[int] = Counter()  # what was before them has expired
        self.given_back = 0
        self.copied = True

    async def is_copied(self, _conn: object) -> bool:
        """Tell whether routing's copy of the registry is whole."""
        return self.copied

    def assignment(self) -> set[Any]:
        self.given_back += 1  # asked when a batch is committed or given back
        return set()

    async def commit(self, _offsets: object) -> None: ...

    def pause(self, *_partitions: object) -> None: ...

    def resume(self, *_partitions: object) -> None: ...

    async def end_offsets(self, places: Iterable[Any]) -> dict[Any, int]:
        ends = {INTAKE_EVENTS.name: self.ends, NOTIFY_EVENTS.name: self.reply_ends}
        return {place: ends[place.topic][place.partition] for place in places}

    async def beginning_offsets(self, places: Iterable[Any]) -> dict[Any, int]:
        firsts = {INTAKE_EVENTS.name: Counter[int](), NOTIFY_EVENTS.name: self.reply_firsts}
        return {place: firsts[place.topic][place.partition] for place in places}


def town_lines(profile: str = "yihe") -> list[dict[str, Any]]:
    """Return a small town with the few who act in these tests."""
    lines = []
    for line in factories.town_lines(profile):
        body = line["body"]
        posts = [post for post in body.get("posts", []) if post["role"] in ROLES]
        if line["kind"] == "staff":
            if posts:
                lines.append({**line, "body": {**body, "posts": posts}})
        elif line["kind"] in ("unit", "profile", "household"):
            lines.append(dict(line))
    return lines


@dataclass(frozen=True)
class Desk:
    """Routing as one tenant's reporters, people and operators meet it."""

    pool: Pool
    secrets: Secrets
    settings: RoutingSettings
    ring: KeyRing
    towns: Towns
    http: httpx.AsyncClient
    consumer: Consumer
    woken: list[None]
    tenant: str
    subscriptions: Mapping[str, Subscription[Any]] = field(repr=False)
    door: Door = field(repr=False)

    def of(self, tenant: str) -> "Desk":
        return replace(self, tenant=tenant)

    # --- what comes in -------------------------------------------------------------------------

    async def town(self, *lines: Mapping[str, Any], change_set: str = "seed") -> None:
        """Record a change set; without lines, the small town."""
        given = [*lines] or town_lines()
        changes = factories.registry_changes(
            self.ring, given, tenant=self.tenant, change_set=change_set
        )
        await self.change(*changes)

    async def change(self, *changes: Change) -> None:
        records = factories.registry_records(changes)
        await self.subscriptions["registry"].on_batch(self.consumer, records)

    def event(self, key: str = "k1", **more: Any) -> Event:
        return factories.report_event(self.ring, key, tenant=self.tenant, **more)

    def record(self, event: Event, at: datetime = START) -> Record:
        """Return the event as the next record of its partition."""
        partition = partition_of(event.key, INTAKE_EVENTS.partitions)
        offset = self.consumer.ends[partition]
        self.consumer.ends[partition] += 1
        return factories.record_of(event, partition=partition, offset=offset, at=at)

    def reply(self, event: Event, at: datetime = START) -> Record:
        """Return the event as the next record of its partition among notify's."""
        partition = partition_of(event.key, NOTIFY_EVENTS.partitions)
        offset = self.consumer.reply_ends[partition]
        self.consumer.reply_ends[partition] += 1
        return factories.record_of(
            event, topic=NOTIFY_EVENTS.name, partition=partition, offset=offset, at=at
        )

    async def hear_replies(self, *records: Record) -> None:
        await self.subscriptions["replies"].on_batch(self.consumer, records)

    async def hear(self, *records: Record) -> None:
        await self.subscriptions["intake"].on_batch(self.consumer, records)

    async def report(self, key: str = "k1", *, at: datetime = START, **more: Any) -> UUID:
        event = self.event(key, **more)
        await self.hear(self.record(event, at))
        return event.subject_id

    async def urgent(self, key: str = "k1", at: datetime = START) -> UUID:
        """Report an urgent case: warned after 12 hours, due after 24, first act in 30 minutes."""
        return await self.report(key, at=at, location={"grid": "g01"}, case_class="urgent")

    async def set_clock(self, *offsets: tuple[datetime, timedelta]) -> None:
        entries = [{"from_at": at.isoformat(), "seconds": by.total_seconds()} for at, by in offsets]
        line = {"kind": "clock", "id": "clock", "body": {"offsets": entries}}
        await self.town(line, change_set=f"clock-{len(entries)}")

    # --- what people do ------------------------------------------------------------------------

    @property
    def proof(self) -> list[str]:
        """Return the id of an attachment as intake gives them out in this town."""
        return [factories.attachment(self.ring, tenant=self.tenant)]

    def headers(self, role: str, unit: str, staff: str = "dev") -> dict[str, str]:
        roles = (role,) if role else ()
        token = factories.token(self.secrets, *roles, tenant=self.tenant, units=[unit], staff=staff)
        return {"Authorization": f"Bearer {token}"}

    async def get(
        self, path: str, role: str = "center_clerk", unit: str = "town", **params: Any
    ) -> httpx.Response:
        return await self.http.get(path, params=params, headers=self.headers(role, unit))

    async def step(
        self, case_id: UUID, step: str, by: tuple[str, str, str], seq: int, **given: Any
    ) -> httpx.Response:
        body = {"step": step, "expected_seq": seq, **given}
        path = f"/v1/cases/{case_id}/steps"
        return await self.http.post(path, json=body, headers=self.headers(*by))

    # --- what is kept --------------------------------------------------------------------------

    async def case(self, case_id: UUID) -> asyncpg.Record:
        found = await self.rows("cases", case_id)
        assert len(found) == 1
        return found[0]

    async def rows(self, table: str, case_id: UUID | None = None) -> list[asyncpg.Record]:
        """Return a table's rows of this town in one order, whatever plan PostgreSQL takes."""
        query, order = f"SELECT * FROM {table} WHERE tenant_id = $1", "ORDER BY ctid"  # noqa: S608 - ours
        if case_id is None:
            return list(await self.pool.fetch(f"{query} {order}", self.tenant))
        one = f"{query} AND case_id = $2 {order}"
        return list(await self.pool.fetch(one, self.tenant, case_id))

    async def announced(self, case_id: UUID | None = None) -> list[Event]:
        """Return the tenant's facts in the outbox, read as any reader would."""
        events = []
        for row in await self.pool.fetch(OUTBOX, self.tenant):
            if row["topic"] != ROUTING_EVENTS.name:
                continue
            headers = {name: text.encode() for name, text in row["headers"].items()}
            event = read_event(ROUTING_FACTS, headers, row["body"])
            assert event is not None
            if case_id in (None, event.subject_id):
                events.append(event)
        return events

    async def missed(self, case_id: UUID) -> list[str]:
        """Return the deadlines of a case that were announced as missed, in order."""
        told = [event.data for event in await self.announced(case_id)]
        return [fact.deadline for fact in told if isinstance(fact, CaseDeadlineMissedV1)]

    async def now(self) -> datetime:
        """Return the database's time."""
        now: datetime = await self.pool.fetchval("SELECT clock_timestamp()")
        return now.astimezone(UTC)

    async def told(self, case_id: UUID) -> list[str]:
        return [event.data.TYPE.removesuffix(".v1") for event in await self.announced(case_id)]

    def clockwork(self, towns: Towns | None = None, consumer: Consumer | None = None) -> Clockwork:
        def fired(timers: int) -> None:
            if timers:
                self.woken.append(None)

        return Clockwork(
            self.settings, self.pool, towns or self.towns, consumer or self.consumer, fired
        )


@asynccontextmanager
async def open_desk(dsn: str, secrets: Secrets, **more: Any) -> AsyncIterator[Desk]:
    settings = factories.settings(RoutingSettings, secrets, dsn=dsn, **more)
    keys, tokens, towns = KeyRing(settings.key_file), TokenCheck(settings.token_key_file), Towns()
    woken: list[None] = []
    consumer = Consumer()
    async with open_pool(settings, "routing") as pool:

        def wake() -> None:
            woken.append(None)

        app = make_app("routing", {})
        door = Door(pool, towns, keys, tokens, wake)
        app.include_router(make_router(door))
        app.include_router(whistles.make_router(door))
        app.include_router(stages.make_router(door))
        app.include_router(pull.make_router(door))
        streams = Streams(settings, door, asyncio.Event())
        app.include_router(stream.make_router(door, streams))
        app.include_router(handing.make_router(door))
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        intake = Subscription(
            settings,
            pool,
            [INTAKE_EVENTS.name],
            parse_intake,
            IntakeEvents(towns, consumer.is_copied).apply,
            wake,
        )
        registry = Subscription(
            settings, pool, [LEDGER_REGISTRY.name], parse_registry, on_registry, lambda: None
        )
        replies = Subscription(
            settings,
            pool,
            [NOTIFY_EVENTS.name],
            parse_notify,
            partial(take_requests, towns=towns),
            wake,
        )
        every: dict[str, Subscription[Any]] = {
            "intake": intake,
            "registry": registry,
            "replies": replies,
        }
        async with httpx.AsyncClient(transport=transport, base_url="http://routing") as http:
            yield Desk(
                pool, secrets, settings, keys, towns, http, consumer, woken, "yihe", every, door
            )
