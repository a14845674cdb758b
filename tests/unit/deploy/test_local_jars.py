import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from deploy.local.errors import LocalStackError
from deploy.local.jars import Jar, cache_dir, ensure_jars, locked_jars
from deploy.local.ports import unused_ports

CONTENT = b"not really a jar"


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A Maven repository on this machine, named in jgo's configuration, and an empty cache."""
    root = tmp_path / "mirror"
    root.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(root)))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    config = tmp_path / "jgo.conf"
    config.write_text(f"[repositories]\ncentral = http://127.0.0.1:{server.server_port}\n")
    monkeypatch.setenv("JGO_CONFIG_FILE", str(config))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    yield root
    server.shutdown()
    thread.join()
    server.server_close()


def offer(mirror: Path, artifact: str, content: bytes) -> Jar:
    jar = Jar("town.example", artifact, "1.0", hashlib.sha256(CONTENT).hexdigest())
    place = mirror / "town" / "example" / artifact / "1.0"
    place.mkdir(parents=True)
    (place / f"{artifact}-1.0.jar").write_bytes(content)
    return jar


def test_a_jar_comes_from_the_mirror_and_only_once(mirror: Path) -> None:
    jar = offer(mirror, "bell", CONTENT)
    lines: list[str] = []
    ensure_jars([jar], lines.append)
    assert jar.path.read_bytes() == CONTENT
    assert lines

    lines.clear()
    ensure_jars([jar], lines.append)
    assert lines == []


def test_a_damaged_jar_in_the_cache_is_replaced(mirror: Path) -> None:
    jar = offer(mirror, "bell", CONTENT)
    jar.path.parent.mkdir(parents=True)
    jar.path.write_bytes(CONTENT[:5])
    ensure_jars([jar], lambda _: None)
    assert jar.path.read_bytes() == CONTENT


def test_a_jar_with_another_checksum_is_not_taken_and_the_others_are_kept(mirror: Path) -> None:
    good = offer(mirror, "bell", CONTENT)
    forged = offer(mirror, "drum", b"something else")
    with pytest.raises(LocalStackError, match="expected SHA-256"):
        ensure_jars([forged, good], lambda _: None)
    assert list(cache_dir().iterdir()) == [good.path]


def test_a_failed_download_names_the_jar_and_what_to_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "jgo.conf"
    config.write_text(f"[repositories]\ncentral = http://127.0.0.1:{unused_ports(1)[0]}\n")
    monkeypatch.setenv("JGO_CONFIG_FILE", str(config))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(LocalStackError) as raised:
        ensure_jars([Jar("town.example", "bell", "1.0", "0" * 64)], lambda _: None)
    text = str(raised.value)
    for part in ("town.example:bell:1.0", "HTTPS_PROXY", "[repositories]", "重新运行"):
        assert part in text
    assert str(cache_dir()) in text


def test_the_lock_names_each_jar_once_with_a_checksum() -> None:
    jars = locked_jars()
    assert len({(jar.group, jar.artifact) for jar in jars}) == len(jars)
    assert all(len(jar.sha256) == 64 for jar in jars)
    versions = {jar.version for jar in jars if jar.group == "org.apache.kafka"}
    assert versions == {"4.1.1"}
