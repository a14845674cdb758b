"""PostgreSQL: the pool, and which errors mean "not now"."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from services.chassis.settings import ServiceSettings
from services.telemetry.looks import watch_pool

if TYPE_CHECKING:  # generic for the type checker alone
    Pool: TypeAlias = asyncpg.Pool[asyncpg.Record]
    Connection: TypeAlias = PoolConnectionProxy[asyncpg.Record] | asyncpg.Connection[asyncpg.Record]
else:
    Pool = asyncpg.Pool
    Connection = PoolConnectionProxy | asyncpg.Connection

# Whoever waits at a door longer is told: not now. A plan made while a table was empty looks keys up
# by a wrong index once it is not: plans are made anew this often.
IDLE_IN_TRANSACTION_S, DOOR_WAIT_S, PLAN_KEPT_S = 15, 5.0, 10
# Connection and login, rollback, resources, operator, system; a lock that is not free; a session
# that was frozen in its transaction.
_OUTAGES = ("08", "28", "40", "53", "57", "58", "55P03", "25P03")


def is_outage(error: BaseException) -> bool:
    """Tell "not now" (the world is at fault) from "never" (the record is at fault).

    A wrong argument is an `InterfaceError` too, but of the record's making.
    """
    if isinstance(error, asyncpg.PostgresError):
        migrated = isinstance(error, asyncpg.InvalidCachedStatementError)  # beside us: read anew
        return migrated or (error.sqlstate or "").startswith(_OUTAGES)
    # Cut off, maybe amid a statement.
    away = OSError | asyncpg.InterfaceError | asyncpg.InternalClientError
    return isinstance(error, away) and not isinstance(error, ValueError)


async def _prepare(conn: Connection) -> None:
    encode = partial(json.dumps, ensure_ascii=False, separators=(",", ":"))
    await conn.set_type_codec("jsonb", encoder=encode, decoder=json.loads, schema="pg_catalog")


@asynccontextmanager
async def open_pool(settings: ServiceSettings, service: str) -> AsyncIterator[Pool]:
    """Open a pool that connects on demand: a database that is down stops nobody from starting."""
    async with asyncpg.create_pool(
        str(settings.postgres_dsn),
        min_size=0,
        max_size=settings.postgres_pool_max,
        timeout=5,
        command_timeout=settings.statement_timeout_s + 5,
        max_cached_statement_lifetime=PLAN_KEPT_S,
        init=_prepare,
        server_settings={
            "application_name": f"chuishao-{service}",
            "statement_timeout": f"{settings.statement_timeout_s * 1000:.0f}ms",
            "idle_in_transaction_session_timeout": f"{IDLE_IN_TRANSACTION_S}s",
            "timezone": "UTC",
        },
    ) as pool:
        watch_pool(pool)
        yield pool
