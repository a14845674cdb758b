"""The town as routing knows it: whole, never half of a change, never older than the database."""

import asyncio
from datetime import datetime
from typing import Any

from services.routing.towns import KnownTown, Towns
from tests import factories
from tests.component.routing.desk import Desk, town_lines


def line(kind: str, record_id: str, **body: Any) -> dict[str, Any]:
    return {"kind": kind, "id": record_id, "body": body}


def village(name: str) -> list[dict[str, Any]]:
    """Return a village of one grid, one worker and one household, all of one name."""
    unit = {"level": "village", "zh": name, "parent": "town"}
    return [
        line("unit", f"v-{name}", **unit),
        line("unit", f"g-{name}", level="grid", zh=name, parent=f"v-{name}"),
        line("staff", "w", name="x", posts=[{"unit": f"g-{name}", "role": "grid_worker"}]),
        line("household", "h", grid=f"g-{name}"),
    ]


def gone(name: str) -> list[dict[str, Any]]:
    return [{"kind": "unit", "id": f"{level}-{name}", "body": None} for level in "vg"]


async def known(desk: Desk, towns: Towns) -> KnownTown:
    async with desk.pool.acquire() as conn, conn.transaction():
        return (await towns.known(conn, [desk.tenant]))[desk.tenant]


async def test_half_a_set_changes_nothing(desk: Desk) -> None:
    changes = factories.registry_changes(
        desk.ring, village("n"), tenant=desk.tenant, change_set="merge"
    )
    await desk.change(*changes[:-1])
    before = await desk.report("before", location={"grid": "g-n"})
    assert (await desk.case(before))["fallback"] == "unknown_grid"
    await desk.change(changes[-1])
    after = await desk.report("after", location={"household_id": "h"})
    case = await desk.case(after)
    assert (case["grid"], case["village"], case["owner_staff"]) == ("g-n", "v-n", "w")


async def test_a_reorganisation_is_never_seen_in_halves(desk: Desk) -> None:
    """One village comes and goes, with its worker, while others compile the town anew."""
    names = ("a", "b")
    await desk.town(*village(names[0]), change_set="first")
    reorganised = asyncio.Event()

    async def reorganise() -> None:
        for n in range(40):
            here, there = names[n % 2], names[1 - n % 2]
            await desk.town(*gone(here), *village(there), change_set=f"merge-{n}")
        reorganised.set()

    async def look() -> None:
        while not reorganised.is_set():
            town = (await known(desk, Towns())).town
            (post,) = [unit for (unit, role), held in town.posts.items() if "w" in held]
            assert post in town.units
            assert sum(f"g-{name}" in town.units for name in names) == 1

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(reorganise())
        for _ in range(3):
            tasks.create_task(look())


async def test_a_report_amid_a_reorganisation_finds_its_household_where_it_is(desk: Desk) -> None:
    names = ("a", "b")
    await desk.town(*village(names[0]), change_set="first")
    events = [desk.event(f"k{n}", location={"household_id": "h"}) for n in range(60)]

    async def reorganise() -> None:
        for n in range(30):
            here, there = names[n % 2], names[1 - n % 2]
            await desk.town(*gone(here), *village(there), change_set=f"merge-{n}")

    async def report() -> None:
        for event in events:
            await desk.hear(desk.record(event))

    await asyncio.gather(reorganise(), report())
    rows = await desk.rows("cases")
    assert len(rows) == 60
    assert {(row["placed_by"], row["fallback"], row["owner_staff"]) for row in rows} == {
        ("household", None, "w")
    }


async def test_a_change_takes_effect_with_the_next_report(desk: Desk) -> None:
    first = await desk.report("first", location={"grid": "g01"})
    posts = [{"unit": "g01", "role": "grid_worker", "rank": 1}]
    line_ = line("staff", "a-new-one", name="x", posts=posts)
    await desk.town(line_, change_set="roster")
    second = await desk.report("second", location={"grid": "g01"})
    owners = [(await desk.case(one))["owner_staff"] for one in (first, second)]
    assert owners == ["s-gw-01", "a-new-one"]


async def test_a_case_stays_under_the_profile_that_it_was_opened_with(desk: Desk) -> None:
    old = await desk.report("old", location={"grid": "g01"}, case_class="general")
    first = next(one for one in town_lines() if one["kind"] == "profile")["body"]["body"]
    classes = [
        {**one, "deadline": {**one["deadline"], "within": "P3D"}} if one["id"] == "general" else one
        for one in first["cases"]["classes"]
    ]
    second = {**first, "cases": {**first["cases"], "classes": classes}}
    await desk.town(line("profile", "2", version=2, body=second), change_set="v2")
    new = await desk.report("new", location={"grid": "g01"}, case_class="general")
    rows = {one: await desk.case(one) for one in (old, new)}
    assert [row["profile_version"] for row in rows.values()] == [1, 2]
    due = []
    for case_id, row in rows.items():
        taken = await desk.step(case_id, "first_ask", ("grid_worker", "g01", "w"), row["seq"])
        handed_in = next(e for e in await desk.announced(case_id) if "step" in e.data.TYPE)
        due.append((taken.json()["due_at"], handed_in.occurred_at))
    days = [(datetime.fromisoformat(at) - start).days for at, start in due]
    assert days == [7, 3]


async def test_the_newest_profile_is_the_highest_number_and_not_the_last_word(desk: Desk) -> None:
    body = next(one for one in town_lines() if one["kind"] == "profile")["body"]["body"]
    for version in (10, 9):
        await desk.town(
            line("profile", str(version), version=version, body=body), change_set=f"p{version}"
        )
    assert (await desk.case(await desk.report()))["profile_version"] == 10
