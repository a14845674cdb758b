"""What the compose file promises, without Docker: bare services, ports, settings that are told."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.local.databases import SERVICE_ROLES
from deploy.local.layout import SERVICES

ROOT = Path(__file__).resolve().parents[3]
COMPOSE = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
RECIPE = (ROOT / "deploy" / "docker" / "Dockerfile").read_text(encoding="utf-8")
PAGE = (ROOT / "docs" / "containers.md").read_text(encoding="utf-8")
EXAMPLE = (ROOT / ".env.example").read_text(encoding="utf-8")
PARTS: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE)["services"]
OURS = sorted(name for name, part in PARTS.items() if part["image"].startswith("chuishao/"))
PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==(\S+)", re.MULTILINE)


def pins(text: str) -> dict[str, str]:
    return {name.lower().replace("_", "-"): version for name, version in PIN.findall(text)}


@pytest.mark.parametrize("name", OURS)
def test_what_is_ours_has_no_privileges_and_writes_nothing(name: str) -> None:
    part = PARTS[name]
    assert part["read_only"]
    assert part["init"]  # process 1 is deaf to signals of its own, the alarm that ends it too
    assert part["cap_drop"] == ["ALL"]
    assert part["security_opt"] == ["no-new-privileges:true"]
    assert ("user" in part) == (name == "secrets")  # who gives the files away


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_can_be_scaled_and_starts_after_the_jobs(name: str) -> None:
    part, prefix = PARTS[name], name.upper()
    settings = part["environment"]
    assert part["build"]["args"] == {"SERVICE": name}
    assert "container_name" not in part
    assert "ports" not in part  # the host has each port once
    port = settings[f"{prefix}_PORT"]
    assert f"{port}={name}:{port}" in PARTS["gate"]["command"]
    assert any(one.endswith(f"}}:{port}") for one in PARTS["gate"]["ports"])
    assert f"{prefix}_REPLICA" not in settings  # replicas are made from one description
    assert set(part["depends_on"]) == {"topics", "migrate"}
    ended_well = {"condition": "service_completed_successfully"}
    assert all(one == ended_well for one in part["depends_on"].values())


def test_whatever_stays_up_tells_whether_it_is_well() -> None:
    built = {name for name in SERVICES if "\nHEALTHCHECK " in RECIPE}
    stay = {name for name, part in PARTS.items() if "restart" in part}
    told = {name for name, part in PARTS.items() if "healthcheck" in part}
    assert stay == built | told
    asked = PARTS["gate"]["healthcheck"]["test"][-1]
    assert any(door.startswith(f"{asked}=ledger:") for door in PARTS["gate"]["command"])


def test_the_stack_file_names_the_doors_and_databases_of_the_compose_file() -> None:
    stack = json.loads((ROOT / "deploy" / "docker" / "stack.json").read_text(encoding="utf-8"))
    for name in SERVICES:
        settings, prefix = PARTS[name]["environment"], name.upper()
        assert stack[name] == f"http://{name}:{settings[f'{prefix}_PORT']}"
        owner, role = f"://{name}@", f"://{SERVICE_ROLES.get(name, name)}@"
        database = stack["postgres"][name]
        assert database.replace(owner, role) == settings[f"{prefix}_POSTGRES_DSN"]
        assert stack["kafka"] == settings[f"{prefix}_KAFKA_BOOTSTRAP"]


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_given_the_password_of_its_own_role_alone(name: str) -> None:
    held = [one for one in PARTS[name]["secrets"] if one.startswith("pgpass-")]
    assert held == [f"pgpass-{SERVICE_ROLES.get(name, name)}"]
    assert PARTS[name]["environment"]["PGPASSFILE"] == f"/run/secrets/{held[0]}"


def test_every_value_that_may_be_set_is_told() -> None:
    names = set(re.findall(r"\$\{(\w+)", COMPOSE))
    names |= {key for part in PARTS.values() for key, v in _settings(part).items() if v is None}
    names |= {line.partition("=")[0] for line in EXAMPLE.splitlines() if "=" in line}
    assert sorted(name for name in names if f"`{name}`" not in PAGE) == []


def _settings(part: dict[str, Any]) -> dict[str, Any]:
    return dict(part.get("environment", {}))


def test_images_hold_every_package_that_services_share() -> None:
    packages = {path.parent.name for path in (ROOT / "services").glob("*/__init__.py")}
    copied = set(re.findall(r"^COPY services/(\w+) services/\1$", RECIPE, re.MULTILINE))
    assert copied == packages - set(SERVICES)


def test_images_hold_what_the_lock_pins_and_every_dependency() -> None:
    whole = pins((ROOT / "requirements.lock").read_text(encoding="utf-8"))
    runtime = pins((ROOT / "requirements-runtime.lock").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert {name: whole.get(name) for name in runtime} == runtime
    assert pins("\n".join(project["dependencies"])).items() <= runtime.items()
    assert "pytest" not in runtime
