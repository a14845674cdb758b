"""Erasure destroys what opens a record, in every version, and keeps who had it done and why."""

import json
from typing import Any

import httpx
import pytest

from services.chassis.seal import KeyRing, SealedFields
from tests.component.ledger.office import Office

PERSON = {"household": "h-1", "name": "欧阳𠮷·金", "phone": "13900000001"}
HOME = {"kind": "household", "id": "h-1", "body": {"grid": "g01", "address": "东街 1 号"}}
UNITS = [
    {"kind": "unit", "id": "town", "body": {"level": "town", "zh": "镇"}},
    {"kind": "unit", "id": "g01", "body": {"level": "grid", "zh": "一格", "parent": "town"}},
]


def person(**more: Any) -> dict[str, Any]:
    return {"kind": "person", "id": "p-1", "body": {**PERSON, **more}}


async def erase(office: Office, kind: str, id_: str, *roles: str, **more: Any) -> httpx.Response:
    body = {"kind": kind, "id": id_, "reason": "依申请 2026-17", **more}
    headers = office.headers(*roles)
    return await office.http.post("/v1/registry/erasures", json=body, headers=headers)


async def recorded(office: Office) -> None:
    for n, lines in enumerate(([*UNITS, HOME, person()], [person(phone="13900000002")])):
        answer = await office.post_set(f"set-{n}", lines)
        assert answer.status_code == 200, answer.text


async def sealed_of(office: Office, kind: str) -> list[Any]:
    rows = [row for row in await office.rows("registry_record") if row["kind"] == kind]
    return [row["body"]["sealed"] for row in rows if row["body"] and "sealed" in row["body"]]


async def test_no_version_of_an_erased_person_opens_and_who_and_why_is_kept(office: Office) -> None:
    await recorded(office)
    before = await sealed_of(office, "person")
    ring = KeyRing(office.secrets.key_file)
    assert len(before) == 2
    assert ring.open(office.tenant, "p-1", SealedFields(**before[0]), {"name"})
    answer = await erase(office, "person", "p-1")
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["reason"], told["erased_by"], told["known"]) == ("依申请 2026-17", "dev", False)
    held = json.dumps([dict(r) for r in await office.rows("registry_record")], default=str)
    for sealed in before:
        assert sealed["key"] not in held
        assert not any(token in held for token in sealed["fields"].values())
    counts = (await office.get("/v1/registry/counts")).json()
    assert "person" not in counts
    listed = await office.http.get("/v1/registry/erasures", headers=office.headers())
    assert listed.json() == [{**told, "known": True}]


async def test_erasing_twice_is_the_same_and_what_came_back_is_erased_again(office: Office) -> None:
    await recorded(office)
    first = (await erase(office, "person", "p-1")).json()
    again = await erase(office, "person", "p-1", reason="别的理由")
    assert again.json() == {**first, "known": True}
    assert len(await office.rows("erasure")) == 1
    await office.post_set("restored", [person()])
    assert len(await sealed_of(office, "person")) == 1
    third = (await erase(office, "person", "p-1")).json()
    assert third["known"] is False
    assert await sealed_of(office, "person") == []


async def test_what_was_to_hold_from_a_day_to_come_does_not_bring_the_person_back(
    office: Office,
) -> None:
    await recorded(office)
    later = {"valid_from": "2099-06-01T00:00:00+08:00"}
    answer = await office.post_set("later", [person(phone="13900000003")], **later)
    assert answer.status_code == 200, answer.text
    assert len(await sealed_of(office, "person")) == 3
    await erase(office, "person", "p-1")
    rows = [row for row in await office.rows("registry_record") if row["kind"] == "person"]
    assert [row["body"] for row in rows if row["valid_from"].year == 2099] == [None]
    assert await sealed_of(office, "person") == []


async def test_whoever_will_be_needed_then_is_not_erased(office: Office) -> None:
    """From June on both are to live in a household of which p-1 is the head."""
    await recorded(office)
    home = {"kind": "household", "id": "h-2", "body": {"grid": "g01", "head": "p-1"}}
    later = {"valid_from": "2099-06-01T00:00:00+08:00"}
    lines = [home, person(household="h-2"), {**person(household="h-2"), "id": "p-2"}]
    assert (await office.post_set("later", lines, **later)).status_code == 200
    answer = await erase(office, "person", "p-1")
    (fault,) = answer.json()["errors"]
    assert (answer.status_code, fault["kind"], fault["id"]) == (409, "person", "p-1")
    assert await sealed_of(office, "person")


async def test_an_erasure_stands_in_the_audit_log_with_its_reason(office: Office) -> None:
    await recorded(office)
    await erase(office, "person", "p-1")
    await erase(office, "person", "p-1")
    acts = [row for row in await office.rows("audit") if row["verb"] == "registry.erase"]
    assert [(row["object"], row["reason"]) for row in acts] == [("person/p-1", "依申请 2026-17")]


async def test_readers_are_told_of_kinds_that_are_published_and_of_no_other(office: Office) -> None:
    await recorded(office)
    await erase(office, "person", "p-1")
    await erase(office, "household", "h-1")
    gone = [one for one in await office.published() if one.change_set.startswith("~erase-")]
    assert [(one.kind, one.record_id, one.data, one.last) for one in gone] == [
        ("household", "h-1", None, True)
    ]


async def test_only_an_operator_of_the_town_erases(office: Office, neighbour: Office) -> None:
    await recorded(office)
    assert (await erase(office, "person", "p-1", "center_clerk")).status_code == 403
    assert (await erase(neighbour, "person", "p-1")).status_code == 404
    assert len(await sealed_of(office, "person")) == 2
    assert await office.rows("erasure") == []


@pytest.mark.parametrize(
    ("given", "status", "field"),
    [
        ({"kind": "unit"}, 422, "kind"),
        ({"reason": ""}, 422, "reason"),
        ({"reason": "  "}, 422, "reason"),
        ({"reason": "字" * 201}, 422, "reason"),
        ({"reason": "13800000000 的机主申请"}, 422, "reason"),
        ({"id": "a b"}, 422, "id"),
        ({"id": "p-nobody"}, 404, None),
    ],
)
async def test_what_cannot_be_erased_is_named(
    office: Office, given: dict[str, Any], status: int, field: str | None
) -> None:
    await recorded(office)
    body = {"kind": "person", "id": "p-1", "reason": "依申请", **given}
    headers = office.headers()
    answer = await office.http.post("/v1/registry/erasures", json=body, headers=headers)
    assert answer.status_code == status
    assert field is None or field in answer.text
    assert len(await sealed_of(office, "person")) == 2
