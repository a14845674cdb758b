"""Logs hold facts of ours under known names: no personal data can slip in by a new field."""

import ast
import json
import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from services.chassis import log
from services.chassis.log import FIELDS, allow_listed

SERVICES = Path(log.__file__).parents[1]
Lines = Callable[[], list[Any]]
LEVELS = {"debug", "info", "warning", "error", "critical", "exception"}
# Participles that do not end in -ed, and what is said of a thing that came out otherwise.
PAST = {"broken", "done", "found", "given", "held", "kept", "known", "lost", "made", "met", "read"}
PAST |= {"seen", "sent", "set", "taken", "told", "unknown", "written"}


def calls() -> Iterator[tuple[str, ast.Call]]:
    for path in sorted(SERVICES.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            owner = node.func.value
            ours = isinstance(owner, ast.Name) and owner.id in {"log", "logger"}
            if ours and node.func.attr in LEVELS:
                yield f"{path.relative_to(SERVICES)}:{node.lineno}", node


def names(call: ast.Call) -> set[str]:
    return {keyword.arg for keyword in call.keywords if keyword.arg is not None}


def event(call: ast.Call) -> str:
    assert len(call.args) == 1
    text = call.args[0]
    assert isinstance(text, ast.Constant)
    assert isinstance(text.value, str)
    return text.value


def in_the_past(text: str) -> bool:
    return any(word.endswith("ed") or word in PAST for word in text.split("_"))


@pytest.mark.parametrize(
    ("where", "call"), list(calls()), ids=lambda one: one if type(one) is str else ""
)
def test_each_log_call_uses_allowed_fields_and_tells_what_happened(
    where: str, call: ast.Call
) -> None:
    told = event(call)
    assert re.fullmatch(r"[a-z]+(_[a-z]+)+", told), where
    assert in_the_past(told), where
    assert names(call) - {"exc_info"} <= FIELDS, where


def test_there_are_log_calls_to_look_at() -> None:
    assert len(list(calls())) > 20


def test_a_field_outside_the_list_is_dropped_and_named() -> None:
    entry = {"event": "case_opened", "case_id": "c1", "phone": "139", "name_of_person": "王小明"}
    assert allow_listed(None, "info", entry) == {
        "event": "case_opened",
        "case_id": "c1",
        "dropped": ["name_of_person", "phone"],
    }


@pytest.fixture
def written(capsys: pytest.CaptureFixture[str]) -> Iterator[Lines]:
    """Read what is logged; what was configured before is put back."""
    before, handlers = structlog.get_config(), logging.getLogger().handlers[:]
    level = logging.getLogger().level
    yield lambda: [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    structlog.contextvars.clear_contextvars()
    structlog.configure(**before)
    logging.getLogger().handlers[:] = handlers
    logging.getLogger().setLevel(level)


def test_a_line_is_one_object_with_service_time_and_level(written: Lines) -> None:
    log.configure("routing", json=True)
    structlog.get_logger().info("batch_applied", topic="intake.events", phone="13900000000")
    (line,) = written()
    assert (line["service"], line["level"], line["topic"]) == ("routing", "info", "intake.events")
    assert line["dropped"] == ["phone"]
    assert line["timestamp"].endswith("Z")
    assert "13900000000" not in str(line)


def test_what_libraries_log_comes_in_the_same_form(written: Lines) -> None:
    log.configure("routing", json=True)
    logging.getLogger("aiokafka").warning("coordinator %s is dead", 1)
    logging.getLogger("aiokafka").info("heartbeat")
    (line,) = written()
    assert (line["event"], line["level"]) == ("coordinator 1 is dead", "warning")
    assert line["service"] == "routing"


def test_an_error_that_a_library_logs_comes_with_its_trace(written: Lines) -> None:
    log.configure("routing", json=True)
    try:
        raise ZeroDivisionError  # noqa: TRY301 - one with a traceback is wanted
    except ZeroDivisionError:
        logging.getLogger("a.library").exception("failed")
    (line,) = written()
    assert "ZeroDivisionError" in str(line["exception"])
    assert "test_chassis_log.py" in str(line["exception"])
