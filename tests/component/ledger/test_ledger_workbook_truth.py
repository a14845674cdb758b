"""An import tells what the door would say; undo gives back what held."""

import json
import os
import pwd
from typing import Any

import pytest

from deploy.exchange.batch import take_back
from deploy.exchange.town import replaced_by, town_held
from services.ledger.domain.numbers import citizen_check
from tests.component.ledger.desk import HOUSES, PEOPLE, Desk

PAST, EARLIER, COMING = (
    "2024-01-01T00:00:00+08:00",
    "2022-01-01T00:00:00+08:00",
    "2099-01-01T00:00:00+08:00",
)


def home(address: str, name: str = "h1") -> dict[str, Any]:
    return {"kind": "household", "id": name, "body": {"grid": "g1", "address": address}}


async def posted(desk: Desk, name: str, *lines: dict[str, Any], **about: str) -> None:
    answer = await desk.office.post_set(name, lines, **about)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("other", [EARLIER, COMING])
async def test_undo_gives_back_what_held_and_not_the_version_below(desk: Desk, other: str) -> None:
    await posted(desk, "first", home("A"), valid_from=PAST)
    await posted(desk, "other", home("X"), valid_from=other)
    assert (await desk.bring(desk.book(户=[HOUSES, ("h1", "g1", "C")]), "b")).state == "recorded"
    told = await take_back(desk.bringing, "b", dry_run=False)
    assert (told["restored"], told["removed"]) == (1, 0)
    assert (await desk.town()).records["household", "h1"]["address"] == "A"


async def test_undo_removes_what_was_there_only_from_a_moment_to_come(desk: Desk) -> None:
    await posted(desk, "first", home("A"), valid_from=COMING)
    outcome = await desk.bring(desk.book(户=[HOUSES, ("h1", "g1", "C")]), "b")
    assert (outcome.state, outcome.new, outcome.faults.kept) == ("recorded", 1, [])
    assert (await take_back(desk.bringing, "b", dry_run=False))["removed"] == 1
    assert (await desk.town()).records == {}


async def test_a_town_is_read_page_by_page_to_its_end(desk: Desk) -> None:
    await desk.bring(desk.family("王秀英", "小明", "小红"), "b")
    await posted(desk, "gone", {"kind": "person", "id": "h1-2", "body": None})
    one = desk.bringing
    whole = await town_held(one.dsn, one.tenant_id, one.keys)
    assert await town_held(one.dsn, one.tenant_id, one.keys, page=1) == whole
    assert len(whole.records) == 3
    assert ("person", "h1-2") in whole.ended
    parts = await replaced_by(one.dsn, one.tenant_id, "b", one.keys, page=1)
    assert parts == await replaced_by(one.dsn, one.tenant_id, "b", one.keys)
    assert [part.record_id for part in parts] == ["h1", "h1-0", "h1-1", "h1-2"]


async def test_a_dry_run_tells_what_the_door_alone_can_see(desk: Desk) -> None:
    body = {"grid": "g1", "head": "p9"}
    path = desk.folder / "set.ndjson"
    path.write_text(json.dumps({"kind": "household", "id": "h1", "body": body}), "utf-8")
    tried = await desk.bring(path, dry_run=True)
    assert (tried.state, [one.header for one in tried.faults]) == ("faulty", ["head"])
    assert (await desk.bring(path)).faults.kept == tried.faults.kept


async def test_what_a_person_should_look_at_is_told_by_its_row(desk: Desk) -> None:
    await posted(desk, "late", home("后"), valid_from=COMING)
    foreign = "000000194912310020"
    people = [
        PEOPLE,
        (),
        ("p1", "h1", "王秀英", foreign[:17] + citizen_check(foreign[:17]), "女", "户主", None),
    ]
    path = desk.book(户=[HOUSES, ("h1", "g1", "C")], 人员=people)
    tried = await desk.bring(path, dry_run=True)
    done = await desk.bring(path)
    assert (tried.state, done.state) == ("checked", "recorded")
    assert tried.warnings == done.warnings
    place, followed = done.warnings
    assert place.startswith("人员!第 3 行 person/p1")
    assert "人员!Line 3 person/p1" in place
    for said in ("已记入", "recorded"):  # a dry run records nothing
        assert said not in place
    assert followed.startswith("household/h1：已登记从 2098-12-31T16:00+00:00 起的另一版")


async def test_the_command_prints_what_to_look_at(desk: Desk) -> None:
    await posted(desk, "late", home("后"), valid_from=COMING)
    path = str(desk.book(户=[HOUSES, ("h1", "g1", "C")]))
    ended = await desk.command("import", path, "--batch", "b")
    said, _ = await ended.communicate()
    assert "请核对 1 处，不影响登记 · 1 to look at" in said.decode()
    assert "another version holds from" in said.decode().replace("\n", " ")


async def heads(desk: Desk) -> dict[str, str | None]:
    records = (await desk.town()).records
    return {name: body.get("head") for (kind, name), body in records.items() if kind == "household"}


async def test_the_one_head_among_a_households_people_becomes_its_head(desk: Desk) -> None:
    outcome = await desk.bring(desk.family("王秀英", "小明"), "b")
    assert (outcome.state, outcome.new) == ("recorded", 3)
    assert await heads(desk) == {"h1": "h1-0"}
    rows = [
        ("h1-0", "h1", "王秀英", None, None, "妻", None),
        ("h1-1", "h1", "小明", None, None, "户主", None),
    ]
    changed = await desk.bring(desk.book(人员=[PEOPLE, *rows]), "c")
    assert (changed.state, changed.changed, changed.rows["household"]) == ("recorded", 3, 0)
    assert await heads(desk) == {"h1": "h1-1"}
    assert (await take_back(desk.bringing, "c", dry_run=False))["restored"] == 3
    assert await heads(desk) == {"h1": "h1-0"}


async def test_a_household_recorded_without_its_head_is_mended_by_the_next_import(
    desk: Desk,
) -> None:
    people = [
        {"kind": "person", "id": "p1", "body": {"household": "h1", "name": "王", "relation": "02"}}
    ]
    await posted(desk, "old", home("A"), *people)
    path = desk.book(人员=[("人员编号", "户编号", "姓名", "关系"), ("p1", "h1", "王", "户主")])
    assert ((await desk.bring(path)).changed, await heads(desk)) == (1, {"h1": "p1"})
    assert (await desk.bring(path)).state == "unchanged"


async def test_a_head_who_moves_in_an_import_is_the_head_of_nobody_he_left(desk: Desk) -> None:
    await desk.bring(desk.family("王秀英", "小明"), "b")
    await desk.bring(desk.family("李四", home="h2", first=9), "c")
    rows = [("h1-0", "h2", "王秀英", None, None, "配偶", None)]
    moved = await desk.bring(desk.book(人员=[PEOPLE, *rows]), "d")
    assert (moved.state, moved.changed) == ("recorded", 2)
    assert await heads(desk) == {"h1": None, "h2": "h2-0"}


async def test_a_head_does_not_leave_through_the_door_and_stay_head(desk: Desk) -> None:
    await desk.bring(desk.family("王秀英"), "b")
    gone = {"kind": "person", "id": "h1-0", "body": {"name": "王秀英"}}
    answer = await desk.office.post_set("gone", [gone])
    (fault,) = answer.json()["errors"]
    assert (answer.status_code, fault["id"], fault["field"]) == (409, "h1-0", "household")
    assert "仍是户 h1 的户主" in fault["message"]
    await posted(desk, "both", gone, home("A"))
    await posted(desk, "again", {**gone, "body": {"name": "王秀莲"}})


async def test_an_old_head_who_lives_elsewhere_stops_no_other_change(desk: Desk) -> None:
    await desk.bring(desk.family("王秀英"), "b")
    await desk.office.pool.execute(
        "UPDATE registry_record SET body = body - 'household' "
        "WHERE tenant_id = $1 AND kind = 'person'",
        desk.office.tenant,
    )
    await posted(desk, "s", {"kind": "person", "id": "h1-0", "body": {"name": "王秀莲"}})


async def test_the_audit_log_names_the_account_whatever_the_environment_or_the_option_says(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "mallory")
    path, out = str(desk.family("王秀英", "小明")), str(desk.folder / "out.xlsx")
    for given in (
        ("import", path, "--batch", "b"),
        ("export", out, "--by", "op-1"),
        ("erase", "person", "h1-1", "--reason", "申请 7", "--by", "op-1"),
        ("undo", "none"),
    ):
        await (await desk.command(*given)).communicate()
    account = pwd.getpwuid(os.getuid()).pw_name
    acts = [(one["verb"], one["actor"]) for one in await desk.office.rows("audit")]
    assert acts == [
        ("registry.record", "dev"),
        ("registry.record", account),
        ("registry.export", f"op-1 ({account})"),
        ("registry.erase", f"op-1 ({account})"),
    ]


async def test_who_is_named_must_be_somebody(desk: Desk) -> None:
    ended = await desk.command("export", str(desk.folder / "out.xlsx"), "--by", " ")
    _, said = await ended.communicate()
    assert ended.returncode == 2
    assert "应为 1 到 64 个可见字符" in said.decode()
