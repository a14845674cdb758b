"""What may be posted: each fault named, no value ever repeated, nothing that crashes."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import structlog
from structlog.testing import LogCapture

from deploy.local.secrets import Secrets
from services.chassis.log import allow_listed
from tests.component.intake.window import REPORT, RIGHT, Window, open_window, told

CANARY = "金丝雀7041"


@pytest.fixture
def logged() -> Iterator[LogCapture]:
    capture = LogCapture()
    structlog.configure(processors=[allow_listed, structlog.processors.format_exc_info, capture])
    yield capture
    structlog.reset_defaults()


def raw(text: str) -> bytes:
    """Return a report whose summary is written as JSON text."""
    return f'{{"tenant":"yihe","summary":{text}}}'.encode()


MALFORMED: list[tuple[str, bytes, int, str]] = [
    ("empty", b"", 400, "json_malformed"),
    ("blank", b"  \n", 400, "json_malformed"),
    ("cut", b'{"tenant":"yi', 400, "json_malformed"),
    ("two", b"{}{}", 400, "json_malformed"),
    ("a comma too many", b'{"tenant":"yihe",}', 400, "json_malformed"),
    ("XML", b"<a/>", 400, "json_malformed"),
    ("a form", b"tenant=yihe&summary=x", 400, "json_malformed"),
    ("a key twice", b'{"tenant":"a","tenant":"b"}', 400, "json_duplicate_key"),
    ("a key twice inside", b'{"reporter":{"name":"a","name":"b"}}', 400, "json_duplicate_key"),
    ("half a character twice", b'{"\\ud800":1,"\\ud800":2}', 400, ""),
    ("NaN", b'{"location":{"lat":NaN,"lon":0}}', 400, "json_not_a_number"),
    ("Infinity", b'{"location":{"lat":-Infinity,"lon":0}}', 400, "json_not_a_number"),
    ("10,000 lists deep", b"[" * 10_000, 400, "json_too_deep"),
    ("10,000 objects deep", b'{"a":' * 10_000, 400, "json_too_deep"),
    ("900 deep", b'{"a":' * 900 + b"1" + b"}" * 900, 422, "invalid_fields"),
    ("a number without end", b'{"tenant":' + b"9" * 5_000 + b"}", 400, ""),
    ("not UTF-8", raw('"\xff'), 400, ""),
    ("Latin-1", b'{"tenant":"yihe","summary":"caf\xe9"}', 400, "json_not_utf8"),
    ("GBK", '{"summary":"路灯"}'.encode("gbk"), 400, "json_not_utf8"),
    ("UTF-16", json.dumps(REPORT).encode("utf-16"), 400, ""),
    ("a raw surrogate", b'{"tenant":"yihe","summary":"\xed\xa0\x80"}', 400, "json_not_utf8"),
    ("a list", b"[]", 422, "invalid_fields"),
    ("null", b"null", 422, "invalid_fields"),
    ("text", b'"x"', 422, "invalid_fields"),
    ("NUL", raw('"a\\u0000b"'), 422, "invalid_fields"),
    ("a raw NUL", raw('"a\0b"'), 400, "json_malformed"),
    ("half a character", raw('"a\\ud800b"'), 0, ""),
    ("the other half", raw('"a\\udfb7b"'), 0, ""),
    ("half a field's name", b'{"tenant":"yihe","summary":"a","\\ud800":1}', 0, ""),
    ("blank words", raw('"  "'), 422, "invalid_fields"),
]


@pytest.mark.parametrize(
    ("body", "status", "code"), [row[1:] for row in MALFORMED], ids=[row[0] for row in MALFORMED]
)
async def test_what_cannot_be_read_is_a_problem_by_name(
    window: Window, body: bytes, status: int, code: str
) -> None:
    answer = await window.post(body)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.status_code in ({status} if status else {400, 422})
    if code:
        assert answer.json()["code"] == code


WELL: list[tuple[str, dict[str, Any]]] = [
    ("a rare character", {"summary": "𠮷田的路灯"}),
    ("a name with a dot", {"reporter": {"name": "阿力木·吐尔逊"}}),
    ("full-width digits", {"reporter": {"phone": "１３８００００００００"}}),
    ("anonymous", {"reporter": {"anonymous": True}}),
    ("Windows line breaks", {"description": "一\r\n二"}),
    ("10,000 characters", {"description": "路" * 10_000}),
    ("a place outside", {"location": {"lat": 0, "lon": 0, "crs": "WGS84"}}),
    ("another's grid", {"location": {"grid": "nope", "village": "nope", "household_id": "nope"}}),
    ("all kinds", {"category": "security", "severity": "major", "class": "urgent"}),
]


@pytest.mark.parametrize("more", [row[1] for row in WELL], ids=[row[0] for row in WELL])
async def test_what_is_unusual_but_right_is_taken(window: Window, more: dict[str, Any]) -> None:
    assert told(await window.post({**REPORT, **more})) == RIGHT


async def test_a_rare_character_may_be_written_as_two_halves(window: Window) -> None:
    assert told(await window.post(raw('"\\ud842\\udfb7"'))) == RIGHT


FIELDS: list[tuple[dict[str, Any], str]] = [
    ({"summary": "x" * 201}, "summary"),
    ({"description": "路" * 10_001}, "description"),
    ({"summary": 5}, "summary"),
    ({"location": {"lat": 33.3}}, "location"),
    ({"location": {"lat": 33.3, "lon": 114.2}}, "location.crs"),
    ({"location": {"lat": "33.3", "lon": 114}}, "location.lat"),
    ({"reporter": {"phone": "no number"}}, "reporter.phone"),
    ({"reporter": {"anonymous": "no"}}, "reporter.anonymous"),
    ({"occurred_at": "yesterday"}, "occurred_at"),
    ({"occurred_at": "9999-12-31T23:59:59-12:00"}, "occurred_at"),
    ({"urgent": True}, "urgent"),
    ({"reporter": {"age": 5}}, "reporter.age"),
]


@pytest.mark.parametrize(("more", "field"), FIELDS, ids=[field for _, field in FIELDS])
async def test_a_faulty_field_is_named(window: Window, more: dict[str, Any], field: str) -> None:
    answer = await window.post({**REPORT, **more})
    assert told(answer) == (422, "invalid_fields")
    assert [one["field"] for one in answer.json()["errors"]] == [field]
    assert field in answer.json()["title"]


@pytest.mark.parametrize(
    "moment",
    ["1900-01-01T00:00:00+14:00", "1999-12-31T23:59:59Z", "8999-12-31T23:59:59-12:00",
     (datetime.now(UTC) + timedelta(days=1, minutes=30)).isoformat()],
    ids=["one", "old", "last", "ahead"],
)  # fmt: skip
async def test_a_time_that_no_device_can_have_meant_is_named(window: Window, moment: str) -> None:
    answer = await window.post({**REPORT, "occurred_at": moment})
    assert told(answer) == (422, "occurred_at_unlikely")
    assert answer.json()["field"] == "occurred_at"
    assert moment not in answer.text


@pytest.mark.parametrize(
    "moment",
    ["2000-01-01T00:00:00Z", "2024-02-29T23:59:59+08:00",
     (datetime.now(UTC) + timedelta(hours=23)).isoformat()],
    ids=["first", "leap", "ahead"],
)  # fmt: skip
async def test_a_device_s_clock_may_be_a_little_wrong(window: Window, moment: str) -> None:
    assert told(await window.post({**REPORT, "occurred_at": moment})) == RIGHT


async def test_where_the_town_s_clock_is_ahead_it_is_that_one_that_counts(window: Window) -> None:
    clock = {"offsets": [{"from_at": "2020-01-01T00:00:00Z", "seconds": 30 * 86_400}]}
    window.know({"kind": "clock", "id": "clock", "body": clock}, change_set="ahead")
    for days, answered in ((30, RIGHT), (32, (422, "occurred_at_unlikely"))):
        moment = (datetime.now(UTC) + timedelta(days=days)).isoformat()
        assert told(await window.post({**REPORT, "occurred_at": moment})) == answered


@pytest.mark.parametrize("name", ["category", "severity", "class"])
async def test_an_unknown_kind_is_answered_with_those_there_are(window: Window, name: str) -> None:
    answer = await window.post({**REPORT, name: "nope"})
    assert told(answer) == (422, f"{name}_unknown")
    problem = answer.json()
    assert problem["field"] == name
    assert len(problem["expected"]) > 1
    assert problem["expected"][0] in problem["detail"]
    assert "nope" not in answer.text


async def test_a_town_may_take_no_anonymous_reports(window: Window) -> None:
    known = window.registry.towns["yihe"].profile
    assert known is not None
    body = known.model_dump(mode="json", exclude_unset=True)
    body["cases"]["anonymous"] = False
    line = {"kind": "profile", "id": "2", "body": {"version": 2, "body": body}}
    window.know(line, change_set="v2")
    answer = await window.post({**REPORT, "reporter": {"anonymous": True}})
    assert told(answer) == (422, "anonymous_not_taken")
    assert told(await window.post()) == RIGHT


async def stream(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def post_stream(window: Window, body: AsyncIterator[bytes]) -> httpx.Response:
    headers = {"X-Api-Key": "demo-key", "Idempotency-Key": "k"}
    return await window.http.post("/v1/cases", content=body, headers=headers)


async def test_a_body_in_pieces_is_a_body(window: Window) -> None:
    whole = json.dumps(REPORT).encode()
    pieces = [whole[n : n + 3] for n in range(0, len(whole), 3)]
    assert told(await post_stream(window, stream(*pieces))) == RIGHT


async def test_five_megabytes_are_refused_unread(window: Window) -> None:
    big = await window.post(b" " * 5_000_000)
    assert told(big) == (413, "body_too_large")
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 5_000_000:
            sent += 10_000
            yield b" " * 10_000

    assert told(await post_stream(window, endless())) == (413, "body_too_large")
    assert sent < 400_000


async def test_a_body_that_lies_about_its_length_is_counted(window: Window) -> None:
    headers = {"X-Api-Key": "demo-key", "Idempotency-Key": "k", "Content-Length": "5"}
    answer = await window.http.post("/v1/cases", content=b" " * 400_000, headers=headers)
    assert told(answer) == (413, "body_too_large")


async def test_a_body_that_stops_is_given_up_and_frees_its_place(
    intake_dsn: str, intake_secrets: Secrets
) -> None:
    quick = {"body_deadline_s": 0.05, "in_flight_max": 1}
    async with open_window(intake_dsn, intake_secrets, **quick) as window:

        async def stopping() -> AsyncIterator[bytes]:
            yield b"{"
            await asyncio.Event().wait()

        assert told(await post_stream(window, stopping())) == (408, "body_incomplete")
        assert told(await window.post()) == RIGHT


async def test_no_word_of_a_report_is_repeated_or_logged(
    window: Window, logged: LogCapture
) -> None:
    words: dict[str, Any] = {
        "summary": CANARY,
        "description": CANARY,
        "reporter": {"name": CANARY},
        "location": {"address": CANARY, "village": CANARY},
    }
    bodies: list[Any] = [
        {**REPORT, **words},
        {**REPORT, **words, "category": CANARY},
        {**REPORT, **words, "severity": "nope"},
        {**REPORT, **words, "tenant": "nowhere"},
        {**REPORT, **words, "reporter": {"phone": CANARY, "openid": CANARY}},
        {**REPORT, **words, "occurred_at": CANARY, "attachments": [CANARY]},
        {**REPORT, **words, "location": {"lat": CANARY, "grid": CANARY, "crs": CANARY}},
        {**REPORT, "summary": [CANARY], "description": {"a": CANARY}},
        json.dumps({**REPORT, **words}, ensure_ascii=False).encode()[:-4],
        json.dumps({**REPORT, **words}, ensure_ascii=False).encode() + b"\xff",
        f'{{"summary":"{CANARY}","summary":"{CANARY}"}}'.encode(),
        f'{{"summary":"{CANARY}","a":NaN}}'.encode(),
    ]
    answers = [await window.post(body) for body in bodies]
    assert {answer.status_code for answer in answers} == {400, 404, 422, 503}
    for answer in answers:
        assert CANARY not in answer.text
        assert json.dumps(CANARY).strip('"') not in answer.text
    assert logged.entries
    assert CANARY not in str(logged.entries)


async def test_other_methods_and_paths_are_problems_too(window: Window) -> None:
    for answer in (
        await window.http.get("/v1/cases"),
        await window.http.delete("/v1/cases"),
        await window.http.get("/v1/nowhere"),
    ):
        assert answer.status_code in {404, 405}
        assert answer.json()["code"] == f"http_{answer.status_code}"
