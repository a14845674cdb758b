"""The doors that read the registry: as it is, as it was, who may see what, and what is masked."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests import factories
from tests.component.ledger.office import Office

Line = dict[str, Any]
NUMBER = "11010519491231002X"  # the example printed in GB 11643
JAN, FEB, MAR = "2025-01-01T00:00+08:00", "2025-02-01T00:00+08:00", "2025-03-01T00:00+08:00"
SOON = (datetime.now(UTC) + timedelta(days=30)).isoformat()
LATER = (datetime.now(UTC) + timedelta(days=60)).isoformat()


def line(kind: str, record_id: str, **body: Any) -> Line:
    return {"kind": kind, "id": record_id, "body": body}


def unit(name: str, parent: str | None = None, zh: str | None = None) -> Line:
    return line("unit", name, level="grid", zh=zh or name, **({"parent": parent} if parent else {}))


def removed(kind: str, record_id: str) -> Line:
    return {"kind": kind, "id": record_id, "body": None}


PERSON = line(
    "person", "p1", name="张三丰", phone="13812345678", id_number=NUMBER, birth_date="1949-12-31",
    sex="女", household="h1",
)  # fmt: skip
STAFF = line("staff", "w", name="李四", phone="13987654321", posts=[{"unit": "g1", "role": "x"}])
HOUSE = line("household", "h1", grid="g1", address="迎春路北段12号")
ROSTER = line("roster", "r", staff="w", shifts=[{"begin": "08:30", "end": "18:00"}])
PROFILE = next(one for one in factories.town_lines() if one["kind"] == "profile")
TOWN = [PROFILE, unit("town"), unit("v1", "town"), unit("g1", "v1"), unit("g2", "v1"), HOUSE,
        PERSON, STAFF, ROSTER, line("department", "police", zh="派出所", level="town")]  # fmt: skip


@pytest.fixture
async def town(office: Office) -> Office:
    """Ledger, with a town that has been there since January."""
    answer = await office.post_set("town", TOWN, valid_from=JAN)
    assert answer.status_code == 200, answer.text
    return office


async def ask(town: Office, path: str, *roles: str, **query: Any) -> httpx.Response:
    units = query.pop("units", ())
    headers = town.headers(*roles, units=units)
    return await town.http.get(f"/v1/registry/{path}", params=query or None, headers=headers)


async def ids(town: Office, kind: str, **query: Any) -> list[str]:
    answer = await ask(town, kind, **query)
    assert answer.status_code == 200, answer.text
    return [one["id"] for one in answer.json()["records"]]


async def test_a_record_is_shown_as_of_a_moment_and_as_it_was_known(town: Office) -> None:
    await town.post_set("march", [unit("g1", "v1", "三月的")], valid_from=MAR)
    before = (await ask(town, "unit/g1/history")).json()["versions"][0]["recorded_at"]
    await town.post_set("late", [unit("g1", "v1", "补记二月的")], valid_from=FEB)

    async def named(**query: Any) -> str:
        shown: str = (await ask(town, "unit/g1", **query)).json()["body"]["zh"]
        return shown

    assert await named() == "三月的"
    assert await named(as_of=JAN) == "g1"
    assert await named(as_of=FEB) == "补记二月的"
    assert await named(as_of=FEB, known_on=before) == "g1"
    assert await named(as_of="8999-12-31T23:59:59-12:00") == "三月的"
    assert (await ask(town, "unit/g1", as_of="0001-01-01T00:00:00+14:00")).status_code == 422
    assert (await ask(town, "unit/g1", as_of="2024-12-31T00:00Z")).status_code == 404
    assert (await ask(town, "unit/g1", known_on=JAN)).status_code == 404
    assert (await ask(town, "unit/g1", as_of="2025-01-01")).status_code == 422
    assert (await ask(town, "unit/g1", asof=JAN)).status_code == 422


async def test_a_history_tells_who_recorded_which_set_when_and_why(town: Office) -> None:
    await town.post_set("gone", [removed("person", "p1")], reason="迁出，材料 7 号", valid_from=MAR)
    answer = (await ask(town, "person/p1/history")).json()
    assert [
        (one["version"], one["change_set"], one["recorded_by"], one["reason"], one["removed"])
        for one in answer["versions"]
    ] == [(2, "gone", "dev", "迁出，材料 7 号", True), (1, "town", "dev", None, False)]
    assert (
        datetime.fromisoformat(answer["versions"][0]["valid_from"]).isoformat().startswith("2025")
    )
    assert (await ask(town, "person/p1")).status_code == 404
    assert (await ask(town, "person/p1", as_of=FEB)).json()["version"] == 1
    first = (await ask(town, "person/p1/history", limit=1)).json()
    assert (first["more"], [one["version"] for one in first["versions"]]) == (True, [2])
    rest = (await ask(town, "person/p1/history", before=2)).json()
    assert (rest["more"], [one["version"] for one in rest["versions"]]) == (False, [1])


@pytest.mark.parametrize("reason", ["因" * 201, "a\0b"])
async def test_a_reason_that_nobody_could_keep_is_refused(office: Office, reason: str) -> None:
    answer = await office.post_set("s1", [unit("g1")], reason=reason)
    assert answer.status_code == 422
    assert [one["field"] for one in answer.json()["errors"]] == ["reason"]
    assert await office.rows("change_set") == []


async def test_personal_texts_are_masked_and_stand_nowhere_in_an_answer(town: Office) -> None:
    app = {"zh": "x", "kind": "app", "key_digest": "0a1b2c"}
    await town.post_set("key", [{"kind": "front_end", "id": "app", "body": app}])
    person = (await ask(town, "person/p1")).json()["body"]
    assert person == {
        "household": "h1", "name": "张*", "phone": "138******78", "birth_date": "1949",
        "id_number": "110105************", "sex": "***",
    }  # fmt: skip
    assert (await ask(town, "household/h1")).json()["body"]["address"] == "迎春路***"
    assert (await ask(town, "staff/w")).json()["body"]["phone"] == "139******21"
    paths = ["person", "person/p1", "person/p1/history", "household", "staff", "front_end"]
    said = "".join([(await ask(town, path)).text for path in paths])
    for secret in ("三丰", "2345678", NUMBER, "1949-12-31", "北段", "李四", "0a1b2c", "sealed"):
        assert secret not in said, secret


async def test_whose_key_is_gone_is_hidden_whole(town: Office) -> None:
    spoil = "UPDATE registry_record SET body = jsonb_set(body, '{sealed,key}', '\"AAAA\"') WHERE tenant_id = $1 AND kind = 'person'"  # noqa: E501
    await town.pool.execute(spoil, town.tenant)
    body = (await ask(town, "person/p1")).json()["body"]
    assert (body["name"], body["phone"], body["household"]) == ("***", "***", "h1")


async def test_a_list_is_paged_and_narrowed_to_a_place_of_any_time(town: Office) -> None:
    houses = [line("household", f"h{n}", grid="g2") for n in range(2, 7)]
    await town.post_set("more", houses, valid_from=FEB)
    await town.post_set("moved", [line("household", "h1", grid="g2")], valid_from=MAR)
    await town.post_set("gone", [removed("household", "h4")], valid_from=MAR)
    assert await ids(town, "household") == ["h1", "h2", "h3", "h5", "h6"]
    assert await ids(town, "household", unit="g1") == []
    assert await ids(town, "household", unit="g1", as_of=FEB) == ["h1"]
    assert await ids(town, "household", unit="g2", as_of=FEB) == ["h2", "h3", "h4", "h5", "h6"]
    page = (await ask(town, "household", unit="g2", limit=2)).json()
    assert ([one["id"] for one in page["records"]], page["more"]) == (["h1", "h2"], True)
    assert await ids(town, "household", unit="g2", after="h2") == ["h3", "h5", "h6"]
    assert await ids(town, "household", limit=2, after="h2") == ["h3", "h5"]
    assert await ids(town, "person", household="h1") == ["p1"]
    assert await ids(town, "unit", unit="v1") == ["g1", "g2"]
    for query in ({"household": "h1"}, {"unit": "a\0"}, {"limit": 201}, {"grid": "g1"}):
        assert (await ask(town, "household", **query)).status_code == 422
    wrong = await ask(town, "houses")
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "kind")
    assert (await ask(town, "household", unit="g9")).json()["code"] == "record_not_found"


MINE = ["unit/g1", "household/h1", "person/p1", "staff/w", "roster/r", "household?unit=g1",
        "person?household=h1", "unit/g1/history", "person/p1/history"]  # fmt: skip
TOWNS = ["unit/town", "department/police", "household", "person", "department"]


@pytest.mark.parametrize(
    ("at", "mine", "towns"),
    [("g1", 200, 403), ("v1", 200, 403), ("town", 200, 200), ("g2", 403, 403), ("g9", 403, 403)],
)
async def test_whose_unit_lies_on_a_records_path_may_see_it(
    town: Office, at: str, mine: int, towns: int
) -> None:
    for paths, status in ((MINE, mine), (TOWNS, towns)):
        answers = [await ask(town, path, "grid_worker", units=[at]) for path in paths]
        assert [one.status_code for one in answers] == [status] * len(paths), paths
        assert {one.json().get("code") for one in answers} <= {None, "unit_not_allowed"}


async def test_a_place_that_a_record_has_left_sees_it_no_more(town: Office) -> None:
    await town.post_set("moved", [line("household", "h1", grid="g2")], valid_from=MAR)
    for at, status in (("g1", 403), ("g2", 200)):
        for path in (
            "household/h1",
            f"household/h1?as_of={FEB}",
            "person/p1",
            "household/h1/history",
        ):
            answer = await ask(town, path.replace("+", "%2B"), "grid_worker", units=[at])
            assert answer.status_code == status, path


async def test_another_towns_record_and_none_are_answered_alike(
    town: Office, neighbour: Office
) -> None:
    await neighbour.post_set("own", [unit("town"), unit("theirs", "town")])
    for roles, at in (
        (("operator",), "town"),
        (("center_clerk",), "town"),
        (("center_clerk",), "g1"),
    ):
        for path in ("unit/{}", "unit/{}/history", "household?unit={}"):
            theirs = await ask(town, path.format("theirs"), *roles, units=[at])
            none = await ask(town, path.format("none"), *roles, units=[at])
            assert (theirs.status_code, theirs.text) == (none.status_code, none.text)
            assert theirs.status_code == 404
    assert (await town.http.get("/v1/registry/unit/g1")).status_code == 401


def expecting(version: int, one: Line) -> Line:
    return {**one, "expected_version": version}


async def test_of_two_editors_of_one_record_the_second_is_told(town: Office) -> None:
    lines = [[expecting(1, unit("g1", "v1", zh)), unit("g3", "v1")] for zh in ("甲", "乙")]
    answers = await asyncio.gather(
        *(town.post_set(f"s{n}", lines[n], reason=f"{n}") for n in range(2))
    )
    assert sorted(one.status_code for one in answers) == [200, 409]
    (lost,) = (one.json() for one in answers if one.status_code == 409)
    assert lost["code"] == "version_conflict"
    (fault,) = lost["errors"]
    assert {name: fault[name] for name in ("line", "kind", "id", "field", "version")} == {
        "line": 1, "kind": "unit", "id": "g1", "field": "expected_version", "version": 2,
    }  # fmt: skip
    assert len((await ask(town, "unit/g1/history")).json()["versions"]) == 2
    assert len((await ask(town, "unit/g3/history")).json()["versions"]) == 1


async def test_a_line_may_expect_that_there_is_none_yet_or_that_one_was_removed(
    town: Office,
) -> None:
    fresh = [
        expecting(0, unit("g3", "v1")), expecting(1, removed("household", "h1")),
        removed("person", "p1"),
    ]  # fmt: skip
    assert (await town.post_set("s1", fresh)).status_code == 200
    again = await town.post_set("s1", fresh)
    assert (again.status_code, again.json()["known"]) == (200, True)
    stale = [expecting(0, unit("g3", "v1")), expecting(1, HOUSE), expecting(2, unit("g2", "v1"))]
    errors = (await town.post_set("s2", stale)).json()["errors"]
    assert [(o["line"], o["id"], o["version"]) for o in errors] == [
        (1, "g3", 1), (2, "h1", 2), (3, "g2", 1),
    ]  # fmt: skip
    assert (await town.post_set("s3", [expecting(2, HOUSE)])).status_code == 200


@pytest.mark.parametrize("version", [-1, "1", 1.5, True])
async def test_an_expected_version_is_a_number(town: Office, version: Any) -> None:
    answer = await town.post_set("s1", [{**HOUSE, "expected_version": version}])
    assert (answer.status_code, answer.json()["code"]) == (422, "change_set_faulty")
    assert [one["field"] for one in answer.json()["errors"]] == ["expected_version"]


async def test_a_list_of_then_shows_what_belongs_to_ones_units_now(town: Office) -> None:
    more = [line("household", name, grid="g1", address="东街1号") for name in ("h2", "h3", "h4")]
    more += [line("person", f"q{n}", name="赵一", household=f"h{n}") for n in (1, 2, 3, 4)]
    assert (await town.post_set("more", more, valid_from=JAN)).status_code == 200
    moved = [
        line("person", "q1", name="赵一", household="h4"),
        line("household", "h3", grid="g2", address="东街1号"),
        line("household", "h4", grid="g2", address="东街1号"),
    ]
    assert (await town.post_set("moved", moved, valid_from=MAR)).status_code == 200
    worker = {"as_of": FEB, "units": ["g1"]}
    for kind, place, there, own in (
        ("person", {"unit": "g1"}, ["p1", "q1", "q2", "q3", "q4"], ["p1", "q2"]),
        ("person", {"household": "h1"}, ["p1", "q1"], ["p1"]),
        ("household", {"unit": "g1"}, ["h1", "h2", "h3", "h4"], ["h1", "h2"]),
    ):
        assert await ids(town, kind, **place, as_of=FEB) == there
        answer = await ask(town, kind, "grid_worker", **place, **worker)
        assert [one["id"] for one in answer.json()["records"]] == own
        for other in set(there) - set(own):
            refused = await ask(town, f"{kind}/{other}", "grid_worker", **worker)
            assert refused.status_code == 403
        cadre = await ask(town, kind, "village_cadre", **place, as_of=FEB, units=["v1"])
        assert [one["id"] for one in cadre.json()["records"]] == there
    first = await ask(town, "household", "grid_worker", unit="g1", limit=1, **worker)
    last = await ask(town, "household", "grid_worker", unit="g1", limit=1, after="h1", **worker)
    told = [(page.json()["records"][0]["id"], page.json()["more"]) for page in (first, last)]
    assert told == [("h1", True), ("h2", False)]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "change-sets/s1", "POST"),
        ("GET", "reorganisations/s1", "POST"),
        ("DELETE", "erasures", "GET, POST"),
        ("OPTIONS", "person/p1/sensitive-read", "POST"),
    ],
)
async def test_a_method_that_no_door_takes_is_told_those_that_one_does(
    office: Office, method: str, path: str, allowed: str
) -> None:
    url = f"/v1/registry/{path}"
    answer = await office.http.request(method, url, headers=office.headers())
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
    assert allowed in answer.json()["title"]
