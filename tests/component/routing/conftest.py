from collections.abc import AsyncIterator
from itertools import count

import asyncpg
import pytest

from deploy.local.migrate import migrate
from deploy.local.secrets import Secrets
from tests import factories
from tests.component.routing.desk import Desk, open_desk
from tests.servers import Postgres

TENANTS = [f"town{n}" for n in range(600)]
UNSEEN = [f"unseen-{n}" for n in (1, 2, 3)]  # towns that have keys and no registry
MARGIN_S = 0.3
_fresh = count()


@pytest.fixture(scope="session")
def routing_secrets(tmp_path_factory: pytest.TempPathFactory) -> Secrets:
    return factories.secrets(tmp_path_factory.mktemp("routing-keys"), "yihe", *UNSEEN, *TENANTS)


@pytest.fixture(scope="session")
async def routing_dsn(postgres: Postgres) -> AsyncIterator[str]:
    """One database for all of these tests: each test has a tenant of its own."""
    admin = await asyncpg.connect(postgres.dsn("postgres"))
    await admin.execute("CREATE DATABASE routing_shared")
    await migrate("routing", postgres.dsn("routing_shared"))
    yield postgres.dsn("routing_shared")
    await admin.execute("DROP DATABASE routing_shared WITH (FORCE)")
    await admin.close()


@pytest.fixture(scope="session")
async def routing(routing_dsn: str, routing_secrets: Secrets) -> AsyncIterator[Desk]:
    async with open_desk(routing_dsn, routing_secrets) as opened:
        yield opened


@pytest.fixture
async def desk(routing: Desk) -> Desk:
    """Routing, for a small town that nobody has seen before."""
    desk = routing.of(TENANTS[next(_fresh)])
    await desk.town()
    return desk


@pytest.fixture
async def neighbour(routing: Desk) -> Desk:
    """Another town on the same database."""
    desk = routing.of(TENANTS[next(_fresh)])
    await desk.town()
    return desk


@pytest.fixture(scope="session")
async def clock_tower(postgres: Postgres, routing_secrets: Secrets) -> AsyncIterator[Desk]:
    """A database of its own: the timers of no other test fall due in it."""
    admin = await asyncpg.connect(postgres.dsn("postgres"))
    await admin.execute("CREATE DATABASE routing_clocks")
    dsn = postgres.dsn("routing_clocks")
    await migrate("routing", dsn)
    async with open_desk(dsn, routing_secrets, timer_margin_s=MARGIN_S) as opened:
        yield opened
    await admin.execute("DROP DATABASE routing_clocks WITH (FORCE)")
    await admin.close()


@pytest.fixture
async def timed(clock_tower: Desk) -> AsyncIterator[Desk]:
    """Routing, for a town whose timers are the only ones."""
    desk = clock_tower.of(TENANTS[next(_fresh)])
    await desk.town()
    yield desk
    await desk.pool.execute("TRUNCATE timer, quarantine")
    await desk.pool.execute("DELETE FROM registry_copy WHERE kind = 'clock'")


@pytest.fixture
async def other(clock_tower: Desk) -> Desk:
    """Another town beside it."""
    desk = clock_tower.of(TENANTS[next(_fresh)])
    await desk.town()
    return desk
