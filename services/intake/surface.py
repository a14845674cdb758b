"""The doors of front ends beside `POST /v1/cases`, with their part of the OpenAPI document."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from services.chassis.http import Json
from services.intake.accept import Acceptor, Handle
from services.intake.batch import NDJSON, Batches
from services.intake.cloudevents import BATCHED, SPECVERSION, STRUCTURED
from services.intake.events import KNOWN, Events
from services.intake.follow_ups import (
    FollowUp,
    FollowUpFor,
    FollowUps,
    HandedIn,
    Withdrawal,
    WithdrawalFor,
)
from services.intake.report import Report
from services.intake.settings import IntakeSettings


@dataclass(frozen=True, slots=True)
class HotDoor:
    """One door: what answers, and its operation in the OpenAPI document."""

    handle: Handle
    document: Mapping[str, Any]


class BatchLine(Report):
    """One report of a batch, with its own idempotency key."""

    idempotency_key: Annotated[str, Field(pattern="^[!-~]{1,128}$")]


class BatchResult(BaseModel):
    """What became of one line, as the single door would have answered: a 202, or a problem."""

    line: int
    status: int
    case_id: str | None = None
    tracking_code: str | None = None
    received_at: datetime | None = None
    problem: dict[str, Json] | None = None
    retry_after_s: int | None = None


_DATA: list[JsonValue] = [{"required": ["data"]}, {"required": ["data_base64"]}]


class ReportEvent(BaseModel):
    """A report as a CloudEvent; extension attributes are passed over."""

    model_config = ConfigDict(json_schema_extra={"oneOf": _DATA})

    specversion: Annotated[str, Field(pattern=f"^{re.escape(SPECVERSION)}$")]
    id: Annotated[str, Field(min_length=1, max_length=256, pattern=r"^[^\x00-\x1f\x7f-\x9f]+$")]
    source: Annotated[str, Field(min_length=1, max_length=512, pattern="^[!-~]+$")]
    type: Annotated[str, Field(pattern=f"^({'|'.join(map(re.escape, KNOWN))})$")]
    time: datetime | None = None
    datacontenttype: str | None = None
    data: Report | None = None
    data_base64: str | None = None


MODELS: tuple[type[BaseModel], ...] = (
    BatchLine,
    BatchResult,
    ReportEvent,
    FollowUp,
    FollowUpFor,
    Withdrawal,
    WithdrawalFor,
    HandedIn,
)


def hot_doors(
    acceptor: Acceptor,
    settings: IntakeSettings,
    follow_ups: FollowUps,
    post_case: Mapping[str, Any],
) -> Mapping[str, HotDoor]:
    """Return the doors by path; `post_case` documents the single one, whose answers they share."""
    return {
        **_for_many(acceptor, settings, post_case),
        **_for_reporters(follow_ups, post_case),
    }


def _for_reporters(follow_ups: FollowUps, post_case: Mapping[str, Any]) -> dict[str, HotDoor]:
    """Return the doors by which a reporter adds to his case, or takes it back."""
    key = post_case["parameters"]
    more, back = "Add to a report", "Take a report back"
    by_code = {"security": [], "tags": ["track"]}

    def door(
        handle: Handle, name: str, about: str, model: type[BaseModel], **others: object
    ) -> HotDoor:
        place = "code" if others else "case_id"
        where = {"name": place, "in": "path", "required": True, "schema": {"type": "string"}}
        answers = {
            **post_case["responses"],
            "202": {"description": "Accepted", "content": {"application/json": _of(HandedIn)}},
            "404": {"description": "No such case, or another code than its own"},
        }
        return HotDoor(
            handle,
            {
                **post_case,
                "summary": f"{about}; 202 means that it will never be lost",
                "operationId": name,
                "parameters": [where, *key],
                "requestBody": {"required": True, "content": {"application/json": _of(model)}},
                "responses": answers,
                **others,
            },
        )

    doors = follow_ups
    return {
        "/v1/track/{code}/follow-ups": door(
            doors.post_tracked_follow_up, "post_tracked_follow_up", more, FollowUp, **by_code
        ),
        "/v1/track/{code}/withdrawal": door(
            doors.post_tracked_withdrawal, "post_tracked_withdrawal", back, Withdrawal, **by_code
        ),
        "/v1/cases/{case_id}/follow-ups": door(
            doors.post_follow_up, "post_follow_up", f"{more} for its reporter", FollowUpFor
        ),
        "/v1/cases/{case_id}/withdrawal": door(
            doors.post_withdrawal, "post_withdrawal", f"{back} for its reporter", WithdrawalFor
        ),
    }


def _for_many(
    acceptor: Acceptor, settings: IntakeSettings, post_case: Mapping[str, Any]
) -> dict[str, HotDoor]:
    batches = Batches(acceptor, settings)
    events = Events(acceptor, batches, settings)
    limits = f"at most {settings.batch_lines_max} and {settings.batch_bytes_max} bytes"
    return {
        "/v1/cases:batch": HotDoor(
            batches.post_cases,
            {
                **post_case,
                "summary": f"Report many cases, one on each line ({limits}); a result per line",
                "operationId": "post_cases",
                "parameters": [],
                "requestBody": {"required": True, "content": {NDJSON: _of(BatchLine)}},
                "responses": _answers(post_case, "200", NDJSON, _of(BatchResult)),
            },
        ),
        "/v1/events": HotDoor(
            events.post_event,
            {
                **post_case,
                "tags": ["events"],
                "summary": f"Report by CloudEvents 1.0: structured, batched ({limits}) or binary",
                "description": "In binary mode the attributes are `ce-*` headers. `source` and "
                "`id` are the idempotency key. A batch is answered 200 with a result per event.",
                "operationId": "post_event",
                "parameters": [],
                "requestBody": {
                    "required": True,
                    "content": {
                        STRUCTURED: _of(ReportEvent),
                        BATCHED: {"schema": {"type": "array", "items": _of(ReportEvent)["schema"]}},
                        "application/json": _of(Report),
                    },
                },
                "responses": {
                    **_answers(
                        post_case,
                        "200",
                        "application/json",
                        {"schema": {"type": "array", "items": _of(BatchResult)["schema"]}},
                    ),
                    "202": post_case["responses"]["202"],
                    "415": {"description": "No CloudEvent, or its data are not JSON"},
                },
            },
        ),
    }


def _of(model: type[BaseModel]) -> dict[str, Any]:
    return {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}}


def _answers(
    post_case: Mapping[str, Any], status: str, media: str, schema: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the single door's answers with another one for what is right."""
    others = {code: said for code, said in post_case["responses"].items() if code != "202"}
    return {status: {"description": "A result for each", "content": {media: schema}}, **others}
