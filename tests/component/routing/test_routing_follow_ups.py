"""What a reporter adds or takes back: in order, kept when it comes early, never lost."""

import asyncio
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from contracts.events import Event, case_id
from contracts.facts import CaseFollowedUpV1, CaseFollowUpKeptV1, CaseWithdrawnV1, Sealed
from services.routing.early import give_up
from tests.component.routing.desk import Desk
from tests.component.routing.test_routing_whistles import CLERK, called
from tests.factories import START
from tests.waiting import until

WORKER = ("grid_worker", "g01", "s-gw-01")
WAIT = timedelta(minutes=10)


def sealed(desk: Desk, case: UUID, words: Mapping[str, str]) -> Sealed:
    return Sealed(**asdict(desk.ring.seal(desk.tenant, str(case), words)))


def event(desk: Desk, case: UUID, data: CaseFollowedUpV1 | CaseWithdrawnV1) -> Event:
    return Event(
        event_id=uuid4(),
        tenant_id=desk.tenant,
        subject_id=case,
        occurred_at=START,
        source="/intake/track",
        data=data,
    )


def more(desk: Desk, case: UUID, text: str = "灯杆也歪了", *attachments: str) -> Event:
    words = sealed(desk, case, {"description": text})
    return event(desk, case, CaseFollowedUpV1(front_end="track", attachments=attachments, sealed=words))  # fmt: skip  # noqa: E501


def back(desk: Desk, case: UUID, reason: str = "已自己修好") -> Event:
    words = sealed(desk, case, {"reason": reason})
    return event(desk, case, CaseWithdrawnV1(front_end="track", sealed=words))


async def shown(desk: Desk, case: UUID) -> dict[str, Any]:
    answer = await desk.get(f"/v1/cases/{case}", "center_clerk", "town")
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def texts(desk: Desk, case: UUID) -> list[str]:
    return [one["text"]["description"] for one in (await shown(desk, case))["follow_ups"]]


def coming(desk: Desk, key: str = "k1") -> UUID:
    """Return the id of a case whose report has yet to come."""
    return case_id(desk.tenant, "demo", key)


async def test_a_follow_up_is_shown_with_its_case_and_told_of(desk: Desk) -> None:
    case = await desk.report(location={"grid": "g01"})
    later = START + timedelta(minutes=5)
    await desk.hear(desk.record(more(desk, case, "灯杆也歪了", "a-1"), later))
    (kept,) = (await shown(desk, case))["follow_ups"]
    assert kept["text"] == {"description": "灯杆也歪了"}
    assert (kept["reason"], kept["attachments"]) == ("reporter", ["a-1"])
    assert datetime.fromisoformat(kept["received_at"]) == later
    last = (await desk.announced(case))[-1].data
    assert isinstance(last, CaseFollowUpKeptV1)
    assert (last.reason, last.front_end, last.attachments) == ("reporter", "track", ("a-1",))
    assert "灯杆" not in last.model_dump_json()


async def test_a_follow_up_does_not_outdate_what_a_person_has_seen(desk: Desk) -> None:
    case = await desk.report(location={"grid": "g01"})
    seen = (await desk.case(case))["seq"]
    await desk.hear(desk.record(more(desk, case)))
    assert (await desk.step(case, "first_ask", WORKER, seen)).status_code == 200


async def test_a_follow_up_read_twice_is_kept_once(desk: Desk) -> None:
    case = await desk.report()
    one = more(desk, case)
    await desk.hear(desk.record(one), desk.record(one))
    await desk.hear(desk.record(one))
    assert await texts(desk, case) == ["灯杆也歪了"]


async def test_a_follow_up_reaches_a_closed_case_too(desk: Desk) -> None:
    case = await desk.report(location={"grid": "g01"})
    await desk.hear(desk.record(back(desk, case)), desk.record(more(desk, case)))
    assert (await desk.case(case))["closed"]
    assert await texts(desk, case) == ["灯杆也歪了"]


async def test_a_reporter_takes_his_report_back_by_the_flows_step(desk: Desk) -> None:
    case = await desk.report(location={"grid": "g01"})
    seen = (await desk.case(case))["seq"]
    await desk.hear(desk.record(back(desk, case)))
    kept = await desk.case(case)
    assert (kept["state"], kept["closed"]) == ("cancelled", True)
    assert (await desk.told(case))[-2:] == ["case.step_taken", "case.closed"]
    (said,) = (await shown(desk, case))["said"]
    assert (said["type"], said["words"]) == ("case.step_taken.v1", {"reason": "已自己修好"})
    history = (await desk.get(f"/v1/cases/{case}/history")).json()["facts"]
    step = next(one["data"] for one in history if one["type"] == "case.step_taken.v1")
    assert (step["step"], step["by"]["role"], step["by"]["staff"]) == ("cancel", "reporter", "reporter")  # fmt: skip  # noqa: E501
    assert await desk.rows("follow_up") == []
    stale = await desk.step(case, "first_ask", WORKER, seen)
    assert (stale.status_code, stale.json()["code"]) == (409, "stale")
    open_timers = [row for row in await desk.rows("timer", case) if row["outcome"] is None]
    assert open_timers == []


async def test_taken_back_too_late_it_is_kept_as_a_follow_up_that_asks(desk: Desk) -> None:
    case = await desk.report(location={"grid": "g01"})
    for step in ("first_ask", "grid_settle"):
        seq = (await desk.case(case))["seq"]
        assert (await desk.step(case, step, WORKER, seq)).status_code == 200
    await desk.hear(desk.record(back(desk, case)))
    assert (await desk.case(case))["state"] == "in_progress"
    (kept,) = (await shown(desk, case))["follow_ups"]
    assert (kept["reason"], kept["text"]) == ("withdrawal_asked", {"reason": "已自己修好"})
    assert (await desk.told(case))[-1] == "case.follow_up_kept"


async def test_taken_back_twice_the_second_asks(desk: Desk) -> None:
    case = await desk.report(location={"grid": "g01"})
    await desk.hear(desk.record(back(desk, case)), desk.record(back(desk, case, "再说一次")))
    assert (await desk.told(case)).count("case.closed") == 1
    (kept,) = await desk.rows("follow_up", case)
    assert kept["reason"] == "withdrawal_asked"


async def test_a_case_taken_back_lets_its_departments_go(desk: Desk) -> None:
    case, _ = await called(desk, "police")
    await desk.hear(desk.record(back(desk, case)))
    (slot,) = await desk.rows("slot", case)
    assert slot["outcome"] == "withdrawn"
    assert (await desk.told(case))[-1] == "whistle.withdrawn"


async def test_nobody_takes_a_reporters_step_by_calling_himself_so(desk: Desk) -> None:
    case = await desk.report(location={"grid": "g01"})
    seq = (await desk.case(case))["seq"]
    for role in ("reporter", "grid_worker"):
        answer = await desk.step(case, "cancel", (role, "g01", "reporter"), seq, reason="x")
        assert answer.status_code == 403
    clerk = await desk.step(case, "cancel", CLERK, seq, reason="x")
    assert clerk.status_code == 200


@pytest.mark.parametrize("together", [True, False], ids=["one batch", "later batches"])
async def test_what_comes_before_its_report_waits_for_it_in_order(
    desk: Desk, *, together: bool
) -> None:
    case = coming(desk)
    early = [more(desk, case, "一"), more(desk, case, "二"), back(desk, case)]
    records = [desk.record(one, START + timedelta(seconds=n)) for n, one in enumerate(early)]
    report = desk.record(desk.event(location={"grid": "g01"}), START + timedelta(minutes=1))
    for batch in [[*records, report]] if together else [[one] for one in (*records, report)]:
        await desk.hear(*batch)
    assert await texts(desk, case) == ["一", "二"]
    assert (await desk.case(case))["state"] == "cancelled"
    told = await desk.told(case)
    assert told.count("case.follow_up_kept") == 2
    assert told[-1] == "case.closed"
    assert await desk.rows("early_record") == []
    await desk.hear(*records, report)
    assert len(await desk.rows("follow_up")) == 2


async def set_aside(desk: Desk, case: UUID) -> list[Any]:
    query = "SELECT * FROM quarantine WHERE record_key = $1 ORDER BY record_offset"
    return list(await desk.pool.fetch(query, f"{desk.tenant}|{case}".encode()))


async def read_up_to(desk: Desk, at: datetime) -> int:
    return await give_up(desk.pool, desk.towns, dict.fromkeys(range(24), at), WAIT)


async def test_what_waits_in_vain_is_set_aside_whole_and_can_be_taken_once_more(
    timed: Desk,
) -> None:
    case = coming(timed)
    first, second = more(timed, case, "一"), back(timed, case)
    records = [timed.record(first), timed.record(second, START + timedelta(seconds=1))]
    await timed.hear(*records)
    assert await read_up_to(timed, START + WAIT - timedelta(seconds=1)) == 0
    assert await read_up_to(timed, START + WAIT) == 1
    assert await read_up_to(timed, START + WAIT + timedelta(seconds=1)) == 1
    kept = await set_aside(timed, case)
    assert [(one["record_offset"], one["body"]) for one in kept] == [
        (record.offset, record.value) for record in records
    ]
    assert {one["state"] for one in kept} == {"rejected"}
    assert {one["reason"] for one in kept} == {"no report of this case came within 600 s"}
    assert await timed.rows("early_record") == []
    await timed.pool.execute("DELETE FROM quarantine")
    await timed.hear(timed.record(timed.event(location={"grid": "g01"})), *records)
    assert await texts(timed, case) == ["一"]
    assert (await timed.case(case))["state"] == "cancelled"


async def test_whoever_is_behind_gives_nothing_up(timed: Desk) -> None:
    case = coming(timed)
    await timed.hear(timed.record(more(timed, case)))
    assert await give_up(timed.pool, timed.towns, {}, WAIT) == 0
    assert len(await timed.rows("early_record")) == 1
    await timed.hear(timed.record(timed.event()))
    assert await texts(timed, case) == ["灯杆也歪了"]


async def test_what_was_kept_beside_a_case_that_is_here_takes_effect_after_all(
    timed: Desk,
) -> None:
    case = coming(timed)
    await timed.hear(timed.record(more(timed, case)))
    (row,) = await timed.pool.fetch("DELETE FROM early_record RETURNING *")
    await timed.hear(timed.record(timed.event()))
    await timed.pool.execute(
        "INSERT INTO early_record VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)", *row.values()
    )
    assert await read_up_to(timed, START + WAIT) == 0
    assert await texts(timed, case) == ["灯杆也歪了"]
    assert await set_aside(timed, case) == []


async def test_the_clockwork_gives_up_once_everything_has_been_read(timed: Desk) -> None:
    case = coming(timed)
    await timed.hear(timed.record(more(timed, case)))
    soon = timed.settings.model_copy(update={"early_wait_s": 0.2, "timer_wait_s": 0.05})
    stopping = asyncio.Event()
    running = asyncio.create_task(replace(timed, settings=soon).clockwork().run(stopping))

    async def given_up() -> bool:
        return bool(await set_aside(timed, case))

    await until(given_up, "what waited in vain is set aside")
    stopping.set()
    await running


async def test_another_towns_case_is_not_added_to(desk: Desk, neighbour: Desk) -> None:
    theirs = await neighbour.report()
    await desk.hear(desk.record(more(desk, theirs)), desk.record(back(desk, theirs)))
    assert await neighbour.rows("follow_up") == []
    assert len(await desk.rows("early_record", theirs)) == 2
    assert not (await neighbour.case(theirs))["closed"]
