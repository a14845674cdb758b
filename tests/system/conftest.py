"""One whole stack for these files: every service as a process, on real servers, and traced."""

from collections.abc import AsyncIterator, Iterator

import pytest

from deploy.local.layout import SERVICES
from deploy.local.state import StackState, remove_state, write_state
from deploy.local.whole import Running
from tests.faults.ground import ENV, ground, state_of
from tests.system.collector import Collector, collecting


@pytest.fixture(scope="package")
def collector() -> Iterator[Collector]:
    with collecting() as one:
        yield one


@pytest.fixture(scope="package")
async def running(
    tmp_path_factory: pytest.TempPathFactory, collector: Collector
) -> AsyncIterator[Running]:
    traced = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "200"}
    env = {name: {**ENV.get(name, {}), **traced} for name in (*SERVICES, "sandbox")}
    async with ground(tmp_path_factory.mktemp("system"), more_env=env) as stack:
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
