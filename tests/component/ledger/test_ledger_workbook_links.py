"""The sheet of links: who looks after which grid or household, in and out."""

from typing import Any

import openpyxl
import pytest

from deploy.exchange.batch import take_back
from deploy.exchange.books import write_registry
from tests import factories
from tests.component.ledger.desk import HOUSES, PEOPLE, Desk, number

LINKS = ("关联编号", "关联类型", "工作人员编号", "对象编号", "是否主要")
TO_HOUSE = ("l1", "党员联户", "pc", "h1", None)


def line(kind: str, record_id: str, **body: Any) -> dict[str, Any]:
    return {"kind": kind, "id": record_id, "body": body}


@pytest.fixture
async def town(desk: Desk) -> Desk:
    """A town with a profile, two grids, one that is no more, and two who work there."""
    profile = next(
        dict(one) for one in factories.town_lines("gucheng", "gucheng") if one["kind"] == "profile"
    )
    lines = [
        profile,
        line("unit", "town", level="town", zh="镇"),
        line("unit", "v1", level="village", zh="村", parent="town"),
        line("unit", "g1", level="grid", zh="一网格", parent="v1"),
        line(
            "unit",
            "g2",
            level="grid",
            zh="二网格",
            parent="v1",
            aliases=[{"code": "g8", "zh": "八网格", "valid_to": "2025-01-01T00:00:00+08:00"}],
        ),
        line("unit", "g9", level="grid", zh="九网格", parent="v1"),
        line("staff", "pc", name="王", posts=[{"unit": "g1", "role": "party_contact"}]),
        line("staff", "gw", name="李", posts=[{"unit": "g1", "role": "grid_worker"}]),
        line("household", "h1", grid="g1"),
    ]
    assert (await desk.office.post_set("town", lines)).status_code == 200
    gone = [{"kind": "unit", "id": "g9", "body": None}]
    assert (await desk.office.post_set("gone", gone)).status_code == 200
    return desk


async def test_links_go_in_with_the_people_and_come_out_as_they_went_in(town: Desk) -> None:
    path = town.book(
        户=[HOUSES, ("h2", "g1", "河边 3 号")],
        人员=[PEOPLE, ("p1", "h2", "王秀英", number(2), "女", "户主", None)],
        关联=[
            LINKS,
            (None, "党员联户", "pc", "h2", None),
            ("l2", "worker_grid", "gw", "g1", "否"),
        ],
    )
    checked = await town.bring(path, "spring", dry_run=True)
    assert (checked.state, checked.rows["link"], checked.faults.kept) == ("checked", 2, [])
    assert (await town.bring(path, "spring")).state == "recorded"
    links = {key: body for key, body in (await town.town()).records.items() if key[0] == "link"}
    assert links.pop(("link", "l2")) == {
        "link": "worker_grid",
        "staff": "gw",
        "to_kind": "unit",
        "to": "g1",
        "primary": False,
    }
    ((_, made),) = links
    assert made.startswith("l-")
    out = town.folder / "out.xlsx"
    assert write_registry(out, await town.town(), lambda _: None)["link"] == 2
    rows = [[cell.value or "" for cell in row] for row in openpyxl.load_workbook(out)["关联"]]
    assert rows == [
        [*LINKS],
        [made, "党员联户", "pc", "h2", ""],
        ["l2", "网格员包格", "gw", "g1", "否"],
    ]
    assert (await town.bring(out)).state == "unchanged"


async def test_a_link_without_an_id_is_found_again_by_what_it_says(town: Desk) -> None:
    bare = [LINKS, (None, "党员联户", "pc", "h1", None)]
    assert (await town.bring(town.book(关联=[LINKS, TO_HOUSE]))).state == "recorded"
    assert (await town.bring(town.book(关联=bare))).state == "unchanged"
    backed = town.book(关联=[LINKS, (None, "党员联户", "pc", "h1", "否")])
    assert (await town.bring(backed)).changed == 1


async def test_undo_takes_links_back_with_their_batch(town: Desk) -> None:
    before = (await town.town()).records
    await town.bring(town.book(关联=[LINKS, TO_HOUSE]), "spring")
    assert (await take_back(town.bringing, "spring", dry_run=False))["removed"] == 1
    assert (await town.town()).records == before


@pytest.mark.parametrize(
    ("given", "cell", "says"),
    [
        pytest.param({1: "结对"}, "B2", "没有这种关联：改为 党员联户、网格员包格", id="type"),
        pytest.param({1: None}, "B2", "必须填写", id="no-type"),
        pytest.param({2: "pd"}, "C2", "没有工作人员 pd：对照登记改正编号", id="staff"),
        pytest.param({2: "gw"}, "C2", "此人没有“联户党员”的岗位", id="role"),
        pytest.param({3: "h7"}, "D2", "没有户 h7：改正编号，或在“户”表里登记它", id="household"),
        pytest.param(
            {1: "网格员包格", 2: "gw", 3: "g7"}, "D2", "没有单位 g7：对照登记改正编号", id="grid"
        ),
        pytest.param(
            {1: "网格员包格", 2: "gw", 3: "g8"}, "D2", "g8 已撤销，并入 g2：改填 g2", id="merged"
        ),
        pytest.param({1: "网格员包格", 2: "gw", 3: "g9"}, "D2", "g9 已撤销：改填现有", id="closed"),
        pytest.param({1: "网格员包格", 2: "gw", 3: "v1"}, "D2", "它不是网格", id="level"),
        pytest.param({4: "大概"}, "E2", "应为“是”或“否”", id="primary"),
    ],
)
async def test_a_bad_link_is_told_by_its_cell(
    town: Desk, given: dict[int, Any], cell: str, says: str
) -> None:
    row = [given.get(n, value) for n, value in enumerate(TO_HOUSE)]
    outcome = await town.bring(town.book(关联=[LINKS, row]))
    (fault,) = outcome.faults.kept
    assert (fault.sheet, fault.cell) == ("关联", cell)
    assert says in fault.message
    assert outcome.state == "faulty"
    assert "link" not in {row["kind"] for row in await town.office.rows("registry_record")}


async def test_two_links_that_say_the_same_are_told(town: Desk) -> None:
    await town.bring(town.book(关联=[LINKS, TO_HOUSE]))
    again = [("l7", *TO_HOUSE[1:]), (None, "网格员包格", "gw", "g1", None)]
    outcome = await town.bring(town.book(关联=[LINKS, *again, ("l8", *again[1][1:])]))
    told = {one.cell: one.message.split("：")[0] for one in outcome.faults}
    assert told == {"A2": "与已登记的关联 l1 说的是同一件事", "A4": "与第 3 行说的是同一件事"}


async def test_a_household_on_a_grid_that_has_become_part_of_another_is_told(town: Desk) -> None:
    outcome = await town.bring(town.book(户=[HOUSES, ("h5", "g8", "")]))
    (fault,) = outcome.faults.kept
    assert (fault.cell, fault.message.split(" This")[0]) == (
        "B2",
        "单位 g8 已撤销，并入 g2：改填 g2。",
    )
