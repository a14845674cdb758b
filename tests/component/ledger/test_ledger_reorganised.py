"""What happens to a town, through the door: one dated set; what is sealed stays as it is."""

from typing import Any

import pytest

from tests import factories
from tests.component.ledger.office import Office
from tests.component.ledger.test_ledger_linked import TOWN, line

BEFORE, AT = "2000-01-01T00:00:00+08:00", "2020-07-31T00:00:00+08:00"
Body = dict[str, Any]


async def act(office: Office, name: str, **body: Any) -> Any:
    return await office.http.post(
        f"/v1/registry/reorganisations/{name}",
        json=body,
        params={"valid_from": AT},
        headers=office.headers(),
    )


async def now(office: Office) -> dict[str, Body]:
    rows = await office.rows("registry_record")
    latest = {f"{row['kind']}/{row['record_id']}": row["body"] for row in
              sorted(rows, key=lambda row: row["version"])}  # fmt: skip
    return {key: body for key, body in latest.items() if body is not None}


@pytest.fixture
async def town(office: Office) -> Office:
    more = [
        line("person", "p2", name="王小", household="h1"),
        line("unit", "g1-a", level="microgrid", zh="甲组", parent="g1"),
        line("household", "h2", grid="g1", group="g1-a", address="某村2号"),
    ]
    assert (await office.post_set("town", [*TOWN, *more], valid_from=BEFORE)).status_code == 200
    return office


async def test_forty_six_villages_become_six_in_one_dated_set(office: Office) -> None:
    lines = [
        next(dict(one) for one in factories.town_lines() if one["kind"] == "profile"),
        line("unit", "town", level="town", zh="镇"),
    ]
    for n in range(46):
        old = f"w{n:02d}"
        lines += [
            line("unit", old, level="village", zh=f"{n}村", parent="town"),
            line("unit", f"g{n:02d}", level="grid", zh=f"{n}村网格", parent=old),
            line("staff", f"c{n:02d}", name="王", posts=[{"unit": old, "role": "village_cadre"}]),
            line("household", f"h{n:02d}", grid=f"g{n:02d}", address=f"{n}村1号"),
        ]
    assert (await office.post_set("town", lines, valid_from=BEFORE)).status_code == 200
    before, announced = await now(office), len(await office.outbox())
    new = [{"level": "village", "zh": f"新{n}村", "parent": "town"} for n in range(6)]
    mergers = [
        {"into": {"id": f"v{n}", "body": body}, "units": [f"w{m:02d}" for m in range(n, 46, 6)]}
        for n, body in enumerate(new)
    ]
    done = (await act(office, "merger", act="merge_units", mergers=mergers)).json()
    assert done == {"change_set": "merger", "entries": 6 + 3 * 46, "known": False, "warnings": []}
    after = await now(office)
    levels = [body["level"] for key, body in after.items() if key.startswith("unit/")]
    assert (levels.count("village"), levels.count("grid")) == (6, 46)
    for n in range(46):
        assert after[f"unit/g{n:02d}"]["parent"] == f"v{n % 6}"
        assert after[f"staff/c{n:02d}"]["posts"][0]["unit"] == f"v{n % 6}"
        assert after[f"staff/c{n:02d}"]["sealed"] == before[f"staff/c{n:02d}"]["sealed"]
        found = (await office.get(f"/v1/registry/former-units/w{n:02d}")).json()["units"]
        assert [(one["unit"], one["former_zh"]) for one in found] == [(f"v{n % 6}", f"{n}村")]
    told = (await office.published())[announced:]
    assert {(one.change_set, one.valid_from.isoformat()) for one in told} == {("merger", AT)}
    assert [one.last for one in told] == [False] * (len(told) - 1) + [True]
    assert sum(one.data is None for one in told) == 46
    again = (await act(office, "merger", act="merge_units", mergers=mergers)).json()
    assert again == {"change_set": "merger", "entries": 0, "known": True, "warnings": []}
    other = await act(office, "merger", act="merge_units", mergers=mergers[:1])
    assert other.json()["code"] == "change_set_reused"
    assert (await office.get("/v1/registry/former-units/w99")).status_code == 404


async def test_a_household_splits_merges_and_its_people_move(town: Office) -> None:
    before = await now(town)
    new = {"id": "h3", "body": {"grid": "g1", "head": "p2", "address": "某村3号"}}
    split = await act(town, "split", act="split_household", persons=["p2"], new=new)
    assert split.json()["entries"] == 2
    after = await now(town)
    assert after["person/p2"] == {**before["person/p2"], "household": "h3"}
    assert "某村3号" not in str(after["household/h3"])
    assert after["household/h3"]["sealed"]["fields"].keys() == {"address"}
    moved = await act(town, "move", act="move", persons=["p1"], household="h2")
    assert moved.status_code == 200
    after = await now(town)
    assert "head" not in after["household/h1"]
    assert after["person/p1"]["household"] == "h2"
    merged = await act(town, "join", act="merge_households", into="h2", households=["h1", "h3"])
    assert merged.status_code == 200
    after = await now(town)
    assert [after[f"person/p{n}"]["household"] for n in (1, 2)] == ["h2", "h2"]
    assert after["link/l1"]["to"] == "h2"
    assert not {"household/h1", "household/h3"} & after.keys()


async def test_a_grid_is_split_and_keeps_its_own_id(town: Office) -> None:
    new = {"id": "g2", "body": {"level": "grid", "zh": "二格", "parent": "v1"}}
    done = await act(town, "cut", act="split_grid", grid="g1", new=new, moved=["g1-a"])
    assert done.json()["entries"] == 3
    after = await now(town)
    assert after["unit/g1-a"]["parent"] == after["household/h2"]["grid"] == "g2"
    written = [row["object"] for row in await town.rows("audit")]
    assert "change_set/cut" in written
    assert (after["unit/g1"]["zh"], after["household/h1"]["grid"]) == ("一格", "g1")


async def test_a_grid_gives_nothing_that_is_not_its_own(town: Office) -> None:
    new = {"id": "g2", "body": {"level": "grid", "zh": "二格", "parent": "v1"}}
    answer = await act(
        town, "cut", act="split_grid", grid="g1", new=new, moved=["g1-a", "v1", "h9"]
    )
    assert (answer.status_code, answer.json()["code"]) == (409, "change_set_unfit")
    said = [(one["field"], one["message"].split()[0]) for one in answer.json()["errors"]]
    assert said == [("moved", "v1"), ("moved", "h9")]
    assert "unit/g2" not in await now(town)


async def test_a_unit_merges_but_once_in_a_set(town: Office) -> None:
    """Of two mergers into one unit the second would forget what the first took over."""
    into = {"id": "g1", "body": {"level": "grid", "zh": "一格", "parent": "v1"}}
    mergers = [{"into": into, "units": ["g1", "g1-a"]}, {"into": into, "units": ["v1"]}]
    answer = await act(town, "twice", act="merge_units", mergers=mergers)
    assert (answer.status_code, answer.json()["code"]) == (409, "change_set_unfit")
    assert [(one["id"], one["field"]) for one in answer.json()["errors"]] == [("g1", "mergers")]


async def test_what_cannot_be_is_refused_whole(town: Office) -> None:
    new = {"id": "g2", "body": {"level": "grid", "zh": "二格", "parent": "v9"}}
    cases: list[tuple[Body, int, str]] = [
        ({"act": "move", "persons": ["p9"], "household": "h1"}, 409, "change_set_unfit"),
        ({"act": "move", "persons": ["p1"], "household": "h9"}, 409, "change_set_unfit"),
        ({"act": "split_grid", "grid": "g1", "new": new, "moved": ["x"]}, 409, "change_set_unfit"),
        ({"act": "split_household", "persons": ["p1"], "new": {"id": "h3", "body": {}}}, 422,
         "change_set_faulty"),
        ({"act": "vanish"}, 422, "invalid_fields"),
    ]  # fmt: skip
    before = await now(town)
    for body, status, code in cases:
        answer = await act(town, "bad", **body)
        assert (answer.status_code, answer.json()["code"]) == (status, code), answer.json()
    assert await now(town) == before
    headers = town.headers("center_clerk", units=["town"])
    path = "/v1/registry/reorganisations/x"
    refused = await town.http.post(path, json={"act": "move"}, headers=headers)
    assert refused.json()["code"] == "operator_only"


async def test_what_is_new_takes_nobodys_place(town: Office) -> None:
    homes = {"id": "h2", "body": {"grid": "g1", "address": "某村9号"}}
    grids = {"id": "g1-a", "body": {"level": "grid", "zh": "二格", "parent": "v1"}}
    before = await now(town)
    for body in (
        {"act": "split_household", "persons": ["p2"], "new": homes},
        {"act": "split_grid", "grid": "g1", "new": grids, "moved": ["h2"]},
        {"act": "merge_units", "mergers": [{"into": grids, "units": ["g1"]}]},
    ):
        answer = await act(town, "bad", **body)
        (fault,) = answer.json()["errors"]
        assert (answer.status_code, fault["field"]) == (409, "id")
        assert fault["id"] in ("h2", "g1-a")
    assert await now(town) == before


async def test_the_same_act_from_another_moment_is_another_act(town: Office) -> None:
    assert (await act(town, "m", act="move", persons=["p2"], household="h2")).is_success
    answer = await town.http.post(
        "/v1/registry/reorganisations/m",
        json={"act": "move", "persons": ["p2"], "household": "h2"},
        params={"valid_from": BEFORE},
        headers=town.headers(),
    )
    assert answer.json()["code"] == "change_set_reused"


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:00:00-12:00"])
async def test_a_moment_that_no_database_holds_is_a_fault(town: Office, moment: str) -> None:
    answer = await town.http.post(
        "/v1/registry/reorganisations/m",
        json={"act": "move", "persons": ["p2"], "household": "h2"},
        params={"valid_from": moment},
        headers=town.headers(),
    )
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_fields")
