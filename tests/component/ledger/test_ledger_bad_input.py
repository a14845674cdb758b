"""What people and strangers send: long or rare names, bodies without end, links to what is gone."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from deploy.local.keys import forget, rotate
from deploy.local.secrets import Secrets
from tests.component.ledger.office import Office, open_office
from tests.component.ledger.test_ledger_linked import TOWN as LINKED
from tests.component.ledger.test_ledger_linked import line, link, removed
from tests.component.ledger.test_ledger_records import NUMBER, PERSON, TOWN
from tests.component.ledger.test_ledger_unmask import unmask

LONG = "买买提·" + "𠮷" * 22 + "·热合曼" + "艾" * 20
NAMES = [LONG, "𠮷", "阿·", "欧阳·𠮷金", "䶮 㛃", "Ａｎｎａ·王"]


@pytest.fixture
async def town(office: Office) -> Office:
    assert (await office.post_set("town", TOWN)).status_code == 200
    return office


@pytest.mark.parametrize("name", NAMES, ids=[f"name-{n}" for n in range(len(NAMES))])
async def test_a_long_or_rare_name_is_kept_whole_masked_and_found(town: Office, name: str) -> None:
    assert len(LONG) == 50
    changed = {**PERSON, "body": {**PERSON["body"], "name": name}}
    assert (await town.post_set("named", [changed])).status_code == 200
    shown = (await town.get("/v1/registry/person/p1")).json()["body"]["name"]
    assert shown == ("*" if len(name) == 1 else f"{name[0]}*")
    answer = await unmask(town, "name")
    assert answer.json()["fields"] == {"name": name}
    found = await town.get(f"/v1/registry/search?name={name}")
    assert [one["id"] for one in found.json()["records"]] == ["p1"]


async def test_a_set_that_never_ends_is_cut_off_at_its_limit(
    ledger_dsn: str, ledger_secrets: Secrets
) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1
            yield json.dumps({"kind": "unit", "id": f"g{sent}", "body": None}).encode() + b"\n"

    async with open_office(ledger_dsn, ledger_secrets, change_set_bytes_max=4_096) as small:
        answer = await small.http.post(
            "/v1/registry/change-sets/endless", content=endless(), headers=small.headers()
        )
        assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
        assert await small.rows("change_set") == []
    assert sent < 200


@pytest.mark.parametrize(
    "valid_from", ["9999-12-31T23:59:59+08:00", "0001-01-01T00:00:00+14:00", "infinity", "1e400"]
)
async def test_a_set_that_would_hold_from_no_day_of_ours_is_refused(
    town: Office, valid_from: str
) -> None:
    answer = await town.post_set("never", [PERSON], valid_from=valid_from)
    assert answer.status_code == 422
    assert [one["field"] for one in answer.json()["errors"]] == ["valid_from"]


async def test_a_link_to_a_grid_that_is_closed_is_named_and_a_linked_grid_stays(
    office: Office,
) -> None:
    rule = next(o for o in LINKED[0]["body"]["body"]["links"] if o["to"] == "grid")
    worker = line("staff", "gw", name="王", posts=[{"unit": "g1", "role": rule["from_role"]}])
    grid = line("unit", "g2", level="grid", zh="二格", parent="v1")
    given = {"link": rule["id"], "staff": "gw", "to_kind": "unit", "to": "g2"}
    assert (await office.post_set("town", [*LINKED, worker, grid])).status_code == 200
    assert (await office.post_set("closed", [removed("unit", "g2")])).status_code == 200
    answer = await office.post_set("late", [link("l2", **given)])
    (fault,) = answer.json()["errors"]
    assert (answer.status_code, fault["kind"], fault["id"], fault["field"]) == (
        409, "link", "l2", "to",
    )  # fmt: skip
    assert "没有单位 g2" in fault["message"]
    assert (await office.post_set("open", [grid, link("l2", **given)])).status_code == 200
    answer = await office.post_set("close", [removed("unit", "g2")])
    assert (answer.status_code, answer.json()["errors"][0]["id"]) == (409, "g2")


async def sealed_as(town: Office, value: Any) -> None:
    spoil = "UPDATE registry_record SET body = jsonb_set(body, '{sealed}', $2) WHERE tenant_id = $1 AND record_id = 'p1'"  # noqa: E501
    await town.pool.execute(spoil, town.tenant, value)


async def test_a_text_sealed_for_another_person_is_shown_to_nobody(town: Office) -> None:
    other = line("person", "p2", household="h1", name="金丝雀", phone="13900007762")
    assert (await town.post_set("other", [other])).status_code == 200
    (theirs,) = (r for r in await town.rows("registry_record") if r["record_id"] == "p2")
    await sealed_as(town, theirs["body"]["sealed"])
    shown = await town.get("/v1/registry/person/p1")
    assert set(shown.json()["body"].values()) == {"***", "h1"}
    answer = await unmask(town, "phone")
    assert (answer.status_code, answer.json()["code"]) == (410, "sealed_gone")
    found = await town.get("/v1/registry/search?phone=13900007762")
    assert [one["id"] for one in found.json()["records"]] == ["p2"]


async def test_under_a_key_that_is_lost_nothing_is_shown_and_all_else_goes_on(
    town: Office,
) -> None:
    rotate(town.secrets.key_file, [town.tenant])
    forget(town.secrets.key_file, town.tenant, "k1")
    shown = await town.get("/v1/registry/person/p1")
    assert (shown.status_code, shown.json()["body"]["name"]) == (200, "***")
    assert (await unmask(town, "phone")).json()["code"] == "sealed_gone"
    found = await town.get(f"/v1/registry/search?id_number={NUMBER}")
    assert found.json()["records"] == []
    assert (await town.post_set("anew", [PERSON])).status_code == 200
    assert (await unmask(town, "phone")).json()["fields"] == {"phone": PERSON["body"]["phone"]}
