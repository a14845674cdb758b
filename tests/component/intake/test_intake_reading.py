"""Who may read what is attached: those whose case it is, for as long, and who has posted it."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from contracts.events import Event, Fact, effect_id
from contracts.facts import (
    Actor,
    Called,
    CaseAcceptedV1,
    CaseAssignedV1,
    CaseCallAnsweredV1,
    CaseCalledV1,
    CaseClosedV1,
    CaseFollowUpKeptV1,
    CaseHandedOverV1,
    CaseOpenedV1,
    CaseStepTakenV1,
    CaseTransferEndedV1,
    CaseTransferOfferedV1,
    Owner,
    Sealed,
    WhistleBlownV1,
    WhistleCalledUpwardV1,
)
from services.intake import attached
from tests import factories
from tests.component.intake import files
from tests.component.intake.window import Window, small_town, told
from tests.factories import START, TENANT

BY = Actor(staff="s-1", role="grid_worker", unit="g01")
NOTHING_SEALED = Sealed(kid="k1", key="", fields={})


def owner(unit: str) -> Owner:
    return Owner(unit=unit, role="grid_worker", staff=f"s-{unit}")


class Town:
    """A town in which one attachment has been posted, and a case that may come to have it."""

    def __init__(self, window: Window, id_: str) -> None:
        self.window, self.id_, self.case_id, self.seq = window, id_, uuid4(), 0

    async def hear(self, *facts: Fact) -> None:
        for fact in facts:
            self.seq += 1
            event = Event(
                event_id=effect_id(self.case_id, f"{self.seq}"),
                tenant_id=TENANT,
                subject_id=self.case_id,
                occurred_at=START,
                source="/routing",
                data=fact,
                seq=self.seq,
            )
            await self.window.hear(event)

    def opened(self, *ids: str, unit: str = "g01", **place: str) -> Fact:
        return CaseOpenedV1(
            number="250303-0001", front_end="demo", category="other", severity="ordinary",
            case_class="general", flow="closed_loop", profile_version=1, state="reported",
            owner=owner(unit), received_at=START, attachments=ids, **place,
        )  # fmt: skip

    async def status(self, *units: str, path: str = "", **who: Any) -> int:
        token = factories.token(self.window.secrets, "grid_worker", units=units, **who)
        headers = {"Authorization": f"Bearer {token}"}
        url = f"/v1/attachments/{self.id_}{path}"
        answer = await self.window.http.get(url, headers=headers)
        if answer.status_code == 404:
            assert answer.json()["code"] == "attachment_not_found"
        return answer.status_code

    async def readers(self) -> set[str]:
        found = {unit for unit in ("g01", "g02", "v1", "v2", "town") if await self.reads(unit)}
        return found | {d for d in ("police", "court") if await self.reads(department=d)}

    async def reads(self, *units: str, **who: Any) -> bool:
        return await self.status(*units, **who) == 200


@pytest.fixture
async def town(window: Window) -> AsyncIterator[Town]:
    answer = await window.http.post(
        "/v1/attachments", content=files.PDF, headers={"X-Api-Key": "demo-key"}
    )
    yield Town(window, answer.json()["attachment_id"])
    await window.pool.execute("TRUNCATE case_attachment, case_reach")


async def test_the_small_town_is_as_these_tests_take_it(town: Town) -> None:
    units = town.window.registry.towns[TENANT].units
    parents = {name: unit.parent for name, unit in units.items()}
    assert (parents["g01"], parents["v1"], parents["town"]) == ("v1", "town", None)
    assert {"g02", "v2"} <= set(parents)


async def test_nobody_reads_what_no_case_has_but_the_front_end_that_posted_it(town: Town) -> None:
    town.window.front_end("second-key", "second")
    assert await town.readers() == set()
    await town.hear(town.opened(grid="g01", village="v1"))
    assert await town.readers() == set()
    url = f"/v1/attachments/{town.id_}"
    for key, wanted in (("demo-key", 200), ("second-key", 404), ("nobody", 401)):
        answer = await town.window.http.get(url, headers={"X-Api-Key": key})
        assert answer.status_code == wanted
    assert (await town.window.http.get(url)).status_code == 401


async def test_a_case_of_a_grid_is_read_by_the_units_above_it(town: Town) -> None:
    await town.hear(town.opened(town.id_, grid="g01", village="v1"))
    assert await town.readers() == {"g01", "v1", "town"}
    assert await town.status("town", path="/record") == 200
    assert await town.status("g02", path="/record") == 404


async def test_a_case_of_no_place_is_read_by_its_owner_and_the_town(town: Town) -> None:
    await town.hear(town.opened(town.id_, unit="g02"))
    assert await town.readers() == {"g02", "town"}


async def test_a_proof_and_a_follow_up_are_read_like_what_came_with_the_report(town: Town) -> None:
    proof = CaseStepTakenV1(
        step="resolve", from_state="a", to_state="b", by=BY, owner=owner("g01"), proof=(town.id_,)
    )
    await town.hear(town.opened(grid="g01"), proof)
    assert await town.reads("g01")
    other = Town(town.window, town.id_)
    more = CaseFollowUpKeptV1(
        reason="key_conflict", front_end="demo", sealed=NOTHING_SEALED, attachments=(town.id_,)
    )
    await other.hear(other.opened(grid="g02"), more)
    assert await town.readers() == {"g01", "g02", "v1", "town"}


async def test_whoever_has_a_hand_in_it_reads_for_as_long(town: Town) -> None:
    offer, whistle = uuid4(), uuid4()
    about: dict[str, Any] = {"transfer_id": offer, "owner": owner("g01"), "by": BY}
    called = CaseCalledV1(reason="backup_called", call=1, called=(owner("g02"),))
    moved = CaseHandedOverV1(from_owner=owner("g01"), owner=owner("v2"), by=BY)
    joint = CaseAssignedV1(owner=owner("g01"), rule="backup", joint=(owner("g02"),))
    alone = CaseAssignedV1(owner=owner("g01"), rule="roster")
    path = {"g01", "v1", "town"}
    ended = CaseTransferEndedV1(transfer_id=offer, outcome="declined", by=BY)
    turns: list[tuple[Fact, set[str]]] = [
        (town.opened(town.id_, grid="g01"), path),
        (joint, path | {"g02"}),
        (alone, path),
        (called, path | {"g02"}),
        (CaseCallAnsweredV1(call=1, by=BY), path),
        (called, path | {"g02"}),
        (CaseAcceptedV1(by=BY), path),
        (CaseTransferOfferedV1(to=owner("v2"), **about), path | {"v2"}),
        (ended, path),
        (CaseTransferOfferedV1(to=owner("g02"), **about), path | {"g02"}),
        (moved, path | {"v2"}),
        (joint, path | {"g02"}),
        (CaseClosedV1(by=BY, state="closed"), path),
    ]
    for fact, wanted in turns:
        await town.hear(fact)
        assert await town.readers() == wanted, fact
    up = WhistleCalledUpwardV1(
        whistle_id=whistle, from_level="town", to_level="county", by=BY, unit="county"
    )
    slots = (Called(department="police", lead=True), Called(department="court", lead=False))
    await town.hear(WhistleBlownV1(whistle_id=whistle, departments=slots, by=BY), up)
    assert await town.readers() == path | {"police", "court"}
    assert await town.reads("county")


async def test_another_towns_people_are_told_what_everybody_else_is(town: Town) -> None:
    window = town.window
    window.know(*small_town("gucheng"), change_set="seed", tenant="gucheng")
    window.front_end("other-key", "other", tenant="gucheng")
    await town.hear(town.opened(town.id_, grid="g01"))
    token = factories.token(window.secrets, "operator", tenant="gucheng", units=["g01", "town"])
    seen = []
    for id_ in (town.id_, "0" * 64, "é", "../x"):
        for headers in ({"Authorization": f"Bearer {token}"}, {"X-Api-Key": "other-key"}):
            answer = await window.http.get(f"/v1/attachments/{id_}", headers=headers)
            seen.append((answer.status_code, answer.json()["code"]))
    assert set(seen[:-2]) == {(404, "attachment_not_found")}
    assert {status for status, _ in seen} == {404}


async def test_a_case_opened_before_all_this_is_read_by_its_owner_and_the_town(town: Town) -> None:
    proof = CaseStepTakenV1(
        step="resolve", from_state="a", to_state="b", by=BY, owner=owner("g02"), proof=(town.id_,)
    )
    await town.hear(CaseCallAnsweredV1(call=1, by=BY), proof)
    assert await town.readers() == {"g02", "town"}


def stored(place: Path, id_: str) -> Path:
    (found,) = (path for path in place.rglob(id_) if path.is_file())
    return found


async def test_what_was_altered_is_not_handed_out_until_it_is_posted_again(
    town: Town, tmp_path: Path
) -> None:
    place = stored(tmp_path, town.id_)
    body = bytearray(place.read_bytes())
    body[-1] ^= 1
    place.write_bytes(body)
    url, key = f"/v1/attachments/{town.id_}", {"X-Api-Key": "demo-key"}
    assert told(await town.window.http.get(url, headers=key)) == (500, "attachment_damaged")
    again = await town.window.http.post("/v1/attachments", content=files.PDF, headers=key)
    assert (again.status_code, again.json()["attachment_id"]) == (201, town.id_)
    assert (await town.window.http.get(url, headers=key)).content == files.PDF


async def test_what_the_store_has_lost_is_not_found(town: Town, tmp_path: Path) -> None:
    stored(tmp_path, town.id_).unlink()
    answer = await town.window.http.get(
        f"/v1/attachments/{town.id_}", headers={"X-Api-Key": "demo-key"}
    )
    assert told(answer) == (404, "attachment_not_found")


def alike(town: Town, count: int) -> list[Event]:
    """Tell of cases that have the same attachment: the last one by its id is of `g01` alone."""
    grids = ["g02"] * (count - 1) + ["g01"]
    return [
        Event(
            event_id=effect_id(case_id, "opened"),
            tenant_id=TENANT,
            subject_id=case_id,
            occurred_at=START,
            source="/routing",
            data=town.opened(town.id_, grid=grid, unit=grid),
            seq=1,
        )
        for case_id, grid in ((UUID(int=n), grid) for n, grid in enumerate(grids))
    ]


async def test_a_form_attached_to_many_cases_is_read_by_the_people_of_each(town: Town) -> None:
    await town.window.hear(*alike(town, 1_002))
    assert await town.readers() == {"g01", "g02", "v1", "town"}


async def test_a_reader_is_found_by_the_attachments_cases_alone(town: Town) -> None:
    await town.hear(town.opened(town.id_, grid="g01"))
    given = (TENANT, town.id_, ["g01"], None, ["g01"], False)
    async with town.window.pool.acquire() as conn, conn.transaction():
        await conn.execute(
            "INSERT INTO case_attachment SELECT $1, 'a' || n, gen_random_uuid()"
            " FROM generate_series(1, 20000) AS n",
            TENANT,
        )
        await conn.execute(
            'INSERT INTO case_reach SELECT tenant_id, case_id, \'{"owner": "g02"}\''
            " FROM case_attachment ON CONFLICT DO NOTHING"
        )
        await conn.execute("ANALYZE case_attachment, case_reach")
        rows = await conn.fetch(f"EXPLAIN {attached.IS_READ_BY}", *given)
    plan = "\n".join(row[0] for row in rows)
    assert {"case_attachment_pkey", "case_reach_pkey"} <= set(re.findall(r"\w+_pkey", plan))
    assert "Seq Scan" not in plan
