from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path

import asyncpg
import pytest
import uvicorn

from deploy.exchange.batch import Office as Bringing
from deploy.local.migrate import migrate
from deploy.local.secrets import Secrets
from services.chassis.seal import KeyRing
from tests import factories
from tests.component.ledger.desk import GRID, Desk
from tests.component.ledger.office import Office, open_office
from tests.component.notify.world import SilentServer, serve
from tests.servers import Postgres

TENANTS = [f"town{n}" for n in range(1_000)]
_fresh = count()


@pytest.fixture(scope="session")
def ledger_secrets(tmp_path_factory: pytest.TempPathFactory) -> Secrets:
    return factories.secrets(tmp_path_factory.mktemp("ledger-keys"), *TENANTS)


@pytest.fixture(scope="session")
async def ledger_dsn(postgres: Postgres) -> AsyncIterator[str]:
    """One database for all of these tests: each test has a tenant of its own."""
    admin = await asyncpg.connect(postgres.dsn("postgres"))
    await admin.execute("CREATE DATABASE ledger_shared")
    await migrate("ledger", postgres.dsn("ledger_shared"))
    yield postgres.dsn("ledger_shared")
    await admin.execute("DROP DATABASE ledger_shared WITH (FORCE)")
    await admin.close()


@pytest.fixture(scope="session")
async def ledger(ledger_dsn: str, ledger_secrets: Secrets) -> AsyncIterator[Office]:
    async with open_office(ledger_dsn, ledger_secrets) as opened:
        yield opened


@pytest.fixture
def office(ledger: Office) -> Office:
    """Ledger, for a town that nobody has seen before."""
    return ledger.of(TENANTS[next(_fresh)])


@pytest.fixture
def neighbour(ledger: Office) -> Office:
    """Another town beside it."""
    return ledger.of(TENANTS[next(_fresh)])


@pytest.fixture(scope="module")
async def door_url(ledger: Office) -> AsyncIterator[str]:
    config = uvicorn.Config(ledger.app, log_level="warning", ws="none", lifespan="off")
    async with serve(SilentServer(config)) as url:
        yield url


@pytest.fixture
async def desk(office: Office, ledger_dsn: str, door_url: str, tmp_path: Path) -> Desk:
    assert (await office.post_set("units", [GRID])).status_code == 200
    keys = KeyRing(office.secrets.key_file)
    token = factories.token(office.secrets, "operator", tenant=office.tenant)
    return Desk(office, Bringing(office.tenant, door_url, ledger_dsn, token, keys), tmp_path)
