"""What schemathesis has to know of our doors; it loads this file by itself."""

import json
from collections.abc import Mapping
from typing import Any

import schemathesis
from schemathesis import Case, CheckContext, Response, SerializationContext
from schemathesis.core.failures import AcceptedNegativeData
from schemathesis.openapi.checks import RejectedPositiveData
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

# Why a request may be right by the schema and refused all the same: by a problem's `code`, or for
# `invalid_fields` by what is said of the field.
BEYOND_A_SCHEMA: Mapping[str, str] = {
    # what can be seen, and what is near
    "不能空白": "which characters can be seen is Unicode's to say, not a pattern's",
    "不收控制字符": "which characters can be seen is Unicode's to say, not a pattern's",
    "不能只有空白": "which characters can be seen is Unicode's to say, not a pattern's",
    "经纬度像是写反了": "where China lies is geometry",
    "只在中国境内有定义": "where China lies is geometry",
    "应在 1900 年到 8999 年之间": "a moment's format has no bounds",
    "occurred_at_unlikely": "no schema knows what time it is",
    # what a town has, and how it works
    "unknown_step": "the steps are the flow's",
    "这一步没有这一项": "what goes with a step is the flow's",
    "应为 true 或 false": "what goes with a step is the flow's",
    "附件编号的列表": "what goes with a step is the flow's",
    "needs_missing": "what goes with a step is the flow's",
    "unknown_department": "the departments are the town's",
    "same_department": "no schema knows who refused",
    "lead_not_named": "no schema compares two fields",
    "lead_missing": "whether somebody leads is for the town's kind of whistle to say",
    "means_not_allowed": "the means are the town's",
    "not_joint": "no schema counts departments apart from their names",
    "to_oneself": "no schema knows who asks",
    "unknown_receiver": "people and posts are the town's",
    "cannot_accept": "what roles may do is the town's to say",
    "category_unknown": "the categories are the town's",
    "severity_unknown": "the severities are the town's",
    "class_unknown": "the classes are the town's",
    "anonymous_not_taken": "whether nameless reports are taken is the town's to say",
    # files, records, events
    "attachment_empty": "bytes have no schema",
    "attachment_type_not_taken": "a file is what its content says, and bytes have no schema",
    "attachment_unknown": "an attachment's id is one that was given out",
    "change_set_faulty": "what a record must hold, its kind decides",
    "not_an_event": "the attributes of binary mode are headers, which no schema ties to a body",
    "datacontenttype_unsupported": "a media type that says JSON is told by its words",
    "event_data_missing": "either of two fields holds the data",
    "data_base64_invalid": "what text is base64 of JSON no schema says",
    "cursor_malformed": "a cursor is what the page before gave",
    "division_code_malformed": "a tenant that is all digits is a division code, which ends exactly",
    "period_invalid": "no schema compares two fields",
    "field_unknown": "which fields of a record are sealed, its kind decides",
    "search_invalid": "of a query's fields exactly one is given",
    "filter_unknown": "which filters a kind has, no schema of a path tells",
    "cursor_invalid": "a cursor is what the page before gave",
}


NDJSON, REFUSED, TOO_LARGE = "application/x-ndjson", 400, 413


@schemathesis.serializer(NDJSON)
def ndjson(_: SerializationContext, value: Any) -> bytes:
    """Send one line: the schema is that of a line."""
    return value if isinstance(value, bytes) else json.dumps(value).encode()


@schemathesis.check
def invalid_data_rejection(ctx: CheckContext, response: Response, case: Case[Any]) -> None:
    """Do as `negative_data_rejection`; of a batch each entry has an answer of its own."""
    if response.status_code == TOO_LARGE:
        return  # a refusal too
    try:
        negative_data_rejection(ctx, response, case)
    except AcceptedNegativeData:
        if not any(one["status"] >= REFUSED for one in _results(response)):
            raise


def _results(response: Response) -> list[dict[str, Any]]:
    """Return the answers of a batch's entries, as CloudEvents or by line; none elsewhere."""
    if response.headers.get("content-type") == [NDJSON]:
        return [json.loads(line) for line in response.text.splitlines()]
    said = response.json()
    return said if isinstance(said, list) else []


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
