"""Another town's look, at the doors of the board: it is none of this town's.

Whoever reaches the console may see every town; what belongs to one must not stand on another's.
"""

from typing import Any

from starlette.routing import Route

from services.console.api import make_router
from tests.component.console.test_console_stream import watching
from tests.component.console.world import Story, World
from tests.factories import TENANT

NEIGHBOUR = "gucheng"


async def test_every_door_with_an_id_is_known_here(world: World) -> None:
    routes = [one for one in make_router(world.hall()).routes if isinstance(one, Route)]
    assert {one.path for one in routes if one.param_convertors} == {
        "/board/{tenant}",
        "/board/{tenant}/events",
    }


async def first_news(world: World, since: str) -> dict[str, Any]:
    async with watching(world, since=since) as browser:
        return await browser.news()


async def test_another_towns_look_is_answered_like_none(world: World) -> None:
    world.town()
    town = world.town(tenant=NEIGHBOUR, profile=NEIGHBOUR)
    mine, theirs = Story().opened(), Story(tenant=NEIGHBOUR).opened()
    await world.hear(mine, theirs)
    look = await world.boards.board(NEIGHBOUR, town)
    told = await first_news(world, look.id)
    assert told == await first_news(world, "nobody-1")
    assert told["order"] == [mine.number]
    async with world.browser() as http:
        for tenant, shown, hidden in ((TENANT, mine, theirs), (NEIGHBOUR, theirs, mine)):
            page = (await http.get(f"/board/{tenant}")).text
            assert shown.number in page
            assert hidden.number not in page
