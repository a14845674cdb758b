"""A service that cannot start says so by name, shows no value, and ends with a code of its own."""

from pathlib import Path

import pytest

from services.doors.start import MISCONFIGURED, faults_of, start
from services.notify.settings import NotifySettings
from services.routing.settings import RoutingSettings
from tests import factories


@pytest.fixture
def env(monkeypatch: pytest.MonkeyPatch, secrets_dir: Path) -> pytest.MonkeyPatch:
    keys = factories.secrets(secrets_dir)
    for prefix in ("ROUTING", "NOTIFY"):
        monkeypatch.setenv(f"{prefix}_PORT", "8102")
        monkeypatch.setenv(f"{prefix}_KEY_FILE", str(keys.key_file))
        monkeypatch.setenv(f"{prefix}_TOKEN_KEY_FILE", str(keys.token_public))
    return monkeypatch


async def main() -> None:
    raise AssertionError("started")


def test_with_right_settings_nothing_is_wrong(env: pytest.MonkeyPatch) -> None:
    env.setenv("ROUTING_MODE", "development")
    assert faults_of(RoutingSettings) == []


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        pytest.param("KEY_FILE", b"{}", "不是密钥文件", id="no-keys"),
        pytest.param("KEY_FILE", b"", "是空的", id="empty"),
        pytest.param("KEY_FILE", None, "读不了", id="not-there"),
        pytest.param("TOKEN_KEY_FILE", b"-----BEGIN PUBLIC", "不是 Ed25519 公钥", id="no-pem"),
    ],
)
def test_an_unusable_file_is_named(
    env: pytest.MonkeyPatch, tmp_path: Path, name: str, content: bytes | None, told: str
) -> None:
    if content is not None:
        (tmp_path / "secret").write_bytes(content)
    env.setenv(f"ROUTING_{name}", str(tmp_path / "secret"))
    ((setting, fault),) = faults_of(RoutingSettings)
    assert setting == f"ROUTING_{name}"
    assert told in fault


def test_a_secret_of_one_service_alone_is_looked_at_too(
    env: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    env.setenv("NOTIFY_RECEIPTS_TOKEN_FILE", str(tmp_path / "nobody"))
    assert [name for name, _ in faults_of(NotifySettings)] == ["NOTIFY_RECEIPTS_TOKEN_FILE"]


def test_a_wrong_value_ends_the_start_with_78_and_is_not_shown(
    env: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    env.setenv("ROUTING_PORT", "hunter2")
    with pytest.raises(SystemExit) as end:
        start(RoutingSettings, main)
    said = capsys.readouterr().err
    assert end.value.code == MISCONFIGURED == 78
    assert "ROUTING_PORT" in said
    assert "hunter2" not in said
