"""Coverage over the door: a seeded town as its own staff and an operator see it."""

from datetime import UTC, datetime

import pytest

from services.ledger.store import elements
from tests import factories
from tests.component.ledger.office import Office

COVERAGE = "/v1/registry/coverage"


async def test_a_seeded_town_is_told_with_its_figures_and_what_it_lacks(office: Office) -> None:
    lines = factories.town_lines("haohuahong", office.tenant)
    assert (await office.post_set("seed", lines)).status_code == 200
    told = (await office.get(COVERAGE)).json()
    assert (told["tenant"], told["profile_version"], told["more"]) == (office.tenant, 1, False)
    assert told["counts"] == {"count": 12}  # it is smaller than its document says
    figures = {one["of"]: (one["declared"], one["held"], one["fits"]) for one in told["figures"]}
    assert figures["level/grid"] == (157, 6, False)
    assert figures["persons/ordinary"] == (None, 60, True)
    assert [(one["team"], one["units"], one["complete"]) for one in told["teams"]] == [
        ("iron_triangle", 6, 6)
    ]
    leader = next(
        one for one in lines if one["kind"] == "staff"
        and one["body"]["posts"][0]["role"] == "grid_leader"
    )  # fmt: skip
    grid = leader["body"]["posts"][0]["unit"]
    gone = {"kind": "staff", "id": leader["id"], "body": None}
    assert (await office.post_set("away", [gone])).status_code == 200
    told = (await office.get(f"{COVERAGE}?limit=1")).json()
    assert (told["counts"]["team"], told["more"], len(told["findings"])) == (1, True, 1)
    (missing,) = (
        one for one in (await office.get(COVERAGE)).json()["findings"] if one["code"] == "team"
    )
    assert (missing["subject"], missing["field"]) == (grid, "grid_leader")
    assert missing["zh"].startswith("“铁三角”缺“网格长”")


async def test_it_is_for_the_towns_own_staff(office: Office, neighbour: Office) -> None:
    assert (await office.get(COVERAGE)).json()["code"] == "profile_missing"
    lines = factories.town_lines("changping", office.tenant)
    assert (await office.post_set("seed", lines)).status_code == 200
    clerk = await office.get(COVERAGE, "center_clerk", units=["town"])
    assert clerk.status_code == 200
    for about in ({"units": ["v1"]}, {"units": ["town"], "department": "police"}):
        refused = await office.get(COVERAGE, "grid_worker", **about)
        assert (refused.status_code, refused.json()["code"]) == (403, "unit_not_allowed")
    assert (await neighbour.get(COVERAGE)).json()["code"] == "profile_missing"


async def test_a_look_that_would_show_a_part_is_refused(office: Office) -> None:
    lines = factories.town_lines("haohuahong", office.tenant)
    assert (await office.post_set("seed", lines)).status_code == 200
    town, now, kinds = office.tenant, datetime.now(UTC), ["household"]
    async with office.pool.acquire() as conn:
        bones, _ = await elements.bones(conn, town, now)
        homes = await elements.records(conn, town, kinds, now)
        whole, _ = await elements.bones(conn, town, now, most=len(bones))
        assert whole == bones
        assert homes == await elements.records(conn, town, kinds, now, most=len(homes))
        with pytest.raises(elements.TooMany) as refused:
            await elements.bones(conn, town, now, most=len(bones) - 1)
        with pytest.raises(elements.TooMany):
            await elements.records(conn, town, kinds, now, most=len(homes) - 1)
    assert (refused.value.status, refused.value.body["code"]) == (409, "registry_too_large")
