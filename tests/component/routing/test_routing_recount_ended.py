"""A newer table comes after misses whose departments were done with: refused, or not called."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID

from contracts.facts import WhistleMissWithdrawnV1
from tests.component.routing.desk import Desk
from tests.component.routing.test_routing_recount_store import (
    FRIDAY,
    go,
    late,
    open_clocks,
    publish,
    settle,
    ticks,
    year_2035,
)
from tests.component.routing.test_routing_stages import LEADER, post
from tests.component.routing.test_routing_whistles import CLERK, act, blow, outcomes

WORDS = {"basis": "不属本所管辖", "proposed": "justice"}
LONG_OFF = year_2035("2035-03-05", "2035-03-06", "2035-03-07")


async def missed(desk: Desk, *departments: str) -> tuple[UUID, UUID, datetime]:
    """Let departments miss their moment; return case, whistle, and the moment."""
    await go(desk, FRIDAY)
    await publish(desk, 1)
    case_id = await late(desk)
    answer = await blow(desk, case_id, *departments)
    assert answer.status_code == 201, answer.text
    due = (await open_clocks(desk, case_id))[f"report_in/{departments[0]}", "miss"]
    assert due is not None
    await go(desk, due + timedelta(minutes=1))
    await ticks(desk)
    assert set((await outcomes(desk, case_id)).values()) == {"missed"}
    return case_id, UUID(answer.json()["whistle_id"]), due


async def take_back(desk: Desk, whistle_id: UUID, department: str) -> None:
    answer = await post(desk, f"whistles/{whistle_id}/release", CLERK, departments=[department])
    assert answer.status_code == 200, answer.text


async def refuse(desk: Desk, whistle_id: UUID, department: str, ruling: str | None = None) -> None:
    given = {"department": department}
    answer = await act(desk, whistle_id, "refusals", department, **given, **WORDS)
    assert answer.status_code == 200, answer.text
    if ruling is not None:
        path = f"whistles/{whistle_id}/rulings"
        answer = await post(desk, path, LEADER, **given, ruling=ruling, call="legal_aid")
        assert answer.status_code == 200, answer.text


async def withdrawn(desk: Desk, case_id: UUID) -> Mapping[str, WhistleMissWithdrawnV1]:
    told = [event.data for event in await desk.announced(case_id)]
    found = [one for one in told if isinstance(one, WhistleMissWithdrawnV1)]
    assert len(found) == len({(one.department, one.was_due_at) for one in found}), "each once"
    return {one.department: one for one in found}


async def test_a_miss_is_taken_back_from_who_was_done_with_before_the_later_moment(
    timed: Desk,
) -> None:
    case_id, whistle_id, due = await missed(timed, "police", "court", "justice")
    await take_back(timed, whistle_id, "police")
    await refuse(timed, whistle_id, "court")
    await refuse(timed, whistle_id, "justice", "reject")
    before = await outcomes(timed, case_id)
    assert before == {"police": "withdrawn", "court": "refused", "justice": None}
    await publish(timed, 2, LONG_OFF)
    await settle(timed)
    assert await outcomes(timed, case_id) == before, "their parts stay as they are"
    told = await withdrawn(timed, case_id)
    assert told.keys() == before.keys()
    assert {one.was_due_at for one in told.values()} == {due}
    assert all(one.was_due_at < one.ended_at < one.due_at for one in told.values())
    changes = Counter(one["body"].get("change") for one in await timed.rows("task", case_id))
    assert changes["miss_withdrawn"] == len(told), "each department is told"
    await publish(timed, 3, year_2035("2035-03-05", "2035-03-06", "2035-03-07", "2035-03-08"))
    await settle(timed)
    assert await withdrawn(timed, case_id) == told, "what was withdrawn is done with"
    seqs = [event.seq for event in await timed.announced(case_id)]
    assert seqs == list(range(1, len(seqs) + 1))


async def test_the_miss_of_a_closed_case_is_taken_back_and_an_accepted_refusal_needs_nothing(
    timed: Desk,
) -> None:
    case_id, whistle_id, _ = await missed(timed, "police", "court")
    await refuse(timed, whistle_id, "police", "accept")
    seq = (await timed.case(case_id))["seq"]
    answer = await timed.step(case_id, "cancel", CLERK, seq, reason="误报")
    assert answer.status_code == 200, answer.text
    assert (await timed.case(case_id))["closed"]
    await publish(timed, 2, LONG_OFF)
    await settle(timed)
    assert (await withdrawn(timed, case_id)).keys() == {"court"}


async def test_a_miss_stands_until_a_table_by_which_the_part_ended_in_time(timed: Desk) -> None:
    case_id, whistle_id, due = await missed(timed, "police", "court")
    await go(timed, due + timedelta(days=1, minutes=1))
    await take_back(timed, whistle_id, "court")
    await publish(timed, 2, year_2035("2035-03-05"))
    await settle(timed)
    assert await withdrawn(timed, case_id) == {}
    await publish(timed, 3, LONG_OFF)
    await settle(timed)
    assert (await withdrawn(timed, case_id)).keys() == {"court"}
    assert (await outcomes(timed, case_id))["police"] is None, "who was not done with, comes yet"
    await take_back(timed, whistle_id, "police")
    await publish(timed, 4, year_2035("2035-03-05", "2035-03-06", "2035-03-07", "2035-03-08"))
    await settle(timed)
    assert (await withdrawn(timed, case_id)).keys() == {"court"}, "its miss was none any more"
