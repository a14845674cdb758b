from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from contracts.facts import Owner
from tests import factories
from tests.component.notify.world import Gateway, World, missed


@pytest.fixture
async def http(world: World) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(world.app())
    async with httpx.AsyncClient(transport=transport, base_url="http://notify") as client:
        yield client


async def ask(http: httpx.AsyncClient, world: World, case_id: UUID, **who: Any) -> httpx.Response:
    token = factories.token(world.keys, "center_clerk", **{"units": ["town"], **who})
    headers = {"Authorization": f"Bearer {token}"}
    return await http.get("/v1/messages", params={"case_id": str(case_id)}, headers=headers)


async def test_a_case_s_messages_with_every_try(
    world: World, gateway: Gateway, http: httpx.AsyncClient
) -> None:
    await gateway.fault("refuse", code="isp.SYSTEM_ERROR")
    case_id = await world.assign()
    async with world.sending():
        await world.until("accepted")
    body = (await ask(http, world, case_id)).json()
    (message,) = body["messages"]
    assert (body["case_id"], body["more"]) == (str(case_id), False)
    assert {key: message[key] for key in ("notice", "rule", "recipient", "channel", "state")} == {
        "notice": "case_assigned",
        "rule": "case_assigned",
        "recipient": "s-gw-01",
        "channel": "sms",
        "state": "accepted",
    }
    tries = [(one["number"], one["channel"], one["state"], one["code"], one["phone"])
             for one in message["attempts"]]  # fmt: skip
    assert tries == [
        (1, "app", "skipped", "no_adapter", None),
        (2, "wechat", "skipped", "no_adapter", None),
        (3, "sms", "retry", "isp.SYSTEM_ERROR", "160****3103"),
        (4, "sms", "accepted", None, "160****3103"),
    ]
    assert message["attempts"][3]["segments"] == 1


async def test_times_are_the_tenant_s(world: World, http: httpx.AsyncClient) -> None:
    clock = {"offsets": [{"from_at": "2020-01-01T00:00:00Z", "seconds": 86_400}]}
    await world.town({"kind": "clock", "id": "clock", "body": clock})
    case_id = await world.assign()
    (message,) = (await ask(http, world, case_id)).json()["messages"]
    real = await world.pool.fetchval("SELECT created_at FROM intent")
    assert datetime.fromisoformat(message["created_at"]) - real == timedelta(days=1)


async def test_another_tenant_sees_nothing(world: World, http: httpx.AsyncClient) -> None:
    case_id = await world.assign()
    assert len((await ask(http, world, case_id)).json()["messages"]) == 1
    not_ours = await ask(http, world, case_id, tenant="gucheng")
    nobody_s = await ask(http, world, uuid4())
    assert (not_ours.status_code, not_ours.json()["code"]) == (404, "case_not_found")
    assert not_ours.json() == nobody_s.json()


@pytest.mark.parametrize(
    ("unit", "status"),
    [("g01", 200), ("v1", 200), ("town", 200), ("g02", 403), ("v2", 403), ("x", 403)],
)
async def test_messages_are_shown_to_the_units_of_the_case(
    world: World, http: httpx.AsyncClient, unit: str, status: int
) -> None:
    case_id = await world.assign()
    answer = await ask(http, world, case_id, units=[unit])
    assert answer.status_code == status
    if status == 403:
        assert answer.json()["code"] == "unit_not_allowed"
        assert "s-gw-01" not in answer.text


async def test_whoever_owns_a_case_sees_its_messages_wherever_it_lies(
    world: World, http: httpx.AsyncClient
) -> None:
    case_id = await world.assign(Owner(unit="g02", role="grid_worker"), grid="g01")
    assert (await ask(http, world, case_id, units=["g02"])).status_code == 200
    assert (await ask(http, world, case_id, units=[])).status_code == 403


async def test_the_page_is_bounded(world: World, http: httpx.AsyncClient) -> None:
    opened = world.opened()
    await world.hear(opened, missed(opened.subject_id))
    token = factories.token(world.keys, "center_clerk", units=["town"])
    headers = {"Authorization": f"Bearer {token}"}
    asked = {"case_id": str(opened.subject_id), "limit": "2"}
    body = (await http.get("/v1/messages", params=asked, headers=headers)).json()
    assert (len(body["messages"]), body["more"]) == (2, True)


@pytest.mark.parametrize("header", [None, "Bearer x", "Basic x"])
async def test_nobody_looks_without_a_token(
    world: World, http: httpx.AsyncClient, header: str | None
) -> None:
    case_id = await world.assign()
    headers = {"Authorization": header} if header else {}
    answer = await http.get("/v1/messages", params={"case_id": str(case_id)}, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "token_invalid")


async def test_a_case_id_that_is_none_is_refused(world: World, http: httpx.AsyncClient) -> None:
    token = factories.token(world.keys, "center_clerk")
    headers = {"Authorization": f"Bearer {token}"}
    answer = await http.get("/v1/messages", params={"case_id": "x"}, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_fields")
