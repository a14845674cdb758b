"""What the pages for operators tell is in the code, and what they point at is there."""

import re
from pathlib import Path
from typing import get_args

import pytest
from pydantic.fields import FieldInfo

from services.chassis.settings import ServiceSettings
from services.console.settings import ConsoleSettings
from services.intake.settings import IntakeSettings
from services.ledger.settings import LedgerSettings
from services.notify.settings import NotifySettings
from services.routing.settings import RoutingSettings
from services.telemetry.metrics import Name

ROOT = Path(__file__).parents[3]
OPERATING = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("services/*/README.md")]
OWN: dict[str, type[ServiceSettings]] = {
    "console": ConsoleSettings,
    "intake": IntakeSettings,
    "ledger": LedgerSettings,
    "notify": NotifySettings,
    "routing": RoutingSettings,
}


def cells(line: str) -> list[list[str]]:
    """The first two cells of a table's row, each a list of values."""
    return [cell.replace("`", "").split(", ") for cell in line.strip("| ").split(" | ")[:2]]


def told_defaults() -> dict[str, str]:
    section = OPERATING.partition("## Settings")[2].partition("\n## ")[0]
    rows = [cells(line) for line in section.splitlines() if line.startswith("| `")]
    return {name: one for names, given in rows for name, one in zip(names, given, strict=True)}


def default(field: FieldInfo) -> str:
    if field.is_required():
        return "–"
    given = field.default
    if given is None:
        return "none"
    return str(given).lower() if isinstance(given, bool) else str(given)


def test_every_common_setting_is_told_with_its_default() -> None:
    fields = ServiceSettings.model_fields
    assert told_defaults() == {name.upper(): default(field) for name, field in fields.items()}


@pytest.mark.parametrize("service", OWN)
def test_every_setting_of_a_service_is_in_its_readme(service: str) -> None:
    page = (ROOT / "services" / service / "README.md").read_text(encoding="utf-8")
    own = OWN[service].model_fields.keys() - ServiceSettings.model_fields.keys()
    assert [name.upper() for name in sorted(own) if f"`{name.upper()}`" not in page] == []


def test_every_metric_is_told() -> None:
    assert set(re.findall(r"^\| `(chuishao_\w+)`", OPERATING, re.MULTILINE)) == set(get_args(Name))


def test_every_alarm_with_a_page_is_an_event_of_the_log() -> None:
    index = (ROOT / "docs" / "runbooks" / "README.md").read_text(encoding="utf-8")
    code = "".join(path.read_text(encoding="utf-8") for path in ROOT.glob("services/**/*.py"))
    told = re.findall(r"log `(\w+)`", index)
    assert told
    assert [event for event in told if f'"{event}"' not in code] == []


def test_every_link_leads_to_a_file() -> None:
    links = [
        (page, link)
        for page in PAGES
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    ]
    assert [(page.name, link) for page, link in links if not (page.parent / link).exists()] == []
