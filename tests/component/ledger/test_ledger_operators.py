"""What an operator types on a running stack: a mistyped town or name is told."""

import json
from typing import Any

from deploy.local.keys import rotate
from services.doors.revoked import FILE
from tests.component.ledger.desk import Desk

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
