"""The contracts hold: generated files are up to date, old messages parse, each name stands once."""

import ast
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any
from uuid import UUID

import jsonschema
import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary
from cloudevents.core.formats.json import JSONFormat

from contracts.events import Event, Unreadable, case_id, effect_id, read_event
from contracts.facts import INTAKE_FACTS, NOTIFY_FACTS, ROUTING_FACTS, TASK_FACTS
from contracts.generate import ASYNCAPI, FACTS, SCHEMAS, documents
from contracts.registry import Change, read_change
from contracts.topics import TOPICS, registry_partition

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "contracts" / "examples"
KNOWN = {**INTAKE_FACTS, **ROUTING_FACTS, **NOTIFY_FACTS, **TASK_FACTS}


GOLDEN = [
    pytest.param(path, id=f"{path.parent.name}/{path.stem}")
    for path in sorted(EXAMPLES.glob("*/*.json"))
]


def read(path: Path) -> tuple[dict[str, bytes], bytes, dict[str, Any]]:
    message = json.loads(path.read_text())
    headers = {name: value.encode() for name, value in message["headers"].items()}
    return headers, json.dumps(message["body"]).encode(), message


def test_generated_documents_are_checked_in() -> None:
    made = documents()
    there = {*SCHEMAS.glob("*.json"), ASYNCAPI}
    assert there == set(made), "run `make schemas` and read the diff"
    stale = [path.name for path, text in made.items() if path.read_text() != text]
    assert not stale, "run `make schemas` and read the diff"


@pytest.mark.parametrize("path", GOLDEN)
def test_a_golden_message_parses_and_loses_nothing(path: Path) -> None:
    headers, body, message = read(path)
    if path.parent.name.startswith("registry."):
        parsed: Event | Change | None = read_change(headers, body)
    else:
        parsed = read_event(KNOWN, headers, body)
    assert parsed is not None
    assert parsed.headers == message["headers"]
    assert parsed.key.decode() == message["key"]
    kept = json.loads(parsed.body or b"")
    # A field that was added since has its default.
    assert kept.items() >= message["body"].items(), "a field was renamed or dropped"


@pytest.mark.parametrize("path", GOLDEN)
def test_a_golden_message_fits_its_schema(path: Path) -> None:
    schema = json.loads((SCHEMAS / f"{path.parent.name}.json").read_text())
    _, _, message = read(path)
    jsonschema.Draft202012Validator(schema).validate(message["body"])


def test_each_fact_has_a_golden_message() -> None:
    facts = {name for _, known in FACTS.values() for name in known}
    assert facts == {path.name for path in EXAMPLES.iterdir()}


def test_each_fact_says_who_publishes_it_and_when() -> None:
    silent = [
        name
        for topic, known in FACTS.values()
        for name, model in known.items()
        if topic.name != "ledger.registry" and not (model.__doc__ or "").startswith("Published by ")
    ]
    assert not silent


def test_the_bus_document_has_no_dangling_reference() -> None:
    document = json.loads(ASYNCAPI.read_text())
    for reference in re.findall(r'"\$ref": "#/([^"]+)"', ASYNCAPI.read_text()):
        place: Any = document
        for part in reference.split("/"):
            place = place[part]


@pytest.mark.parametrize("path", GOLDEN)
def test_the_official_sdk_reads_our_envelope(path: Path) -> None:
    headers, body, message = read(path)
    event = from_binary(KafkaMessage(headers, message["key"], body), JSONFormat())
    assert event.get_type() == path.parent.name
    assert event.get_data() == message["body"]


def test_ids_are_derived_and_never_change() -> None:
    case = case_id("yihe", "demo", "k1")
    assert case == UUID("c8152d6e-2783-543e-aea4-3769a763e6e9")
    assert case_id("yihe", "demo", "k2") != case
    assert effect_id(case, "a") == effect_id(case, "a") != effect_id(case, "b")


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        pytest.param({"ce_id": b"\xff"}, "UTF-8", id="header-not-utf8"),
        pytest.param({"ce_tenant": b""}, "ce_tenant", id="no-tenant"),
        pytest.param({"ce_subject": b"x"}, "wrong form", id="subject-no-uuid"),
        pytest.param({"ce_time": b"yesterday"}, "wrong form", id="time-no-time"),
        pytest.param({"ce_time": b"2025-03-03T10:00:00"}, "wrong form", id="time-without-zone"),
        pytest.param({"ce_sequence": b"one"}, "wrong form", id="sequence-no-number"),
    ],
)
def test_a_broken_envelope_is_named(change: dict[str, bytes], fault: str) -> None:
    headers, body, _ = read(EXAMPLES / "case.opened.v1" / "grid.json")
    with pytest.raises(Unreadable, match=fault):
        read_event(KNOWN, {**headers, **change}, body)


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b"{", b'{"number": 1}', b"\xff", b"NaN"], ids=repr
)
def test_a_broken_body_is_named_without_its_text(body: bytes) -> None:
    headers, _, _ = read(EXAMPLES / "case.opened.v1" / "grid.json")
    with pytest.raises(Unreadable, match=r"case\.opened\.v1") as caught:
        read_event(KNOWN, headers, body)
    assert "number': 1" not in str(caught.value)


def test_an_unknown_fact_is_not_ours() -> None:
    headers, body, _ = read(EXAMPLES / "case.opened.v1" / "grid.json")
    assert read_event(KNOWN, {**headers, "ce_type": b"case.opened.v9"}, body) is None


def test_a_newer_writers_field_is_ignored() -> None:
    headers, body, message = read(EXAMPLES / "case.opened.v1" / "grid.json")
    newer = json.dumps({**message["body"], "added_later": 1}).encode()
    assert read_event(KNOWN, headers, newer) == read_event(KNOWN, headers, body)


def test_topics_are_named_once_and_have_their_owner_in_their_name() -> None:
    assert len({topic.name for topic in TOPICS}) == len(TOPICS)
    assert all(topic.name.startswith(topic.owner) for topic in TOPICS)


def test_a_tenants_registry_lies_on_one_partition() -> None:
    assert {registry_partition("yihe") for _ in range(3)} == {9}


def occurrences(name: str) -> Counter[str]:
    """Count the literal in our code, by file."""
    found: Counter[str] = Counter()
    for folder in ("contracts", "services", "deploy"):
        for path in (ROOT / folder).rglob("*.py"):
            strings = [
                node.value
                for node in ast.walk(ast.parse(path.read_text()))
                if isinstance(node, ast.Constant) and node.value == name
            ]
            if strings:
                found[str(path.relative_to(ROOT))] = len(strings)
    return found


def test_case_opened_stands_in_one_class_one_decision_and_one_handler_per_reader() -> None:
    assert occurrences("case.opened.v1") == {
        "contracts/facts.py": 1,
        "services/routing/domain/opening.py": 1,
        "services/intake/handlers.py": 1,
        "services/notify/handlers.py": 1,
        "services/ledger/handlers.py": 1,
        "services/console/handlers.py": 1,
    }


def test_the_code_names_no_town() -> None:
    towns = ("yidukou", "yihe", "haohuahong", "gucheng", "changping", "义和", "义渡口")
    named = [
        f"{path.relative_to(ROOT)}: {town}"
        for folder in ("contracts", "services")
        for path in (ROOT / folder).rglob("*.py")
        for town in towns
        if town in path.read_text()
    ]
    assert not named
