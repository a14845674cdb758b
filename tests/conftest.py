"""Fixtures for all layers: servers once per session, databases and topics per test."""

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import asyncpg
import pytest
from hypothesis import settings

from deploy.local.migrate import migrate
from tests import servers
from tests.servers import Postgres

pytest.register_assert_rewrite("tests.scenarios")
# How long an example takes tells of the machine, and of what else it does.
settings.register_profile("any-machine", deadline=None)
settings.load_profile("any-machine")

_numbers = itertools.count(1)

Database = Callable[[str], Awaitable[str]]


@pytest.fixture(scope="session")
async def postgres(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Postgres]:
    async with servers.postgres(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture(scope="session")
async def kafka(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The bootstrap address of a real Kafka."""
    async with servers.kafka(tmp_path_factory.mktemp("kafka")) as bootstrap:
        yield bootstrap


@pytest.fixture(scope="session")
def templates() -> dict[str, str]:
    """Databases that hold a service's migrated schema, by service."""
    return {}


@pytest.fixture
async def database(postgres: Postgres, templates: dict[str, str]) -> AsyncIterator[Database]:
    """Make fresh databases: `await database("routing")` returns a DSN with routing's schema."""
    admin = await asyncpg.connect(postgres.dsn("postgres"))
    made: list[str] = []

    async def make(service: str) -> str:
        if service not in templates:
            template = f"template_{service}_{next(_numbers)}"
            await admin.execute(f"CREATE DATABASE {template}")
            await migrate(service, postgres.dsn(template))
            templates[service] = template
        name = f"{service}_{next(_numbers)}"
        await admin.execute(f"CREATE DATABASE {name} TEMPLATE {templates[service]}")
        made.append(name)
        return postgres.dsn(name)

    yield make
    for name in made:
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await admin.close()


@pytest.fixture
def topic_prefix() -> str:
    """A prefix that no other test of this session uses."""
    return f"t{next(_numbers)}."


@pytest.fixture(scope="session")
def secrets_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("secrets")
