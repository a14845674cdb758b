import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from shapely import Polygon

from contracts.facts import CaseFollowUpKeptV1, CaseOpenedV1
from services.chassis.inbox import Record
from tests.component.routing.desk import Desk, town_lines
from tests.factories import START

# Where it is said to be; where it lands, and why no grid could be told.
PLACES: list[tuple[Mapping[str, Any], str | None, str | None, str | None]] = [
    ({"grid": "g04"}, "g04", "grid", None),
    ({"household_id": "h000001"}, "g01", "household", None),
    ({"household_id": "h999999"}, None, None, "unknown_household"),
    ({"household_id": "h999999", "grid": "g02"}, "g02", "grid", None),
    ({"grid": "g99"}, None, None, "unknown_grid"),
    ({"grid": "v1"}, None, None, "unknown_grid"),
    ({"lat": 0.0, "lon": 0.0}, None, None, "outside_town"),
    ({"lat": 33.3}, None, None, "no_place"),
    ({"village": "v2"}, None, "village", "village_only"),
    ({"village": "没有的村"}, None, None, "unknown_village"),
    ({"village": "' OR 1=1 --"}, None, None, "unknown_village"),
    ({"lat": 0.0, "lon": 0.0, "village": "v1"}, None, "village", "outside_town"),
    ({}, None, None, "no_place"),
]


@pytest.mark.parametrize(("where", "grid", "placed_by", "fallback"), PLACES)
async def test_every_report_opens_a_case_with_an_owner_and_says_why_no_grid(
    desk: Desk, where: dict[str, Any], grid: str | None, placed_by: str | None, fallback: str | None
) -> None:
    case = await desk.case(await desk.report(location=where))
    assert (case["grid"], case["placed_by"], case["fallback"]) == (grid, placed_by, fallback)
    assert case["owner_unit"]
    assert case["owner_role"]
    (opened,) = [e for e in await desk.announced() if isinstance(e.data, CaseOpenedV1)]
    assert isinstance(opened.data, CaseOpenedV1)
    assert opened.data.number == case["number"] == "250303-0001"
    assert opened.seq == 1


async def test_a_point_on_a_border_is_shown_to_whoever_looks(desk: Desk) -> None:
    grid = next(one for one in town_lines() if one["id"] == "g01")
    outline = Polygon(grid["body"]["polygon"][0])
    (lon, lat), inside = outline.exterior.coords[0], outline.representative_point()
    near = await desk.report("near", location={"lat": lat, "lon": lon, "crs": "wgs84"})
    far = await desk.report("far", location={"lat": inside.y, "lon": inside.x, "crs": "wgs84"})
    assert (await desk.case(far))["border"] is None
    kept = (await desk.case(near))["border"]
    assert kept["metres"] == 0
    (opened,) = [e.data for e in await desk.announced(near) if isinstance(e.data, CaseOpenedV1)]
    assert opened.border is not None
    assert opened.border.model_dump(mode="json") == kept
    owner = (await desk.case(near))["owner_unit"]
    shown = await desk.get(f"/v1/cases/{near}", "center_clerk", "town")
    assert shown.json()["border"] == kept
    queue = (await desk.get(f"/v1/queues/{owner}", "center_clerk", owner)).json()["cases"]
    assert {one["case_id"]: one["near_border"] for one in queue}[str(near)] is True


async def test_kinds_that_the_profile_does_not_know_open_under_its_defaults(desk: Desk) -> None:
    odd = await desk.report(category="nope", severity="nope", case_class="nope")
    case = await desk.case(odd)
    assert (case["category"], case["severity"], case["class"]) == ("other", "ordinary", "general")


async def test_fifty_copies_of_a_report_are_one_case(desk: Desk) -> None:
    event = desk.event()
    await desk.hear(*[desk.record(event) for _ in range(25)])
    for _ in range(25):
        await desk.hear(desk.record(event))
    case = await desk.case(event.subject_id)
    assert len(await desk.rows("cases")) == 1
    assert await desk.told(event.subject_id) == [
        "case.opened", "case.assigned", "case.deadline_set",
    ]  # fmt: skip
    assert case["seq"] == len(await desk.rows("case_fact", event.subject_id)) == 3
    assert await desk.rows("follow_up") == []


async def test_two_copies_at_once_by_two_consumers_are_one_case(desk: Desk) -> None:
    event = desk.event()
    await asyncio.gather(*(desk.hear(desk.record(event)) for _ in range(6)))
    assert len(await desk.rows("cases")) == 1
    assert len(await desk.told(event.subject_id)) == 3


@pytest.mark.parametrize("together", [True, False], ids=["one batch", "two batches"])
async def test_another_body_under_the_same_key_is_kept_beside_the_first(
    desk: Desk, *, together: bool
) -> None:
    first = desk.event(words={"summary": "一"}, location={"grid": "g01"})
    second = desk.event(words={"summary": "二"}, location={"grid": "g04"})
    assert first.subject_id == second.subject_id
    records = [desk.record(first), desk.record(second, START + timedelta(seconds=5))]
    for batch in [records] if together else [[one] for one in records]:
        await desk.hear(*batch)
    await desk.hear(*records)
    case = await desk.case(first.subject_id)
    assert case["grid"] == "g01"
    assert (case["seq"], case["human_seq"]) == (4, 0)
    (kept,) = await desk.rows("follow_up")
    assert (kept["reason"], kept["received_at"]) == ("key_conflict", START + timedelta(seconds=5))
    told = await desk.announced(first.subject_id)
    assert [event.seq for event in told] == [1, 2, 3, 4]
    assert isinstance(told[-1].data, CaseFollowUpKeptV1)
    history = (await desk.get(f"/v1/cases/{first.subject_id}/history")).json()["facts"]
    assert (history[-1]["type"], history[-1]["data"]) == (
        "case.follow_up_kept.v1",
        {"reason": "key_conflict", "front_end": "demo", "attachments": []},
    )


async def test_two_bodies_at_once_by_two_consumers_lose_neither(desk: Desk) -> None:
    await desk.report("known")
    pairs = [
        [desk.record(desk.event(f"k{n}", words={"summary": text})) for text in "一二"]
        for n in range(8)
    ]
    for pair in pairs:
        await asyncio.gather(*(desk.hear(record) for record in pair))
        await desk.hear(*pair)  # whichever was given back comes again
    assert (len(await desk.rows("cases")), len(await desk.rows("follow_up"))) == (9, 8)


async def test_a_third_body_is_kept_as_well(desk: Desk) -> None:
    bodies = [desk.event(words={"summary": text}) for text in "一二三"]
    await desk.hear(*[desk.record(one) for one in bodies])
    case = await desk.case(bodies[0].subject_id)
    assert len(await desk.rows("follow_up")) == 2
    assert case["seq"] == 5


async def test_a_conflict_does_not_outdate_what_a_person_has_seen(desk: Desk) -> None:
    case_id = await desk.report(location={"grid": "g01"})
    seen = (await desk.case(case_id))["seq"]
    await desk.hear(desk.record(desk.event(words={"summary": "另"})))
    by = ("grid_worker", "g01", "s-gw-01")
    assert (await desk.step(case_id, "first_ask", by, seen)).status_code == 200


def local(moment: str) -> datetime:
    return datetime.fromisoformat(f"{moment}+08:00")


async def numbers(desk: Desk, *ids: UUID) -> list[str]:
    return [(await desk.case(one))["number"] for one in ids]


async def test_numbers_count_per_town_and_local_day(desk: Desk, neighbour: Desk) -> None:
    late, early = local("2025-03-03T23:59:59.999"), local("2025-03-04T00:00:00")
    one = await desk.report("a", at=late)
    two = await desk.report("b", at=early)
    three = await desk.report("c", at=late)
    assert await numbers(desk, one, two, three) == ["250303-0001", "250304-0001", "250303-0002"]
    assert await numbers(neighbour, await neighbour.report("a", at=late)) == ["250303-0001"]


async def test_one_batch_across_midnight_numbers_each_day_in_order(desk: Desk) -> None:
    days = ["2025-12-31T23:59", "2026-01-01T00:00", "2025-12-31T23:58", "2026-01-01T00:01"]
    events = [desk.event(f"k{n}") for n in range(4)]
    await desk.hear(
        *[desk.record(event, local(day)) for event, day in zip(events, days, strict=True)]
    )
    assert await numbers(desk, *(event.subject_id for event in events)) == [
        "251231-0001", "260101-0001", "251231-0002", "260101-0002",
    ]  # fmt: skip


async def test_the_day_is_the_one_of_the_towns_virtual_time(desk: Desk) -> None:
    real = local("2026-11-22T10:00")
    jump = local("2026-11-22T11:00")
    first = (local("2025-03-03T23:30") - real).total_seconds()
    offsets = [
        {"from_at": real.isoformat(), "seconds": first},
        {"from_at": jump.isoformat(), "seconds": first + 86_400},
    ]
    await desk.town({"kind": "clock", "id": "clock", "body": {"offsets": offsets}}, change_set="c")
    at = [real, real + timedelta(minutes=29, seconds=59), real + timedelta(minutes=30), jump]
    ids = [await desk.report(f"k{n}", at=moment) for n, moment in enumerate(at)]
    assert await numbers(desk, *ids) == ["250303-0001", "250303-0002", "250304-0001", "250305-0001"]
    assert (await desk.case(ids[0]))["received_at"] == local("2025-03-03T23:30")


async def test_batches_at_once_draw_no_number_twice(desk: Desk) -> None:
    batches = [[desk.record(desk.event(f"{b}-{n}")) for n in range(15)] for b in range(6)]
    await asyncio.gather(*(desk.hear(*batch) for batch in batches))
    drawn = sorted(row["number"] for row in await desk.rows("cases"))
    assert drawn == [f"250303-{n:04d}" for n in range(1, 91)]


async def test_a_number_beyond_four_digits_goes_on(desk: Desk) -> None:
    await desk.pool.execute("INSERT INTO case_counter VALUES ($1, '2025-03-03', 9999)", desk.tenant)
    assert await numbers(desk, await desk.report()) == ["250303-10000"]


async def test_reports_of_two_towns_in_one_batch_keep_apart(desk: Desk, neighbour: Desk) -> None:
    mine, theirs = desk.event("same"), neighbour.event("same")
    assert mine.subject_id != theirs.subject_id
    await desk.hear(desk.record(mine), neighbour.record(theirs))
    assert (await desk.case(mine.subject_id))["number"] == "250303-0001"
    assert (await neighbour.case(theirs.subject_id))["number"] == "250303-0001"


async def test_a_report_of_a_town_that_is_not_here_yet_waits(routing: Desk) -> None:
    unknown = routing.of("unseen-2")
    record = unknown.record(unknown.event(), await unknown.now())
    unknown.consumer.copied = False
    await unknown.hear(record)
    unknown.consumer.copied = True
    assert await unknown.rows("inbox") == await unknown.rows("cases") == []
    await unknown.town()
    await unknown.hear(record)
    assert len(await unknown.rows("cases")) == 1


async def aside(desk: Desk, record: Record) -> tuple[str, str]:
    """Return how a record was set aside, and why."""
    query = "SELECT state, reason FROM quarantine WHERE record_key = $1"
    row = await desk.pool.fetchrow(query, record.key)
    assert row is not None
    return row["state"], row["reason"]


async def test_a_report_whose_town_never_comes_is_set_aside_and_holds_up_no_other(
    desk: Desk, routing: Desk
) -> None:
    lost = routing.of("unseen-3")
    desk.consumer.copied = False
    record, mine = lost.record(lost.event()), desk.event()
    await desk.hear(record, desk.record(mine))
    desk.consumer.copied = True
    assert await desk.case(mine.subject_id)
    state, reason = await aside(desk, record)
    assert state == "parked"
    assert "tenant unseen-3" in reason


async def test_reports_of_a_town_without_units_stop_nobody_not_even_for_a_moment(
    desk: Desk, neighbour: Desk
) -> None:
    """Its profile is here and our copy is whole: waiting would help nobody."""
    units = [one["id"] for one in town_lines() if one["kind"] == "unit"]
    await neighbour.town(
        *[{"kind": "unit", "id": one, "body": None} for one in units], change_set="gone"
    )
    now = await desk.now()
    theirs = [neighbour.record(neighbour.event(f"k{n}"), now) for n in range(60)]
    mine = desk.event()
    await desk.hear(*theirs[:30], desk.record(mine, now), *theirs[30:])
    assert await desk.case(mine.subject_id)
    assert {(await aside(desk, one))[0] for one in theirs} == {"parked"}
    assert not desk.subscriptions["intake"].halted.is_set()
