import sys
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

# Tests are no package, so their common reader is found from the root.
sys.path.insert(0, str(Path(__file__).parents[3]))

from deploy.local.migrate import migrate
from services.chassis.postgres import Pool, open_pool
from services.chassis.settings import ServiceSettings
from tests import factories
from tests.component.chassis import notes
from tests.component.chassis.notes import Ground
from tests.servers import Postgres

TABLES = """
SELECT string_agg(relname, ', ')
FROM pg_class
WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
"""


@pytest.fixture(scope="session")
async def notes_ground(
    postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Ground]:
    """One database with the chassis's own tables and one for effects."""
    admin = await asyncpg.connect(postgres.dsn("postgres"))
    await admin.execute("CREATE DATABASE notes")
    await migrate("notes", postgres.dsn("notes"))
    keys = factories.secrets(tmp_path_factory.mktemp("notes"))
    dsn = postgres.dsn("notes")
    settings = factories.settings(ServiceSettings, keys, dsn=dsn, outage_wait_s_max=0.05)
    async with open_pool(settings, "test") as pool:
        await pool.execute(notes.EFFECT_TABLE)
        yield Ground(settings, pool)
    await admin.execute("DROP DATABASE notes WITH (FORCE)")
    await admin.close()


async def empty(pool: Pool) -> None:
    tables = await pool.fetchval(TABLES)
    await pool.execute(f"TRUNCATE {tables}")


@pytest.fixture
async def ground(notes_ground: Ground) -> Ground:
    """The database, emptied."""
    await empty(notes_ground.pool)
    return notes_ground
