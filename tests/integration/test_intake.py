"""Intake as a process, on a real broker: what a 202 is worth, and what happens without one."""

import asyncio
import json
import signal
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import httpx
import pytest

from contracts.topics import INTAKE_EVENTS
from services.chassis.seal import KeyRing
from services.intake.settings import IntakeSettings
from tests import factories
from tests.integration.trio import API_KEY, Trio, local
from tests.waiting import PATIENCE_S, until

WORKER = ("grid_worker", "g01", "s-gw-01")
CLERK = ("center_clerk", "town", "s-cc-01")


async def test_before_there_is_a_town_it_says_so_and_refuses_nobody(trio: Trio) -> None:
    for answer in trio.before_towns:
        assert (answer.status_code, answer.json()["code"]) == (503, "starting")
        assert answer.headers["retry-after"]


async def posted(trio: Trio, name: str) -> str:
    """Post a PDF for a town; return its id."""
    answer = await trio.http.post(
        f"{trio.urls['intake']}/v1/attachments?tenant=yihe",
        content=b"%PDF-1.7\n" + name.encode() + b"\n%%EOF",
        headers={"X-Api-Key": API_KEY},
    )
    assert answer.status_code == 201, answer.text
    return str(answer.json()["attachment_id"])


async def test_a_report_becomes_a_case_that_its_reporter_can_follow(trio: Trio) -> None:
    photo, proof = [await posted(trio, name) for name in ("photo", "proof")]
    answer = await trio.report("yihe", "path", location={"grid": "g01"}, attachments=[photo])
    accepted = answer.json()
    assert answer.status_code == 202
    case_id = UUID(accepted["case_id"])
    case = await trio.case("yihe", case_id)
    assert (case["grid"], case["owner"]["staff"]) == ("g01", "s-gw-01")
    assert case["text"] == {"summary": "路灯不亮"}
    await trio.step("yihe", case_id, "first_ask", WORKER)
    await trio.step("yihe", case_id, "grid_settle", WORKER)
    await trio.step("yihe", case_id, "resolve", WORKER, result="r", proof=[proof])
    await trio.step("yihe", case_id, "return_visit", CLERK, satisfied=True)
    url = f"{trio.urls['intake']}/v1/track/{accepted['tracking_code']}"

    async def closed() -> bool:
        shown = await trio.http.get(url)
        return shown.is_success and shown.json()["stage"]["state"] == "closed"

    await until(closed, "the reporter sees the end")
    shown = (await trio.http.get(url)).json()
    assert shown["number"] == case["number"]
    assert [step["en"] for step in shown["steps"]] == [
        "First-asked registration", "Settle in the grid", "Settle", "Return visit",
    ]  # fmt: skip
    assert (await trio.case("yihe", case_id))["attachments"] == [photo, proof]
    for id_ in (photo, proof):
        path = f"{trio.urls['intake']}/v1/attachments/{id_}"
        for unit, status in (("g01", 200), ("v1", 200), ("town", 200), ("g02", 404)):
            by = trio.headers("yihe", "grid_worker", unit)
            assert (await trio.http.get(path, headers=by)).status_code == status, unit


async def record_of(trio: Trio, case_id: UUID) -> list[Any]:
    records = await trio.records(INTAKE_EVENTS.name)
    return [one for one in records if dict(one.headers)["ce_subject"] == str(case_id).encode()]


async def test_the_time_of_the_202_is_the_brokers_plus_the_towns(trio: Trio) -> None:
    monday = local("2025-03-03T08:30:00")
    answer = await trio.http.post(
        f"{trio.urls['ledger']}/v1/dev/clock",
        json={"set_to": monday.isoformat()},
        headers=trio.headers("virtual", "operator"),
    )
    ahead = timedelta(seconds=answer.json()["ahead_s"])

    async def virtual() -> bool:
        accepted = (await trio.report("virtual", str(uuid4()))).json()
        case = await trio.case("virtual", UUID(accepted["case_id"]))
        told = (accepted["received_at"], case["received_at"])
        return all(datetime.fromisoformat(one).year == 2025 for one in told)

    await until(virtual, "intake and routing know the town's clock")
    accepted = (await trio.report("virtual", "timed")).json()
    (record,) = await record_of(trio, UUID(accepted["case_id"]))
    assert record.timestamp_type == 1
    real = datetime.fromtimestamp(record.timestamp / 1000, UTC)
    told = datetime.fromisoformat(accepted["received_at"])
    assert abs(told - (real + ahead)) < timedelta(milliseconds=1)
    case = await trio.case("virtual", UUID(accepted["case_id"]))
    assert datetime.fromisoformat(case["received_at"]) == real + ahead
    assert case["number"].startswith("250303-")


async def test_fifty_at_once_with_one_key_and_one_body_are_one_case(trio: Trio) -> None:
    answers = await asyncio.gather(*(trio.report("yihe", "fifty") for _ in range(50)))
    assert {answer.status_code for answer in answers} == {202}
    ids = {answer.json()["case_id"] for answer in answers}
    assert len(ids) == len({answer.json()["tracking_code"] for answer in answers}) == 1
    (case_id,) = map(UUID, ids)
    await trio.case("yihe", case_id)
    assert len(await record_of(trio, case_id)) == 50
    done = await trio.accepted("yihe", "fifty")
    assert done == case_id
    facts = await trio.rows("routing", "SELECT seq FROM case_fact WHERE case_id = $1", case_id)
    assert sorted(row["seq"] for row in facts) == [1, 2, 3]


async def test_another_body_under_the_same_key_is_shown_and_does_not_replace(trio: Trio) -> None:
    first = await trio.accepted("yihe", "conflict", location={"grid": "g01"})
    second = await trio.accepted("yihe", "conflict", location={"grid": "g04"})
    assert first == second
    url = f"{trio.urls['routing']}/v1/cases/{first}/history"

    async def shown() -> bool:
        answer = await trio.http.get(url, headers=trio.headers("yihe", "center_clerk", "town"))
        return "key_conflict" in answer.text

    await until(shown, "the conflict is in the history")
    assert (await trio.case("yihe", first))["grid"] == "g01"


async def test_what_is_accepted_is_sealed_on_the_topic(trio: Trio) -> None:
    case_id = await trio.accepted(
        "yihe", "sealed", description="金丝雀", reporter={"phone": "13800000000", "name": "金丝雀"}
    )
    (record,) = await record_of(trio, case_id)
    body = json.loads(record.value)
    assert body["sealed"]["fields"].keys() == {"summary", "description", "phone", "name"}
    assert "13800000000" not in record.value.decode()
    assert dict(record.headers)["ce_bodymac"]


async def test_a_revoked_key_ends_within_seconds(trio: Trio) -> None:
    ring = KeyRing(trio.secrets.key_file)
    line = {**factories.demo_front_end(ring, "short-lived"), "id": "app"}
    await trio.post_set("second", "front-end", [line])

    async def answers(status: int) -> bool:
        answer = await trio.report("second", "revoked", api_key="short-lived")
        return answer.status_code == status

    await until(lambda: answers(202), "the key holds")
    revoked = {**line, "body": {**line["body"], "revoked_at": datetime.now(UTC).isoformat()}}
    await trio.post_set("second", "revoked", [revoked])
    await until(lambda: answers(401), "the key is refused")
    answer = await trio.report("second", "revoked", api_key="short-lived")
    assert answer.json()["code"] == "api_key_revoked"
    assert (await trio.report("second", "others-go-on")).status_code == 202


@pytest.fixture
async def wire(trio: Trio) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A bare connection to intake."""
    place = urlsplit(trio.urls["intake"])
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    yield reader, writer
    writer.close()


def head(key: str, *more: str) -> bytes:
    lines = ["POST /v1/cases HTTP/1.1", "Host: intake", f"X-Api-Key: {API_KEY}",
             f"Idempotency-Key: {key}", *more, "", ""]  # fmt: skip
    return "\r\n".join(lines).encode()


Wire = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def test_a_body_in_chunks_without_a_length_is_taken(trio: Trio, wire: Wire) -> None:
    reader, writer = wire
    body = json.dumps({"tenant": "yihe", "summary": "路灯"}).encode()
    writer.write(head("chunked", "Transfer-Encoding: chunked"))
    for n in range(0, len(body), 7):
        piece = body[n : n + 7]
        writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        await writer.drain()
    writer.write(b"0\r\n\r\n")
    assert b" 202 " in await asyncio.wait_for(reader.readline(), PATIENCE_S)
    assert trio.urls


async def test_a_body_that_drips_is_given_up_in_time(trio: Trio, wire: Wire) -> None:
    reader, writer = wire
    writer.write(head("slow", "Content-Length: 1000") + b"{")
    await writer.drain()
    began = time.monotonic()
    assert b" 408 " in await asyncio.wait_for(reader.readline(), PATIENCE_S)
    assert time.monotonic() - began > 0.9
    assert (await trio.report("yihe", "after-slow")).status_code == 202


async def test_a_client_that_goes_away_leaves_nothing_behind(trio: Trio) -> None:
    place = urlsplit(trio.urls["intake"])
    for n in range(300):  # more than may be in flight
        _, writer = await asyncio.open_connection(place.hostname, place.port)
        writer.write(head(f"gone-{n}", "Content-Length: 1000") + b'{"tenant":')
        writer.close()

    async def free() -> bool:
        return (await trio.report("yihe", "after-gone")).status_code == 202

    await until(free, "intake has places again")
    assert await trio.answers(f"{trio.urls['intake']}/ready")


async def test_without_its_database_it_takes_reports_and_says_that_tracking_must_wait(
    trio: Trio,
) -> None:
    nowhere = "postgresql://nobody:x@127.0.0.1:9/intake"
    await trio.start("intake", "intake-alone", POSTGRES_DSN=nowhere)
    await trio.ready("intake-alone")
    answer = await trio.report("yihe", "no-database", intake="intake-alone")
    assert answer.status_code == 202
    await trio.case("yihe", UUID(answer.json()["case_id"]))
    code = answer.json()["tracking_code"]
    lost = await trio.http.get(f"{trio.urls['intake-alone']}/v1/track/{code}")
    assert (lost.status_code, lost.json()["code"]) == (503, "not_now")
    await trio.stop("intake-alone")


async def test_the_document_of_its_surface_is_served(trio: Trio) -> None:
    document = (await trio.http.get(f"{trio.urls['intake']}/openapi.json")).json()
    post = document["paths"]["/v1/cases"]["post"]
    assert post["requestBody"]["content"]["application/json"]["schema"]["$ref"].endswith("Report")
    assert "202" in post["responses"]


def limit(name: str) -> Any:
    return IntakeSettings.model_fields[name].default


def asked(trio: Trio) -> int:
    """Count the reports for which the broker was asked in vain."""
    return (trio.logs / "intake.log").read_text().count("report_not_confirmed")


async def test_a_broker_that_stands_still_is_answered_in_time_and_loses_nothing(
    trio: Trio,
) -> None:
    trio.signal("kafka", signal.SIGSTOP)
    try:
        answers = await asyncio.gather(
            *(trio.report("yihe", f"frozen-{n}", location={"grid": "g01"}) for n in range(5))
        )
        before, began = asked(trio), time.monotonic()
        crowd = await asyncio.gather(
            *(trio.report("yihe", f"crowd-{n}", location={"grid": "g01"}) for n in range(60))
        )
        waves = 1 + (time.monotonic() - began) // limit("accept_deadline_s")
    finally:
        trio.signal("kafka", signal.SIGCONT)
    assert {one.status_code for one in crowd} == {503}
    assert 0 < asked(trio) - before <= waves * limit("asking_max")
    assert {(one.status_code, one.json()["code"]) for one in answers} == {(503, "not_confirmed")}
    assert {one.headers["retry-after"] for one in answers} == {"2"}

    async def taken() -> bool:
        return (await trio.report("yihe", "frozen-0", location={"grid": "g01"})).status_code == 202

    await until(taken, "intake takes reports again by itself")
    ids = [await trio.accepted("yihe", f"frozen-{n}", location={"grid": "g01"}) for n in range(5)]
    for case_id in ids:
        await trio.case("yihe", case_id)
    query = "SELECT case_id FROM follow_up WHERE case_id = ANY($1::uuid[])"
    assert await trio.rows("routing", query, ids) == []


async def test_no_word_of_any_report_is_in_any_log(trio: Trio) -> None:
    said = "金丝雀"
    words: dict[str, Any] = {"summary": said, "description": said, "reporter": {"name": said}}
    case_id = await trio.accepted("yihe", "logged", **words)
    await trio.case("yihe", case_id)
    bad: list[httpx.Response] = [
        await trio.report("yihe", "logged", summary=["金丝雀"]),
        await trio.report("yihe", "logged", category="金丝雀"),
        await trio.report("nowhere", "logged", **words),
    ]
    assert {answer.status_code for answer in bad} == {404, 422}
    logs = {path.name: path.read_text() for path in trio.logs.glob("*.log")}
    assert {"intake.log", "routing.log", "ledger.log"} <= logs.keys()
    for name, text in logs.items():
        assert "金丝雀" not in text, name
        assert "13800000000" not in text, name
        assert "Traceback" not in text, name
