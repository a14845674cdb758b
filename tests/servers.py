"""Real servers for tests: those named by the environment, else containers, else the embedded pair.

`CHUISHAO_TEST_POSTGRES` is a DSN of a superuser (database `postgres`), `CHUISHAO_TEST_KAFKA` a
`host:port` on which topics may be made. Containers are taken where Docker has the images.
"""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.local.databases import SERVICE_ROLES
from deploy.local.kafka import KafkaServer
from deploy.local.ports import unused_ports
from deploy.local.postgres import PostgresServer
from deploy.local.process import Supervisor
from tests import containers

START_TIMEOUT_S = 90.0


@dataclass(frozen=True, slots=True)
class Postgres:
    """A PostgreSQL to make databases on."""

    dsn: Callable[[str], str]


def as_service(dsn: str, service: str) -> str:
    """Return how a service enters a database of its own: under the role that it runs as."""
    role = SERVICE_ROLES.get(service)
    return f"{dsn}?role={role}" if role else dsn


@asynccontextmanager
async def postgres(data_dir: Path) -> AsyncIterator[Postgres]:
    given = os.environ.get("CHUISHAO_TEST_POSTGRES")
    if given:
        yield Postgres(lambda database: given.rpartition("/")[0] + "/" + database)
        return
    if containers.available():
        async with containers.postgres() as dsn:
            yield Postgres(lambda database: f"{dsn}/{database}")
        return
    server = PostgresServer(data_dir / "postgres", unused_ports(1)[0], durable=False)
    try:
        async with Supervisor() as supervisor:
            server.prepare(lambda _: None)
            await supervisor.start(server.command(), server.ready, START_TIMEOUT_S)
            yield Postgres(server.dsn)
            await supervisor.stop_all(grace_s=0)  # nothing of it is kept
    finally:
        server.erase()


@asynccontextmanager
async def kafka(data_dir: Path) -> AsyncIterator[str]:
    given = os.environ.get("CHUISHAO_TEST_KAFKA")
    if given:
        yield given
        return
    async with own_kafka(data_dir) as bootstrap:
        yield bootstrap


@asynccontextmanager
async def own_kafka(data_dir: Path) -> AsyncIterator[str]:
    """Run a broker to which nobody else writes: in a container, or the embedded one."""
    if containers.available():
        async with containers.kafka() as bootstrap:
            yield bootstrap
        return
    port, controller_port = unused_ports(2)
    server = KafkaServer(data_dir / "kafka", port, controller_port=controller_port)
    try:
        async with Supervisor() as supervisor:
            server.prepare(lambda _: None)
            await supervisor.start(server.command(), server.ready, START_TIMEOUT_S)
            yield server.bootstrap
            await supervisor.stop_all(grace_s=0)
    finally:
        server.erase()
