from collections.abc import AsyncIterator
from itertools import count

import asyncpg
import pytest

from deploy.local.migrate import migrate
from deploy.local.secrets import Secrets
from tests import factories
from tests.component.ledger.office import Office, open_office
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
