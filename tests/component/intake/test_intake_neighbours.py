"""Another town's ids, at every door of intake that takes one."""

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import httpx
import pytest

from contracts.events import case_id
from tests import factories
from tests.component.intake import files
from tests.component.intake.test_intake_track import Story
from tests.component.intake.window import Window, small_town
from tests.component.neighbours import Ask, Ids, doors_taking, walk
from tests.factories import TENANT

NEIGHBOUR = "gucheng"
REPORT = {"summary": "路灯不亮"}
WITH_FILE = {**REPORT, "attachments": ["{attachment_id}"]}
NO_FILE: dict[str, Any] = {"status": 422, "says": "attachment_unknown"}
KEY = {"idempotency_key": "k1"}
MORE, BACK = {"description": "灯杆也歪了"}, {"reason": "已经自己修好"}
OTHERS = {"tracking_code": "{tracking_code}"}
ACT = {
    "case_id": "{case_id}",
    "act": "report_in",
    "whistle_id": "{whistle_id}",
    "department": "police",
    "means": "remote",
}
EVENT = {"specversion": "1.0", "id": "1", "source": "/test", "type": "case.reported.v1"}
FOLLOW_UPS, WITHDRAWAL = "/v1/cases/{case_id}/follow-ups", "/v1/cases/{case_id}/withdrawal"
FILE = "/v1/attachments/{attachment_id}"
READS = [Ask("get", FILE), Ask("get", f"{FILE}/record")]
ASKS = [
    *READS,
    Ask("post", "/v1/attachments", query="tenant={tenant}", body="x"),
    Ask("post", "/v1/cases", body={**REPORT, "tenant": "{tenant}"}),
    Ask("post", "/v1/cases", body={**WITH_FILE, "tenant": TENANT}, **NO_FILE),
    Ask(
        "post",
        "/v1/cases:batch",
        status=200,
        says="tenant_unknown",
        body={**REPORT, **KEY, "tenant": "{tenant}"},
    ),
    Ask(
        "post",
        "/v1/cases:batch",
        status=200,
        says="attachment_unknown",
        body={**WITH_FILE, **KEY, "tenant": TENANT},
    ),
    Ask("post", "/v1/events", body={**EVENT, "data": {**REPORT, "tenant": "{tenant}"}}),
    Ask("post", "/v1/events", body={**EVENT, "data": {**WITH_FILE, "tenant": TENANT}}, **NO_FILE),
    Ask("post", "/v1/acts", body={**ACT, "tenant": "{tenant}"}),
    # Nothing is looked up: it is taken in for this town, where routing knows no such whistle.
    Ask("post", "/v1/acts", body=ACT, status=503, says="not_confirmed"),
    *(
        Ask("post", FOLLOW_UPS, body={**MORE, **OTHERS, **to})
        for to in ({}, {"tenant": "{tenant}"})
    ),
    *(
        Ask("post", WITHDRAWAL, body={**BACK, **OTHERS, **to})
        for to in ({}, {"tenant": "{tenant}"})
    ),
    Ask(
        "post",
        "/v1/track/{code}/follow-ups",
        body={**MORE, "attachments": ["{attachment_id}"]},
        **NO_FILE,
    ),
]
# Whoever has the code of a case is its reporter, in whichever town.
REPORTERS = {("get", "/v1/track/{code}"), ("post", "/v1/track/{code}/withdrawal")}


async def ids_of(window: Window) -> Ids:
    """Let the neighbour have a report with a file, made through a front end of its own."""
    window.know(*small_town(NEIGHBOUR), change_set="seed", tenant=NEIGHBOUR)
    window.front_end("their-key", "app", tenant=NEIGHBOUR)
    posted = await window.http.post(
        "/v1/attachments", content=files.PDF, headers={"X-Api-Key": "their-key"}
    )
    theirs = case_id(NEIGHBOUR, "app", "k1")
    return {
        "attachment_id": posted.json()["attachment_id"],
        "case_id": str(theirs),
        "tracking_code": window.ring.tracking_code(NEIGHBOUR, str(theirs)),
        "whistle_id": str(uuid4()),
        "tenant": NEIGHBOUR,
    }


def nobodys() -> Ids:
    return {
        "attachment_id": uuid4().hex * 2,
        "case_id": str(uuid4()),
        "tracking_code": "AAAAAAAAAAAA",
        "whistle_id": str(uuid4()),
        "tenant": "nowhere",
    }


def headers_for(window: Window, caller: str) -> Mapping[str, str]:
    if caller == "front end":
        return {"X-Api-Key": "police-key", "Idempotency-Key": "k1"}
    token = factories.token(window.secrets, "operator", units=["town", "g01"], department="police")
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize(("caller", "asks"), [("front end", ASKS), ("staff", READS)])
async def test_another_towns_ids_are_answered_like_none_at_every_door(
    window: Window, caller: str, asks: list[Ask]
) -> None:
    theirs, own = await ids_of(window), Story(window)
    window.front_end("police-key", "police_system", departments=["police"])
    await window.hear(own.opened())
    headers = headers_for(window, caller)

    async def send(method: str, url: str, content: bytes | None) -> httpx.Response:
        media = "application/x-ndjson" if ":batch" in url else "application/json"
        media = "application/cloudevents+json" if "/events" in url else media
        given: dict[str, Any] = {"headers": {**headers, "Content-Type": media}}
        return await window.http.request(method, url, content=content, **given)

    mine = {"code": own.code}
    await walk(asks, {**theirs, **mine}, {**nobodys(), **mine}, send)


async def test_every_door_that_takes_an_id_is_asked(window: Window) -> None:
    document = (await window.http.get("/openapi.json")).json()
    doors = doors_taking(document, {*nobodys(), "attachments", "code"})
    assert doors == {ask.door for ask in ASKS} | REPORTERS
