"""A file of messages is replayed twice; each case's grid is compared with a brute-force lookup."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import asyncpg
from shapely import Point, Polygon

from deploy.cli.messages import Message, key_of, read_messages
from deploy.cli.places import Places, place_of
from deploy.cli.replay import Replayed, read_places, replay_file
from deploy.cli.replay import show as show_replay
from deploy.local.quiet import Watch
from deploy.local.seeding import DEFAULT_SIZE, Size
from deploy.local.state import StackState
from deploy.local.whole import Running
from tests.faults.check import Verdict, show
from tests.faults.ground import TENANT, ground, state_of

PLACED = "SELECT case_id, grid, fallback FROM cases WHERE tenant_id = $1"


def brute_force(place: dict[str, Any], places: Places, households: dict[str, str]) -> str | None:
    """Look through everything, by no index; of several grids the lowest id."""
    if "household_id" in place:
        return households[place["household_id"]]
    if "grid" in place:
        return str(place["grid"])
    if "lon" in place:
        point = Point(place["lon"], place["lat"])
        holding = [g for g, ring in places.outlines.items() if Polygon(ring).covers(point)]
        return min(holding, default=None)
    return None


async def replay_twice(running: Running, path: Path) -> Verdict:
    """Replay, look, replay again: the second run adds nothing."""
    state, messages = state_of(running), read_messages(path)
    first = await replay_file(state, TENANT, messages)
    show_replay(first, messages)
    verdict = await compare(state, messages, first)
    again = await replay_file(state, TENANT, messages)
    async with Watch(state) as watch:
        await watch.until_quiet(120)
    added = again.after - again.before
    verdict.expect(added == 0, f"the second run added {added} cases")
    verdict.expect(set(first.case_ids) == set(again.case_ids), "the second run had other cases")
    verdict.counts |= {
        "seconds to accept all": round(first.sent_s),
        "added by the second run": added,
    }
    return verdict


async def compare(state: StackState, messages: Sequence[Message], replayed: Replayed) -> Verdict:
    verdict = Verdict()
    places = await read_places(state, TENANT)
    conn = await asyncpg.connect(state.dsns["routing"])
    rows = await conn.fetch(
        "SELECT record_id, body FROM registry_copy WHERE tenant_id = $1 AND kind = 'household'",
        TENANT,
    )
    kept = {row["case_id"]: row for row in await conn.fetch(PLACED, TENANT)}
    await conn.close()
    households = {row["record_id"]: json.loads(row["body"])["grid"] for row in rows}
    differing = misplaced = placeless = 0
    for message in messages:
        place = place_of(message.id, places)
        row = kept[replayed.cases[key_of(message)]]
        differing += row["grid"] != brute_force(place, places, households)
        placeless += not place
        misplaced += (row["fallback"] is not None) != (not place)
    verdict.expect(not replayed.refused, f"{len(replayed.refused)} messages were refused")
    verdict.expect(len(kept) == len(messages), f"{len(kept)} cases of {len(messages)} messages")
    verdict.expect(differing == 0, f"{differing} grids differ from a brute-force lookup")
    verdict.expect(misplaced == 0, f"{misplaced} fallbacks are not those without a place")
    verdict.counts |= {
        "messages": len(messages),
        "cases": len(kept),
        "grids that differ from brute force": differing,
        "without a place": placeless,
        "in the fallback": sum(row["fallback"] is not None for row in kept.values()),
    }
    return verdict


async def run(place: Path, path: Path, size: Size) -> Verdict:
    async with ground(place, size=size) as running:
        verdict = await replay_twice(running, path)
        show(verdict)
        return verdict


def main(path: Path) -> int:
    with TemporaryDirectory(prefix="faults-") as place:
        return 1 if asyncio.run(run(Path(place), path, DEFAULT_SIZE)).wrong else 0
