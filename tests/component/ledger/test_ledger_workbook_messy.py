"""A workbook as it comes from a village: each fault once, at its cell, in the file's order."""

import openpyxl
import pytest

from deploy.exchange.batch import Outcome
from deploy.exchange.books import write_registry
from tests import factories
from tests.component.ledger.desk import HOUSES, PEOPLE, Desk, number

HEADED = [HOUSES, ("h1", "g1", "")]


def told(outcome: Outcome) -> list[tuple[str, str]]:
    return [(f"{one.sheet}!{one.cell}", one.message.split("：")[0]) for one in outcome.faults]


async def test_a_messy_workbook_is_told_fault_by_fault(desk: Desk) -> None:
    path = desk.folder / "messy.xlsx"
    book = openpyxl.Workbook()
    homes = book.active
    assert homes is not None
    homes.title = "户"
    for home in [("春季登记",), HOUSES, ("ｈ１", "g1", ""), (), ("h 二", "g1"), ("h3", "g9")]:
        homes.append(list(home))
    people = book.create_sheet("人员")
    wide = "".join(chr(ord(one) + 0xFEE0) for one in number(2))
    wrong = number(4)[:-1] + ("0" if number(4)[-1] != "0" else "1")
    rows = [
        ("基本情况", "", "", "", "家庭情况"),
        PEOPLE,
        (None, "h1", "阿依古丽·买买提", wide, "女", "户主", None),
        (),
        (None, "h1", "𠮷" * 50, number(3), "男", "子", None),
        (None, "h1", "=1+1", wrong, "男", "子", None),
        (None, "h1", "张三", 110105194912310000, "男", "子", None),
        (None, "h1", "李四", "110105491231002", "男", "子", None),
        (None, "h1", "王五", number(3), "男", "长子", None),
        (None, "h1", "赵六", None, "男", "子", None),
        ("p9", "h3", "孙七", None, "男", "户住", None),
        ("p8", None, "周八", None, "女", "妻", None),
    ]
    for row in rows:
        people.append(list(row))
    people.merge_cells("B11:B12")
    book.save(path)
    outcome = await desk.bring(path)
    assert told(outcome) == [
        ("户!A5", "编号只能用字母、数字和 . _ : -，以字母或数字开头，最多 64 个字符"),
        ("户!B6", "没有单位 g9"),
        ("人员!第 1 行", "表头有两行"),
        ("人员!C6", "是公式，这里不计算"),
        ("人员!D6", "校验码不对，有一位抄错了"),
        ("人员!D7", "表格软件把它当成了数字，末几位已经丢了（如 1.10105E+17）"),
        ("人员!D8", "15 位旧号已停用"),
        ("人员!D9", "与第 5 行的身份证号相同"),
        ("人员!F9", "应为其中之一"),
        ("人员!A10", "填写编号；人员可以只填身份证号。 Give an id, or a person's citizen number."),
        ("人员!B11:B12", "合并了单元格，只有左上一格有内容"),
        ("人员!F11", "应为其中之一"),
    ]


async def test_people_without_an_id_are_each_somebody(desk: Desk) -> None:
    rows = [
        (None, "h1", "甲", "11010519491231", "女", "户主", None),
        (None, "h1", "乙", "1101051949123", "男", "子", None),
    ]
    outcome = await desk.bring(desk.book(户=HEADED, 人员=[PEOPLE, *rows]))
    assert [place for place, _ in told(outcome)] == ["人员!D2", "人员!D3"]


async def test_names_and_phones_are_tidied_or_told_by_their_cells(desk: Desk) -> None:
    rows = [
        ("p1", "h1", "\ufeff张\u200b三·𠮷", None, "女", "户主", "١٣٨٠٠٠٠٠٠٠٠"),
        ("p2", "h1", "𠮷" * 51, None, "男", "子", None),
        ("p3", "h1", "李\n四", None, "男", "子", "abc"),
        ("p4", "h1", "\u200b", None, "男", "子", "https://x"),
        ("p5", "h1", "\u200b=1+1", None, "男", "子", "0546-1234567"),
    ]
    outcome = await desk.bring(desk.book(户=HEADED, 人员=[PEOPLE, *rows]))
    assert [place for place, _ in told(outcome)] == [
        f"人员!{place}" for place in ("C3", "C4", "G4", "C5", "G5", "C6")
    ]
    good = desk.book(户=HEADED, 人员=[PEOPLE, rows[0]])
    assert (await desk.bring(good)).state == "recorded"
    kept = (await desk.town()).records["person", "p1"]
    assert (kept["name"], kept["phone"]) == ("张三·𠮷", "13800000000")
    assert (await desk.bring(good)).state in ("unchanged", "known")


async def test_a_class_is_given_by_its_name_and_an_unknown_one_told_before_it_is_sent(
    desk: Desk,
) -> None:
    town = factories.town_lines("gucheng", "gucheng")
    profile = next(dict(one) for one in town if one["kind"] == "profile")
    assert (await desk.office.post_set("profile", [profile])).status_code == 200
    headers = ("户编号", "网格编号", "户类别")
    path = desk.book(户=[headers, ("h1", "g1", "监测户"), ("h2", "g1", "ordinary")])
    assert (await desk.bring(path)).state == "recorded"
    kept = (await desk.town()).records
    classes = [kept["household", one]["household_class"] for one in ("h1", "h2")]
    assert classes == ["monitored", "ordinary"]
    out = desk.folder / "out.xlsx"
    write_registry(out, await desk.town(), lambda _: None)
    written = [row[3].value for row in openpyxl.load_workbook(out)["户"].iter_rows(min_row=2)]
    assert written == ["监测户", "一般户"]
    assert (await desk.bring(out)).state == "unchanged"
    unknown = desk.book(户=[headers, ("h3", "g1", "五保户")])
    outcome = await desk.bring(unknown, dry_run=True)
    assert [(one.cell, one.message.split("：")[1][:6]) for one in outcome.faults] == [
        ("C2", "改为 一般户")
    ]


async def test_a_household_belongs_to_a_grid_and_what_is_recorded_otherwise_stays(
    desk: Desk,
) -> None:
    village = {"kind": "unit", "id": "v1", "body": {"level": "village", "zh": "村", "parent": "g1"}}
    old = {"kind": "household", "id": "h0", "body": {"grid": "v1"}}
    assert (await desk.office.post_set("old", [village, old])).status_code == 200
    town = factories.town_lines("gucheng", "gucheng")
    profile = next(dict(one) for one in town if one["kind"] == "profile")
    assert (await desk.office.post_set("profile", [profile])).status_code == 200
    rows = [HOUSES, ("h0", "v1", ""), ("h1", "g1", ""), ("h2", "v1", "")]
    (fault,) = (await desk.bring(desk.book(户=rows))).faults.kept
    assert (fault.cell, fault.message.split("，")[0]) == ("B4", "它是行政村")
    assert (await desk.bring(desk.book(户=rows[:3]))).state == "recorded"


async def test_a_household_of_the_file_that_its_head_leaves_has_none(desk: Desk) -> None:
    lines = [
        {"kind": "household", "id": "h1", "body": {"grid": "g1", "head": "p1"}},
        {"kind": "person", "id": "p1", "body": {"name": "甲", "household": "h1"}},
        {"kind": "household", "id": "h2", "body": {"grid": "g1"}},
    ]
    assert (await desk.office.post_set("family", lines)).status_code == 200
    moved = [PEOPLE, ("p1", "h2", "甲", None, None, "户主", None)]
    outcome = await desk.bring(desk.book(户=[HOUSES, ("h1", "g1", "河边")], 人员=moved))
    assert (outcome.state, outcome.faults.kept) == ("recorded", [])
    records = (await desk.town()).records
    assert records["household", "h1"] == {"grid": "g1", "address": "河边"}
    assert records["household", "h2"]["head"] == "p1"


@pytest.mark.parametrize("area", ["B2:C2", "A3:A4"])
async def test_what_a_merged_area_hides_is_told_by_the_area_alone(desk: Desk, area: str) -> None:
    book, path = openpyxl.Workbook(), desk.folder / "merged.xlsx"
    sheet = book.active
    assert sheet is not None
    sheet.title = "户"
    for row in [HOUSES, ("h1", "g1", ""), ("h2", "g1", ""), ("h3", "g1", "")]:
        sheet.append(list(row))
    sheet.merge_cells(area)
    book.save(path)
    assert [place for place, _ in told(await desk.bring(path))] == [f"户!{area}"]
