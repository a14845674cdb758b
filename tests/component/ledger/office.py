"""Ledger's own doors on a real database: HTTP in, records in, the outbox looked at."""

import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import count
from typing import Any
from uuid import UUID

import asyncpg
import httpx
from fastapi import FastAPI

from contracts.registry import Change, read_change
from contracts.topics import ROUTING_EVENTS
from deploy.local.secrets import Secrets
from services.chassis import kafka
from services.chassis.batch import Subscription
from services.chassis.http import make_app
from services.chassis.inbox import Record
from services.chassis.outbox import Relay
from services.chassis.postgres import Pool, open_pool
from services.chassis.seal import KeyRing
from services.chassis.token import TokenCheck
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
from services.ledger.handlers import on_facts, parse
from services.ledger.settings import LedgerSettings
from tests import factories
from tests.servers import as_service

OUTBOX = """
SELECT id, record_key, headers, body, partition, lane
FROM outbox
WHERE headers ->> 'ce_tenant' = $1
ORDER BY id
"""

# By table, the order in which its rows were written, where space that is used again must not tell.
WRITTEN = {"audit": "seq", "change_set": "recorded_at", "registry_record": "recorded_at, ctid"}
_partitions = count()  # no two records lie in one place


class Consumer:
    """Kafka's consumer as a batch sees it: nothing is assigned, so nothing is committed."""

    def assignment(self) -> set[object]:
        return set()

    async def commit(self, _offsets: object) -> None: ...

    def pause(self, *_partitions: object) -> None: ...

    def resume(self, *_partitions: object) -> None: ...


@dataclass(frozen=True)
class Office:
    """Ledger as one tenant's callers see it; `pool` is the owner's, who looks behind the wall."""

    pool: Pool
    served: Pool  # the service's own
    secrets: Secrets
    http: httpx.AsyncClient
    facts: Subscription[Any]
    tenant: str
    app: FastAPI

    def of(self, tenant: str) -> "Office":
        return replace(self, tenant=tenant)

    def headers(
        self, *roles: str, units: Sequence[str] = (), department: str | None = None
    ) -> dict[str, str]:
        given, more = roles or ("operator",), {"units": [*units], "department": department}
        token = factories.token(self.secrets, *given, tenant=self.tenant, **more)
        return {"Authorization": f"Bearer {token}"}

    async def post_set(
        self, change_set: str, lines: Iterable[Mapping[str, Any]], **params: str
    ) -> httpx.Response:
        return await self.http.post(
            f"/v1/registry/change-sets/{change_set}",
            content=b"\n".join(json.dumps(one, ensure_ascii=False).encode() for one in lines),
            params=params,
            headers=self.headers(),
        )

    async def get(self, path: str, *roles: str, **about: Any) -> httpx.Response:
        return await self.http.get(path, headers=self.headers(*roles, **about))

    async def clock(self, **body: Any) -> httpx.Response:
        return await self.http.post("/v1/dev/clock", json=body, headers=self.headers())

    async def hear(self, *records: Record) -> None:
        await self.facts.on_batch(Consumer(), records)

    async def outbox(self) -> list[asyncpg.Record]:
        return list(await self.pool.fetch(OUTBOX, self.tenant))

    async def published(self) -> list[Change]:
        """Return what waits in the outbox, read as any reader would."""
        changes = [
            read_change({n: v.encode() for n, v in row["headers"].items()}, row["body"])
            for row in await self.outbox()
        ]
        return [change for change in changes if change is not None]

    async def rows(self, table: str) -> list[asyncpg.Record]:
        """Return a table's rows of this town in one order, whatever plan PostgreSQL takes."""
        order = WRITTEN.get(table, "ctid")
        query = f"SELECT * FROM {table} WHERE tenant_id = $1 ORDER BY {order}"  # noqa: S608 - ours
        return list(await self.pool.fetch(query, self.tenant))

    async def acts(self, verb: str, *columns: str) -> list[tuple[Any, ...]]:
        """Return what the audit log says of one kind of act, in order."""
        rows = [row for row in await self.rows("audit") if row["verb"] == verb]
        return [tuple(row[name] for name in columns) for row in rows]


@asynccontextmanager
async def open_office(
    dsn: str,
    secrets: Secrets,
    mode: str = "development",
    kind: type[Door] = Door,
    **more: Any,
) -> AsyncIterator[Office]:
    own = factories.settings(LedgerSettings, secrets, dsn=dsn, mode=mode, **more)
    given = {"dsn": as_service(dsn, "ledger"), "mode": mode, **more}
    settings = factories.settings(LedgerSettings, secrets, **given)
    async with open_pool(own, "owner") as owner, open_pool(settings, "ledger") as pool:
        relay = Relay(settings, pool, kafka.make_broker(settings, "ledger"))
        keys, tokens = KeyRing(settings.key_file), TokenCheck(settings.token_key_file)
        door = kind(settings, pool, keys, tokens, relay)
        app = make_app("ledger", {})
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
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        facts = Subscription(settings, pool, [ROUTING_EVENTS.name], parse, on_facts, lambda: None)
        async with httpx.AsyncClient(transport=transport, base_url="http://ledger") as http:
            yield Office(owner, pool, secrets, http, facts, factories.TENANT, app)


def fact(
    tenant: str,
    type_: str,
    subject: object,
    body: Mapping[str, Any] | bytes | None,
    *,
    event: int = 1,
    **headers: str,
) -> Record:
    """Make a record of `routing.events` by hand; `event` is its number and its place."""
    given = {
        "ce_id": str(UUID(int=event)),
        "ce_type": type_,
        "ce_source": "/routing",
        "ce_subject": str(subject),
        "ce_time": "2025-03-03T10:00:00.000+08:00",
        "ce_tenant": tenant,
        "ce_sequence": str(event),
        **headers,
    }
    value = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    place = (ROUTING_EVENTS.name, next(_partitions), event, factories.START)
    key = f"{tenant}|{subject}".encode()
    return Record(*place, key, value, {name: text.encode() for name, text in given.items()})
