"""Whoever locks several cases locks them in one order, or each would wait for the other."""

import asyncio
import re
from pathlib import Path

import services
from services.routing.store import cases
from tests.component.routing.desk import Desk
from tests.component.routing.test_routing_whistles import called, outcomes, request
from tests.waiting import until

WAITS_FOR_A_LOCK = """
SELECT EXISTS (
    SELECT
    FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock'
)
"""


async def test_a_batch_of_reports_and_acts_waits_for_the_clock_and_not_the_clock_for_it(
    timed: Desk,
) -> None:
    of_key = {(await called(timed, "police", key=key)): key for key in ("k1", "k2")}
    (low, whistle_id), (high, _) = sorted(of_key)
    again = timed.event(of_key[high, _], words={"summary": "something else"})
    act = timed.record(request(timed, low, whistle_id))
    async with timed.pool.acquire() as clock:
        async with clock.transaction():
            await cases.get_locked(clock, [(timed.tenant, low)])
            given_back = timed.consumer.given_back
            hearing = asyncio.create_task(timed.hear(timed.record(again), act))

            async def waits() -> bool:
                return bool(await timed.pool.fetchval(WAITS_FOR_A_LOCK))

            await until(waits, "the batch waits for a case")
            await cases.get_locked(clock, [(timed.tenant, high)])
        await hearing
    assert await outcomes(timed, low) == {"police": "reported"}
    assert [row["reason"] for row in await timed.rows("follow_up", high)] == ["key_conflict"]
    assert timed.consumer.given_back == given_back + 1


def test_each_kind_of_advisory_lock_has_a_number_of_its_own() -> None:
    root = Path(services.__path__[0])
    files = [path for name in ("chassis", "routing") for path in (root / name).rglob("*.py")]
    numbers = [n for path in files for n in re.findall(r"(?m)^_?LOCK = (\d+)", path.read_text())]
    assert len(numbers) == len(set(numbers)) == 4
