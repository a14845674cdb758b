"""A newer table comes while arrivals and answers from above are awaited, or were missed."""

from collections import Counter
from datetime import timedelta
from typing import Any
from uuid import UUID

from tests.component.routing.desk import Desk
from tests.component.routing.test_routing_recount_store import (
    FRIDAY,
    MONDAY_OFF,
    go,
    late,
    open_clocks,
    publish,
    settle,
    ticks,
    year_2035,
)
from tests.component.routing.test_routing_stages import COUNTY, data_of, other_rules, post
from tests.component.routing.test_routing_whistles import CLERK, POLICE, act, blow

ON_DUTY = {"within": "PT8H", "clock": "duty"}


async def missed_above(desk: Desk) -> tuple[UUID, UUID, UUID]:
    """Let a department not arrive and the level above not answer; return case, whistle, call."""
    await other_rules(desk, arrival={"general": ON_DUTY})
    case_id = await late(desk)
    answer = await blow(desk, case_id, "police", "court")
    whistle_id = UUID(answer.json()["whistle_id"])
    words = {"reason": "需区级协调", "expected_seq": (await desk.case(case_id))["seq"]}
    called = await post(desk, f"cases/{case_id}/calls-upward", CLERK, **words)
    assert called.status_code == 201, called.text
    for department in ("police", "court"):
        given = {"department": department, "means": "app_ack"}
        came = await act(desk, whistle_id, "report-ins", department, **given)
        assert came.status_code == 200, came.text
    clocks = await open_clocks(desk, case_id)
    dues = [clocks["arrive/police", "miss"], clocks["call_upward/county", "miss"]]
    assert None not in dues
    await go(desk, max(one for one in dues if one) + timedelta(minutes=1))
    await ticks(desk)
    return case_id, whistle_id, UUID(called.json()["whistle_id"])


async def data_by(desk: Desk, case_id: UUID, type_: str) -> dict[str, dict[str, Any]]:
    """Return the last of such facts by department or unit."""
    return {
        one.get("department") or one["unit"]: one for one in await data_of(desk, case_id, type_)
    }


async def test_missed_arrivals_and_answers_are_taken_back_and_missed_again(timed: Desk) -> None:
    await go(timed, FRIDAY)
    await publish(timed, 1)
    case_id, whistle_id, call_id = await missed_above(timed)
    told = Counter(await timed.told(case_id))
    assert (told["whistle.stage_missed"], told["whistle.unanswered"]) == (2, 1)
    came = await act(timed, whistle_id, "arrivals", **POLICE)
    assert came.status_code == 200, came.text
    await publish(timed, 2, year_2035("2035-03-05", "2035-03-06", "2035-03-07"))
    await settle(timed)
    moved = await data_by(timed, case_id, "whistle.stage_moved")
    assert {name: one["miss_withdrawn"] for name, one in moved.items()} == {
        "police": True,
        "court": True,
    }
    answer = await data_by(timed, case_id, "whistle.answer_moved")
    assert answer["county"]["miss_withdrawn"] is True
    clocks = await open_clocks(timed, case_id)
    later = {name for name, _ in clocks if name.startswith(("arrive", "call_upward"))}
    assert later == {"arrive/court", "call_upward/county"}
    assert clocks["arrive/court", "miss"] == moved["court"]["due_at"]
    slots = {row["department"]: row["arrive_due_at"] for row in await timed.rows("slot", case_id)}
    assert slots == {name: one["due_at"] for name, one in moved.items()}
    (call,) = await timed.rows("upward_call", case_id)
    assert (call["outcome"], call["due_at"]) == (None, answer["county"]["due_at"])
    tasks = Counter(row["body"].get("change") for row in await timed.rows("task", case_id))
    assert tasks["stage_moved"] == 2
    assert await settle(timed) == 0
    last = max(moved["court"]["due_at"], answer["county"]["due_at"])
    await go(timed, last + timedelta(minutes=1))
    await ticks(timed)
    told = Counter(await timed.told(case_id))
    assert (told["whistle.stage_missed"], told["whistle.unanswered"]) == (3, 2)
    unanswered = await data_by(timed, case_id, "whistle.unanswered")
    assert unanswered["county"]["called_by"]["role"] == CLERK[0]
    path = f"whistles/{call_id}/answers"
    assert (await post(timed, path, COUNTY, answer="来晚了")).status_code == 200
    await publish(timed, 3, year_2035(*(f"2035-03-{day:02}" for day in range(5, 24))))
    await settle(timed)
    (call,) = await timed.rows("upward_call", case_id)
    assert call["outcome"] == "answered"
    seqs = [event.seq for event in await timed.announced(case_id)]
    assert seqs == list(range(1, len(seqs) + 1))


async def test_rungs_after_a_missed_arrival_go_with_it(timed: Desk) -> None:
    await go(timed, FRIDAY)
    await publish(timed, 1)
    case_id, _, _ = await missed_above(timed)
    before = await open_clocks(timed, case_id)
    rung = next(name for name, kind in before if kind == "rung" and name.endswith("/court"))
    await publish(timed, 2, MONDAY_OFF)
    await ticks(timed)
    assert (await open_clocks(timed, case_id)).keys() >= {(rung, "rung")}, "its turn has not come"
    await settle(timed)
    assert (rung, "rung") not in await open_clocks(timed, case_id)


async def test_a_rung_that_an_earlier_round_has_reckoned_goes_with_its_miss_all_the_same(
    timed: Desk,
) -> None:
    await go(timed, FRIDAY)
    await publish(timed, 1)
    case_id, _, _ = await missed_above(timed)
    before = await open_clocks(timed, case_id)
    rung = next(key for key in before if key[1] == "rung" and key[0].endswith("/court"))
    old = before[rung]
    assert old is not None
    await go(timed, old + timedelta(days=3))
    await publish(timed, 2, MONDAY_OFF)
    await timed.pool.execute("UPDATE timer SET calendar_version = 2 WHERE kind = 'rung'")
    await settle(timed)
    moved = await data_by(timed, case_id, "whistle.stage_moved")
    assert moved["court"]["miss_withdrawn"] is False
    assert (await open_clocks(timed, case_id))[rung] == old + timedelta(days=1)


async def test_where_it_was_unarmed_an_arrival_and_an_answer_are_armed(timed: Desk) -> None:
    await go(timed, FRIDAY)
    await other_rules(timed, arrival={"general": ON_DUTY})
    case_id = await late(timed)
    whistle_id = UUID((await blow(timed, case_id, "police")).json()["whistle_id"])
    words = {"reason": "需区级协调", "expected_seq": (await timed.case(case_id))["seq"]}
    assert (await post(timed, f"cases/{case_id}/calls-upward", CLERK, **words)).status_code == 201
    came = await act(timed, whistle_id, "report-ins", **POLICE, means="app_ack")
    assert came.status_code == 200, came.text
    assert (await open_clocks(timed, case_id))["arrive/police", "miss"] is None
    await publish(timed, 1)
    await settle(timed)
    clocks = await open_clocks(timed, case_id)
    (slot,), (call,) = await timed.rows("slot", case_id), await timed.rows("upward_call", case_id)
    assert clocks["arrive/police", "miss"] == slot["arrive_due_at"] is not None
    assert clocks["call_upward/county", "miss"] == call["due_at"] is not None
