"""Kafka's jars: fetched once from Maven repositories, accepted only if the checksum is right.

The versions are pinned in a lock file rather than resolved at each machine: joining Kafka with a
log binding lets the binding's parent project choose other versions, even of Kafka's own client.
"""

import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from deploy.local.errors import LocalStackError
from deploy.local.packages import package_dir

# The log binding is the one for slf4j 1.7, which Kafka's jars are built for; the exclamation mark
# keeps its parent project from having a say in versions.
ENDPOINT = "org.apache.kafka:kafka_2.13:4.1.1+org.apache.logging.log4j:log4j-slf4j-impl:2.24.3!"
LOCK = Path(__file__).with_name("kafka-jars.lock")
DOWNLOADS_AT_ONCE = 8
ATTEMPTS = 2
HTTP_TIMEOUT_S = 15


@dataclass(frozen=True, slots=True)
class Jar:
    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def path(self) -> Path:
        return cache_dir() / f"{self.artifact}-{self.version}.jar"

    def is_cached(self) -> bool:
        return self.path.is_file() and _sha256(self.path) == self.sha256

    def __str__(self) -> str:
        return f"{self.group}:{self.artifact}:{self.version}"


def cache_dir() -> Path:
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "chuishao" / "jars"


def locked_jars() -> list[Jar]:
    lines = LOCK.read_text().splitlines()
    return [_parse(line) for line in lines if not line.startswith("#")]


def _parse(line: str) -> Jar:
    coordinate, sha256 = line.split()
    group, artifact, version = coordinate.split(":")
    return Jar(group, artifact, version, sha256)


def classpath() -> str:
    return os.pathsep.join(str(jar.path) for jar in locked_jars())


def ensure_jars(jars: Iterable[Jar], report: Callable[[str], None]) -> None:
    """Fetch what is missing or damaged; what arrived stays, so that a second try goes on."""
    missing = [jar for jar in jars if not jar.is_cached()]
    if not missing:
        return
    package_dir("jgo")
    report(f"下载 Kafka（仅此一次）：{len(missing)} 个文件 · fetching Kafka (once): jars")
    cache_dir().mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    with ThreadPoolExecutor(DOWNLOADS_AT_ONCE) as pool:
        fetches = {pool.submit(_fetch, jar): jar for jar in missing}
        try:
            for done, fetch in enumerate(as_completed(fetches), start=1):
                _check_fetched(fetches[fetch], fetch.exception())
                if done % 10 == 0 or done == len(missing):
                    report(f"Kafka {done}/{len(missing)}")
        finally:
            pool.shutdown(cancel_futures=True)
    taken_s = time.monotonic() - began
    report(f"Kafka 下载完毕，用时 {taken_s:.0f} 秒 · fetched in {taken_s:.0f} s")


def _fetch(jar: Jar) -> None:
    for attempt in range(1, ATTEMPTS + 1):
        # A place of its own for each try: a download cut short must never be taken for a jar,
        # and another process may be fetching the same one.
        with tempfile.TemporaryDirectory(dir=cache_dir()) as place:
            try:
                _checked(jar, _download(jar, Path(place))).replace(jar.path)
            except (OSError, RuntimeError):
                if attempt == ATTEMPTS:
                    raise
            else:
                return


def _download(jar: Jar, place: Path) -> Path:
    from jgo.config import GlobalSettings  # noqa: PLC0415 - half a second, seldom needed
    from jgo.maven import MavenContext  # noqa: PLC0415

    central = MavenContext().remote_repos
    mirrors = GlobalSettings.load().repositories
    maven = MavenContext(
        repo_cache=place,
        # The mirrors come first, and one may take central's name.
        remote_repos={**mirrors, **central, **mirrors},
        timeout=HTTP_TIMEOUT_S,
    )
    artifact = maven.project(jar.group, jar.artifact).at_version(jar.version).artifact()
    return Path(artifact.resolve())


def _checked(jar: Jar, file: Path) -> Path:
    if (found := _sha256(file)) != jar.sha256:
        raise OSError(f"{jar}: expected SHA-256 {jar.sha256}, got {found}")
    return file


def _check_fetched(jar: Jar, error: BaseException | None) -> None:
    if error is None:
        return
    if not isinstance(error, OSError | RuntimeError):
        raise error
    raise LocalStackError(
        f"下载 {jar} 失败（{type(error).__name__}）。已下载的文件保留在 {cache_dir()}；"
        "请检查网络和代理（HTTPS_PROXY），或在 jgo.conf 的 [repositories] 里写上 Maven 镜像，"
        "然后直接重新运行。",
        f"Fetching {jar} failed. What arrived is kept in {cache_dir()}; check the network and the "
        "proxy (HTTPS_PROXY), or name a Maven mirror under [repositories] in jgo.conf "
        "(~/.config), and simply run it again.",
        str(error),
    ) from error


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _print_lock(coordinates: Iterable[tuple[str, str, str]]) -> None:
    comments = [line for line in LOCK.read_text().splitlines() if line.startswith("#")]
    print(*comments, sep="\n")
    with tempfile.TemporaryDirectory() as place:
        for coordinate in sorted(coordinates):
            jar = Jar(*coordinate, sha256="")
            print(jar, _sha256(_download(jar, Path(place))))


def main() -> None:
    """Resolve the endpoint anew and print the lock file."""
    import jgo  # noqa: PLC0415

    artifacts = jgo.resolve(ENDPOINT)
    _print_lock((found.groupId, found.artifactId, found.version) for found in artifacts)


if __name__ == "__main__":
    main()
