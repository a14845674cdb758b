"""The servers of tests in containers of the official images, where Docker has them already.

Nothing is pulled: a machine without the images takes the embedded pair at once.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path

import asyncpg
import docker
from docker.errors import DockerException
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer

from deploy.local.kafka import KafkaServer
from deploy.local.ports import unused_ports
from deploy.local.postgres import THROWAWAY
from tests.waiting import until

POSTGRES, KAFKA = "postgres:18", "apache/kafka:4.1.1"
DEFAULT_UNIX_SOCKET = "unix:///var/run/docker.sock"
PASSWORD = "of-a-throw-away-server"
START_TIMEOUT_S = 90.0
KAFKA_SETTINGS = {
    "NODE_ID": "1",
    "PROCESS_ROLES": "broker,controller",
    "LISTENERS": "PLAINTEXT://:9092,CONTROLLER://:9093",
    "LISTENER_SECURITY_PROTOCOL_MAP": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "CONTROLLER_LISTENER_NAMES": "CONTROLLER",
    "CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
    "AUTO_CREATE_TOPICS_ENABLE": "false",
    "MESSAGE_MAX_BYTES": "1048576",
    "OFFSETS_TOPIC_NUM_PARTITIONS": "4",
    "OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
    "TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
    "TRANSACTION_STATE_LOG_MIN_ISR": "1",
    "GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
    "GROUP_MIN_SESSION_TIMEOUT_MS": "6000",
    "HEAP_OPTS": "-Xmx512m",
}


@cache
def available() -> bool:
    """Whether Docker answers and has every image; `CHUISHAO_TEST_CONTAINERS=false` says no."""
    if os.environ.get("CHUISHAO_TEST_CONTAINERS", "").lower() == "false":
        return False
    where = os.environ.get("DOCKER_HOST", DEFAULT_UNIX_SOCKET)
    if where.startswith("unix:") and not Path(f"/{where.partition(':')[2].lstrip('/')}").exists():
        return False
    try:
        client = docker.from_env(timeout=5)
        for image in (POSTGRES, KAFKA, testcontainers_config.ryuk_image):
            client.images.get(image)
    except DockerException:
        return False
    client.close()
    return True


@asynccontextmanager
async def postgres() -> AsyncIterator[str]:
    """Run PostgreSQL while the block lasts: the DSN of its superuser, without a database's name."""
    (port,) = unused_ports(1)
    options = " ".join(f"-c {name}={value}" for name, value in THROWAWAY.items())
    server = (
        DockerContainer(POSTGRES)
        .with_env("POSTGRES_PASSWORD", PASSWORD)
        .with_command(f"postgres {options}")
        .with_bind_ports(5432, port)
    )
    dsn = f"postgresql://postgres:{PASSWORD}@127.0.0.1:{port}"

    async def ready() -> bool:
        try:
            await (await asyncpg.connect(f"{dsn}/postgres", timeout=2)).close()
        except (OSError, asyncpg.PostgresError):
            return False
        return True

    async with _running(server):
        await until(ready, "PostgreSQL answers", START_TIMEOUT_S)
        yield dsn


@asynccontextmanager
async def kafka() -> AsyncIterator[str]:
    """Run a broker while the block lasts: its bootstrap address."""
    (port,) = unused_ports(1)
    server = DockerContainer(KAFKA).with_bind_ports(9092, port)
    shown = {"ADVERTISED_LISTENERS": f"PLAINTEXT://127.0.0.1:{port}"}
    for name, value in {**KAFKA_SETTINGS, **shown}.items():
        server.with_env(f"KAFKA_{name}", value)
    async with _running(server):
        ready = KafkaServer(Path("unused"), port).ready
        await until(ready, "Kafka answers", START_TIMEOUT_S)
        yield f"127.0.0.1:{port}"


@asynccontextmanager
async def _running(container: DockerContainer) -> AsyncIterator[None]:
    try:
        await asyncio.to_thread(container.start)
        yield
    finally:
        await asyncio.to_thread(container.stop)
