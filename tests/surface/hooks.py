"""What schemathesis has to know of our doors; it loads this file by itself."""

import json
from collections.abc import Mapping
from typing import Any

import schemathesis
from schemathesis import Case, CheckContext, Response, SerializationContext
from schemathesis.openapi.checks import RejectedPositiveData
from schemathesis.specs.openapi.checks import positive_data_acceptance

# Why a request may be right by the schema and refused all the same: by a problem's `code`, or for
# `invalid_fields` by what is said of the field.
BEYOND_A_SCHEMA: Mapping[str, str] = {
    "不能空白": "which characters can be seen is Unicode's to say, not a pattern's",
    "不能只有空白": "which characters can be seen is Unicode's to say, not a pattern's",
    "attachment_empty": "bytes have no schema",
    "attachment_type_not_taken": "a file is what its content says, and bytes have no schema",
    "attachment_unknown": "an attachment's id is one that was given out",
    "change_set_faulty": "what a record must hold, its kind decides",
    "cursor_malformed": "a cursor is what the page before gave",
    "division_code_malformed": "a tenant that is all digits is a division code, which ends exactly",
    "period_invalid": "no schema compares two fields",
}


@schemathesis.serializer("application/x-ndjson")
def ndjson(_: SerializationContext, value: Any) -> bytes:
    """Send one line: the schema is that of a line."""
    return value if isinstance(value, bytes) else json.dumps(value).encode()


@schemathesis.check
def valid_data_acceptance(ctx: CheckContext, response: Response, case: Case[Any]) -> None:
    """Do as `positive_data_acceptance`, but for the rules that no schema can tell."""
    try:
        positive_data_acceptance(ctx, response, case)
    except RejectedPositiveData:
        if not _is_beyond_a_schema(response.json()):
            raise


def _is_beyond_a_schema(problem: Mapping[str, Any]) -> bool:
    if problem["code"] in BEYOND_A_SCHEMA:
        return True
    said = [fault["message"] for fault in problem.get("errors", ())]
    return bool(said) and all(any(why in one for why in BEYOND_A_SCHEMA) for one in said)
