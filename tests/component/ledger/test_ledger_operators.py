"""What an operator types on a running stack: a mistyped town or name is told."""

import json
from typing import Any

import openpyxl
import pytest

from deploy.local.keys import forget, rotate
from services.doors.revoked import FILE
from tests.component.ledger.desk import GRID, HOUSES, Desk
from tests.component.ledger.office import Office

STAFF: dict[str, Any] = {"kind": "staff", "id": "w-1", "body": {"name": "王秀英", "posts": []}}


async def said(desk: Desk, *words: str, code: int = 0) -> str:
    ended = await desk.operate(*words)
    out, err = await ended.communicate()
    assert ended.returncode == code, (out + err).decode()
    return (out + err).decode()


def taken_back(desk: Desk) -> list[tuple[str, str]]:
    """Return who is on the list of a town's tokens that hold no more."""
    lines = desk.office.secrets.key_file.with_name(FILE).read_text("utf-8").splitlines()
    told = [json.loads(line) for line in lines]
    return [
        (one["tenant"], one["staff"])
        for one in told
        if one["tenant"] in (desk.office.tenant, "nowhere")
    ]


async def test_tokens_of_a_town_that_is_not_there_are_not_said_to_be_taken_back(
    desk: Desk,
) -> None:
    told = await said(desk, "revoke", "w-1", "--tenant", "nowhere", code=1)
    assert "--tenant nowhere：密钥文件里没有这个镇" in told
    assert "--tenant nowhere: the key file has no such town" in told
    assert taken_back(desk) == []


async def test_a_name_that_the_registry_does_not_know_is_told_and_taken_back(desk: Desk) -> None:
    town = desk.office.tenant
    assert (await desk.office.post_set("s", [STAFF])).status_code == 200
    assert "工作人员" not in await said(desk, "revoke", "w-1", "--tenant", town)
    told = await said(desk, "revoke", "w-l", "--tenant", town)
    assert f"{town} 的登记里没有工作人员 w-l，照样收回了" in told
    assert f"the registry of {town} has no staff w-l; done all the same" in told
    assert taken_back(desk) == [(town, "w-1"), (town, "w-l")]


async def test_topics_that_were_not_looked_at_are_not_said_to_use_no_key(desk: Desk) -> None:
    town = desk.office.tenant
    rotate(desk.office.secrets.key_file, [town])
    told = await said(desk, "keys", "ls", "--tenant", town)
    assert told.count("主题未查 · topics not looked at") == 2
    assert "没有 · nothing" not in told


async def test_a_lost_key_is_told_of_its_own_town_alone(desk: Desk, neighbour: Office) -> None:
    town, file = desk.office.tenant, desk.office.secrets.key_file
    before = file.read_text("utf-8")
    person = {"kind": "person", "id": "p1", "body": {"name": "王秀英", "household": "h1"}}
    home = {"kind": "household", "id": "h1", "body": {"grid": "g1", "address": "河边 3 号"}}
    assert (await neighbour.post_set("s", [GRID, home, person])).status_code == 200
    rotate(file, [neighbour.tenant])
    forget(file, neighbour.tenant, "k1")
    try:
        assert "丢失" not in await said(desk, "keys", "ls", "--tenant", town)
        told = await said(desk, "keys", "ls", "--tenant", neighbour.tenant, code=1)
        assert f"{neighbour.tenant} k1  丢失 · LOST" in told
        assert "有密钥丢失" in told
    finally:
        file.write_text(before, "utf-8")


@pytest.mark.parametrize("act", ["ls", "reseal"])
async def test_keys_of_a_town_that_is_not_there_are_not_looked_for(desk: Desk, act: str) -> None:
    told = await said(desk, "keys", act, "--tenant", "nowhere", code=1)
    assert "--tenant nowhere: the key file has no such town" in told


async def test_a_workbook_that_cannot_be_written_is_told_before_the_work(desk: Desk) -> None:
    nowhere, there = desk.folder / "nowhere" / "x.xlsx", desk.folder / "there.xlsx"
    there.mkdir()
    family = str(desk.family("王秀英"))
    for file in (nowhere, there):
        for words in (("export", str(file)), ("import", family, "--report", str(file))):
            told = await said(desk, "registry", *words, code=1)
            assert f"{file}：写不了" in told
            assert "Name a file that can be written" in told
            assert "Traceback" not in told
    assert len(await desk.office.rows("change_set")) == 1
    assert [one["verb"] for one in await desk.office.rows("audit")] == ["registry.record"]


async def test_a_workbook_goes_out_under_a_workbooks_name_alone(desk: Desk) -> None:
    for name in ("town.csv", "town", "town.xls"):
        told = await said(desk, "registry", "export", str(desk.folder / name), code=1)
        assert f"{name}：只能写成 xlsx，没有写" in told
        assert f"{name}: only xlsx can be written" in told
        assert not (desk.folder / name).exists()
    await said(desk, "registry", "export", str(desk.folder / "town.XLSX"))
    assert [one.name for one in desk.folder.glob("*town*")] == ["town.XLSX"]


async def test_faults_that_are_not_printed_are_counted_with_the_place_of_all(desk: Desk) -> None:
    bad = str(desk.book(户=[HOUSES, *((f"h{n}", "g9", "") for n in range(25))]))
    told = await said(desk, "registry", "import", bad, code=1)
    assert "还有 5 处，--report FILE 里有全部 · 5 more: --report FILE has all" in told
    report = desk.folder / "faults.xlsx"
    told = await said(desk, "registry", "import", bad, "--report", str(report), code=1)
    assert f"5 more: {report} has all" in told
    assert openpyxl.load_workbook(report)["问题"].max_row == 26


async def test_a_report_says_that_it_has_the_first_thousand(desk: Desk) -> None:
    bad = str(desk.book(户=[HOUSES, *((f"h{n}", "g9", "") for n in range(1_005))]))
    told = await said(desk, "registry", "import", bad, code=1)
    assert "985 more: --report FILE has the first 1000" in told
