"""Looking people up at the door: by whom, by what, and never shown more than masked."""

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from services.chassis.seal import KeyRing
from services.ledger.reindex import reindex
from tests.component.ledger.office import Office
from tests.component.ledger.test_ledger_records import NUMBER, TOWN, ask, line, removed

OTHERS = [
    line("household", "h2", grid="g2"),
    line("person", "p2", name="张三", phone="13812345678", household="h2"),
    line("person", "p3", name="李单", household="h2"),
    line("organisation", "o1", unit="g2", name="张三丰武馆", phone="0312-8888888"),
]


@pytest.fixture
async def town(office: Office) -> Office:
    assert (await office.post_set("town", [*TOWN, *OTHERS])).status_code == 200
    return office


async def ids(town: Office, *roles: str, **query: Any) -> list[str]:
    answer = await ask(town, "search", *roles, **query)
    assert answer.status_code == 200, answer.text
    return [one["id"] for one in answer.json()["records"]]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"id_number": NUMBER.lower()}, ["p1"]),
        ({"phone": "138 1234 5678"}, ["p1", "p2"]),
        ({"name": "张三"}, ["p2"]),
        ({"begins": "张"}, ["p1", "p2"]),
        ({"begins": "张三丰"}, ["p1"]),
        ({"initials": "zs"}, ["p1", "p2"]),
        ({"initials": "ls"}, []),
        ({"initials": "ld"}, ["p3"]),
        ({"name": "王五"}, []),
        ({"kind": "organisation", "begins": "张三"}, ["o1"]),
        ({"kind": "organisation", "phone": "03128888888"}, ["o1"]),
        ({"kind": "staff", "name": "李四"}, ["w"]),
        ({"phone": "13812345678", "unit": "g2"}, ["p2"]),
        ({"phone": "13812345678", "unit": "v1"}, ["p1", "p2"]),
    ],
)
async def test_people_are_found(town: Office, query: dict[str, str], found: list[str]) -> None:
    assert await ids(town, **query) == found


async def test_what_is_found_is_masked(town: Office) -> None:
    answer = await ask(town, "search", id_number=NUMBER)
    assert answer.json()["records"][0]["body"]["name"] == "张*"
    for secret in (NUMBER, "三丰", "2345678"):
        assert secret not in answer.text


async def test_only_what_belongs_to_units_of_ones_own_is_found(town: Office) -> None:
    phone = "13812345678"
    assert await ids(town, "grid_worker", phone=phone, units=["g1"]) == ["p1"]
    assert await ids(town, "grid_worker", phone=phone, units=["g2"]) == ["p2"]
    assert await ids(town, "village_cadre", phone=phone, units=["v1"]) == ["p1", "p2"]
    assert await ids(town, "village_cadre", phone=phone, units=["v9"]) == []
    refused = await ask(town, "search", "citizen", phone=phone, units=["g1"])
    assert (refused.status_code, refused.json()["code"]) == (403, "right_missing")


@pytest.mark.usefixtures("town")
async def test_another_town_finds_nothing(neighbour: Office) -> None:
    assert await ids(neighbour, phone="13812345678") == []


async def test_what_has_changed_or_is_gone_is_found_as_it_is_now(town: Office) -> None:
    renamed = line("person", "p2", name="赵六", phone="13900000000", household="h2")
    answer = await town.post_set("s2", [renamed, removed("person", "p1")])
    assert answer.status_code == 200
    assert await ids(town, phone="13812345678") == []
    assert await ids(town, name="赵六") == ["p2"]


async def test_what_is_erased_leaves_no_digest(town: Office) -> None:
    mine = "SELECT count(*) FROM registry_index WHERE tenant_id = $1 AND record_id = 'p1'"
    assert await town.pool.fetchval(mine, town.tenant) > 0
    body = {"kind": "person", "id": "p1", "reason": "依申请抹去"}
    erased = await town.http.post("/v1/registry/erasures", json=body, headers=town.headers())
    assert erased.status_code == 200, erased.text
    assert await ids(town, id_number=NUMBER) == []
    async with town.pool.acquire() as conn:
        assert [n async for n in reindex(conn, town.tenant, KeyRing(town.secrets.key_file))]
    assert await town.pool.fetchval(mine, town.tenant) == 0


async def test_a_move_that_tells_nothing_anew_leaves_people_findable(town: Office) -> None:
    act = {"act": "move", "persons": ["p1"], "household": "h2"}
    moved = await town.http.post(
        "/v1/registry/reorganisations/m1", json=act, headers=town.headers()
    )
    assert moved.status_code == 200, moved.text
    assert await ids(town, "grid_worker", id_number=NUMBER, units=["g2"]) == ["p1"]
    assert await ids(town, "grid_worker", id_number=NUMBER, units=["g1"]) == []


async def test_pages_follow_each_other_without_gaps(town: Office) -> None:
    many = [line("person", f"q{n:03}", name="王伟", household="h1") for n in range(25)]
    many[7] = line("person", "q007", name="王伟", household="h2")
    assert (await town.post_set("many", many)).status_code == 200
    found, after = [], ""
    while True:
        query = {"name": "王伟", "limit": 5, "after": after, "units": ["g1"]}
        page = (await ask(town, "search", "grid_worker", **query)).json()
        found += [one["id"] for one in page["records"]]
        if page["after"] is None:
            break
        after = page["after"]
    assert found == [f"q{n:03}" for n in range(25) if n != 7]


async def test_who_looks_after_whom_is_found_by_the_link(town: Office) -> None:
    profile = next(one for one in TOWN if one["kind"] == "profile")["body"]["body"]
    link = next(one for one in profile["links"] if one["to"] == "household")
    post = {"unit": "g1", "role": link["from_role"]}
    links = [
        line("staff", "w", name="李四", posts=[post]),
        line("link", "l1", link=link["id"], staff="w", to_kind="household", to="h2"),
    ]
    answer = await town.post_set("links", links)
    assert answer.status_code == 200, answer.text
    assert await ids(town, kind="household", staff="w") == ["h2"]
    assert await ids(town, "grid_worker", kind="household", staff="w", units=["g1"]) == []
    assert await ids(town, kind="person", staff="w") == []
    assert (await town.post_set("gone", [removed("link", "l1")])).status_code == 200
    assert await ids(town, kind="household", staff="w") == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({}, "name"),
        ({"name": "张", "phone": "1"}, "name"),
        ({"initials": "z"}, "initials"),
        ({"kind": "household", "name": "张"}, "name"),
        ({"address": "东街1号"}, "address"),
        ({"id_number": "1", "kind": "organisation"}, "id_number"),
        ({"named": "张"}, "named"),
    ],
)
async def test_what_cannot_be_looked_for_is_told(
    town: Office, query: dict[str, str], field: str
) -> None:
    answer: httpx.Response = await ask(town, "search", **query)
    body = answer.json()
    assert answer.status_code == 422
    assert field in [body.get("field"), *(one["field"] for one in body.get("errors", ()))]


async def test_reindexing_finds_what_was_recorded_before_there_was_an_index(town: Office) -> None:
    before = await town.rows("registry_index")
    await town.pool.execute("DELETE FROM registry_index WHERE tenant_id = $1", town.tenant)
    assert await ids(town, name="张三") == []
    for _ in range(2):
        async with town.pool.acquire() as conn:
            keys = KeyRing(town.secrets.key_file)
            done = [n async for n in reindex(conn, town.tenant, keys)]
        assert done == [6]
    assert await ids(town, name="张三") == ["p2"]
    assert {tuple(one) for one in await town.rows("registry_index")} == set(map(tuple, before))


HOMES = [
    line("household", "h3", grid="g1", address="柳园小区5号楼2单元302室"),
    line("household", "h4", grid="g2", address="柳园小区5号楼2单元302室"),
    line("place", "q1", grid="g2", name="柳园广场", address="柳园小区"),
]


async def test_an_address_is_found_by_its_parts(town: Office) -> None:
    assert (await town.post_set("homes", HOMES)).status_code == 200
    by = {"kind": "household"}
    assert await ids(town, **by, address="迎春路北段12号") == ["h1"]
    assert await ids(town, **by, address="柳园小区 五号楼") == ["h3", "h4"]
    assert await ids(town, **by, address="2单元302室", unit="g2") == ["h4"]
    assert await ids(town, "grid_worker", **by, address="302室", units=["g1"]) == ["h3"]
    assert await ids(town, "grid_worker", kind="place", address="柳园小区", units=["g2"]) == ["q1"]
    assert await ids(town, "grid_worker", kind="place", address="柳园小区", units=["g1"]) == []
    assert await ids(town, **by, address="柳园小区6号楼") == []
    shown = await ask(town, "search", **by, address="柳园小区")
    assert "302室" not in shown.text
    refused = await ask(town, "search", "citizen", **by, address="302室", units=["g1"])
    assert (refused.status_code, refused.json()["code"]) == (403, "right_missing")


async def test_an_address_that_is_erased_leaves_no_digest(town: Office) -> None:
    assert (await town.post_set("homes", HOMES[:2])).status_code == 200
    mine = "SELECT count(*) FROM registry_index WHERE tenant_id = $1 AND record_id = 'h3'"
    assert await town.pool.fetchval(mine, town.tenant) > 0
    body = {"kind": "household", "id": "h3", "reason": "依申请抹去"}
    erased = await town.http.post("/v1/registry/erasures", json=body, headers=town.headers())
    assert erased.status_code == 200, erased.text
    async with town.pool.acquire() as conn:
        assert [n async for n in reindex(conn, town.tenant, KeyRing(town.secrets.key_file))]
    assert await town.pool.fetchval(mine, town.tenant) == 0
    assert await ids(town, kind="household", address="柳园小区") == ["h4"]


async def test_who_was_somebody_is_found_as_of_then_by_those_who_may_see_him_now(
    town: Office,
) -> None:
    then = datetime.now(UTC).isoformat()
    moved = line("person", "p2", name="赵六", household="h1")
    assert (await town.post_set("moved", [moved])).status_code == 200
    assert await ids(town, name="张三") == []
    assert await ids(town, name="张三", as_of=then) == ["p2"]
    assert await ids(town, "grid_worker", name="张三", as_of=then, units=["g1"]) == ["p2"]
    assert await ids(town, "grid_worker", name="张三", as_of=then, units=["g2"]) == []


async def test_whoever_looks_after_a_group_finds_its_households_alone(town: Office) -> None:
    group = line("unit", "c1", level="group", zh="一组", parent="g1")
    homes = [
        line("household", "h5", grid="g1", group="c1", address="柳园小区1号"),
        line("household", "h6", grid="g1", address="柳园小区1号"),
        line("person", "p5", name="王五", household="h5"),
        line("person", "p6", name="王五", household="h6"),
    ]
    assert (await town.post_set("groups", [group, *homes])).status_code == 200
    for units, found in (["c1"], ["p5"]), (["g1"], ["p5", "p6"]), (["g2"], []), ([], []):
        assert await ids(town, "grid_worker", name="王五", units=units) == found
    assert await ids(town, name="王五", unit="c1") == ["p5"]
    assert await ids(town, "grid_worker", name="王五", unit="c1", units=["g1"]) == ["p5"]
    assert await ids(town, "grid_worker", name="王五", unit="g1", units=["c1"]) == ["p5"]
    assert await ids(town, "grid_worker", name="王五", unit="g2", units=["c1"]) == []
    by = {"kind": "household", "address": "柳园小区1号"}
    assert await ids(town, "grid_worker", **by, units=["c1"]) == ["h5"]


async def test_of_a_name_that_half_the_town_bears_a_grid_sees_its_own_at_once(
    town: Office,
) -> None:
    many = [line("person", f"a{n:04}", name="王伟", household="h1") for n in range(1_200)]
    own = [line("person", f"z{n}", name="王伟", household="h2") for n in range(3)]
    assert (await town.post_set("half", [*many, *own])).status_code == 200
    query = {"initials": "ww", "units": ["g2"]}
    page = (await ask(town, "search", "grid_worker", **query)).json()
    assert [one["id"] for one in page["records"]] == ["z0", "z1", "z2"]
    assert page["after"] is None
