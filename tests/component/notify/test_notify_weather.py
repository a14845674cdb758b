"""Everything at once: two senders, a gateway that fails in every way, receipts in disorder."""

import asyncio
from collections import Counter

import uvicorn

from services.chassis.postgres import open_pool
from tests.component.notify import world as worlds
from tests.component.notify.world import CALLBACK, SilentServer, World, serve

MESSAGES = 120
FAULTS = [
    {"kind": "error_500", "when": "before", "share": 0.05, "seed": 1},
    {"kind": "error_500", "when": "after", "share": 0.05, "seed": 2},
    {"kind": "garbage", "when": "after", "share": 0.05, "seed": 3},
    {"kind": "reset", "when": "before", "share": 0.05, "seed": 4},
    {"kind": "reset", "when": "after", "share": 0.05, "seed": 5},
    {"kind": "hang", "when": "before", "seconds": 1.4, "share": 0.05, "seed": 6},
    {"kind": "hang", "when": "after", "seconds": 1.4, "share": 0.05, "seed": 7},
    {"kind": "throttle", "retry_after_ms": 50, "share": 0.05, "seed": 8},
    {"kind": "refuse", "code": "isp.SYSTEM_ERROR", "share": 0.05, "seed": 9},
    {"kind": "receipt_duplicated", "times": 3, "share": 0.2, "seed": 10},
    {"kind": "receipt_before_answer", "share": 0.2, "seed": 11},
    {"kind": "receipt_out_of_order", "seconds": 0.2, "share": 0.2, "seed": 12},
]
# What the provider has let on about each attempt, against what we made of it.
TWICE = """
SELECT count(*)
FROM (
    SELECT intent_id
    FROM attempt
    WHERE state IN ('accepted', 'delivered')
    GROUP BY intent_id
    HAVING count(*) > 1
) AS twice
"""


async def test_in_any_weather_each_message_arrives_once(world: World) -> None:
    config = uvicorn.Config(world.app(), log_level="warning", ws="none")
    async with (
        serve(SilentServer(config)) as url,
        worlds.gateway(f"{url}{CALLBACK}") as gateway,
        open_pool(world.settings, "notify-2") as pool,
    ):
        await gateway.http.post("/sandbox/faults", json={"faults": FAULTS})
        for _ in range(MESSAGES):
            await world.assign()
        patient = {"gateway_url": gateway.url, "lost_after_s": 3.0, "retry_wait_s_max": 0.2}
        world.settings = world.settings.model_copy(update=patient)
        other = worlds.World(pool, world.keys, world.ring, world.settings)
        async with world.sending(send_concurrency=8), other.sending(send_concurrency=8):
            open_ = "SELECT count(*) = 0 FROM intent WHERE state IN ('open', 'accepted')"
            await world.eventually(open_)
            await asyncio.sleep(0.5)
        sent = Counter(message["out_id"] for message in await gateway.messages())
    ends = await world.pool.fetch("SELECT state, count(*) AS n FROM intent GROUP BY state")
    facts = Counter(kind for kind, _ in await world.facts())
    failed = {row["state"]: row["n"] for row in ends}.get("failed", 0)
    assert set(sent.values()) == {1}, "no reference was used twice"
    assert await world.pool.fetchval(TWICE) == 0, "nobody was told twice"
    assert len(sent) == MESSAGES - failed
    assert facts == Counter({
        "message.accepted.v1": MESSAGES - failed,
        "message.delivered.v1": MESSAGES - failed,
        **({"message.failed.v1": failed} if failed else {}),
    })  # fmt: skip
