"""The two servers together, each a real one, for `chuishao up` and for the tests."""

import asyncio
import fcntl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.local.errors import LocalStackError
from deploy.local.kafka import KafkaServer
from deploy.local.ports import free_or_raise
from deploy.local.postgres import PostgresServer
from deploy.local.process import Restart, Supervisor

START_TIMEOUT_S = 90.0
LOCK = "lock"


@dataclass(frozen=True, slots=True)
class Servers:
    kafka: KafkaServer
    postgres: PostgresServer
    supervisor: Supervisor


@asynccontextmanager
async def servers(  # noqa: PLR0913 - each is a plain choice of the caller
    data_dir: Path,
    kafka_port: int,
    postgres_port: int,
    *,
    durable: bool,
    report: Callable[[str], None],
    flush_each_message: bool = False,
    erase: bool = False,
    on_restart: Callable[[Restart], None] = lambda _: None,
) -> AsyncIterator[Servers]:
    """Run both while the block lasts; Kafka's controller takes the port after `kafka_port`.

    `durable` lets PostgreSQL survive a power cut, `flush_each_message` lets Kafka; a kill they
    survive anyway. `erase` removes all data at the end.
    """
    kafka = KafkaServer(data_dir / "kafka", kafka_port, durable=flush_each_message)
    postgres = PostgresServer(data_dir / "postgres", postgres_port, durable=durable)
    with locked(data_dir):
        free_or_raise({**kafka.ports, **postgres.ports})
        try:
            async with Supervisor(on_restart) as supervisor:
                await _start_both(supervisor, kafka, postgres, report)
                yield Servers(kafka, postgres, supervisor)
        finally:
            if erase:
                kafka.erase()
                postgres.erase()


@contextmanager
def locked(data_dir: Path) -> Iterator[None]:
    """Held by this process alone, and let go by the kernel however it ends.

    Raises:
        LocalStackError: another holds it, or the directory cannot be made or written to.
    """
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        lock = (data_dir / LOCK).open("w")
    except OSError as error:
        raise LocalStackError(
            f"--data-dir {data_dir}：不能用作数据目录（{error.strerror}）。什么都没有启动；"
            "请指定一个可以写的目录。",
            f"--data-dir {data_dir}: not usable as a data directory ({error.strerror}). Nothing "
            "was started; name a directory that can be written to.",
        ) from error
    with lock as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LocalStackError(
                f"数据目录 {data_dir} 上已有一套在运行。什么都没有动；"
                "请先停掉它，或用 --data-dir 指定别的目录。",
                f"A stack is already running on the data directory {data_dir}. Nothing was "
                "touched; stop it first, or choose another directory with --data-dir.",
            ) from error
        yield


async def _start_both(
    supervisor: Supervisor,
    kafka: KafkaServer,
    postgres: PostgresServer,
    report: Callable[[str], None],
) -> None:
    loop = asyncio.get_running_loop()

    def report_here(line: str) -> None:
        loop.call_soon_threadsafe(report, line)

    async def start(server: KafkaServer | PostgresServer) -> None:
        await asyncio.to_thread(server.prepare, report_here)
        await supervisor.start(server.command(), server.ready, START_TIMEOUT_S)

    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(start(kafka))
            tasks.create_task(start(postgres))
    except ExceptionGroup as group:
        raise group.exceptions[0] from group
