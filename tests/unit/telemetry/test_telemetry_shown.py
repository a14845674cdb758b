"""Alarms and dashboards name metrics that there are, and each alarm has its page."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from deploy.grafana.__main__ import PLACE, text
from deploy.grafana.panels import PANELS, SERVICES
from services.telemetry.metrics import Name

ROOT = Path(__file__).parents[3]
RULES = ROOT / "deploy" / "prometheus" / "rules" / "chuishao.yml"
RUNBOOKS = (ROOT / "docs" / "runbooks" / "README.md").read_text(encoding="utf-8")
NAMES = set(get_args(Name))


def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def named(expression: str) -> set[str]:
    """The metrics that an expression reads; a histogram's series are its own."""
    found = re.findall(r"chuishao_\w+", expression)
    return {re.sub(r"_(bucket|count|sum)$", "", name) for name in found}


def test_every_metric_is_on_a_dashboard() -> None:
    assert {query.name for panel in PANELS for query in panel.queries} == NAMES


@pytest.mark.parametrize("service", SERVICES)
def test_the_dashboards_are_as_they_are_written(service: str) -> None:
    written = (PLACE / f"{service}.json").read_text(encoding="utf-8")
    assert written == text(service), "run `python -m deploy.grafana`"
    assert named(written) <= NAMES


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: str(rule["alert"]))
def test_each_alarm_reads_what_there_is_and_has_its_page(rule: dict[str, Any]) -> None:
    assert named(rule["expr"]) <= NAMES
    assert rule["labels"]["severity"] in {"page", "ticket"}
    page = ROOT / rule["annotations"]["runbook"]
    assert page.is_file()
    assert re.search(rf"`{rule['alert']}`.*\({page.name}\)", RUNBOOKS), "it is in the index"


def test_each_alarm_is_tested() -> None:
    tests = (ROOT / "deploy" / "prometheus" / "tests" / "chuishao.test.yml").read_text("utf-8")
    assert [rule["alert"] for rule in rules() if f"alertname: {rule['alert']}\n" not in tests] == []


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not there")
def test_each_alarm_is_raised_by_what_it_is_for() -> None:
    tests = sorted(ROOT.glob("deploy/prometheus/tests/*.test.yml"))
    argv = ["promtool", "test", "rules", *map(str, tests)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)  # noqa: S603 - our own files
    assert done.returncode == 0, done.stdout + done.stderr
