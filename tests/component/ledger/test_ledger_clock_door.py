import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from contracts.registry import TenantClock
from deploy.local.secrets import Secrets
from tests.component.ledger.office import Office, open_office

MONDAY = datetime(2025, 3, 3, 0, 30, tzinfo=UTC)


async def test_a_clock_is_set_freely_then_only_forward(office: Office) -> None:
    at_first = await office.clock(set_to=MONDAY.isoformat())
    assert datetime.fromisoformat(at_first.json()["now"]) == MONDAY
    ahead = (await office.clock(advance_s=3600)).json()
    assert datetime.fromisoformat(ahead["now"]) > MONDAY + timedelta(hours=1)
    back = await office.clock(set_to=MONDAY.isoformat())
    assert (back.status_code, back.json()["code"]) == (409, "clock_not_moved")
    assert (await office.get("/v1/dev/clock")).json()["ahead_s"] == ahead["ahead_s"]
    data = [one.data for one in await office.published()]
    assert [len(one.offsets) for one in data if isinstance(one, TenantClock)] == [1, 2]


async def test_standing_still_is_no_fault(office: Office) -> None:
    assert (await office.clock(advance_s=0)).status_code == 200
    assert (await office.clock(advance_s=0)).status_code == 200


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"advance_s": 5, "set_to": MONDAY.isoformat()}, 422),
        ({"advance": 5}, 422),
        ({"advance_s": -1}, 422),
        ({"advance_s": "soon"}, 422),
        ({"advance_s": 1e308}, 422),
        ({"advance_s": 21 * 366 * 86_400}, 422),
        ({"set_to": "2025-03-03T08:30:00"}, 422),
        ({"set_to": "tomorrow"}, 422),
        ({"set_to": "0001-01-01T00:00:00Z"}, 422),
        ({"set_to": "9999-12-31T23:59:59-12:00"}, 422),
        ({"set_to": "1900-01-01T00:00:00Z"}, 409),
        ({"set_to": "8999-12-31T00:00:00Z"}, 409),
    ],
)
async def test_a_wrong_body_moves_nothing(
    office: Office, body: dict[str, object], status: int
) -> None:
    answer = await office.clock(**body)
    assert answer.status_code == status
    assert answer.json()["code"]
    assert await office.outbox() == []


async def test_a_set_of_any_name_does_not_stop_the_clock(office: Office) -> None:
    unit = {"kind": "unit", "id": "g1", "body": {"level": "grid", "zh": "x"}}
    await office.post_set("clock-1", [unit])
    await office.clock(set_to=MONDAY.isoformat())
    now = datetime.fromisoformat((await office.get("/v1/dev/clock")).json()["now"])
    assert now - MONDAY < timedelta(minutes=1)


async def test_many_at_once_advance_one_after_the_other(office: Office) -> None:
    await office.clock(set_to=MONDAY.isoformat())
    before = (await office.get("/v1/dev/clock")).json()["ahead_s"]
    answers = await asyncio.gather(*(office.clock(advance_s=100) for _ in range(6)))
    assert {one.status_code for one in answers} == {200}
    after = (await office.get("/v1/dev/clock")).json()["ahead_s"]
    assert after - before == pytest.approx(600)


async def test_each_town_has_its_own_time(office: Office) -> None:
    await office.clock(set_to=MONDAY.isoformat())
    other = await office.of("town998").get("/v1/dev/clock")
    assert other.json()["ahead_s"] == 0


async def test_only_an_operator_moves_it(office: Office) -> None:
    answer = await office.get("/v1/dev/clock", "town_leader")
    assert (answer.status_code, answer.json()["code"]) == (403, "operator_only")


async def test_in_production_there_is_no_such_door(
    ledger_dsn: str, ledger_secrets: Secrets
) -> None:
    async with open_office(ledger_dsn, ledger_secrets, mode="production") as closed:
        for answer in (await closed.clock(advance_s=5), await closed.get("/v1/dev/clock")):
            assert (answer.status_code, answer.json()["code"]) == (404, "http_404")
        clock = {"kind": "clock", "id": "clock", "body": {"offsets": []}}
        answer = await closed.post_set("s1", [clock])
        assert answer.json()["errors"][0]["field"] == "kind"


async def test_the_clock_s_body_is_read_as_any_other(office: Office) -> None:
    twice, headers = b'{"advance_s": 1, "advance_s": 2}', office.headers()
    answer = await office.http.post("/v1/dev/clock", content=twice, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "json_duplicate_key")
