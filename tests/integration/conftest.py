from collections.abc import AsyncIterator

import pytest

from tests.integration.trio import Trio, open_trio
from tests.servers import Postgres


@pytest.fixture(scope="package")
async def trio(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Trio]:
    """Intake, routing and ledger, really running; started once for all these tests."""
    async with open_trio(tmp_path_factory.mktemp("trio"), postgres) as running:
        yield running
