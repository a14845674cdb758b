"""Another town's ids, at every door of notify that takes one."""

from typing import Any
from uuid import uuid4

import httpx

from tests import factories
from tests.component.neighbours import Ask, Ids, doors_taking, walk
from tests.component.notify.test_notify_inbox import WORKER
from tests.component.notify.world import World

NEIGHBOUR = "gucheng"
ASKS = [
    Ask("get", "/v1/messages", query="case_id={case_id}"),
    Ask("post", "/v1/inbox/{message_id}/read"),
    Ask("get", "/v1/inbox", query="cursor=read_2099-01-01T00:00:00Z_{message_id}", status=200),
]
# Providers push for all towns at once, and have a token of their own.
PROVIDERS = {("post", "/v1/receipts/{provider}"), ("post", "/v1/replies/{provider}")}


def bearer(world: World, tenant: str) -> dict[str, str]:
    """Return a token of one who is called the same in every town."""
    who: dict[str, Any] = {"tenant": tenant, "staff": WORKER, "units": ["town", "g01"]}
    return {"Authorization": f"Bearer {factories.token(world.keys, 'grid_worker', **who)}"}


async def ids_of(world: World, http: httpx.AsyncClient) -> Ids:
    """Let the neighbour have a case, with a message in its worker's inbox."""
    await world.town(tenant=NEIGHBOUR)
    case_id = await world.assign(tenant=NEIGHBOUR)
    async with world.sending():
        await world.until("delivered")
    (kept,) = (await http.get("/v1/inbox", headers=bearer(world, NEIGHBOUR))).json()["messages"]
    assert kept["case_id"] == str(case_id)
    return {"case_id": str(case_id), "message_id": kept["message_id"]}


async def test_another_towns_ids_are_answered_like_none_at_every_door(world: World) -> None:
    world.settings = world.settings.model_copy(update={"app_inbox": True})
    transport = httpx.ASGITransport(world.app())
    async with httpx.AsyncClient(transport=transport, base_url="http://notify") as http:
        theirs = await ids_of(world, http)

        async def send(method: str, url: str, content: bytes | None) -> httpx.Response:
            headers = bearer(world, factories.TENANT)
            return await http.request(method, url, content=content, headers=headers)

        await walk(ASKS, theirs, {name: str(uuid4()) for name in theirs}, send)
        document = (await http.get("/openapi.json")).json()
        left = (await http.get("/v1/inbox", headers=bearer(world, NEIGHBOUR))).json()
    assert left["unread"] == 1, "nobody else has read it"
    doors = doors_taking(document, {*theirs, "cursor", "provider"})
    assert doors == {ask.door for ask in ASKS} | PROVIDERS
