"""Sensitive groups: off until a profile says which, sealed apart, seen by few and never unsaid."""

import asyncio
import copy
import json
import re
import signal
import sys
import zipfile
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.exchange.books import write_registry
from deploy.exchange.rows import read_rows
from deploy.exchange.town import town_held
from deploy.local.keys import forget, rotate
from deploy.local.resealing import reseal
from deploy.local.secrets import Secrets
from services.chassis.seal import CannotOpen, KeyRing, SealedFields
from tests import factories, rights
from tests.component.ledger.office import Office, open_office
from tests.component.ledger.test_ledger_astray import Astray
from tests.component.ledger.test_ledger_records import PERSON, PROFILE, TOWN, line, removed

PATHS = (
    "registry/person/p1", "registry/person?unit=g1", "registry/household/h1", "households/h1",
    "grids/g1", "registry/person/p1/history", "registry/search?name=张三丰",
)  # fmt: skip
NOTE = "每月随访一次，紧急时先找其姐"
WHY = "季度走访前了解情况"
GROUPS = [{"id": "mental_disorder", "zh": "严重精神障碍"}, {"id": "hiv", "zh": "艾滋病"}]
ROLES = {"carer": ["view", "sensitive"], "blind": ["sensitive"], "worker": ["view", "handle"],
         "clerk": ["view", "handle", "register", "accept"]}  # fmt: skip


def profile(version: int = 1, groups: Any = GROUPS) -> dict[str, Any]:
    body = copy.deepcopy(PROFILE["body"])
    body["version"] = version
    body["body"]["registry"]["sensitive_groups"] = groups
    body["body"]["roles"] += [
        {"id": name, "zh": name, "level": "grid", "can": can} for name, can in ROLES.items()
    ]
    return {"kind": "profile", "id": str(version), "body": body}


@pytest.fixture
async def town(office: Office) -> Office:
    lines = [profile(), *(one for one in TOWN if one["kind"] != "profile")]
    answer = await office.post_set("town", lines)
    assert answer.status_code == 200, answer.text
    return office


async def send(
    town: Office,
    act: str = "read",
    *,
    person: str = "p1",
    group: str = "mental_disorder",
    role: str = "carer",
    at: str = "g1",
    **body: Any,
) -> httpx.Response:
    path = {"put": f"/{group}", "end": f"/{group}/end", "read": "-read"}[act]
    more = {"since": "2024-05-01", "note": NOTE} if act == "put" else {}
    return await town.http.request(
        "PUT" if act == "put" else "POST",
        f"/v1/registry/person/{person}/sensitive{path}",
        json={"reason": WHY, **more, **body},
        headers=town.headers(role, units=[at]),
    )


async def acts(town: Office) -> list[tuple[Any, ...]]:
    rows = [row for row in await town.rows("audit") if "sensitive" in row["verb"]]
    return [
        (row["verb"].rpartition("_")[2], row["object"], row["reason"], row["decision"])
        for row in rows
    ]


async def test_an_entry_is_put_read_and_ended_and_each_act_says_why(town: Office) -> None:
    assert (await send(town, "read")).json() == {"person": "p1", "entries": [], "left": 49}
    put = await send(town, "put")
    assert put.json() == {
        "person": "p1", "group": "mental_disorder", "version": 1, "known": False,
    }  # fmt: skip
    (entry,) = (await send(town, "read")).json()["entries"]
    assert (entry["group"], entry["zh"], entry["since"], entry["note"], entry["ended_at"]) == (
        "mental_disorder", "严重精神障碍", "2024-05-01", NOTE, None,
    )  # fmt: skip
    assert (await send(town, "end")).json()["version"] == 2
    assert (await send(town, "end")).json()["version"] == 2
    (ended,) = (await send(town, "read")).json()["entries"]
    assert ended["ended_at"] is not None
    assert [act for act, *_ in await acts(town)] == ["read", "put", "read", "end", "end", "read"]
    assert {act[1:] for act in await acts(town)} == {("person/p1", WHY, "allowed")}


async def test_putting_the_same_again_changes_nothing_and_after_an_end_it_begins_anew(
    town: Office,
) -> None:
    await send(town, "put")
    assert (await send(town, "put")).json()["known"] is True
    assert (await send(town, "put", note="改了")).json() == {
        "person": "p1", "group": "mental_disorder", "version": 2, "known": False,
    }  # fmt: skip
    await send(town, "end")
    assert (await send(town, "put", note="改了")).json()["version"] == 4
    (entry,) = (await send(town, "read")).json()["entries"]
    assert (entry["note"], entry["ended_at"]) == ("改了", None)


@pytest.mark.parametrize("name", rights.PROFILES)
async def test_no_town_keeps_any_and_no_role_may_unless_its_profile_says_so(
    office: Office, name: str
) -> None:
    lines = factories.town_lines(name, office.tenant)
    (written,) = (one["body"]["body"] for one in lines if one["kind"] == "profile")
    assert not written["registry"].get("sensitive_groups")
    assert [role["id"] for role in written["roles"] if "sensitive" in role.get("can", ())] == []
    assert (await office.post_set("seed", lines)).status_code == 200
    person = next(one["id"] for one in lines if one["kind"] == "person")
    for role in ("operator", *(role["id"] for role in written["roles"])):
        for act in ("put", "read", "end"):
            answer = await send(office, act, person=person, role=role, at="town")
            assert (answer.status_code, answer.json()["code"]) == (404, "sensitive_groups_off")
    assert await office.rows("sensitive_entry") == []
    assert await acts(office) == []


@pytest.mark.parametrize(
    ("role", "at", "code"),
    [
        ("carer", "g1", "allowed"),
        ("carer", "v1", "allowed"),
        ("carer", "town", "allowed"),
        ("carer", "g2", "unit_not_allowed"),
        ("carer", "nowhere", "unit_not_allowed"),
        ("blind", "g1", "right_missing"),
        ("worker", "g1", "right_missing"),
        ("clerk", "town", "right_missing"),
        ("grid_worker", "g1", "right_missing"),
        ("citizen", "g1", "right_missing"),
        ("nobody", "g1", "right_missing"),
        ("operator", "town", "right_missing"),
    ],
)
async def test_who_may_is_told_by_the_profile_and_the_unit_alone(
    town: Office, role: str, at: str, code: str
) -> None:
    assert (await send(town, "put", group="hiv", at="town")).status_code == 200
    for act in ("put", "read", "end"):
        answer = await send(town, act, role=role, at=at)
        if code == "allowed":
            assert answer.status_code == 200, answer.text
        else:
            assert (answer.status_code, answer.json()["code"]) == (403, code)
            assert "艾滋" not in answer.text
    told = [one[3] for one in await acts(town)][1:]
    assert told == ["allowed" if code == "allowed" else "refused"] * 3


async def test_another_towns_person_is_answered_like_nobody(
    town: Office, neighbour: Office
) -> None:
    lines = [profile(), *(one for one in TOWN if one["kind"] not in ("profile", "person"))]
    theirs = {**PERSON, "id": "p-theirs"}
    assert (await neighbour.post_set("town", [*lines, theirs])).status_code == 200
    assert (await send(neighbour, "put", person="p-theirs")).status_code == 200
    for act in ("put", "read", "end"):
        one = await send(town, act, person="p-theirs", at="town")
        none = await send(town, act, person="p-nobody", at="town")
        assert (one.status_code, one.json()["code"]) == (404, "record_not_found")
        assert one.json() == none.json()
    assert await acts(town) == []
    assert (await neighbour.rows("sensitive_entry"))[0]["version"] == 1


@pytest.mark.parametrize(
    ("act", "given", "status", "told"),
    [
        ("put", {"group": "drug_use"}, 404, "sensitive_group_unknown"),
        ("end", {"group": "drug_use"}, 404, "sensitive_group_unknown"),
        ("end", {"group": "hiv"}, 404, "sensitive_entry_not_found"),
        ("put", {"group": "HIV"}, 422, "group"),
        ("put", {"since": "May 2024"}, 422, "since"),
        ("put", {"note": "字" * 501}, 422, "note"),
        ("put", {"note": "a\u0000b"}, 422, "note"),
        ("put", {"reason": "走访"}, 422, "reason"),
        ("read", {"reason": "    "}, 422, "reason"),
        ("read", {"reason": None}, 422, "reason"),
        ("put", {"name": "张三"}, 422, "name"),
    ],
)
async def test_what_is_asked_for_wrongly_is_named_and_leaves_nothing(
    town: Office, act: str, given: dict[str, Any], status: int, told: str
) -> None:
    answer = await send(town, act, **given)
    assert answer.status_code == status, answer.text
    said = answer.json()
    assert told in (said["code"], *(one["field"] for one in said.get("errors", ())))
    assert await town.rows("sensitive_entry") == []
    assert await acts(town) == []


async def test_a_person_who_is_gone_gets_no_entry_and_what_there_was_can_be_ended(
    town: Office,
) -> None:
    await send(town, "put")
    assert (await town.post_set("gone", [removed("person", "p1")])).status_code == 200
    answer = await send(town, "put", group="hiv")
    assert (answer.status_code, answer.json()["code"]) == (404, "record_not_found")
    assert (await send(town, "end")).status_code == 200
    assert len((await send(town, "read")).json()["entries"]) == 1


async def test_neither_group_nor_person_lies_open_and_each_entry_opens_in_its_own_place_alone(
    town: Office,
) -> None:
    for group in ("mental_disorder", "hiv"):
        await send(town, "put", group=group)
    rows = [dict(row) for row in await town.rows("sensitive_entry")]
    held = json.dumps(rows, default=str, ensure_ascii=False)
    for word in ("mental", "精神", "艾滋", NOTE, "2024-05-01"):
        assert word not in held
    for word in ("hiv", "p1"):  # so short that sealed bytes in base64 hold them by chance
        assert not re.search(rf"\b{word}\b", held)
    ring, (one, other) = KeyRing(town.secrets.key_file), rows
    sealed = SealedFields(**one["sealed"])
    assert ring.open(town.tenant, one["place"], sealed, {"note"}) == {"note": NOTE}
    for place in (other["place"], "p1", one["person"], one["place"].partition("|")[2]):
        with pytest.raises(CannotOpen):
            ring.open(town.tenant, place, sealed, {"note"})
    (record,) = (r for r in await town.rows("registry_record") if r["kind"] == "person")
    with pytest.raises(CannotOpen):
        ring.open(town.tenant, one["place"], SealedFields(**record["body"]["sealed"]), {"name"})


async def test_an_entry_in_anothers_place_is_shown_to_nobody(town: Office) -> None:
    for group in ("mental_disorder", "hiv"):
        await send(town, "put", group=group)
    swap = """
        UPDATE sensitive_entry AS kept SET sealed = other.sealed
        FROM sensitive_entry AS other
        WHERE kept.tenant_id = $1 AND other.tenant_id = $1 AND other.place <> kept.place
    """
    await town.pool.execute(swap, town.tenant)
    answer = await send(town, "read")
    assert (answer.status_code, answer.json()["code"]) == (410, "sealed_gone")
    assert (await send(town, "put")).json()["version"] == 2
    assert (await send(town, "put", group="hiv")).json()["version"] == 2
    assert (await send(town, "read")).status_code == 200


async def test_no_page_no_search_no_topic_and_no_other_door_tells_of_an_entry(
    town: Office,
) -> None:
    index, published = await town.rows("registry_index"), await town.outbox()
    await send(town, "put")
    for path in PATHS:
        for role, at in (("operator", "town"), ("carer", "g1"), ("clerk", "town")):
            answer = await town.get(f"/v1/{path}", role, units=[at])
            assert [word for word in ("mental", "精神", NOTE[:6]) if word in answer.text] == []
    unmask = await town.http.post(
        "/v1/registry/person/p1/unmask",
        json={"fields": ["note"], "reason": WHY},
        headers=town.headers("operator"),
    )
    assert unmask.json()["code"] == "field_unknown"
    found = await town.get(f"/v1/registry/search?name={NOTE}", "carer", units=["town"])
    assert found.json()["records"] == []
    assert await town.rows("registry_index") == index
    assert await town.outbox() == published


async def test_the_audit_log_tells_which_person_and_neither_group_nor_note(town: Office) -> None:
    for act in ("put", "read", "end"):
        await send(town, act)
    rows = [dict(row) for row in await town.rows("audit") if "sensitive" in row["verb"]]
    held = json.dumps(rows, default=str, ensure_ascii=False)
    assert "person/p1" in held
    for word in ("mental", "精神", NOTE, "2024-05-01"):
        assert word not in held
    (entry,) = await town.rows("sensitive_entry")
    assert [row["fields"] for row in rows] == [[entry["place"]], [], [entry["place"]]]


async def test_reading_spends_the_budget_of_unmasking_and_stops_with_it(
    town: Office,
) -> None:
    await send(town, "put")
    assert [(await send(town)).status_code for _ in range(51)] == [200] * 50 + [429]
    assert (await acts(town))[-1][3] == "refused"


async def test_an_erased_person_has_no_entry_left(town: Office) -> None:
    await send(town, "put")
    other = line("person", "p2", name="李四光", household="h1")
    await town.post_set("p2", [other])
    await send(town, "put", person="p2")
    body = {"kind": "person", "id": "p1", "reason": "依申请"}
    answer = await town.http.post("/v1/registry/erasures", json=body, headers=town.headers())
    assert answer.status_code == 200, answer.text
    assert len(await town.rows("sensitive_entry")) == 1
    assert len((await send(town, "read", person="p2")).json()["entries"]) == 1
    assert (await send(town, "read")).json()["entries"] == []
    await town.post_set("back", [PERSON])
    assert (await send(town, "read")).json()["entries"] == []


async def test_a_group_that_the_newest_profile_keeps_no_longer_is_shown_to_nobody(
    town: Office,
) -> None:
    for group in ("mental_disorder", "hiv"):
        await send(town, "put", group=group)
    assert (await town.post_set("v2", [profile(2, GROUPS[:1])])).status_code == 200
    (entry,) = (await send(town, "read")).json()["entries"]
    assert entry["group"] == "mental_disorder"
    assert (await send(town, "put", group="hiv")).status_code == 404
    assert (await town.post_set("v3", [profile(3, [])])).status_code == 200
    assert (await send(town, "read")).json()["code"] == "sensitive_groups_off"


@pytest.mark.parametrize("with_profile", [True, False])
@pytest.mark.parametrize(
    ("kind", "body", "field"),
    [
        ("person", {"flags": ["drug_use"]}, "flags.0"),
        ("person", {"flags": ["精神障碍"]}, "flags.0"),
        ("household", {"more_classes": ["community_correction"]}, "more_classes.0"),
        ("person", {"sensitive_groups": ["hiv"]}, "sensitive_groups"),
    ],
)
async def test_a_set_that_names_a_sensitive_group_is_refused_with_its_field(
    office: Office, kind: str, body: dict[str, Any], field: str, *, with_profile: bool
) -> None:
    lines = [one for one in TOWN if with_profile or one["kind"] != "profile"]
    assert (await office.post_set("town", lines)).status_code == 200
    before = next(one for one in TOWN if one["kind"] == kind)
    wrong = {**before, "body": {**before["body"], **body}}
    answer = await office.post_set("wrong", [wrong])
    assert (answer.status_code, answer.json()["code"]) == (422, "change_set_faulty")
    assert [one["field"] for one in answer.json()["errors"]] == [field]
    assert len([r for r in await office.rows("registry_record") if r["kind"] == kind]) == 1


READ_AND_DIE = """
import asyncio, pathlib, sys
from deploy.local.secrets import secrets_of
from services.chassis import crash
from tests.component.ledger.office import open_office
from tests.component.ledger.test_ledger_sensitive import send

async def main():
    crash.arm("development")
    async with open_office(sys.argv[1], secrets_of(pathlib.Path(sys.argv[2]))) as office:
        await send(office.of(sys.argv[3]))

asyncio.run(main())
"""


async def test_a_process_that_dies_before_it_answers_has_left_the_row(
    town: Office, ledger_dsn: str
) -> None:
    place = town.secrets.key_file.parent.parent
    died = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", READ_AND_DIE, ledger_dsn, str(place), town.tenant),
        env={"CHUISHAO_CRASH_AT": "after_sensitive", "PYTHONPATH": "."},
    )
    assert await died.wait() == -signal.SIGKILL
    assert await acts(town) == [("read", "person/p1", WHY, "allowed")]


async def test_entries_open_under_a_new_key_once_they_are_wrapped_anew(
    town: Office, ledger_dsn: str
) -> None:
    await send(town, "put")
    rotate(town.secrets.key_file, [town.tenant])
    ring = KeyRing(town.secrets.key_file)
    done, lost = await reseal(ledger_dsn, ring, town.tenant, lambda _: None)
    assert (done, sum(lost.values())) == (5, 0)
    forget(town.secrets.key_file, town.tenant, "k1")
    (entry,) = (await send(town, "read")).json()["entries"]
    assert entry["note"] == NOTE


async def test_a_door_that_names_another_tenant_shows_and_keeps_nothing(
    town: Office, ledger_dsn: str, ledger_secrets: Secrets
) -> None:
    await send(town, "put")
    before, said = await town.rows("sensitive_entry"), await acts(town)
    async with open_office(ledger_dsn, ledger_secrets, kind=Astray) as opened:
        lost = opened.of(town.tenant)
        answers = [await send(lost, act, group="hiv") for act in ("read", "put", "end")]
    assert [one.json()["code"] for one in answers] == ["sensitive_groups_off"] * 3
    assert (await town.rows("sensitive_entry"), await acts(town)) == (before, said)


async def test_an_export_holds_nothing_of_it(town: Office, ledger_dsn: str, tmp_path: Path) -> None:
    await send(town, "put")
    held = await town_held(ledger_dsn, town.tenant, KeyRing(town.secrets.key_file))
    write_registry(tmp_path / "out.xlsx", held, lambda _: None)
    with zipfile.ZipFile(tmp_path / "out.xlsx") as book:
        shown = "".join(book.read(name).decode() for name in book.namelist())
    assert "张三丰" in shown
    assert [
        word
        for word in ("mental", "精神", NOTE[:6])
        if word in f"{held.records}{held.beside}{shown}"
    ] == []


@pytest.mark.parametrize("header", ["精神障碍", "敏感人群", "drug_use"])
def test_a_sheets_column_of_a_sensitive_group_is_refused_with_its_cell(
    tmp_path: Path, header: str
) -> None:
    text = f"人员编号,户编号,姓名,{header}\np1,h1,张三丰,是\n"
    reading = read_rows(tmp_path / "people.csv", text.encode(), lambda _: None)
    assert [(one.cell, one.header) for one in reading.faults] == [("D1", header)]
