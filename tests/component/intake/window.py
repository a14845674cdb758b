"""The window at which reports come in: the real app, a registry in memory, no broker behind it.

What would be accepted is answered with 503 `not_confirmed`: so far everything was right.
"""

import json
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from fastapi import FastAPI

from contracts.events import Event
from contracts.topics import ROUTING_EVENTS
from deploy.local.secrets import Secrets
from services.chassis import kafka
from services.chassis.batch import Subscription
from services.chassis.http import make_app
from services.chassis.inbox import Record
from services.chassis.postgres import Pool, open_pool
from services.chassis.seal import KeyRing
from services.chassis.token import TokenCheck
from services.intake import attachment_api
from services.intake.accept import Acceptor
from services.intake.api import make_router, with_front_ends
from services.intake.attachments import Attachments
from services.intake.callers import Callers
from services.intake.contents import Contents
from services.intake.follow_ups import FollowUps
from services.intake.handlers import Tracking, parse
from services.intake.registry import KINDS, Registry
from services.intake.settings import IntakeSettings
from services.intake.unnamed import Unnamed
from tests import factories
from tests.factories import START, TENANT

REPORT = {"tenant": TENANT, "summary": "路灯不亮"}
RIGHT = (503, "not_confirmed")


class Consumer:
    """Kafka's consumer as a batch sees it: nothing is assigned, so nothing is committed."""

    def assignment(self) -> set[object]:
        return set()

    async def commit(self, _offsets: object) -> None: ...

    def pause(self, *_partitions: object) -> None: ...

    def resume(self, *_partitions: object) -> None: ...


@dataclass(frozen=True)
class Window:
    """Intake as a front end and a reporter meet it."""

    app: FastAPI
    http: httpx.AsyncClient
    pool: Pool
    ring: KeyRing
    secrets: Secrets
    registry: Registry
    routing: Subscription[Any]
    callers: Callers
    unnamed: Unnamed

    def know(self, *lines: Mapping[str, Any], change_set: str, tenant: str = TENANT) -> None:
        changes = factories.registry_changes(self.ring, lines, tenant=tenant, change_set=change_set)
        for record in factories.registry_records(changes):
            self.registry.take(record)

    def front_end(self, api_key: str, name: str, tenant: str = TENANT, **more: Any) -> None:
        """Let a front end in, or change what it may."""
        line = {**factories.demo_front_end(self.ring, api_key, **more), "id": name}
        self.know(line, change_set=f"{name}-{json.dumps(more)}", tenant=tenant)

    async def post(
        self,
        body: object = None,
        *,
        key: str | None = "k1",
        api_key: str | None = "demo-key",
        **headers: str,
    ) -> httpx.Response:
        given = {"Idempotency-Key": key, "X-Api-Key": api_key, **headers}
        content = body if isinstance(body, bytes) else json.dumps(body or REPORT).encode()
        return await self.http.post(
            "/v1/cases",
            content=content,
            headers={name: value for name, value in given.items() if value is not None},
        )

    async def hear(self, *events: Event) -> None:
        await self.routing.on_batch(Consumer(), [self.record(event) for event in events])

    def record(self, event: Event) -> Record:
        return factories.record_of(event, topic=ROUTING_EVENTS.name, offset=event.seq, at=START)


def told(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json().get("code", "")


def small_town(tenant: str = TENANT) -> Iterable[Mapping[str, Any]]:
    """Return what intake reads of a town."""
    return [line for line in factories.town_lines(tenant=tenant) if line["kind"] in KINDS]


@asynccontextmanager
async def open_window(dsn: str, secrets: Secrets, **more: Any) -> AsyncIterator[Window]:
    more = {"refusal_hold_s": 0, **more}
    settings = factories.settings(IntakeSettings, secrets, dsn=dsn, **more)
    ring, registry = KeyRing(settings.key_file), Registry()
    async with open_pool(settings, "intake") as pool:
        broken: list[BaseException] = []
        contents, broker = Contents(settings, ring), kafka.make_broker(settings, "intake")
        acceptor = Acceptor(settings, broker, registry, ring, contents, broken.append)
        app = make_app("intake", {})
        callers = Callers(settings)
        app.include_router(make_router(pool, registry, callers, acceptor.gate))
        follow_ups = FollowUps(acceptor, registry, ring, pool, callers)
        doors = with_front_ends(app, acceptor, settings, follow_ups)
        attachments = Attachments(settings, acceptor, registry, ring, pool, contents)
        tokens = TokenCheck(settings.token_key_file)
        app.include_router(attachment_api.make_router(attachments, acceptor, tokens))
        routing = Subscription(
            settings, pool, [ROUTING_EVENTS.name], parse, Tracking(ring).apply, lambda: None
        )
        transport = httpx.ASGITransport(doors, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://intake") as http:
            unnamed = attachments.unnamed
            window = Window(app, http, pool, ring, secrets, registry, routing, callers, unnamed)
            window.know(*small_town(), change_set="seed")
            window.front_end("demo-key", "demo")
            registry.complete = True
            yield window
        assert broken == []
