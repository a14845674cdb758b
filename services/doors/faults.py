"""Faulty fields, told to people: Chinese first, English beside it, limits filled in."""

import json
import re
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from services.chassis.http import Problem

# By pydantic's `type` of an error: the sentence in both languages, with its `ctx` to fill in.
_SENTENCES: Mapping[str, list[str]] = json.loads(Path(__file__).with_suffix(".json").read_bytes())
_TOLD_MAX = 100  # a body of a quarter of a megabyte may have 30,000 of them
_OR = re.compile(r"(?<=') or (?=')")  # pydantic's list of words ends in English


def invalid(errors: Iterable[Mapping[str, Any]]) -> Problem:
    """Name the faulty fields, so many at most, and what was expected; never repeat the value."""
    first = islice(errors, _TOLD_MAX)
    faults = [{"field": field_of(one["loc"]), "message": message_of(one)} for one in first]
    named = ", ".join(fault["field"] for fault in faults)
    zh = f"字段有误：{named}。请按 errors 修改后重发。"
    en = f"Invalid fields: {named}. Mend what `errors` names and send again."
    return Problem(422, "invalid_fields", zh, en, errors=faults)


def field_of(place: Iterable[object], whole: str = "body") -> str:
    """Name the field at a place by its path; `whole` where it is no field of its own."""
    return ".".join(map(str, place)) or whole


def message_of(error: Mapping[str, Any]) -> str:
    """Say what pydantic's error expected, in both languages."""
    about = error.get("ctx", {})
    if error["type"] == "value_error":  # our own check has said it, in both languages
        return str(about["error"])
    zh, en = _SENTENCES.get(error["type"], _SENTENCES["other"])
    return _OR.sub(", ", f"{zh} {en}".format(**about))
