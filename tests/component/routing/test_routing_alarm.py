"""What stops a clock, what does not, and who is told when one waits."""

from dataclasses import replace
from datetime import timedelta

from services.routing.towns import Towns
from tests.component.routing.desk import Desk
from tests.factories import START


async def test_a_town_whose_units_are_gone_stops_no_clock(timed: Desk, other: Desk) -> None:
    case_id = await timed.urgent()
    theirs = await other.urgent()
    units = [row["record_id"] for row in await timed.rows("registry_copy") if row["kind"] == "unit"]
    gone = [{"kind": "unit", "id": unit, "body": None} for unit in units]
    await timed.town(*gone, change_set="gone")
    await timed.clockwork(Towns()).tick()
    assert await other.missed(theirs) == ["first_action", "class"]
    assert await timed.missed(case_id) == ["first_action", "class"]
    answer = await timed.get(f"/v1/cases/{case_id}", "grid_worker", "g01")
    assert answer.status_code == 200
    waiting = timed.event("waits", location={"grid": "g01"})
    now = await timed.now()
    await timed.hear(timed.record(waiting, now))
    assert await timed.rows("cases", waiting.subject_id) == []


async def test_a_timer_that_waits_too_long_is_told(timed: Desk) -> None:
    held = await timed.urgent("held")
    bad = timed.record(timed.event("held", words={"summary": "x"}))
    await timed.hear(replace(bad, headers={}))
    clockwork = timed.clockwork()
    assert await clockwork.waiting_s() > 60
    await timed.pool.execute("DELETE FROM quarantine")
    await clockwork.tick()
    assert await timed.missed(held) == ["first_action", "class"]
    assert await clockwork.waiting_s() == 0


async def test_a_virtual_clock_is_no_reason_for_an_alarm(timed: Desk) -> None:
    now = await timed.now()
    await timed.set_clock((now - timedelta(seconds=5), START - now))
    await timed.urgent(at=now)
    assert await timed.clockwork().waiting_s() == 0
