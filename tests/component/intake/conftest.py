from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from deploy.local.migrate import migrate
from deploy.local.secrets import Secrets
from tests import factories
from tests.component.intake.window import Window, open_window
from tests.servers import Postgres


@pytest.fixture(scope="session")
def intake_secrets(tmp_path_factory: pytest.TempPathFactory) -> Secrets:
    return factories.secrets(tmp_path_factory.mktemp("intake-keys"), "yihe", "gucheng", "bare")


@pytest.fixture(scope="session")
async def intake_dsn(postgres: Postgres) -> AsyncIterator[str]:
    admin = await asyncpg.connect(postgres.dsn("postgres"))
    await admin.execute("CREATE DATABASE intake_shared")
    await migrate("intake", postgres.dsn("intake_shared"))
    yield postgres.dsn("intake_shared")
    await admin.execute("DROP DATABASE intake_shared WITH (FORCE)")
    await admin.close()


@pytest.fixture
async def window(intake_dsn: str, intake_secrets: Secrets, tmp_path: Path) -> AsyncIterator[Window]:
    place = (tmp_path / "attachments").as_uri()
    async with open_window(intake_dsn, intake_secrets, attachment_url=place) as opened:
        yield opened
