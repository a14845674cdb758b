"""The looks from which the pages of a grid and of a household are made."""

import json
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from contracts.topics import INTAKE_EVENTS
from services.chassis.inbox import Record
from services.ledger.api.pages import GridView
from services.ledger.store import pages
from tests import factories
from tests.component.ledger.office import Office, fact

Line = dict[str, Any]
CASE, OTHER = UUID(int=71), UUID(int=72)


def lines_of(office: Office) -> list[Line]:
    return [*factories.town_lines("haohuahong", office.tenant)]


def first(lines: list[Line], kind: str, **body: Any) -> Line:
    return next(
        one
        for one in lines
        if one["kind"] == kind and all(one["body"].get(k) == v for k, v in body.items())
    )


def reported(office: Office, case: UUID, household: str, event: int) -> Record:
    body = {"front_end": "demo", "location": {"household_id": household}}
    one = fact(office.tenant, "case.reported.v1", case, body, event=event)
    return replace(one, topic=INTAKE_EVENTS.name)


def opened(office: Office, case: UUID, number: str, grid: str, event: int) -> Record:
    body = {
        "number": number, "front_end": "demo", "category": "environment", "severity": "ordinary",
        "class": "general", "flow": "closed_loop", "profile_version": 1, "state": "reported",
        "grid": grid, "village": "v1", "owner": {"unit": grid, "role": "grid_worker"},
        "received_at": "2025-03-03T10:00:00+08:00",
    }  # fmt: skip
    return fact(office.tenant, "case.opened.v1", case, body, event=event)


def missed(office: Office, case: UUID, event: int) -> Record:
    body = {"deadline": "class", "due_at": "2025-03-03T12:00:00+08:00"}
    return fact(office.tenant, "case.deadline_missed.v1", case, body, event=event)


@pytest.fixture
async def town(office: Office) -> Office:
    """Ledger, with a seeded town."""
    answer = await office.post_set("seed", lines_of(office), reason="建档")
    assert answer.status_code == 200, answer.text
    return office


async def look(town: Office, path: str, *roles: str, **about: Any) -> dict[str, Any]:
    answer = await town.get(f"/v1/{path}", *roles, **about)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def test_a_grid_shows_its_people_households_links_and_cases(town: Office) -> None:
    lines = lines_of(town)
    home = first(lines, "household")
    grid, name = home["body"]["grid"], home["id"]
    await town.hear(
        reported(town, CASE, name, 1),
        opened(town, CASE, "250303-0001", grid, 2),
        missed(town, CASE, 3),
        opened(town, OTHER, "250303-0002", grid, 4),
    )
    told = await look(town, f"grids/{grid}")
    assert json.loads(GridView(**told).model_dump_json()) == told
    assert (told["tenant"], told["grid"]["id"], told["more"]) == (town.tenant, grid, False)
    assert [one["id"] for one in told["path"]][-1] == grid
    roles = {one["role"] for one in told["staff"] if one["unit"] == grid}
    assert {"grid_leader", "grid_worker"} <= roles
    assert all(one["name"].endswith("*") for one in told["staff"])
    mine = {one["id"] for one in lines if one["kind"] == "household"
            and one["body"]["grid"] == grid}  # fmt: skip
    homes = {one["id"]: one for one in told["households"]}
    assert homes.keys() == mine
    assert sum(one["persons"] for one in homes.values()) == sum(
        one["kind"] == "person" and one["body"]["household"] in mine for one in lines
    )
    assert (homes[name]["open"], homes[name]["late"]) == (1, 1)
    assert homes[name]["head"].endswith("*")
    assert homes[name]["links"], "whoever holds the post looks after it"
    cases = {one["number"]: (one["household"], one["late"]) for one in told["cases"]}
    assert cases == {"250303-0001": (name, True), "250303-0002": (None, False)}
    assert told["findings"] == []


async def test_what_a_grid_lacks_is_found_as_coverage_finds_it(town: Office) -> None:
    lines = lines_of(town)
    leader = next(one for one in lines if one["kind"] == "staff"
                  and one["body"]["posts"][0]["role"] == "grid_leader")  # fmt: skip
    grid = leader["body"]["posts"][0]["unit"]
    home = next(one for one in lines if one["kind"] == "household" and one["body"]["grid"] == grid)
    headless = {**home, "body": {k: v for k, v in home["body"].items() if k != "head"}}
    gone = {"kind": "staff", "id": leader["id"], "body": None}
    assert (await town.post_set("worse", [gone, headless])).status_code == 200
    here = (await look(town, f"grids/{grid}"))["findings"]
    whole = (await look(town, "registry/coverage"))["findings"]
    assert {(one["code"], one["subject"]) for one in here} >= {("team", grid), ("head", home["id"])}
    assert all(one in whole for one in here)


async def test_a_household_tells_what_was_said_of_it_and_nothing_in_the_clear(
    town: Office,
) -> None:
    lines = lines_of(town)
    home = first(lines, "household")
    name, grid = home["id"], home["body"]["grid"]
    member = first(lines, "person", household=name)
    elsewhere = next(one for one in lines if one["kind"] == "household" and one["id"] != name)
    watched = {**home, "body": {**home["body"], "watched": True}}
    assert (await town.post_set("watch", [watched], reason="独居老人")).status_code == 200
    phone = {**member, "body": {**member["body"], "phone": "13800001234"}}
    assert (await town.post_set("phone", [phone])).status_code == 200
    guest = next(one for one in lines if one["kind"] == "person"
                 and one["body"]["household"] not in {name, elsewhere["id"]}
                 and one["body"]["relation"] != "02")  # fmt: skip
    comes = {**guest, "body": {**guest["body"], "household": name}}
    assert (await town.post_set("comes", [comes])).status_code == 200
    goes = {**guest, "body": {**guest["body"], "household": elsewhere["id"]}}
    assert (await town.post_set("goes", [goes])).status_code == 200
    await town.hear(reported(town, CASE, name, 1), opened(town, CASE, "250303-0009", grid, 2))

    told = await look(town, f"households/{name}")
    assert (told["body"]["watched"], told["version"]) == (True, 2)
    assert told["members"][0]["head"] is True
    assert [one["number"] for one in told["cases"]] == ["250303-0009"]
    acts = [(one["kind"], one["act"]) for one in told["history"][:4]]
    assert acts == [("person", "moved_out"), ("person", "moved_in"), ("person", "changed"),
                    ("household", "changed")]  # fmt: skip
    (changed,) = told["history"][3]["changes"]
    assert changed == {"field": "watched", "before": None, "after": True}
    assert (told["history"][3]["reason"], told["history"][3]["who"]) == ("独居老人", "dev")
    (rung,) = told["history"][2]["changes"]
    assert (rung["field"], rung["after"]) == ("phone", "138******34")
    whole = json.dumps(told, ensure_ascii=False)
    for person in (one for one in lines if one["kind"] == "person"):
        assert person["body"]["id_number"] not in whole
    assert not any(text in whole for text in ("13800001234", elsewhere["id"], "ciphertext"))
    assert '"sealed"' not in whole

    before = told["history"][3]["recorded_at"]
    earlier = await town.http.get(
        f"/v1/households/{name}", params={"known_on": _just_before(before)}, headers=town.headers()
    )
    assert (earlier.json()["version"], "watched" in earlier.json()["body"]) == (1, False)
    assert {one["act"] for one in earlier.json()["history"]} == {"added"}


def _just_before(moment: str) -> str:
    at = factories.START.fromisoformat(moment)
    return (at - (at.resolution)).isoformat()


async def test_a_page_is_for_those_of_its_path_and_another_towns_is_not_there(
    town: Office, neighbour: Office
) -> None:
    home = first(lines_of(town), "household")
    grid = home["body"]["grid"]
    other = next(one["id"] for one in lines_of(town) if one["kind"] == "unit"
                 and one["body"]["level"] == "grid" and one["id"] != grid)  # fmt: skip
    for path in (f"grids/{grid}", f"households/{home['id']}"):
        assert await look(town, path, "grid_worker", units=[grid])
        refused = await town.get(f"/v1/{path}", "grid_worker", units=[other])
        assert (refused.status_code, refused.json()["code"]) == (403, "unit_not_allowed")
        resident = await town.get(f"/v1/{path}", "citizen", units=[grid])
        assert (resident.status_code, resident.json()["code"]) == (403, "right_missing")
        there = await neighbour.get(f"/v1/{path}")
        assert (there.status_code, there.json()["code"]) == (404, "record_not_found")
    assert (await town.get("/v1/grids/nowhere")).status_code == 404


KEEP_MANY = """
INSERT INTO case_now (
    tenant_id, case_id, number, grid, category, class, state, owner_unit, owner_role, closed, late
)
SELECT $1, gen_random_uuid(), 'M' || n, $2, 'x', 'x', 'x', 'x', 'x', n % 10 > 0, false
FROM generate_series(1, 2500) AS n
"""


async def test_a_household_shows_its_old_cases_among_thousands_of_its_grid(town: Office) -> None:
    home = first(lines_of(town), "household")
    grid = home["body"]["grid"]
    await town.pool.execute(KEEP_MANY, town.tenant, grid)
    await town.hear(reported(town, CASE, home["id"], 1), opened(town, CASE, "A1", grid, 2))
    await town.hear(reported(town, OTHER, "elsewhere", 3), opened(town, OTHER, "A2", grid, 4))
    told = await look(town, f"households/{home['id']}")
    shown = [(one["number"], one["household"]) for one in told["cases"]]
    assert (shown, told["more"]) == ([("A1", home["id"])], False)


KEEP_OF_HOME = """
WITH kept AS (
    INSERT INTO case_now (
        tenant_id, case_id, number, grid, category, class, state, owner_unit, owner_role, closed,
        late
    )
    SELECT $1, gen_random_uuid(), 'M' || n, $2, 'x', 'x', 'x', 'x', 'x', true, false
    FROM generate_series(1, 501) AS n
    RETURNING case_id
)
INSERT INTO case_ledger (
    tenant_id, event_id, topic, partition, record_offset, at, type, subject, seq, occurred_at,
    headers, body
)
SELECT $1, gen_random_uuid(), 'intake.events', 0, 0, now(), 'case.reported.v1', case_id, 1, '',
    '{}', convert_to(jsonb_build_object('location', jsonb_build_object('household_id', $3::text))::text, 'UTF8')
FROM kept
"""  # noqa: E501


async def test_a_household_with_more_cases_than_are_listed_says_so(town: Office) -> None:
    home = first(lines_of(town), "household")
    await town.pool.execute(KEEP_OF_HOME, town.tenant, home["body"]["grid"], home["id"])
    told = await look(town, f"households/{home['id']}")
    assert (len(told["cases"]), told["more"]) == (500, True)


@pytest.mark.parametrize(
    ("type_", "subject", "body"),
    [
        ("case.reported.v1", str(CASE), b"\xff"),
        ("case.reported.v1", str(CASE), b"{"),
        ("case.reported.v1", str(CASE), b"[" * 100_000),
        ("case.reported.v1", str(CASE), b"[]"),
        ("case.reported.v1", str(CASE), b'{"location": {"household_id": 1}}'),
        ("case.reported.v1", str(CASE), rb'{"location": {"household_id": "\u0000"}}'),
        ("case.reported.v1", str(CASE), b""),
        ("case.reported.v1", str(CASE), None),
        ("case.reported.v1", "no case", b'{"location": {"household_id": "h1"}}'),
        ("case.opened.v1", str(CASE), b'{"location": {"household_id": "h1"}}'),
    ],
)
async def test_a_fact_that_cannot_be_read_is_kept_and_names_no_household(
    office: Office, type_: str, subject: str, body: bytes | None
) -> None:
    await office.hear(fact(office.tenant, type_, subject, body))
    (kept,) = await office.rows("case_ledger")
    assert (kept["body"], kept["household"]) == (body, None)


async def test_a_correction_of_the_past_is_told_against_what_held_then(office: Office) -> None:
    grid = {"kind": "unit", "id": "g1", "body": {"level": "grid", "zh": "一网格"}}

    def home(**body: Any) -> Line:
        return {"kind": "household", "id": "h1", "body": {"grid": "g1", **body}}

    at = [f"{year}-01-01T00:00:00+08:00" for year in (2020, 2022, 2024)]
    sets: list[tuple[str, Line, dict[str, str]]] = [
        ("plain", home(), {"valid_from": at[0]}),
        ("watched", home(watched=True), {"valid_from": at[2]}),
        ("past", home(household_class="old"), {"valid_from": at[1]}),
        ("now", home(watched=True, household_class="new"), {}),
    ]
    assert (await office.post_set("units", [grid])).status_code == 200
    for name, line, about in sets:
        assert (await office.post_set(name, [line], **about)).status_code == 200
    told = (await look(office, "households/h1"))["history"]
    assert [(one["change_set"], [(it["field"], it["before"]) for it in one["changes"]])
            for one in told] == [
        ("now", [("household_class", None)]),
        ("past", [("household_class", None)]),
        ("watched", [("watched", None)]),
        ("plain", [("grid", None)]),
    ]  # fmt: skip
    async with office.pool.acquire() as conn:
        (newest,) = await pages.versions_about(conn, office.tenant, "h1", None, 1)
    assert newest["before"] == {"grid": "g1", "watched": True}
