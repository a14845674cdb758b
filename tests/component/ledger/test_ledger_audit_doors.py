"""What the registry's doors leave in the audit log."""

import asyncpg
import pytest

from services.ledger.store import audit
from tests.component.ledger.office import Office


async def acts_of(office: Office) -> list[asyncpg.Record]:
    async with office.pool.acquire() as conn:
        return await audit.latest(conn, office.tenant, 10)


UNITS = [
    {"kind": "unit", "id": "a", "body": {"level": "town", "zh": "a"}},
    {"kind": "unit", "id": "b", "body": {"level": "grid", "zh": "b", "parent": "a"}},
]


async def test_a_recorded_set_is_an_act_and_one_that_is_not_is_none(office: Office) -> None:
    await office.post_set("s1", UNITS, reason="村改居")
    await office.post_set("s1", UNITS)
    await office.post_set("s2", [{"kind": "unit", "id": "c", "body": {}}])
    await office.post_set("s3", [{"kind": "unit", "id": "b", "body": None}])
    last, act = await acts_of(office)
    assert (act["actor"], act["verb"], act["object"]) == ("dev", "registry.record", "change_set/s1")
    assert (act["fields"], act["reason"], act["decision"]) == (["unit:2"], "村改居", "allowed")
    (kept, _) = await office.rows("change_set")
    assert act["after_digest"] == kept["digest"]
    assert (last["object"], last["fields"], last["reason"]) == ("change_set/s3", ["-unit:1"], None)


@pytest.mark.parametrize("reason", ["", " \u3000", "a\x00b", "长" * 201])
async def test_a_reason_that_cannot_be_kept_is_refused_by_its_name(
    office: Office, reason: str
) -> None:
    answer = await office.post_set("s1", UNITS, reason=reason)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "reason"
    assert await acts_of(office) == []


async def test_each_move_of_the_clock_is_an_act(office: Office) -> None:
    await office.clock(set_to="2025-03-03T08:30:00+08:00")
    await office.clock(advance_s=60)
    await office.clock(advance_s=-1)
    last, act = await acts_of(office)
    assert {one["verb"] for one in (last, act)} == {"clock.move"}
    assert (act["actor"], act["object"]) == ("dev", "change_set/~clock-1")
    assert act["after_digest"] == last["before_digest"] != last["after_digest"]
