"""What comes with a step or an act: words, which will be sealed, and the rest."""

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from contracts.text import NOT_KEPT, WRITTEN, is_blank
from services.chassis.http import Problem
from services.doors.fields import Checked

_OPAQUE = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_TEXT_MAX = 2_000
_PROOFS_MAX = 20


def given_with(
    extra: Mapping[str, Any], needs: tuple[str, ...]
) -> tuple[dict[str, str], dict[str, object]]:
    """Part what came with a step into words, which will be sealed, and the rest.

    Raises:
        Problem: 422 naming each field that the step does not take or that has the wrong form.
    """
    texts: dict[str, str] = {}
    given: dict[str, object] = {}
    faults = []
    for name, value in extra.items():
        if name not in (*needs, "note"):
            faults.append({"field": name, "message": _NO_SUCH_FIELD})
        elif name == "satisfied" and isinstance(value, bool):
            given[name] = value
        elif name == "proof" and _is_proof(value):
            given[name] = tuple(value)
        elif name not in ("satisfied", "proof") and _is_text(value):
            texts[name] = value
        else:
            faults.append({"field": name, "message": _EXPECTED.get(name, _EXPECTED_TEXT)})
    if faults:
        named = ", ".join(fault["field"] for fault in faults)
        zh, en = f"字段有误：{named}。", f"Invalid fields: {named}. See `errors`."
        raise Problem(422, "invalid_fields", zh, en, errors=faults)
    return texts, given


_NO_SUCH_FIELD = "这一步没有这一项，请删去。 This step takes no such field: remove it."
_EXPECTED = {
    "satisfied": "应为 true 或 false。 Expected true or false.",
    "proof": f"应为 1 至 {_PROOFS_MAX} 个附件编号的列表。 Expected a list of attachment ids.",
}
_EXPECTED_TEXT = (
    f"应为 1 至 {_TEXT_MAX} 字的文字，不能只有空白。 Expected 1 to {_TEXT_MAX} characters of text."
)


def _is_proof(value: object) -> bool:
    return (
        isinstance(value, list)
        and 1 <= len(value) <= _PROOFS_MAX
        and all(isinstance(one, str) and _OPAQUE.fullmatch(one) for one in value)
    )


def plain_text(value: str) -> str:
    """Return text that can be kept.

    Raises:
        ValueError: it is empty, too long, or holds what cannot be kept.
    """
    if not _is_text(value):
        raise ValueError(_EXPECTED_TEXT)
    return value


Id = Annotated[str, Field(min_length=1, max_length=64)]
Text = Annotated[
    str,
    Checked(plain_text, {"minLength": 1, "maxLength": _TEXT_MAX, "pattern": WRITTEN}),
]
ExpectedSeq = Annotated[int, Field(ge=0, description="the `seq` you last saw")]


class Body(BaseModel):
    """What comes with an act: nothing that is not asked for."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


def _is_text(value: object) -> bool:
    """Tell whether it is text that can be kept: no control characters, no half characters."""
    if not isinstance(value, str) or len(value) > _TEXT_MAX or is_blank(value):
        return False
    return NOT_KEPT.search(value) is None
