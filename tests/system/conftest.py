"""One whole stack for the session: every service as a process, on real servers."""

from collections.abc import AsyncIterator

import pytest

from deploy.local.state import StackState
from deploy.local.whole import Running
from tests.faults.ground import ground, state_of


@pytest.fixture(scope="session")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    async with ground(tmp_path_factory.mktemp("system")) as stack:
        yield stack


@pytest.fixture
def state(running: Running) -> StackState:
    return state_of(running)
