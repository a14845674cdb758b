"""Logs hold facts of ours under known names: no personal data can slip in by a new field."""

import ast
import importlib
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
NAMES = ("intake", "routing", "notify", "ledger", "console")
BOUND = {"service"}
CANARY = "欧阳金丝雀 13900007761 11010519491231002X"
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


def spread(where: str, call: ast.Call) -> set[str]:
    """Return the keys of what a call spreads: those that its function writes into these values."""
    spreads = [keyword.value for keyword in call.keywords if keyword.arg is None]
    wanted = {n.id for one in spreads for n in ast.walk(one) if isinstance(n, ast.Name)}
    tree = ast.parse((SERVICES / where.partition(":")[0]).read_text())
    functions = (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))
    inside = min((one for one in functions if call.lineno in span(one)), key=lambda n: len(span(n)))
    return {key for one in ast.walk(inside) for key in written_to(one, wanted)}


def span(one: ast.stmt) -> range:
    return range(one.lineno, (one.end_lineno or one.lineno) + 1)


def written_to(one: ast.AST, wanted: set[str]) -> Iterator[str]:
    match one:
        case ast.Assign(targets=[ast.Name(id=name)], value=ast.Dict(keys=keys)) if name in wanted:
            yield from (str(key.value) for key in keys if isinstance(key, ast.Constant))
        case ast.Assign(
            targets=[ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=key))]
        ) if name in wanted:
            yield str(key)
        case _:
            pass


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


def test_what_a_call_spreads_is_known_and_allowed() -> None:
    told = {
        where: spread(where, call)
        for where, call in calls()
        if any(keyword.arg is None for keyword in call.keywords)
    }
    assert told
    assert {where: keys - FIELDS for where, keys in told.items() if not keys or keys - FIELDS} == {}


def test_every_field_on_the_list_is_used() -> None:
    used = {name for where, call in calls() for name in names(call) | spread(where, call)}
    assert used - {"exc_info"} | BOUND == FIELDS


def test_nothing_is_bound_to_all_lines_but_the_services_name() -> None:
    bound = [
        (path.relative_to(SERVICES).as_posix(), names(node))
        for path in sorted(SERVICES.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in {"bind", "bind_contextvars", "bound_contextvars"}
    ]
    assert bound == [("chassis/log.py", BOUND)]


def test_whoever_logs_does_so_under_the_names_that_are_looked_for() -> None:
    owners = {
        target.id
        for path in SERVICES.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Assign) and "structlog.get_logger" in ast.unparse(node.value)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    assert owners == {"log", "logger"}


def test_every_service_configures_its_log_before_it_does_anything() -> None:
    for name in NAMES:
        tree = ast.parse((SERVICES / name / "app.py").read_text())
        (main,) = [n for n in tree.body if isinstance(n, ast.AsyncFunctionDef) and n.name == "main"]
        said = [ast.unparse(one) for one in main.body[:2]]
        assert said[1] == "log.configure(NAME, json=settings.log_json)", name


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


@pytest.mark.usefixtures("written")
@pytest.mark.parametrize("json", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_a_value_under_a_field_that_is_not_listed_leaves_no_service(
    name: str, json: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    app = importlib.import_module(f"services.{name}.app")
    log.configure(app.NAME, json=json)
    structlog.contextvars.bind_contextvars(caller=CANARY)
    bound = structlog.get_logger().bind(address=CANARY)
    bound.info("batch_applied", topic="t", phone=CANARY, texts={"name": [CANARY]})
    bound.warning("batch_failed", id_number=CANARY, sealed=CANARY.encode())
    try:
        raise ZeroDivisionError  # noqa: TRY301 - one with a traceback is wanted
    except ZeroDivisionError:
        bound.exception("act_refused", note=CANARY)
    logging.getLogger("a.library").warning("slow", extra={"phone": CANARY})
    structlog.contextvars.unbind_contextvars("caller")
    shown = capsys.readouterr().out
    assert shown.count("dropped") == 4
    assert "id_number" in shown
    assert "ZeroDivisionError" in shown
    for word in (*CANARY.split(), CANARY.encode().hex(), ascii(CANARY)[1:19]):
        assert word not in shown


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
