"""The second wall: PostgreSQL itself shows and takes the rows of one tenant alone.

A connection sees nothing that belongs to a tenant until it has named him, and forgets his name when
it is given back. Nothing else in ledger takes a connection from the pool.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.chassis.postgres import Connection, Pool

NAME = "SELECT set_config('chuishao.tenant', $1, $2)"


@asynccontextmanager
async def within(
    pool: Pool, tenant_id: str, wait_s: float | None = None
) -> AsyncIterator[Connection]:
    """Take a connection that sees and writes what is this tenant's."""
    async with pool.acquire(timeout=wait_s) as conn:
        await conn.execute(NAME, tenant_id, False)  # noqa: FBT003 - PostgreSQL's: until it is reset
        yield conn


async def turn_to(conn: Connection, tenant_id: str) -> None:
    """See and write what is this tenant's, until the transaction ends or turns to another."""
    await conn.execute(NAME, tenant_id, True)  # noqa: FBT003 - PostgreSQL's: in this transaction


EVERY = "SELECT set_config('chuishao.every_tenant', 'on', false)"


@asynccontextmanager
async def across(pool: Pool) -> AsyncIterator[Connection]:
    """Take a connection that reads every tenant's acts, their seals, and what is to fall due.

    For what works through all tenants by its nature; a test lists who may.
    """
    async with pool.acquire() as conn:
        await conn.execute(EVERY)
        yield conn


STANDS = "SELECT row_security_active('registry_record')"


async def check(pool: Pool) -> str | None:
    """Tell, for readiness, whether this service's own role passes the wall."""
    async with pool.acquire() as conn:
        stands: bool = await conn.fetchval(STANDS)
    return None if stands else "its role passes the wall: enter as ledger_service"
