from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.chassis.postgres import open_pool
from services.chassis.seal import KeyRing
from services.console.settings import ConsoleSettings
from tests import factories
from tests.component.console.world import World
from tests.conftest import Database


@pytest.fixture
async def world(database: Database, tmp_path: Path) -> AsyncIterator[World]:
    """The console's own database, and no town yet."""
    keys = factories.secrets(tmp_path, factories.TENANT, "gucheng", "other")
    settings = factories.settings(
        ConsoleSettings, keys, dsn=await database("console"), look_wait_s=0.05, beat_s=0.05
    )
    async with open_pool(settings, "console") as pool:
        yield World(pool, KeyRing(keys.key_file), settings)
