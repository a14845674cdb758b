"""What is wrong with a field is said in Chinese first, in English beside it, in nobody's jargon."""

import re
from string import Formatter
from typing import Any

import pytest
from pydantic import ValidationError
from pydantic_core import PydanticKnownError

from services.doors import faults
from services.doors.faults import invalid
from services.intake.acts import Act
from services.intake.report import Report
from services.ledger.api.registry import ClockBody
from services.routing.api import StepBody
from services.routing.handing import TransferBody
from services.routing.pull import NackBody
from services.routing.stages import RulingBody
from services.routing.whistles import WhistleBody

JARGON = re.compile(
    r"\b(str|int|bool|dict|tuple|valid|Input|should|string|integer|Value error|items?|NoneType)\b"
)
MODELS = [Act, ClockBody, NackBody, Report, RulingBody, StepBody, TransferBody, WhistleBody]
VALUES: list[Any] = [
    None, True, -1, 1.5, 10**30, 1e999, "", " ", "x" * 20_000, "路", "2025-03-03T10:00:00",
    "yesterday", [], ["x"] * 200, {}, {"lat": 100, "lon": -200}, {"lat": "x", "lon": "x"},
    {"lat": 1}, {"x": 1}, {"staff": "a", "unit": "b"},
    {"phone": "x", "name": "\u3164", "anonymous": "no"},
]  # fmt: skip


def told(model: Any, body: Any) -> dict[str, str]:
    try:
        model.model_validate(body)
    except ValidationError as error:
        problem = invalid(error.errors(include_url=False, include_input=False))
        return {one["field"]: one["message"] for one in problem.body["errors"]}
    return {}


@pytest.mark.parametrize("model", MODELS, ids=lambda one: one.__name__)
def test_whatever_is_wrong_is_said_in_both_languages_without_jargon(model: Any) -> None:
    names = [field.alias or name for name, field in model.model_fields.items()]
    bodies: list[Any] = [*VALUES, {"nope": 1}]
    bodies += [{name: value} for name in names for value in VALUES]
    said = {message for body in bodies for message in told(model, body).values()}
    assert len(said) > 3
    for message in said:
        assert re.match(r"[^A-Za-z]*[\u4e00-\u9fff]|[\w ]+[\u4e00-\u9fff]", message), message
        assert re.search(r"。 [A-Za-z][a-z ]+", message), message
        assert not JARGON.search(message), message
        assert "对照接口说明" not in message


def test_limits_are_filled_in() -> None:
    long = told(Report, {"tenant": "t", "summary": "x" * 201})
    assert long == {"summary": "至多 200 个字。 At most 200 characters."}
    assert told(NackBody, {"after_s": 3_601})["after_s"] == "不能大于 3600。 Expected 3600 or less."
    means = told(Act, {"means": "fax"})["means"]
    assert means.startswith("只能是 'app_ack', 'on_site', 'remote'。")


def test_what_has_no_sentence_of_its_own_gets_a_general_one() -> None:
    problem = invalid([{"type": "frozen_set_type", "loc": ("x",), "msg": "Input should be"}])
    (fault,) = problem.body["errors"]
    assert fault["message"].startswith("这一项不对")


def test_each_sentence_is_of_an_error_that_there_is_and_fills_in_what_that_one_tells() -> None:
    words = dict.fromkeys(("error", "expected", "pattern", "class_name", "field_type"), "x")
    for kind, sentences in faults._SENTENCES.items():  # noqa: SLF001
        if kind != "other":
            filled = {name for text in sentences for _, name, *_ in Formatter().parse(text) if name}
            about: dict[str, Any] = {**dict.fromkeys((*filled, "actual_length"), 5), **words}
            assert PydanticKnownError(kind, about).type == kind  # type: ignore[arg-type]


def test_of_very_many_faults_the_first_are_named() -> None:
    with pytest.raises(ValidationError) as caught:
        Act.model_validate({f"x{n}": 1 for n in range(1_000)})
    assert len(invalid(caught.value.errors()).body["errors"]) == 100
