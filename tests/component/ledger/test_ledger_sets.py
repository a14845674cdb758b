import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from contracts.calendar import load
from contracts.registry import Change, Household, ProfileVersion, Staff
from contracts.topics import registry_partition
from deploy.local.secrets import Secrets
from services.chassis.copy import OpenSets
from services.chassis.seal import KeyRing, SealedFields
from tests import factories
from tests.component.ledger.office import Office, open_office

NUMBER = "11010519491231002X"  # the example printed in GB 11643
CANARY = "金丝雀"


def line(kind: str, record_id: str, **body: Any) -> dict[str, Any]:
    return {"kind": kind, "id": record_id, "body": body}


def units(*names: str) -> list[dict[str, Any]]:
    """Return units; the first is above the others."""
    top, *others = names
    below = [line("unit", name, level="grid", zh=name, parent=top) for name in others]
    return [line("unit", top, level="town", zh=top), *below]


def removed(kind: str, record_id: str) -> dict[str, Any]:
    return {"kind": kind, "id": record_id, "body": None}


PROFILE = next(dict(one) for one in factories.town_lines() if one["kind"] == "profile")


async def test_a_set_is_recorded_and_announced_in_its_order_and_ends_once(office: Office) -> None:
    answer = await office.post_set("s1", units("g1", "g2", "g3"))
    assert answer.json() == {"change_set": "s1", "entries": 3, "known": False, "warnings": []}
    changes = await office.published()
    assert [(one.record_id, one.last) for one in changes] == [
        ("g1", False), ("g2", False), ("g3", True),
    ]  # fmt: skip
    rows = await office.outbox()
    assert {row["partition"] for row in rows} == {registry_partition(office.tenant)}
    assert len({row["lane"] for row in rows}) == 1
    assert (await office.get("/v1/registry/counts")).json() == {"unit": 3}


async def test_one_faulty_line_and_nothing_is_recorded(office: Office) -> None:
    answer = await office.post_set("s1", [*units("g1"), line("unit", "g2"), *units("g3")])
    assert answer.status_code == 422
    problem = answer.json()
    assert problem["code"] == "change_set_faulty"
    assert [(one["line"], one["field"]) for one in problem["errors"]] == [(2, "level"), (2, "zh")]
    assert await office.rows("change_set") == await office.rows("registry_record") == []
    assert await office.outbox() == []
    assert (await office.post_set("s1", units("g1"))).json()["known"] is False


@pytest.mark.parametrize("name", ["11010519491231002X", "13800000000"])
async def test_nobodys_number_becomes_an_id(office: Office, name: str) -> None:
    kinds = ("person", "household", "staff", "organisation")
    answer = await office.post_set("s1", [line(kind, name, name="x") for kind in kinds])
    assert answer.status_code == 422
    faults = answer.json()["errors"]
    assert [(one["line"], one["field"]) for one in faults] == [(n, "id") for n in range(1, 5)]
    assert all("编号不能是身份证号或手机号" in one["message"] for one in faults)
    assert name not in answer.text
    assert (await office.post_set("s2", [removed("person", name)])).status_code == 200
    assert (await office.post_set("s3", units(name))).status_code == 200


async def test_a_set_is_repeatable_by_its_id(office: Office) -> None:
    await office.post_set("s1", units("g1"))
    again = await office.post_set("s1", units("g1"))
    assert (again.status_code, again.json()["known"]) == (200, True)
    other = await office.post_set("s1", units("g9"))
    assert (other.status_code, other.json()["code"]) == (409, "change_set_reused")
    assert "s1" in other.json()["detail"]
    assert len(await office.outbox()) == 1
    theirs = await office.of("town999").post_set("s1", units("g1"))
    assert theirs.json()["known"] is False


async def test_a_set_recorded_before_digests_were_kept_stays_repeatable(office: Office) -> None:
    await office.post_set("s1", units("g1"))
    await office.pool.execute("UPDATE change_set SET digest = NULL")
    again = await office.post_set("s1", units("g1"))
    assert (again.status_code, again.json()["known"]) == (200, True)


async def test_what_is_kept_of_a_sets_content_tells_no_name(office: Office) -> None:
    posts = [{"unit": "g1", "role": "grid_worker"}]
    await office.post_set("s1", [*units("g1"), line("staff", "w", name=CANARY, posts=posts)])
    (kept,) = await office.rows("change_set")
    assert len(kept["digest"]) == 32
    assert CANARY not in str(dict(kept))


async def test_the_same_set_from_many_at_once_is_recorded_once(office: Office) -> None:
    answers = await asyncio.gather(*(office.post_set("s1", units("g1", "g2")) for _ in range(12)))
    assert sorted(one.json()["known"] for one in answers) == [False] + [True] * 11
    assert len(await office.outbox()) == 2


async def test_sets_at_once_do_not_mix_on_the_topic(office: Office) -> None:
    names = [f"s{n}" for n in range(8)]
    await asyncio.gather(*(office.post_set(name, units(*"abcdef")) for name in names))
    changes = await office.published()
    sets: OpenSets[Change] = OpenSets()
    assert sum(len(sets.feed(one)) for one in changes) == len(changes) == 48
    order = list(dict.fromkeys(one.change_set for one in changes))
    assert sorted(order) == names
    assert [one.change_set for one in changes] == [name for name in order for _ in range(6)]
    kept = await office.rows("registry_record")
    assert sorted(row["version"] for row in kept if row["record_id"] == "a") == [*range(1, 9)]


async def test_a_removal_is_a_tombstone_that_ends_its_set(office: Office) -> None:
    await office.post_set("s1", units("g1", "g2"))
    await office.post_set("s2", [removed("unit", "g2")])
    last = (await office.published())[-1]
    assert (last.record_id, last.body, last.last, last.change_set) == ("g2", None, True, "s2")
    assert (await office.get("/v1/registry/counts")).json() == {"unit": 1}
    await office.post_set("s3", units("g1", "g2"))
    assert (await office.get("/v1/registry/counts")).json() == {"unit": 2}


async def test_a_set_of_persons_alone_announces_nothing(office: Office) -> None:
    answer = await office.post_set("s1", [line("person", "p1", name=CANARY)])
    assert answer.json()["entries"] == 1
    assert await office.outbox() == []
    mixed = [*units("g1"), line("person", "p2", name=CANARY)]
    await office.post_set("s2", mixed)
    assert [(one.record_id, one.last) for one in await office.published()] == [("g1", True)]


async def test_persons_and_addresses_never_leave_and_nothing_personal_lies_open(
    office: Office, ledger_secrets: Secrets
) -> None:
    lines = [
        *units("g1"),
        line("person", "p1", name=CANARY, phone="13790817263", id_number=NUMBER, sex=CANARY,
             birth_date="1949-12-31", relation=CANARY, household="h1"),
        line("household", "h1", grid="g1", address=f"{CANARY}路1号"),
        line("staff", "s1", posts=[], name=CANARY, phone="13790817263", openid=f"{CANARY}4"),
    ]  # fmt: skip
    await office.post_set("s1", lines)
    dumped = str(await office.outbox()) + str(await office.rows("registry_record"))
    for personal in (CANARY, NUMBER, "13790817263", "1949-12-31"):
        assert personal not in dumped
    assert CANARY.encode() not in dumped.encode()
    assert json.dumps(CANARY).strip('"') not in dumped
    changes = {one.kind: one for one in await office.published()}
    assert changes.keys() == {"unit", "household", "staff"}
    assert isinstance(changes["household"].data, Household)
    assert b"sealed" not in (changes["household"].body or b"")
    staff = changes["staff"].data
    assert isinstance(staff, Staff)
    ring = KeyRing(ledger_secrets.key_file)
    sealed = SealedFields(staff.sealed.kid, staff.sealed.key, staff.sealed.fields)
    assert ring.open(office.tenant, "s1", sealed, {"name"}) == {"name": CANARY}


async def test_a_profiles_version_is_final(office: Office) -> None:
    await office.post_set("s1", [PROFILE])
    body = PROFILE["body"]["body"]
    changed = {**PROFILE, "body": {"version": 1, "body": {**body, "assumed": []}}}
    answer = await office.post_set("s2", [*units("g1"), changed])
    assert (answer.status_code, answer.json()["code"]) == (409, "profile_version_final")
    assert (await office.get("/v1/registry/counts")).json() == {"profile": 1}
    same = await office.post_set("s3", [PROFILE])
    assert same.status_code == 200
    second = {**PROFILE, "id": "2", "body": {**changed["body"], "version": 2}}
    assert (await office.post_set("s2", [second])).json()["known"] is False
    announced = [one.data for one in await office.published()]
    assert [one.version for one in announced if isinstance(one, ProfileVersion)] == [1, 1, 2]


async def test_two_bodies_for_one_version_at_once_and_one_stands(office: Office) -> None:
    body = PROFILE["body"]["body"]
    lines = [
        {**PROFILE, "body": {"version": 1, "body": {**body, "not_expressed": [f"no {n}"]}}}
        for n in range(6)
    ]
    answers = await asyncio.gather(*(office.post_set(f"s{n}", [lines[n]]) for n in range(6)))
    assert sorted(one.status_code for one in answers) == [200, *[409] * 5]


@pytest.mark.parametrize("set_id", ["-a", ".a", "a b", "a" * 65, "路", "~clock-1"])
async def test_a_wild_id_of_a_set_is_refused(office: Office, set_id: str) -> None:
    answer = await office.post_set(set_id, units("g1"))
    assert (answer.status_code, answer.json()["code"]) == (422, "change_set_id_invalid")


async def test_a_set_too_large_or_too_slow_is_refused(
    ledger_dsn: str, ledger_secrets: Secrets
) -> None:
    async with open_office(ledger_dsn, ledger_secrets, change_set_bytes_max=2_000) as small:
        answer = await small.post_set("s1", units(*(f"g{n}" for n in range(99))))
        assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    async with open_office(ledger_dsn, ledger_secrets, change_set_deadline_s=0.05) as hasty:

        async def dripping() -> AsyncIterator[bytes]:
            yield b"{"
            await asyncio.Event().wait()

        answer = await hasty.http.post(
            "/v1/registry/change-sets/s1", content=dripping(), headers=hasty.headers()
        )
        assert (answer.status_code, answer.json()["code"]) == (408, "body_incomplete")
        assert await hasty.rows("change_set") == []


async def test_a_tenant_without_keys_is_told_so(office: Office) -> None:
    answer = await office.of("nowhere").post_set("s1", [line("staff", "s1", posts=[], name=CANARY)])
    assert (answer.status_code, answer.json()["code"]) == (422, "tenant_without_keys")


async def test_only_an_operator_may_change_the_registry(office: Office) -> None:
    path = "/v1/registry/change-sets/s1"
    nobody = await office.http.post(path, content=b"{}")
    clerk = await office.http.post(path, content=b"{}", headers=office.headers("center_clerk"))
    assert (nobody.status_code, nobody.json()["code"]) == (401, "token_invalid")
    assert (clerk.status_code, clerk.json()["code"]) == (403, "operator_only")


async def test_a_change_keeps_from_when_it_holds_and_who_recorded_it(office: Office) -> None:
    await office.post_set("s1", units("g1"), valid_from="2025-01-01T00:00:00+08:00")
    (change,) = await office.published()
    assert isinstance(change, Change)
    assert change.valid_from.isoformat() == "2025-01-01T00:00:00+08:00"
    (kept,) = await office.rows("change_set")
    assert (kept["recorded_by"], kept["entries"]) == ("dev", 1)
    naive = await office.post_set("s2", units("g1"), valid_from="2025-01-01T00:00:00")
    assert naive.status_code == 422


async def test_twenty_thousand_records_stay_one_set(office: Office) -> None:
    lines = [line("household", f"h{n:05d}", grid="g1") for n in range(19_999)]
    answer = await office.post_set("big", [*lines, *units("g1")])
    assert answer.json() == {"change_set": "big", "entries": 20_000, "known": False, "warnings": []}
    rows = await office.outbox()
    assert [row["record_key"] for row in rows] == sorted(row["record_key"] for row in rows)
    assert {row["headers"]["ce_changeset"] for row in rows} == {"big"}
    assert [row["headers"]["ce_last"] for row in rows] == ["false"] * 19_999 + ["true"]


async def test_conflicts_anywhere_in_a_large_set_are_told_together(office: Office) -> None:
    await office.post_set("first", units("g1", "g2"))
    homes = [line("household", f"h{n:05d}", grid="g1") for n in range(5_500)]
    behind = [{**one, "expected_version": 0} for one in units("g1", "g2")]
    answer = await office.post_set("big", [behind[0], *homes, behind[1]])
    assert answer.json()["code"] == "version_conflict"
    assert [(one["line"], one["id"]) for one in answer.json()["errors"]] == [
        (1, "g1"),
        (5_502, "g2"),
    ]
    assert len(await office.rows("registry_record")) == 2


async def test_a_calendar_gives_way_to_a_newer_one_alone(office: Office) -> None:
    table = load().model_dump(mode="json")
    assert (await office.post_set("c1", [line("calendar", "cn", **table)])).status_code == 200
    assert (await office.post_set("c1-again", [line("calendar", "cn", **table)])).status_code == 200
    years = table["years"]
    guessed = [{**years[0], "official": False}, *years[1:]]
    for change_set, body, fields in (
        ("same", {"years": years[:-1]}, ["version"]),
        ("guess", {"version": 2, "years": guessed}, ["years.0.official"]),
        ("less", {"version": 2, "years": years[1:]}, ["years"]),
    ):
        answer = await office.post_set(change_set, [line("calendar", "cn", **{**table, **body})])
        problem = answer.json()
        assert (answer.status_code, problem["code"]) == (409, "calendar_unfit")
        assert [one["field"] for one in problem["errors"]] == fields
    newer = {**table, "version": 2, "years": years[:-1]}
    assert (await office.post_set("c2", [line("calendar", "cn", **newer)])).status_code == 200
    assert len(await office.published()) == 3


async def test_a_dry_run_is_judged_as_a_whole_and_leaves_its_row_in_the_audit_log_alone(
    office: Office,
) -> None:
    await office.post_set("late", [line("unit", "g1", level="grid", zh="后")],
                          valid_from="2099-01-01T00:00:00+08:00")  # fmt: skip
    tables = ("change_set", "registry_record", "registry_index", "change_due")
    before = [await office.rows(one) for one in tables]
    sent = len(await office.outbox())
    lines = [*units("g1"), line("person", "p1", name="王秀英")]
    tried = await office.post_set("s1", lines, dry_run="true", reason="试")
    assert (tried.status_code, tried.json()["known"]) == (200, False)
    assert "unit/g1" in tried.json()["warnings"][0]
    gone = [removed("unit", "g1"), line("household", "h1", grid="g9")]
    refused = await office.post_set("s2", gone, dry_run="true")
    assert (refused.status_code, refused.json()["code"]) == (409, "change_set_unfit")
    assert [await office.rows(one) for one in tables] == before
    assert len(await office.outbox()) == sent
    acts = [(one["verb"], one["object"], one["reason"]) for one in await office.rows("audit")]
    assert acts == [("registry.record", "change_set/late", None),
                    ("registry.dry_run", "change_set/s1", "试")]  # fmt: skip
    done = await office.post_set("s1", lines)
    assert done.json() == tried.json()
    assert (await office.post_set("s1", lines, dry_run="true")).json()["known"] is True
