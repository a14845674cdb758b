"""An import tells what the door would say; undo gives back what held."""

from typing import Any

import pytest

from deploy.exchange.batch import take_back
from deploy.exchange.town import replaced_by, town_held
from tests.component.ledger.desk import HOUSES, Desk

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
