"""How long the pages take at 500 households, beside a bare primary-key read: told, not judged."""

import time
from collections.abc import Awaitable, Callable
from statistics import median
from typing import Any

from tests.component.console.test_console_register import TOWN, Desk, desk

__all__ = ["desk"]
ROUNDS, HOMES = 15, 500
BARE = """
SELECT body
FROM registry_record
WHERE tenant_id = $1 AND kind = 'household' AND record_id = $2 AND version = 1
"""


async def test_a_grid_of_five_hundred_households_is_shown_whole(
    desk: Desk,
    capsys: Any,
) -> None:
    lines: list[dict[str, Any]] = []
    for n in range(HOMES):
        home = {**desk.home["body"], "address": f"镇东{n}号", "head": f"q{n}a"}
        lines += [
            {
                "kind": "person",
                "id": f"q{n}{which}",
                "body": {"household": f"m{n}", "name": "王小明"},
            }
            for which in "abc"
        ]
        lines.append({"kind": "household", "id": f"m{n}", "body": home})
    assert (await desk.office.post_set("many", lines)).status_code == 200
    async with desk.browser(desk.token()) as http, desk.office.pool.acquire() as conn:
        html = (await http.get(f"/{TOWN}/grids/{desk.grid}")).text
        assert all(f"/households/m{n}" in html for n in range(HOMES))
        began = time.process_time()
        whole = await timed(lambda: http.get(f"/{TOWN}/grids/{desk.grid}"))
        busy = (time.process_time() - began) * 1000 / ROUNDS
        home_ms = await timed(lambda: http.get(f"/{TOWN}/households/m7"))
        told = await timed(lambda: desk.office.get(f"/v1/grids/{desk.grid}"))
        bare = await timed(lambda: conn.fetchval(BARE, TOWN, "m7"))
    with capsys.disabled():
        print(  # noqa: T201 - a measurement is read by people
            f"\n{HOMES} households: page {whole:.0f} ms (ledger's part {told:.0f} ms, "
            f"both services' own work {busy:.0f} ms), "
            f"a household's page {home_ms:.0f} ms, a bare primary-key read {bare:.2f} ms"
        )


async def timed(ask: Callable[[], Awaitable[Any]]) -> float:
    """Return the median in milliseconds."""
    taken = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        await ask()
        taken.append((time.perf_counter() - began) * 1000)
    return median(taken)
