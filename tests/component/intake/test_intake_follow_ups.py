"""What a reporter may add: by his code himself, or through a front end that shows it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from contracts.events import case_id
from deploy.local.secrets import Secrets
from services.intake.domain.tracking import shown_code
from tests.component.intake.test_intake_track import Story
from tests.component.intake.window import RIGHT, Window, open_window, small_town, told
from tests.factories import TENANT
from tests.waiting import PATIENCE_S

MORE = {"description": "灯杆也歪了"}
BACK = {"reason": "已经自己修好"}
DOORS = [pytest.param("follow-ups", MORE, id="more"), pytest.param("withdrawal", BACK, id="back")]


async def by_code(
    window: Window, code: str, door: str, body: object, key: str | None = "f1"
) -> httpx.Response:
    headers = {"Idempotency-Key": key} if key else {}
    return await window.http.post(f"/v1/track/{code}/{door}", json=body, headers=headers)


async def by_id(
    window: Window,
    case: UUID | str,
    door: str,
    body: object,
    *,
    key: str | None = "f1",
    api_key: str = "demo-key",
) -> httpx.Response:
    headers = {"X-Api-Key": api_key} | ({"Idempotency-Key": key} if key else {})
    return await window.http.post(f"/v1/cases/{case}/{door}", json=body, headers=headers)


def shown(window: Window, case: UUID, tenant: str = TENANT) -> str:
    return shown_code(window.ring.tracking_code(tenant, str(case)))


@pytest.mark.parametrize(("door", "body"), DOORS)
async def test_whoever_has_the_code_gets_as_far_as_the_broker(
    window: Window, door: str, body: dict[str, Any]
) -> None:
    story = Story(window)
    await window.hear(story.opened())
    for code in (story.code, shown_code(story.code).lower()):
        assert told(await by_code(window, code, door, body)) == RIGHT


@pytest.mark.parametrize(("door", "body"), DOORS)
async def test_an_unknown_code_is_told_what_to_do(
    intake_dsn: str, intake_secrets: Secrets, door: str, body: dict[str, Any]
) -> None:
    async with open_window(intake_dsn, intake_secrets, track_wrong_cost=1) as window:
        for code in ("AAAA-AAAA-AAAA", "x", "路灯", "%00"):
            answer = await by_code(window, code, door, body)
            assert told(answer) == (404, "tracking_code_unknown")
            assert answer.content == (await window.http.get("/v1/track/AAAAAAAAAAAA")).content


@pytest.mark.parametrize(("door", "body"), DOORS)
async def test_whoever_tries_code_after_code_has_to_wait(
    window: Window, door: str, body: dict[str, Any]
) -> None:
    answers = [told(await by_code(window, f"AAAA-AAAA-AAA{n}", door, body)) for n in range(4)]
    assert answers[0] == (404, "tracking_code_unknown")
    assert answers[-1] == (429, "track_limited")


@pytest.mark.parametrize("door", ["follow-ups", "withdrawal"])
async def test_who_knocks_without_a_key_leaves_places_for_those_who_have_one(
    intake_dsn: str, intake_secrets: Secrets, door: str
) -> None:
    started, go_on = asyncio.Semaphore(0), asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        started.release()
        yield b"{"
        await go_on.wait()

    async def knock() -> tuple[int, str]:
        url, headers = f"/v1/track/AAAA-AAAA-AAAA/{door}", {"Idempotency-Key": "f1"}
        return told(await window.http.post(url, content=slowly(), headers=headers))

    async with open_window(intake_dsn, intake_secrets, in_flight_max=10) as window:
        window.front_end("person", "person", kind="mini_program")
        async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as tasks:
            knocking = [tasks.create_task(knock()) for _ in range(10)]
            for _ in range(6):
                await started.acquire()
            while sum(one.done() for one in knocking) < 4:
                await asyncio.sleep(0)
            assert told(await window.post(api_key="person")) == RIGHT
            go_on.set()
        ends = [one.result() for one in knocking]
        assert ends.count((429, "overloaded")) == 4
        assert ends.count((400, "json_malformed")) == 6


@pytest.mark.parametrize(("door", "body"), DOORS)
async def test_a_front_end_that_shows_the_code_adds_to_a_case_that_is_not_followed_yet(
    window: Window, door: str, body: dict[str, Any]
) -> None:
    case = case_id(TENANT, "demo", "just-now")
    given = {**body, "tracking_code": shown(window, case)}
    assert told(await by_id(window, case, door, given)) == RIGHT
    assert told(await by_id(window, case, door, {**given, "tenant": TENANT})) == RIGHT


@pytest.mark.parametrize(("door", "body"), DOORS)
async def test_another_towns_case_looks_like_one_that_is_not_there(
    window: Window, door: str, body: dict[str, Any]
) -> None:
    window.know(*small_town("gucheng"), change_set="seed", tenant="gucheng")
    window.front_end("theirs", "app", tenant="gucheng")
    theirs = case_id("gucheng", "app", "k1")
    own = shown(window, theirs, "gucheng")
    answers = [
        await by_id(window, theirs, door, {**body, "tracking_code": own}),
        await by_id(window, uuid4(), door, {**body, "tracking_code": own}),
        await by_id(window, "no-id", door, {**body, "tracking_code": "x"}),
        await by_id(window, case_id(TENANT, "demo", "k1"), door, {**body, "tracking_code": own}),
    ]
    assert {told(answer) for answer in answers} == {(404, "case_not_found")}
    assert len({answer.content for answer in answers}) == 1
    right = await by_id(window, theirs, door, {**body, "tracking_code": own}, api_key="theirs")
    assert told(right) == RIGHT
    named = {**body, "tracking_code": own, "tenant": "gucheng"}
    assert told(await by_id(window, theirs, door, named)) == (404, "tenant_unknown")


async def test_who_may_not_post_may_not_add(window: Window) -> None:
    body = {**MORE, "tracking_code": "x"}
    answer = await by_id(window, uuid4(), "follow-ups", body, api_key="wrong")
    assert told(answer) == (401, "api_key_unknown")


@pytest.mark.parametrize(("door", "body"), DOORS)
async def test_without_its_key_nothing_is_taken(
    window: Window, door: str, body: dict[str, Any]
) -> None:
    story = Story(window)
    await window.hear(story.opened())
    missing = (400, "idempotency_key_missing")
    assert told(await by_code(window, story.code, door, body, key=None)) == missing
    given = {**body, "tracking_code": story.code}
    assert told(await by_id(window, story.case_id, door, given, key=None)) == missing


@pytest.mark.parametrize(
    ("door", "body", "fields"),
    [
        ("follow-ups", {}, ["description"]),
        ("follow-ups", {"description": " "}, ["description"]),
        ("follow-ups", {"description": "x" * 10_001}, ["description"]),
        ("follow-ups", {**MORE, "attachments": ["a b"]}, ["attachments.0"]),
        ("follow-ups", {**MORE, "phone": "1"}, ["phone"]),
        ("withdrawal", {}, ["reason"]),
        ("withdrawal", {"reason": "x" * 2_001}, ["reason"]),
    ],
)
async def test_what_is_wrong_is_named(
    window: Window, door: str, body: dict[str, Any], fields: list[str]
) -> None:
    story = Story(window)
    await window.hear(story.opened())
    for answer in (
        await by_code(window, story.code, door, body),
        await by_id(window, story.case_id, door, {**body, "tracking_code": story.code}),
    ):
        assert told(answer) == (422, "invalid_fields")
        assert [one["field"] for one in answer.json()["errors"]] == fields


async def test_before_everybody_is_known_nobody_is_refused(window: Window) -> None:
    window.registry.complete = False
    answer = await by_code(window, "AAAA-AAAA-AAAA", "follow-ups", MORE)
    assert told(answer) == (503, "starting")


async def test_the_doors_are_documented(window: Window) -> None:
    paths = (await window.http.get("/openapi.json")).json()["paths"]
    assert paths["/v1/track/{code}/withdrawal"]["post"]["security"] == []
    assert paths["/v1/cases/{case_id}/follow-ups"]["post"]["operationId"] == "post_follow_up"
