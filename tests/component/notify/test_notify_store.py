import asyncio
from datetime import timedelta
from typing import Any

from services.notify.store import intents
from services.notify.towns import Towns
from tests import factories
from tests.component.notify.world import World


async def test_a_claim_reads_what_is_due_alone_however_much_is_kept(world: World) -> None:
    await world.assign()
    async with world.pool.acquire() as conn:
        await conn.execute(
            "INSERT INTO intent SELECT tenant_id, gen_random_uuid(), case_id, event_id,"
            " traceparent, notice, rule, recipient, channels, tries_max, wait_s, words, due_at,"
            " timezone, 'delivered', NULL, channel, now(), now(), now()"
            " FROM intent, generate_series(1, 20000)"
        )
        await conn.execute("ANALYZE intent")
        plan = await conn.fetch(
            f"EXPLAIN {intents.CLAIM}", ["sms", "app"], 10, timedelta(seconds=30)
        )
    text = "\n".join(row[0] for row in plan)
    assert "intent_due" in text
    assert "Seq Scan on intent" not in text


def village(name: str, *, there: bool) -> list[dict[str, Any]]:
    """Return a village of one grid as it comes, with the one worker, or as it goes."""
    unit: dict[str, Any] = {"level": "village", "zh": name, "parent": "town"}
    grid = {"level": "grid", "zh": name, "parent": f"v-{name}"}
    lines = [
        {"kind": "unit", "id": f"v-{name}", "body": unit if there else None},
        {"kind": "unit", "id": f"g-{name}", "body": grid if there else None},
    ]
    if there:
        posts = [{"unit": f"g-{name}", "role": "grid_worker"}]
        lines.append({"kind": "staff", "id": "w", "body": {"name": "x", "posts": posts}})
    return lines


async def test_a_reorganisation_is_never_seen_in_halves(world: World) -> None:
    """One village comes and goes, with its worker, while others compile the town anew."""
    reorganised = asyncio.Event()

    async def change(name: str, *lines: dict[str, Any]) -> None:
        await world.registry(factories.registry_changes(world.ring, lines, change_set=name))

    async def reorganise() -> None:
        for n in range(40):
            gone, come = "ab"[n % 2], "ba"[n % 2]
            await change(f"merge-{n}", *village(gone, there=False), *village(come, there=True))
        reorganised.set()

    async def look() -> None:
        while not reorganised.is_set():
            async with world.pool.acquire() as conn:
                town = (await Towns().known(conn, [factories.TENANT]))[factories.TENANT].town
            (post,) = [unit for (unit, _), held in town.posts.items() if "w" in held]
            assert post in town.units
            assert sum(f"g-{name}" in town.units for name in "ab") == 1

    await change("first", *village("a", there=True))
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(reorganise())
        for _ in range(3):
            tasks.create_task(look())
