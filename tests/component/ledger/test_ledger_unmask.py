"""Personal texts unmasked: by whom, within which budget, and never without a row that says why."""

import asyncio
import signal
import sys
from typing import Any

import httpx
import pytest

from tests.component.ledger.office import Office
from tests.component.ledger.test_ledger_records import NUMBER, TOWN

PERSON = "/v1/registry/person/p1/unmask"
WHY = "上门走访前核对电话"


@pytest.fixture
async def town(office: Office) -> Office:
    assert (await office.post_set("town", TOWN)).status_code == 200
    return office


async def unmask(
    town: Office,
    *fields: str,
    path: str = PERSON,
    role: str = "grid_worker",
    at: str = "g1",
    reason: str = WHY,
) -> httpx.Response:
    headers = town.headers(role, units=[at])
    body = {"fields": fields, "reason": reason}
    return await town.http.post(path, json=body, headers=headers)


async def acts(town: Office) -> list[tuple[Any, ...]]:
    return await town.acts("registry.unmask", "actor", "object", "fields", "reason", "decision")


async def test_fields_are_shown_as_they_stand_and_the_log_says_why(town: Office) -> None:
    answer = await unmask(town, "phone", "id_number")
    assert answer.json() == {
        "kind": "person", "id": "p1", "version": 1, "left": 48,
        "fields": {"phone": "13812345678", "id_number": NUMBER},
    }  # fmt: skip
    assert await acts(town) == [("dev", "person/p1", ["phone", "id_number"], WHY, "allowed")]


@pytest.mark.parametrize(
    ("role", "at", "code"),
    [
        ("citizen", "g1", "right_missing"),
        ("town_leader", "town", "right_missing"),
        ("grid_worker", "g2", "unit_not_allowed"),
    ],
)
async def test_a_refusal_shows_nothing_costs_nothing_and_is_in_the_log(
    town: Office, role: str, at: str, code: str
) -> None:
    answer = await unmask(town, "phone", role=role, at=at)
    assert (answer.status_code, answer.json()["code"]) == (403, code)
    assert "138" not in answer.text
    expected = ("dev", "person/p1", ["phone", f"refused:{code}"], WHY, "refused")
    assert await acts(town) == [expected]
    assert await town.rows("unmask_spent") == []


@pytest.mark.parametrize(
    ("fields", "reason", "field"),
    [
        (("phone",), "走访", "reason"),
        (("phone",), "因" * 201, "reason"),
        (("phone",), "      ", "reason"),
        (("phone",), "核对 110105194912310021 的住址", "reason"),
        (("phone",), "回拨１３８００００００００", "reason"),
        ((), WHY, "fields"),
        (("phone", "phone"), WHY, "fields"),
        (("\0",), WHY, "fields.0"),
        (("张三 138",), WHY, "fields.0"),
        (("household",), WHY, "fields.household"),
        (("relation",), WHY, "fields.relation"),
    ],
)
async def test_what_is_asked_for_wrongly_is_told_by_its_field(
    town: Office, fields: tuple[str, ...], reason: str, field: str
) -> None:
    answer = await unmask(town, *fields, reason=reason)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field
    assert await acts(town) == []
    assert await town.rows("unmask_spent") == []


async def test_the_fifty_first_of_a_day_is_refused_until_the_towns_next_day(town: Office) -> None:
    await town.clock(set_to="2027-03-01T23:00:00+08:00")
    statuses = [(await unmask(town, "phone")).status_code for _ in range(49)]
    assert statuses == [200] * 49
    two = await unmask(town, "phone", "name")
    assert (two.status_code, two.json()["code"]) == (429, "unmask_budget")
    assert (await unmask(town, "phone")).json()["left"] == 0
    last = await unmask(town, "phone")
    assert (last.status_code, last.json()["code"]) == (429, "unmask_budget")
    assert last.json()["resets_at"] == "2027-03-02T00:00:00+08:00"
    assert 0 < int(last.headers["retry-after"]) <= 3601
    assert "1381" not in last.text
    assert (await acts(town))[-1][2:] == (["phone", "refused:unmask_budget"], WHY, "refused")
    await town.clock(advance_s=3_600)
    assert (await unmask(town, "phone")).json()["left"] == 49


async def test_many_at_once_never_get_more_than_the_budget(town: Office) -> None:
    answers = await asyncio.gather(*(unmask(town, "phone", "name") for _ in range(40)))
    assert sorted(one.status_code for one in answers) == [200] * 25 + [429] * 15
    assert [one["fields"] for one in await town.rows("unmask_spent")] == [50]
    assert len([one for one in await acts(town) if one[4] == "allowed"]) == 25


UNMASK_AND_DIE = """
import asyncio, pathlib, sys
from deploy.local.secrets import secrets_of
from services.chassis import crash
from tests.component.ledger.office import open_office
from tests.component.ledger.test_ledger_unmask import unmask

async def main():
    crash.arm("development")
    async with open_office(sys.argv[1], secrets_of(pathlib.Path(sys.argv[2]))) as office:
        await unmask(office.of(sys.argv[3]), "phone")

asyncio.run(main())
"""


async def test_a_process_that_dies_before_it_answers_has_left_the_row(
    town: Office, ledger_dsn: str
) -> None:
    place = town.secrets.key_file.parent.parent
    died = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", UNMASK_AND_DIE, ledger_dsn, str(place), town.tenant),
        env={"CHUISHAO_CRASH_AT": "after_unmask", "PYTHONPATH": "."},
    )
    assert await died.wait() == -signal.SIGKILL
    assert await acts(town) == [("dev", "person/p1", ["phone"], WHY, "allowed")]


async def test_whose_key_is_gone_is_shown_to_nobody(town: Office) -> None:
    spoil = "UPDATE registry_record SET body = jsonb_set(body, '{sealed,key}', '\"AAAA\"') WHERE tenant_id = $1 AND kind = 'person'"  # noqa: E501
    await town.pool.execute(spoil, town.tenant)
    answer = await unmask(town, "phone")
    assert (answer.status_code, answer.json()["code"]) == (410, "sealed_gone")
    assert await town.rows("unmask_spent") == []


async def test_a_reason_that_is_too_short_is_told_in_characters(town: Office) -> None:
    problem = (await unmask(town, "phone", reason="走访")).json()
    assert [one["message"] for one in problem["errors"]] == ["至少 5 个字。 At least 5 characters."]
