"""A set is judged by the town as it would be afterwards: nobody may be left pointing at nothing."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest

from tests import factories
from tests.component.ledger.office import Office, fact

Line = dict[str, Any]
PROFILE = next(dict(one) for one in factories.town_lines() if one["kind"] == "profile")
DAY = {"begin": "08:30", "end": "18:00"}


def line(kind: str, record_id: str, **body: Any) -> Line:
    return {"kind": kind, "id": record_id, "body": body}


def unit(name: str, parent: str | None = None) -> Line:
    return line("unit", name, level="grid", zh=name, **({"parent": parent} if parent else {}))


def staff(name: str, *units: str) -> Line:
    posts = [{"unit": one, "role": "grid_worker"} for one in units]
    return line("staff", name, name="王", posts=posts)


def removed(kind: str, record_id: str) -> Line:
    return {"kind": kind, "id": record_id, "body": None}


def front_end(*categories: str) -> Line:
    body = {"zh": "x", "kind": "app", "key_digest": "d", "categories": [*categories]}
    return {"kind": "front_end", "id": "app", "body": body}


TOWN = [unit("g1", "v1"), unit("v1", "town"), unit("town"), staff("w", "g1")]


@pytest.fixture
async def town(office: Office) -> Office:
    """Ledger, with a town of one village and one grid, recorded from below."""
    assert (await office.post_set("town", TOWN)).status_code == 200
    return office


async def refusals(office: Office, *lines: Line) -> list[tuple[str, str, str]]:
    """Post a set that must be refused whole; return what it says: record, field, message."""
    answer = await office.post_set("bad", lines)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (409, "change_set_unfit")
    assert len(await office.rows("change_set")) == 1
    assert len(await office.outbox()) == len(TOWN)
    return [(f"{o['kind']}/{o['id']}", o["field"], o["message"]) for o in problem["errors"]]


UNKNOWN: list[tuple[Line, str]] = [
    (unit("g2", "v9"), "parent"),
    (staff("x", "g1", "g9"), "posts.1.unit"),
    (line("household", "h", grid="g9"), "grid"),
    (line("household", "h", grid="g1", group="g1-c9"), "group"),
    (line("roster", "r", unit="g9", shifts=[DAY]), "unit"),
    (line("backup_pair", "p", grids=["g1", "g9"]), "grids.1"),
]


@pytest.mark.parametrize(("bad", "field"), UNKNOWN, ids=[f"{o['kind']}-{f}" for o, f in UNKNOWN])
async def test_a_unit_that_would_not_be_there_is_named(town: Office, bad: Line, field: str) -> None:
    (found,) = await refusals(town, unit("g3", "v1"), bad)
    assert found[:2] == (f"{bad['kind']}/{bad['id']}", field)
    assert "没有单位" in found[2]
    assert "There is no unit" in found[2]


async def test_a_household_stands_in_a_group_of_its_own_grid(town: Office) -> None:
    """Whoever works in the group's grid would see it, and whoever works in its own."""
    units = [unit("g2", "v1"), unit("g2-a", "g2"), unit("g2-a-1", "g2-a")]
    bad = line("household", "h1", grid="g1", group="g2-a")
    ((record, field, said),) = await refusals(town, *units, bad)
    assert (record, field) == ("household/h1", "group")
    assert "Group g2-a does not lie in grid g1" in said
    fit = [
        line("household", "h2", grid="g2", group="g2-a-1"),
        line("household", "h3", grid="g2", group="g2"),
    ]
    assert (await town.post_set("fit", [*units, *fit])).status_code == 200


@pytest.mark.parametrize(
    ("moves", "shown"),
    [([("v1", "v1")], "v1 → v1"), ([("town", "g1")], "town → g1 → v1 → town"),
     ([("town", "v2"), ("v2", "g1")], "town → v2 → g1 → v1 → town")],
)  # fmt: skip
async def test_parents_in_a_circle_are_shown_once(
    town: Office, moves: Sequence[tuple[str, str]], shown: str
) -> None:
    ((record, field, message),) = await refusals(town, *(unit(*one) for one in moves))
    assert (record, field) == (f"unit/{moves[0][0]}", "parent")
    assert f"circle: {shown}." in message


async def test_the_town_alone_has_no_unit_above_it(town: Office) -> None:
    """Whoever has a post at a unit above which there is none may see all of the town."""
    ((record, field, said),) = await refusals(town, unit("g2"), unit("v2", "town"))
    assert (record, field) == ("unit/g2", "parent")
    assert "（town）" in said
    moved = [unit("town", "county"), unit("county")]
    assert (await town.post_set("county", moved)).status_code == 200


async def test_of_two_towns_in_a_first_set_the_second_is_named(office: Office) -> None:
    answer = await office.post_set("first", [unit("a"), unit("b"), unit("c", "b")])
    assert [one["id"] for one in answer.json()["errors"]] == ["b"]


async def test_a_unit_that_is_still_needed_stays(town: Office) -> None:
    assert [(one[0], one[2].partition("。")[0]) for one in await refusals(
        town, removed("unit", "v1"), removed("unit", "g1"), unit("g2", "town"),
        line("household", "h1", grid="g1"), line("household", "h2", grid="g1", group="g1"),
    )] == [
        ("household/h1", "没有单位 g1：改这一项，或在同一变更集里登记它"),
        ("household/h2", "没有单位 g1：改这一项，或在同一变更集里登记它"),
        ("household/h2", "没有单位 g1：改这一项，或在同一变更集里登记它"),
        ("unit/g1", "还有 2 户属于它：先改挂别处或删除，同一变更集里也可以"),
        ("unit/g1", "还有 1 名人员属于它：先改挂别处或删除，同一变更集里也可以"),
    ]  # fmt: skip
    ((_, _, message),) = await refusals(town, removed("unit", "v1"))
    assert message.startswith("还有 1 个下级单位属于它")
    assert "1 units below it still name it" in message


async def test_whoever_named_a_unit_may_leave_in_the_set_that_removes_it(town: Office) -> None:
    lines = [removed("unit", "v1"), unit("g1", "town"), unit("v2", "town")]
    assert (await town.post_set("merge", lines)).status_code == 200
    lines = [removed("unit", "g1"), removed("staff", "w"), unit("g2", "v2")]
    assert (await town.post_set("close", lines)).status_code == 200
    assert (await town.get("/v1/registry/counts")).json() == {"unit": 3}


async def test_a_unit_that_owns_open_cases_stays_until_they_are_handed_over(town: Office) -> None:
    owner = {"unit": "g1", "role": "grid_worker", "staff": "w"}
    opened = {
        "number": "250303-0001", "front_end": "app", "category": "other", "severity": "ordinary",
        "class": "general", "flow": "f", "profile_version": 1, "state": "reported", "grid": "g1",
        "village": "v1", "owner": owner, "received_at": "2025-03-03T10:00:00+08:00",
    }  # fmt: skip
    first, second = UUID(int=1), UUID(int=2)
    by = {"by": owner}
    await town.hear(
        fact(town.tenant, "case.opened.v1", first, opened, event=1),
        fact(town.tenant, "case.opened.v1", second, opened, event=2),
    )
    leaving = [removed("unit", "g1"), removed("staff", "w")]
    ((record, _, message),) = await refusals(town, *leaving)
    assert record == "unit/g1"
    assert "先把 2 件移交" in message
    assert "2 open cases" in message
    moved = {"owner": {"unit": "v1", "role": "village_cadre", "staff": None}, "rule": "r"}
    await town.hear(
        fact(town.tenant, "case.assigned.v1", first, moved, event=3),
        fact(town.tenant, "case.closed.v1", second, {**by, "state": "closed"}, event=4),
    )
    assert (await town.post_set("close", leaving)).status_code == 200


async def test_an_old_fault_elsewhere_stops_nobody(town: Office) -> None:
    broken = "UPDATE registry_record SET body = body || '{\"parent\": \"v9\"}' WHERE tenant_id = $1 AND record_id = 'v1'"  # noqa: E501
    await town.pool.execute(broken, town.tenant)
    assert (await town.post_set("s1", [unit("g2", "v1"), staff("x", "g2")])).status_code == 200


async def test_a_front_ends_categories_are_those_of_the_towns_profiles(office: Office) -> None:
    early = (await office.post_set("early", [front_end("dispute_land")])).json()
    assert (early["code"], early["errors"][0]["field"]) == ("change_set_unfit", "categories.0")
    assert "先登记镇配置" in early["errors"][0]["message"]
    lines = [front_end("dispute_land", "nosuchcat"), PROFILE]
    (found,) = (await office.post_set("wrong", lines)).json()["errors"]
    assert (found["kind"], found["id"], found["field"]) == ("front_end", "app", "categories.1")
    assert "nosuchcat" in found["message"]
    assert "petition" in found["message"]
    assert (await office.post_set("right", [front_end("dispute_land"), PROFILE])).status_code == 200
    assert (await office.post_set("every", [front_end()])).status_code == 200


async def test_another_tenants_record_is_not_removed(town: Office) -> None:
    answer = await town.post_set("s1", [removed("tenant", "gucheng")])
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "change_set_faulty")
    assert [(one["field"], town.tenant in one["message"]) for one in problem["errors"]] == [
        ("id", True)
    ]
