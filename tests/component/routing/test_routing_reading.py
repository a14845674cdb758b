import gc
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest

from deploy.local.secrets import Secrets
from services.chassis.http import Problem, make_app
from tests.component.routing.desk import Desk, open_desk
from tests.factories import START

WORKER = ("grid_worker", "g01", "s-gw-01")


@pytest.fixture
async def case_id(desk: Desk) -> UUID:
    return await desk.report(location={"grid": "g01"})


STEP = {"step": "first_ask", "expected_seq": 1}


@pytest.mark.parametrize("token", ["", "Bearer", "Bearer x.y.z", "Basic abc"])
async def test_without_a_token_nobody_acts_or_looks(desk: Desk, case_id: UUID, token: str) -> None:
    path, headers = f"/v1/cases/{case_id}", {"Authorization": token}
    answers: list[httpx.Response] = [
        await desk.http.post(f"{path}/steps", json=STEP, headers=headers),
        *[await desk.http.get(p, headers=headers) for p in (path, f"{path}/why", "/v1/queues/g01")],
    ]  # fmt: skip
    assert {(one.status_code, one.json()["code"]) for one in answers} == {(401, "token_invalid")}


async def test_another_towns_case_is_answered_like_none(desk: Desk, neighbour: Desk) -> None:
    case_id = await neighbour.report("theirs", location={"grid": "g01"})
    for path in ("", "/history", "/why"):
        there = await desk.get(f"/v1/cases/{case_id}{path}")
        none = await desk.get(f"/v1/cases/{uuid4()}{path}")
        assert there.status_code == none.status_code == 404
        assert there.json() == none.json()
    acted = await desk.step(case_id, "first_ask", WORKER, 3)
    missing = await desk.step(uuid4(), "first_ask", WORKER, 3)
    assert (acted.status_code, acted.json()) == (404, missing.json())
    no_uuid = await desk.get("/v1/cases/not-a-case")
    assert (no_uuid.status_code, no_uuid.json()["code"]) == (422, "invalid_fields")


@pytest.mark.parametrize("unit", ["g02", "v2", "g04", "town2", "x"])
async def test_another_units_case_is_forbidden(desk: Desk, case_id: UUID, unit: str) -> None:
    for path in ("", "/history", "/why"):
        answer = await desk.get(f"/v1/cases/{case_id}{path}", "grid_worker", unit)
        assert (answer.status_code, answer.json()["code"]) == (403, "unit_not_allowed")
        assert answer.json().keys() == {"type", "status", "code", "title", "detail"}
    answer = await desk.step(case_id, "grid_settle", ("grid_worker", unit, "x"), 3)
    assert (answer.status_code, answer.json()["code"]) == (403, "unit_not_allowed")


@pytest.mark.parametrize("unit", ["g01", "v1", "town"])
async def test_every_level_above_may_look(desk: Desk, case_id: UUID, unit: str) -> None:
    answer = await desk.get(f"/v1/cases/{case_id}", "anything", unit)
    assert (answer.status_code, answer.json()["grid"]) == (200, "g01")
    assert answer.json()["allowed_steps"] == []


async def test_a_thousand_misses_leave_nothing_behind(desk: Desk) -> None:
    async def misses() -> int:
        for _ in range(30):
            await desk.get(f"/v1/cases/{uuid4()}")
        gc.collect()
        kept = [one for one in gc.get_objects() if isinstance(one, Problem)]
        depth = 0
        for one in kept:
            trace = one.__traceback__
            while trace is not None:
                depth, trace = depth + 1, trace.tb_next
        return depth + len(kept)

    await misses()
    before = await misses()
    assert await misses() <= before


async def pages(desk: Desk, unit: str, limit: int) -> list[list[str]]:
    """Read a unit's queue page by page, as its people do."""
    found: list[list[str]] = []
    params = {"limit": limit}
    while True:
        answer = await desk.get(f"/v1/queues/{unit}", "village_cadre", unit, **params)
        assert answer.status_code == 200
        page = answer.json()
        found.append([one["number"] for one in page["cases"]])
        if not page["more"]:
            return found
        params = {"limit": limit, "after": page["cases"][-1]["case_id"]}


@pytest.mark.parametrize(("cases", "limit"), [(7, 3), (6, 3), (3, 3), (1, 3), (0, 3), (5, 1)])
async def test_a_queue_is_paged_to_its_end_and_names_each_case_once(
    desk: Desk, cases: int, limit: int
) -> None:
    events = [desk.event(f"k{n}", location={"village": "v1"}) for n in range(cases)]
    if events:
        await desk.hear(*[desk.record(event) for event in events])
    found = await pages(desk, "v1", limit)
    assert sorted(number for page in found for number in page) == [
        f"250303-{n:04d}" for n in range(1, cases + 1)
    ]
    assert all(len(page) == limit for page in found[:-1])


async def test_the_oldest_come_first_and_who_leaves_meanwhile_breaks_no_page(desk: Desk) -> None:
    days = ["2025-03-05", "2025-03-03", "2025-03-04"]
    ids = {}
    for day in days:
        at = datetime.fromisoformat(f"{day}T10:00:00+08:00")
        ids[day] = await desk.report(day, at=at, location={"village": "v1"})
    first = (await desk.get("/v1/queues/v1", limit="1")).json()
    assert first["cases"][0]["case_id"] == str(ids["2025-03-03"])
    clerk = ("center_clerk", "town", "s-cc-01")
    gone = await desk.step(ids["2025-03-03"], "cancel", clerk, 3, reason="r")
    assert gone.status_code == 200
    rest = (await desk.get("/v1/queues/v1", after=str(ids["2025-03-03"]))).json()
    assert [one["case_id"] for one in rest["cases"]] == [str(ids[day]) for day in sorted(days)[1:]]
    assert not rest["more"]


async def test_a_queue_shows_no_words_and_no_other_towns_cases(desk: Desk, neighbour: Desk) -> None:
    await desk.report(words={"summary": "金丝雀"}, location={"grid": "g01"})
    await neighbour.report("in a queue", location={"grid": "g01"})
    answer = await desk.get("/v1/queues/g01", "grid_worker", "g01")
    (entry,) = answer.json()["cases"]
    assert entry["owner"] == {"unit": "g01", "role": "grid_worker", "staff": "s-gw-01"}
    assert "金丝雀" not in answer.text


@pytest.mark.parametrize(
    ("unit", "of", "status"),
    [("g01", "g01", 200), ("g01", "v1", 200), ("g01", "town", 200), ("v1", "g01", 403),
     ("g01", "v2", 403), ("nowhere", "town", 404), ("town", "v1", 403)],
)  # fmt: skip
async def test_a_queue_is_for_its_unit_and_those_above(
    desk: Desk, unit: str, of: str, status: int
) -> None:
    answer = await desk.get(f"/v1/queues/{unit}", "anything", of)
    assert answer.status_code == status
    codes = {403: "unit_not_allowed", 404: "unit_not_found"}
    assert answer.json().get("code") == codes.get(status)


@pytest.mark.parametrize(
    "params", [{"limit": "0"}, {"limit": "201"}, {"limit": "x"}, {"after": "x"}]
)
async def test_a_page_that_cannot_be_is_named(desk: Desk, params: dict[str, str]) -> None:
    answer = await desk.get("/v1/queues/g01", **params)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_fields")
    unknown = await desk.get("/v1/queues/g01", after=str(uuid4()))
    assert (unknown.status_code, unknown.json()["code"]) == (404, "case_not_found")


async def test_a_town_that_is_not_here_has_no_queue(routing: Desk) -> None:
    answer = await routing.of("unseen-1").get("/v1/queues/g01")
    assert (answer.status_code, answer.json()["code"]) == (404, "unit_not_found")


async def test_a_case_shows_what_its_people_need(desk: Desk) -> None:
    words = {"summary": "路灯不亮", "description": "第三根", "phone": "+8613800000000"}
    case_id = await desk.report(
        words=words, location={"grid": "g01"}, category="security", case_class="urgent"
    )
    answer = await desk.get(f"/v1/cases/{case_id}", "grid_worker", "g01")
    case = answer.json()
    assert case["text"] == {"summary": "路灯不亮", "description": "第三根"}
    assert "13800000000" not in answer.text
    assert (case["case_class"], case["due_at"]) == ("urgent", "2025-03-04T02:00:00Z")
    assert [(one["deadline"], one["armed"]) for one in case["clocks"]] == [
        ("first_action", True), ("class", True), ("step.first_ask", False),
    ]  # fmt: skip
    assert case["allowed_steps"] == ["first_ask"]
    assert case["whistles"] == []


async def test_a_second_body_under_one_key_is_read_by_those_who_read_the_first(desk: Desk) -> None:
    where = {"grid": "g01"}
    first = desk.event(words={"summary": "一", "phone": "+8613800000000"}, location=where)
    second = desk.event(words={"summary": "二", "description": "其实是另一件"}, location=where)
    later = START + timedelta(seconds=5)
    await desk.hear(desk.record(first), desk.record(second, later))
    answer = await desk.get(f"/v1/cases/{first.subject_id}", "grid_worker", "g01")
    assert answer.json()["text"] == {"summary": "一"}
    (more,) = answer.json()["follow_ups"]
    assert more["text"] == {"summary": "二", "description": "其实是另一件"}
    assert (more["reason"], datetime.fromisoformat(more["received_at"])) == ("key_conflict", later)
    assert "13800000000" not in answer.text
    assert (await desk.get(f"/v1/cases/{first.subject_id}", unit="g02")).status_code == 403


async def test_while_the_database_is_away_every_door_says_not_now(routing_secrets: Secrets) -> None:
    async with open_desk("postgresql://nobody:x@127.0.0.1:9/routing", routing_secrets) as desk:
        answers = [
            await desk.get(f"/v1/cases/{uuid4()}"),
            await desk.get("/v1/queues/g01"),
            await desk.step(uuid4(), "first_ask", WORKER, 1),
        ]
    for answer in answers:
        assert (answer.status_code, answer.json()["code"]) == (503, "not_now")
        assert answer.headers["retry-after"]
        assert answer.headers["content-type"] == "application/problem+json"


async def test_a_fault_of_ours_is_no_outage() -> None:
    app = make_app("test", {})

    @app.get("/wrong")
    async def wrong() -> None:
        raise asyncpg.UndefinedTableError("relation does not exist")

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        answer = await http.get("/wrong")
    assert (answer.status_code, answer.json()["code"]) == (500, "http_500")


async def test_why_tells_each_rule_that_was_tried(desk: Desk) -> None:
    case_id = await desk.report(location={"household_id": "?", "grid": "g04"})
    answer = (await desk.get(f"/v1/cases/{case_id}/why")).json()
    assert [(one["rule"], one["held"]) for one in answer["tried"]] == [
        ("place.household", False), ("place.grid", True), ("category.given", False),
        ("severity.given", False), ("class.given", False), ("flow", True), ("duty", False),
        ("owner.grid_worker", True),
    ]  # fmt: skip
    assert answer["number"] == "250303-0001"


async def test_history_tells_every_fact_in_order_without_words(desk: Desk) -> None:
    words = {"summary": "金丝雀", "name": "金丝雀", "phone": "金丝雀"}
    case_id = await desk.report(words=words, location={"grid": "g01"})
    step = await desk.step(case_id, "first_ask", WORKER, 3, note="金丝雀")
    assert step.status_code == 200
    answer = await desk.get(f"/v1/cases/{case_id}/history", "grid_worker", "g01")
    facts = answer.json()["facts"]
    assert [one["seq"] for one in facts] == list(range(1, len(facts) + 1))
    assert [one["type"] for one in facts][:2] == ["case.opened.v1", "case.assigned.v1"]
    assert "金丝雀" not in answer.text
    assert not [one for one in facts if {"sealed", "reporter"} & one["data"].keys()]
