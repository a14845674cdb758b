"""Two persons with one citizen number who came by different sets, at the registry's door."""

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from services.chassis.seal import KeyRing
from services.ledger.domain.access import Subject
from services.ledger.remarks import Numbered
from services.ledger.store.registry import ChangeSet
from services.ledger.taken import NumberTaken, check
from tests.component.ledger.office import Office
from tests.component.ledger.test_ledger_records import LATER, NUMBER, SOON, TOWN, line, removed

OTHER = "440308199901101512"
FULL_WIDTH = "１１０１０５ １９４９１２３１ ００２ｘ"


def person(name: str, number: str | None = NUMBER, **more: Any) -> dict[str, Any]:
    texts = {"name": "李四光", "household": "h1", **more}
    return line("person", name, **texts, **({"id_number": number} if number else {}))


@pytest.fixture
async def town(office: Office) -> Office:
    lines = [*TOWN, line("household", "h2", grid="g2")]
    assert (await office.post_set("town", lines)).status_code == 200
    return office


async def versions(town: Office) -> int:
    return sum(row["kind"] == "person" for row in await town.rows("registry_record"))


def passed(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [one for one in answer.json()["warnings"] if "曾用" in one]


@pytest.mark.parametrize("number", [NUMBER, FULL_WIDTH])
async def test_a_number_that_another_has_is_refused_by_field_with_whose_it_is(
    town: Office, number: str
) -> None:
    answer = await town.post_set("second", [person("p8", OTHER), person("p9", number)])
    assert (answer.status_code, answer.json()["code"]) == (409, "id_number_taken")
    (fault,) = answer.json()["errors"]
    assert {name: fault[name] for name in ("line", "kind", "id", "field", "other")} == {
        "line": 2, "kind": "person", "id": "p9", "field": "id_number", "other": "p1",
    }  # fmt: skip
    assert "p1" in fault["message"]
    assert NUMBER not in answer.text
    assert await versions(town) == 1
    assert [row["change_set_id"] for row in await town.rows("change_set")] == ["town"]
    index = [row["record_id"] for row in await town.rows("registry_index")]
    assert "p8" not in index


async def test_the_same_person_is_corrected_moved_and_recorded_again(town: Office) -> None:
    moved = person("p1", NUMBER, household="h2")
    for n, one in enumerate((person("p1", phone="13812345679"), moved, person("p1", OTHER))):
        assert passed(await town.post_set(f"set-{n}", [one])) == []
    assert passed(await town.post_set("freed", [person("p9")])) == []
    body = {"act": "move", "persons": ["p9"], "household": "h2"}
    answer = await town.http.post(
        "/v1/registry/reorganisations/m1", json=body, headers=town.headers()
    )
    assert answer.status_code == 200, answer.text


async def test_two_persons_exchange_their_numbers_in_one_set(town: Office) -> None:
    assert passed(await town.post_set("second", [person("p2", OTHER)])) == []
    exchanged = [person("p1", OTHER), person("p2", NUMBER)]
    assert (await town.post_set("half", exchanged[:1])).json()["code"] == "id_number_taken"
    assert passed(await town.post_set("whole", exchanged)) == []


async def test_whoever_left_comes_back_as_himself_or_as_another_who_is_told_of(
    town: Office,
) -> None:
    assert passed(await town.post_set("gone", [removed("person", "p1")])) == []
    (told,) = passed(await town.post_set("another", [person("p9")]))
    assert "p1" in told
    assert "person/p9" in told
    assert NUMBER not in told
    refused = await town.post_set("himself", [person("p1")])
    assert (refused.json()["code"], refused.json()["errors"][0]["other"]) == (
        "id_number_taken", "p9",
    )  # fmt: skip
    assert passed(await town.post_set("gone-9", [removed("person", "p9")])) == []
    assert len(passed(await town.post_set("himself", [person("p1")]))) == 1


async def test_it_is_judged_from_when_a_set_holds(town: Office) -> None:
    leaves = await town.post_set("leaves", [removed("person", "p1")], valid_from=SOON)
    assert passed(leaves) == []
    assert (await town.post_set("now", [person("p9")])).json()["code"] == "id_number_taken"
    assert len(passed(await town.post_set("then", [person("p9")], valid_from=LATER))) == 1
    coming = await town.post_set("before-then", [person("p8")], valid_from=SOON)
    assert (coming.json()["code"], coming.json()["errors"][0]["other"]) == ("id_number_taken", "p9")


@pytest.mark.usefixtures("town")
async def test_another_towns_person_is_in_nobodys_way(neighbour: Office) -> None:
    lines = [one for one in TOWN if one["kind"] != "person"]
    assert passed(await neighbour.post_set("town", [*lines, person("p9")])) == []


async def test_an_erased_person_is_in_nobodys_way(town: Office) -> None:
    body = {"kind": "person", "id": "p1", "reason": "依申请"}
    answer = await town.http.post("/v1/registry/erasures", json=body, headers=town.headers())
    assert answer.status_code == 200
    assert passed(await town.post_set("another", [person("p9")])) == []


async def test_an_old_fault_stops_nobody_and_can_be_mended(town: Office) -> None:
    await recorded_twice(town)
    assert passed(await town.post_set("phone", [person("p9", phone="13812345679")])) == []
    assert (await town.post_set("third", [person("p3")])).json()["code"] == "id_number_taken"
    assert passed(await town.post_set("mended", [person("p9", OTHER)])) == []


@pytest.mark.parametrize(("unit", "seen"), [("g1", True), ("g2", False)])
async def test_whose_number_it_is_is_told_to_whoever_may_see_him(
    town: Office, unit: str, *, seen: bool
) -> None:
    await recorded_twice(town)
    can = frozenset(["view", "handle"])
    subject = Subject(town.tenant, frozenset(["w"]), frozenset([unit]), can)
    one, now = ChangeSet(town.tenant, "twice", "x", datetime.now(UTC)), datetime.now(UTC)
    numbers = [Numbered(1, "person", "p9", "id_number", NUMBER)]
    async with town.pool.acquire() as conn:
        with pytest.raises(NumberTaken) as refused:
            await check(conn, one, numbers, KeyRing(town.secrets.key_file), subject, now)
    (fault,) = refused.value.faults
    assert ("other" in fault, "p1" in fault["message"]) == (seen, seen)


async def recorded_twice(town: Office) -> None:
    """Let two have one number, as they may from before the door looked at it."""
    await town.post_set("gone", [removed("person", "p1")])
    await town.post_set("twice", [person("p9")])
    forget = "DELETE FROM registry_record WHERE tenant_id = $1 AND change_set_id = 'gone'"
    await town.pool.execute(forget, town.tenant)
