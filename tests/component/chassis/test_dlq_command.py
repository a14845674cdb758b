"""`chuishao dlq` as it is typed: what it lists, and how it tells what was given wrong."""

import asyncio
import json
import os
import pwd
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deploy.cli.dlq import app
from services.chassis import outbox
from services.chassis.outbox import Outgoing
from tests.component.chassis.notes import Ground
from tests.component.chassis.test_dlq_acts import HELD, acts, dsn, held, listed

NOWHERE = ["notes:outbox/99999@1", "notes:outbox/1@1", "notes:notes/0@99", "notes:nowhere/0@1"]


async def dlq(ground: Ground, *words: str, code: int = 0) -> str:
    """Run the command as an operator does; return what it said."""
    given = [*words, f"--dsn=notes={dsn(ground)}"]
    done = await asyncio.to_thread(CliRunner().invoke, app, given)
    assert done.exit_code == code, done.output
    return done.output


async def park(ground: Ground, *topics: str) -> None:
    """Park a row for each topic, in this order, as the relay does with one that is too large."""
    rows = [Outgoing(topic, b"k", {"ce_id": "1"}, b"x", b"k") for topic in topics]
    async with ground.pool.acquire() as conn, conn.transaction():
        await outbox.write(conn, rows)
        await conn.execute("INSERT INTO outbox_parked SELECT * FROM outbox")
        await conn.execute("DELETE FROM outbox")


async def test_a_reason_is_found_however_many_others_lie_before_it(ground: Ground) -> None:
    await park(ground, "first", "second", "Third")
    said = await dlq(ground, "ls", "--json", "--reason", "sent to third: 1 BYTES", "--limit", "1")
    (found,) = json.loads(said)
    assert found["reason"] == "cannot be sent to Third: 1 bytes"
    assert json.loads(await dlq(ground, "ls", "--json", "--reason", "fourth")) == []
    assert len(json.loads(await dlq(ground, "ls", "--json"))) == 3


@pytest.mark.parametrize(("act", "option"), [("fix", "--why"), ("drop", "--reason")])
@pytest.mark.parametrize("why", ["", " \t"])
async def test_whoever_corrects_or_drops_says_why(
    ground: Ground, act: str, option: str, why: str
) -> None:
    await held(ground, b'{"state": "a-0"}')
    what = ["--set", 'by={"staff": "s-1", "role": "r", "unit": "u"}'] if act == "fix" else []
    said = await dlq(ground, act, str(HELD), option, why, *what, code=1)
    assert f"{option} 不能空着：请写明原因，会存档。" in said
    assert f"{option} must not be empty: say why; it is kept for good." in said
    assert await acts(ground) == []
    await dlq(ground, act, str(HELD), option, f" 写坏了{why} ", *what)
    assert [why for _, _, why, *_ in await acts(ground)] == ["写坏了"]


async def test_whoever_acts_for_another_is_noted_with_his_account(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "mallory")
    await held(ground, b'{"state": "a-0"}', behind=1)
    by = ("--set", 'by={"staff": "s-1", "role": "r", "unit": "u"}', "--by", "op-1")
    await dlq(ground, "fix", str(HELD), "--why", "x", *by)
    await dlq(ground, "replay", str(HELD), "--no-wait", "--by", "op-2")
    released = await ground.pool.fetchval("SELECT released_by FROM quarantine_release")
    await dlq(ground, "drop", str(HELD), "--reason", "x")
    account = pwd.getpwuid(os.getuid()).pw_name
    assert released == f"op-2 ({account})"
    assert [(act, who) for act, who, *_ in await acts(ground)] == [
        ("fixed", f"op-1 ({account})"),
        ("dropped", account),
    ]
    said = await dlq(ground, "drop", str(HELD), "--reason", "x", "--by", " ", code=2)
    assert "应为 1 到 64 个可见字符" in said


@pytest.mark.parametrize("place", NOWHERE)
async def test_where_nothing_lies_it_is_said_that_there_is_no_such_record(
    ground: Ground, place: str
) -> None:
    for words in (["show"], ["drop", "--reason", "x"], ["replay"]):
        said = await dlq(ground, words[0], place, *words[1:], code=1)
        assert f"{place}：那里没有被搁置的记录" in said
        assert f"{place}: nothing is set aside there" in said


async def test_a_body_that_cannot_be_written_is_told_by_its_file(
    ground: Ground, tmp_path: Path
) -> None:
    await held(ground)
    for file in (tmp_path, tmp_path / "nowhere" / "raw"):
        said = await dlq(ground, "show", str(HELD), "--raw", str(file), code=1)
        assert f"--raw {file}：写不了" in said
        assert "Name a file that can be written" in said
    assert len(await listed(ground)) == 1
