"""Workbooks in and out of the registry, through ledger's own door on a real socket."""

import asyncio
import json
import os
import pwd
from typing import Any

import asyncpg
import openpyxl
import pytest

from deploy.exchange.batch import take_back
from deploy.exchange.books import write_registry, write_report
from deploy.local.errors import LocalStackError
from deploy.local.set_aside import opened
from tests.component.ledger.desk import HOUSES, PEOPLE, Desk, number
from tests.waiting import PATIENCE_S, until

HELD = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"


async def test_a_workbook_is_recorded_as_one_set(desk: Desk) -> None:
    outcome = await desk.bring(desk.family("王秀英", "𠮷·买买提"), "spring")
    assert (outcome.state, outcome.new, outcome.rows) == (
        "recorded",
        3,
        {"household": 1, "person": 2, "link": 0},
    )
    town = await desk.town()
    assert town.records["household", "h1"] == {
        "grid": "g1",
        "address": "河边 3 号",
        "head": "h1-0",
    }
    assert town.records["person", "h1-1"] == {
        "household": "h1",
        "name": "𠮷·买买提",
        "id_number": number(3),
        "sex": "2",
        "relation": "20",
    }
    sets = await desk.office.rows("change_set")
    assert {one["change_set_id"]: one["entries"] for one in sets} == {"units": 1, "spring": 3}


async def test_a_dry_run_tells_the_same_and_changes_nothing(desk: Desk) -> None:
    path = desk.family("王秀英")
    outcome = await desk.bring(path, dry_run=True)
    assert (outcome.state, outcome.new) == ("checked", 2)
    assert len(await desk.office.rows("change_set")) == 1
    after = await desk.bring(path)
    assert (after.batch, after.new, after.rows) == (outcome.batch, outcome.new, outcome.rows)


async def test_the_same_batch_twice_changes_nothing(desk: Desk) -> None:
    path = desk.family("王秀英")
    await desk.bring(path, "spring")
    before = await desk.office.rows("registry_record")
    assert (await desk.bring(path, "spring")).state == "unchanged"
    assert (await desk.bring(path, "summer")).state == "unchanged"
    assert await desk.office.rows("registry_record") == before
    with pytest.raises(LocalStackError, match="--batch spring: it is recorded with other content"):
        await desk.bring(desk.family("李四"), "spring")


async def test_the_same_batch_from_two_at_once_is_recorded_once(desk: Desk) -> None:
    path = desk.family("王秀英")
    both = await asyncio.gather(desk.bring(path, "spring"), desk.bring(path, "spring"))
    assert "recorded" in {one.state for one in both}
    assert {one.state for one in both} <= {"recorded", "known", "unchanged"}
    assert len(await desk.office.rows("registry_record")) == 3


async def test_what_goes_out_comes_in_again_as_no_change(desk: Desk) -> None:
    await desk.bring(desk.family("王秀英", "·𠮷"), "spring")
    out = desk.folder / "out.xlsx"
    counts = write_registry(out, await desk.town(), lambda _: None)
    assert counts == {"household": 1, "person": 2, "link": 0}
    assert out.stat().st_mode & 0o077 == 0
    outcome = await desk.bring(out)
    assert (outcome.state, outcome.faults.kept) == ("unchanged", [])
    cells = [cell for row in openpyxl.load_workbook(out)["人员"] for cell in row]
    assert {cell.data_type for cell in cells if cell.value} == {"s"}


async def test_a_formula_that_is_recorded_goes_out_as_text(desk: Desk) -> None:
    line = {"kind": "person", "id": "p1", "body": {"name": "=1+1"}}
    assert (await desk.office.post_set("s", [line])).status_code == 200
    out = desk.folder / "out.xlsx"
    write_registry(out, await desk.town(), lambda _: None)
    cell = openpyxl.load_workbook(out)["人员"]["C2"]
    assert (cell.value, cell.data_type) == ("'=1+1", "s")


async def test_a_column_that_is_not_there_leaves_what_is_recorded(desk: Desk) -> None:
    line = {"kind": "person", "id": "h1-0", "body": {"name": "王秀英", "phone": "13800000000"}}
    await desk.office.post_set("s", [line])
    path = desk.book(
        户=[HOUSES, ("h1", "g1", None)],
        人员=[("人员编号", "户编号", "姓名", "关系"), ("h1-0", "h1", "王秀莲", "户主")],
    )
    assert (await desk.bring(path)).state == "recorded"
    kept = (await desk.town()).records["person", "h1-0"]
    assert (kept["name"], kept["phone"]) == ("王秀莲", "13800000000")
    blank = desk.book(
        人员=[
            ("人员编号", "户编号", "姓名", "关系", "电话"),
            ("h1-0", "h1", "王秀莲", "户主", None),
        ]
    )
    assert (await desk.bring(blank)).changed == 1
    assert "phone" not in (await desk.town()).records["person", "h1-0"]


async def test_who_has_no_id_is_known_by_the_citizen_number(desk: Desk) -> None:
    await desk.bring(desk.family("王秀英"), "spring")
    rows = [
        (None, "h1", "王秀莲", number(2), "女", "户主", None),
        (None, "h1", "小明", number(5), "男", "子", None),
    ]
    outcome = await desk.bring(desk.book(人员=[PEOPLE, *rows]))
    assert (outcome.state, outcome.changed, outcome.new) == ("recorded", 1, 1)
    ids = [key for key in (await desk.town()).records if key[0] == "person"]
    assert len(ids) == 2
    assert ("person", "h1-0") in ids
    assert number(5) not in str(ids)


def person(**given: Any) -> dict[str, Any]:
    return {"人员编号": "p1", "户编号": "h0", "姓名": "张三", "与户主关系": "户主", **given}


@pytest.mark.parametrize(
    ("given", "cell", "says"),
    [
        pytest.param({"身份证号": 1.10105194912310e17}, "E2", "末几位已经丢了", id="rounded"),
        pytest.param({"身份证号": "1.10105E+17"}, "E2", "末几位已经丢了", id="rounded-text"),
        pytest.param({"身份证号": "110105194912310021"}, "E2", "校验码不对", id="check"),
        pytest.param({"身份证号": "110105491231002"}, "E2", "15 位旧号", id="old"),
        pytest.param({"姓名": "=1+1"}, "C2", "是公式", id="formula"),
        pytest.param({"姓名": "'=1+1"}, "C2", "不能以 = + - @ 开头", id="formula-as-text"),
        pytest.param({"姓名": "@张三"}, "C2", "不能以 = + - @ 开头", id="at"),
        pytest.param({"姓名": 7}, "C2", "应为姓名", id="number-as-name"),
        pytest.param({"姓名": True}, "C2", "是非值", id="truth"),
        pytest.param({"姓名": None}, "C2", "必须填写", id="blank"),
        pytest.param({"户编号": "h9"}, "B2", "没有户 h9", id="household"),
        pytest.param({"与户主关系": "子"}, "D2", "没有户主", id="headless"),
        pytest.param({"出生日期": "2月30日"}, "F2", "应为日期", id="day"),
        pytest.param({"出生日期": "2099-01-01"}, "F2", "在将来", id="future"),
        pytest.param({"人员编号": "甲"}, "A2", "", id="id"),
        pytest.param({"人员编号": number(2)}, "A2", "会给一个", id="number-as-id"),
        pytest.param({"人员编号": "13800000000"}, "A2", "会给一个", id="phone-as-id"),
    ],
)
async def test_a_bad_cell_is_told_by_its_address(
    desk: Desk, given: dict[str, Any], cell: str, says: str
) -> None:
    row = person(**{"身份证号": number(2), "出生日期": None, **given})
    path = desk.book(户=[HOUSES, ("h0", "g1", "")], 人员=[[*row], [*row.values()]])
    outcome = await desk.bring(path)
    assert outcome.state == "faulty"
    (fault,) = outcome.faults.kept
    assert (fault.sheet, fault.cell) == ("人员", cell)
    assert says in fault.message
    assert len(await desk.office.rows("change_set")) == 1
    report = desk.folder / "report.xlsx"
    write_report(report, outcome)
    assert [one.value for one in openpyxl.load_workbook(report)["问题"][2]] == [
        fault.sheet,
        fault.cell,
        fault.header,
        fault.message,
    ]


async def test_a_household_on_a_grid_that_is_not_there_is_told(desk: Desk) -> None:
    outcome = await desk.bring(desk.book(户=[HOUSES, ("h1", "g9", "")]))
    assert [str(one).split("：")[:2] for one in outcome.faults] == [
        ["户!B2 网格编号", "没有单位 g9"]
    ]


async def test_two_people_with_one_citizen_number_are_told(desk: Desk) -> None:
    await desk.bring(desk.family("王秀英"), "spring")
    rows = [
        ("p1", "h1", "甲", number(7), "男", "子", None),
        ("p2", "h1", "乙", number(7), "男", "子", None),
        ("p3", "h1", "丙", number(2), "男", "子", None),
        ("p3", "h1", "丙", number(8), "男", "子", None),
    ]
    outcome = await desk.bring(desk.book(人员=[PEOPLE, *rows]))
    told = {one.cell: one.message.split("：")[0] for one in outcome.faults}
    assert told == {
        "A5": "第 4 行已有这一条",
        "D3": "与第 2 行的身份证号相同",
        "D4": "与已登记的人员 h1-0的身份证号相同",
    }
    assert not any(one in str([*outcome.faults]) for one in (number(2), number(7), "丙"))


async def test_what_people_type_is_brought_to_one_form(desk: Desk) -> None:
    path = desk.book(
        户=[("户号*", "所属网格"), (7, "ｇ１")],
        人员=[
            ("镇人员登记表",),
            ("编号", "户号", "姓 名", "身份证号码（18位）", "出生年月日", "关系", "手机号"),
            (),
            (1, "７", " 张三 ", "１１０１０５ 19491231 002x", "1949年12月31日", 2, 13800000000),
            (None, None, None),
            (2, 7.0, "李四", None, "1990/1/31", "妻", "138-0000-0001"),
        ],
    )
    outcome = await desk.bring(path)
    assert (outcome.faults.kept, outcome.state) == ([], "recorded")
    records = (await desk.town()).records
    assert records["person", "1"] == {
        "household": "7",
        "name": "张三",
        "id_number": "11010519491231002X",
        "birth_date": "1949-12-31",
        "relation": "02",
        "phone": "13800000000",
    }
    assert records["person", "2"]["birth_date"] == "1990-01-31"
    assert records["person", "2"]["phone"] == "13800000001"


async def test_an_import_that_is_killed_half_way_leaves_nothing(
    desk: Desk, ledger_dsn: str
) -> None:
    path, one = desk.family("王秀英"), await asyncpg.connect(ledger_dsn)
    async with one.transaction():
        await one.execute("SELECT pg_advisory_xact_lock(4713, hashtext($1))", desk.office.tenant)
        killed = await desk.command("import", str(path), "--batch", "spring")
        await until(lambda: one.fetchval(HELD), "the door waits for its turn")
        killed.kill()
        await killed.wait()
        await one.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks "
            "WHERE locktype = 'advisory' AND NOT granted"
        )
    await one.close()
    assert len(await desk.office.rows("change_set")) == 1
    assert (await desk.bring(path, "spring")).state == "recorded"


async def test_what_somebody_else_changes_meanwhile_is_told_and_stays(
    desk: Desk, ledger_dsn: str
) -> None:
    await desk.bring(desk.family("王秀英"), "spring")
    path, office = desk.family("王秀莲"), desk.office
    theirs = [{"kind": "person", "id": "h1-0", "body": {"name": "王秀兰", "household": "h1"}}]
    async with opened(ledger_dsn) as one:
        turn = one.transaction()
        await turn.start()
        await one.execute("SELECT pg_advisory_xact_lock(4713, hashtext($1))", office.tenant)
        editor = asyncio.create_task(office.post_set("editor", theirs))
        await until(lambda: one.fetchval(HELD), "the editor waits for his turn")
        importing = asyncio.create_task(desk.bring(path, "summer"))
        await until(lambda: one.fetchval(f"SELECT ({HELD}) = 2"), "the import waits behind him")
        await turn.commit()
    assert (await editor).status_code == 200
    outcome = await importing
    assert (outcome.state, [one.cell for one in outcome.faults.kept]) == ("faulty", ["第 2 行"])
    assert (await desk.town()).records["person", "h1-0"]["name"] == "王秀兰"


async def test_the_command_brings_checks_shows_and_takes_back(desk: Desk) -> None:
    async def say(*arguments: str) -> tuple[int | None, dict[str, Any]]:
        ended = await desk.command(*arguments, "--json")
        async with asyncio.timeout(PATIENCE_S):
            said, _ = await ended.communicate()
        return ended.returncode, json.loads(said)

    path, out = str(desk.family("王秀英")), str(desk.folder / "out.xlsx")
    code, told = await say("import", path, "--batch", "spring")
    assert (code, told["state"], told["new"]) == (0, "recorded", 2)
    assert (await say("export", out))[1]["rows"] == {"household": 1, "person": 1, "link": 0}
    acts = [row for row in await desk.office.rows("audit") if row["verb"] == "registry.export"]
    assert [(row["actor"], row["fields"]) for row in acts] == [
        (pwd.getpwuid(os.getuid()).pw_name, ["household:1", "person:1"])
    ]
    bad, report = str(desk.book(户=[HOUSES, ("h2", "g9", "")])), desk.folder / "report.xlsx"
    code, told = await say("import", bad, "--report", str(report))
    assert (code, told["faults_total"], told["faults"][0]["cell"]) == (1, 1, "B2")
    assert report.exists()
    code, told = await say("undo", "spring")
    assert (code, told["state"], told["removed"]) == (0, "recorded", 2)
    assert (await desk.town()).records == {}


async def test_undo_restores_what_a_batch_took_the_place_of(desk: Desk) -> None:
    await desk.bring(desk.family("王秀英"), "spring")
    before = (await desk.town()).records
    await desk.bring(desk.family("王秀莲", "小明"), "summer")
    assert (await take_back(desk.bringing, "summer", dry_run=True))["state"] == "checked"
    told = await take_back(desk.bringing, "summer", dry_run=False)
    assert (told["restored"], told["removed"]) == (1, 1)
    assert (await desk.town()).records == before
    assert (await take_back(desk.bringing, "summer", dry_run=False))["state"] == "known"
    with pytest.raises(LocalStackError, match="--batch summer: it was undone"):
        await desk.bring(desk.family("王秀莲", "小明"), "summer")
    assert (await take_back(desk.bringing, "undo-summer", dry_run=False))["state"] == "recorded"


async def test_undo_is_refused_where_a_record_was_changed_since(desk: Desk) -> None:
    await desk.bring(desk.family("王秀英"), "spring")
    await desk.bring(desk.family("王秀莲"), "summer")
    with pytest.raises(LocalStackError, match="人员 h1-0（summer）"):
        await take_back(desk.bringing, "spring", dry_run=False)
    assert len(await desk.office.rows("change_set")) == 3
    for unknown in ("units", "no-such-batch"):
        with pytest.raises(LocalStackError, match="there is no such import"):
            await take_back(desk.bringing, unknown, dry_run=False)


async def test_reindexing_by_the_command_makes_findable_what_was_there_before(desk: Desk) -> None:
    await desk.bring(desk.family("王秀英"), "spring")
    before = await desk.office.rows("registry_index")
    await desk.office.pool.execute(
        "DELETE FROM registry_index WHERE tenant_id = $1", desk.office.tenant
    )
    ended = await desk.command("reindex")
    said, wrong = await ended.communicate()
    assert (ended.returncode, wrong) == (0, b"")
    assert "versions are findable" in said.decode()
    after = await desk.office.rows("registry_index")
    assert {tuple(one) for one in after} == {tuple(one) for one in before} != set()
