"""The app's inbox: what is stored is delivered, and each reads his own."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
import pytest

from services.notify.app import open_channels
from tests import factories
from tests.component.notify.world import Gateway, World
from tests.factories import TENANT

WORKER, OTHER = "s-gw-01", "s-gl-01"


@dataclass
class App:
    """The phone app as its reader uses it."""

    world: World
    http: httpx.AsyncClient

    def headers(self, staff: str, tenant: str = TENANT) -> dict[str, str]:
        token = factories.token(self.world.keys, "grid_worker", tenant=tenant, staff=staff)
        return {"Authorization": f"Bearer {token}"}

    async def get(self, staff: str = WORKER, tenant: str = TENANT, **params: Any) -> Any:
        answer = await self.http.get(
            "/v1/inbox", params=params, headers=self.headers(staff, tenant)
        )
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def read(self, message_id: str, staff: str = WORKER) -> int:
        path = f"/v1/inbox/{message_id}/read"
        return (await self.http.post(path, headers=self.headers(staff))).status_code

    async def assign(self, count: int = 1) -> None:
        """Assign cases to the worker, one after another; return once all are delivered."""
        for _ in range(count):
            await self.world.assign()
        async with self.world.sending():
            await self.world.eventually("SELECT count(*) = 0 FROM intent WHERE state = 'open'")


@pytest.fixture
async def app(world: World) -> AsyncIterator[App]:
    world.settings = world.settings.model_copy(update={"app_inbox": True})
    transport = httpx.ASGITransport(world.app())
    async with httpx.AsyncClient(transport=transport, base_url="http://notify") as http:
        yield App(world, http)


async def test_what_is_stored_is_delivered_and_no_text_goes_out(app: App, gateway: Gateway) -> None:
    await app.assign()
    found = await app.get()
    (message,) = found["messages"]
    assert message["text"] == (
        "250303-0001号件（邻里纠纷，柿红新村菊黄洼网格）已派给您，请及时受理。"
    )
    assert (found["unread"], found["next"], message["read_at"]) == (1, None, None)
    kinds = [kind for kind, _ in await app.world.facts()]
    assert kinds == ["message.accepted.v1", "message.delivered.v1"]
    assert await app.world.attempts() == [("app", "delivered", None)]
    assert await gateway.texts() == []


async def test_each_sees_his_own(app: App) -> None:
    await app.assign()
    assert (await app.get(OTHER))["messages"] == []
    assert (await app.get(tenant="gucheng"))["messages"] == []
    (message,) = (await app.get())["messages"]
    assert await app.read(message["message_id"], OTHER) == 404
    assert (await app.get())["unread"] == 1


async def test_what_is_read_comes_behind_what_is_not(app: App) -> None:
    await app.assign(3)
    newest, middle, oldest = [m["message_id"] for m in (await app.get())["messages"]]
    assert await app.read(newest) == 204
    assert await app.read(newest) == 204
    found = await app.get()
    assert [m["message_id"] for m in found["messages"]] == [middle, oldest, newest]
    assert found["unread"] == 2


async def test_pages_follow_one_another_without_a_gap(app: App) -> None:
    await app.assign(5)
    whole = [m["message_id"] for m in (await app.get())["messages"]]
    for message_id in whole[:2]:
        await app.read(message_id)
    found, cursor, pages = [], None, 0
    while cursor is not None or not pages:
        page = await app.get(limit=2, **({"cursor": cursor} if cursor else {}))
        found += [m["message_id"] for m in page["messages"]]
        cursor, pages = page["next"], pages + 1
    assert found == [*whole[2:], *whole[:2]]
    assert pages == 3


@pytest.mark.parametrize(
    "params",
    [
        {"cursor": "x"},
        {"cursor": "read_2025-03-03_x"},
        {"cursor": f"seen_2025-03-03T00:00:00Z_{uuid4()}"},
        {"cursor": f"read_2025-03-03T00:00:00_{uuid4()}"},
        {"limit": 0},
        {"limit": 101},
    ],
)
async def test_a_bad_cursor_or_limit_is_named(app: App, params: dict[str, Any]) -> None:
    answer = await app.http.get("/v1/inbox", params=params, headers=app.headers(WORKER))
    assert answer.status_code in (400, 422)
    assert answer.json()["code"] in ("cursor_malformed", "invalid_fields")


async def test_without_a_token_nothing_is_shown(app: App) -> None:
    assert (await app.http.get("/v1/inbox")).status_code == 401
    assert (await app.http.post(f"/v1/inbox/{uuid4()}/read")).status_code == 401
    assert await app.read(str(uuid4())) == 404


async def test_a_process_that_dies_after_storing_stores_nothing_twice(app: App) -> None:
    world = app.world
    await world.assign()
    async with open_channels(world.settings, world.pool) as channels:
        (job,) = await world.claims(world.settings, channels).take(10)
        sender = world.sender(world.settings, channels)
        await sender._deliverer.call(job)  # type: ignore[arg-type]  # noqa: SLF001 - and here it dies
    await asyncio.sleep(world.settings.send_lease_s)
    async with world.sending():
        await world.until("delivered")
    assert len((await app.get())["messages"]) == 1
    assert await world.attempts() == [("app", "delivered", None)]


async def test_who_has_left_gets_nothing_in_the_app(app: App) -> None:
    await app.world.assign()
    gone = factories.registry_changes(
        app.world.ring, [{"kind": "staff", "id": WORKER, "body": None}], change_set="left"
    )
    await app.world.registry(gone)
    async with app.world.sending():
        await app.world.until("failed")
    assert (await app.get())["messages"] == []
