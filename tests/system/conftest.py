"""One whole stack for these files: every service as a process, on real servers."""

from collections.abc import AsyncIterator, Iterator

import pytest

from deploy.local.state import StackState, remove_state, write_state
from deploy.local.whole import Running
from tests.faults.ground import ground, state_of


@pytest.fixture(scope="package")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    async with ground(tmp_path_factory.mktemp("system")) as stack:
        yield stack


@pytest.fixture
def state(running: Running) -> StackState:
    return state_of(running)


@pytest.fixture
def place(running: Running) -> Iterator[str]:
    """The data directory of the running stack, as commands find it."""
    write_state(running.layout.data_dir, running.facts())
    yield str(running.layout.data_dir)
    remove_state(running.layout.data_dir)
