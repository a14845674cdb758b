import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from deploy.sandbox.settings import SandboxSettings

TEMPLATE = {"code": "SMS_1", "name": "通知", "content": "${a}", "variables": {"a": 5}}
LEAST: dict[str, Any] = {"access_keys": {"id": "secret"}, "sign_names": ["吹哨"]}


def write(path: Path, value: object) -> Path:
    path.write_text(json.dumps(value), "utf-8")
    return path


def test_defaults_reach_this_machine_only() -> None:
    settings = SandboxSettings(**LEAST)
    assert (settings.host, settings.port) == ("127.0.0.1", 8105)
    assert settings.frequency().per_day_max == 50


def test_the_environment_wins_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = {"per_minute_max": 1, "per_hour_max": 5}
    path = write(tmp_path / "sandbox.json", LEAST | {"port": 1, "limits": limits})
    monkeypatch.setenv("SANDBOX_PORT", "2")
    monkeypatch.setenv("SANDBOX_LIMITS__PER_HOUR_MAX", "7")
    settings = SandboxSettings.read(path)
    assert settings.port == 2
    assert (settings.frequency().per_minute_max, settings.frequency().per_hour_max) == (1, 7)


def test_the_environment_alone_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SANDBOX_ACCESS_KEYS", '{"id": "secret"}')
    monkeypatch.setenv("SANDBOX_SIGN_NAMES", '["吹哨"]')
    assert SandboxSettings.read(None).secrets() == {"id": "secret"}


def test_paths_are_meant_from_where_the_file_lies(tmp_path: Path) -> None:
    write(tmp_path / "t.json", [TEMPLATE])
    write(tmp_path / "p.json", {"13800000012": "第12网格 网格员 王五"})
    files = {"templates_file": "t.json", "names_file": "p.json", "truth_file": "truth.ndjson"}
    settings = SandboxSettings.read(write(tmp_path / "sandbox.json", LEAST | files))
    assert set(settings.catalogue().templates) == {"SMS_1"}
    assert settings.names() == {"13800000012": "第12网格 网格员 王五"}
    assert settings.truth_file == tmp_path / "truth.ndjson"


def test_the_examples_are_valid() -> None:
    example = Path(__file__).parents[3] / "deploy/sandbox/example.json"
    settings = SandboxSettings.read(example)
    assert settings.catalogue().templates
    assert settings.names()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        pytest.param({"acces_keys": {}}, "Extra inputs", id="unknown-key"),
        pytest.param({"limits": {"per_day": 1}}, "Extra inputs", id="unknown-limit"),
        pytest.param({"access_keys": {}}, "at least 1", id="no-key"),
        pytest.param({"access_keys": {"a,b": "x"}}, "letters and digits", id="key-with-comma"),
        pytest.param({"sign_names": ["【吹哨】"]}, "pattern", id="brackets"),
        pytest.param(
            {"templates": [TEMPLATE | {"variables": {"b": 5}}]}, "differ in a, b", id="variables"
        ),
        pytest.param({"page": {"frame_ancestors": ["x; script-src *"]}}, "pattern", id="csp"),
        pytest.param({"port": 70_000}, "65535", id="port"),
    ],
)
def test_a_mistake_is_named(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        SandboxSettings(**(LEAST | changes))


def test_a_template_code_stands_once(tmp_path: Path) -> None:
    settings = SandboxSettings(
        **LEAST, templates=[TEMPLATE], templates_file=write(tmp_path / "t.json", [TEMPLATE])
    )
    with pytest.raises(ValueError, match="twice"):
        settings.catalogue()


def test_a_name_belongs_to_a_whole_number(tmp_path: Path) -> None:
    settings = SandboxSettings(**LEAST, names_file=write(tmp_path / "p.json", {"138": "王五"}))
    with pytest.raises(ValueError, match="11-digit"):
        settings.names()


def test_secrets_do_not_show_when_settings_are_printed() -> None:
    assert "secret" not in repr(SandboxSettings(**LEAST).access_keys["id"])
