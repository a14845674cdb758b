"""The whistle through routing's doors: over HTTP, over events, and by the clock."""

import asyncio
from contextlib import AsyncExitStack
from datetime import datetime, time, timedelta
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import httpx
import pytest

from contracts.calendar import load
from contracts.events import Event
from contracts.facts import Actor, CaseStepRequestedV1
from tests import factories
from tests.component.routing.desk import Desk
from tests.factories import START
from tests.waiting import until

CLERK = ("center_clerk", "town", "s-cc-01")
POLICE = {"department": "police"}


async def called(desk: Desk, *departments: str, key: str = "k1", **more: Any) -> tuple[UUID, UUID]:
    """Open an urgent case and blow the whistle on it; return both ids."""
    case_id = await desk.report(key, location={"grid": "g01"}, case_class="urgent")
    answer = await blow(desk, case_id, *departments, **more)
    assert answer.status_code == 201, answer.text
    return case_id, UUID(answer.json()["whistle_id"])


async def blow(
    desk: Desk, case_id: UUID, *departments: str, by: tuple[str, str, str] = CLERK, **more: Any
) -> httpx.Response:
    seq = (await desk.case(case_id))["seq"]
    body = {"departments": departments, "reason": "三次调解未果", "expected_seq": seq, **more}
    return await desk.http.post(
        f"/v1/cases/{case_id}/whistles", json=body, headers=desk.headers(*by)
    )


async def act(
    desk: Desk, whistle_id: UUID, what: str, of: str = "police", **body: Any
) -> httpx.Response:
    """Let an officer of a department act on a whistle."""
    token = factories.token(
        desk.secrets, "department_officer", tenant=desk.tenant, department=of, staff="o1"
    )
    return await desk.http.post(
        f"/v1/whistles/{whistle_id}/{what}",
        json=body,
        headers={"Authorization": f"Bearer {token}"},
    )


def request(desk: Desk, case_id: UUID, whistle_id: UUID, department: str = "police") -> Event:
    return Event(
        event_id=uuid4(),
        tenant_id=desk.tenant,
        subject_id=case_id,
        occurred_at=START,
        source="/intake",
        data=CaseStepRequestedV1(
            front_end="police_system",
            act="report_in",
            whistle_id=whistle_id,
            department=department,
            means="remote",
            by=Actor(staff="o1", role="department_officer"),
        ),
    )


async def outcomes(desk: Desk, case_id: UUID) -> dict[str, str | None]:
    return {row["department"]: row["outcome"] for row in await desk.rows("slot", case_id)}


async def due_at(desk: Desk, case_id: UUID) -> datetime:
    (due,) = {row["due_at"] for row in await desk.rows("slot", case_id)}
    moment: datetime = due
    return moment


async def test_departments_are_called_and_report_in_each_alone(desk: Desk) -> None:
    case_id, whistle_id = await called(desk, "police", "justice", "court")
    answer = await act(desk, whistle_id, "report-ins", **POLICE, means="on_site")
    assert answer.status_code == 200, answer.text
    stages = {one["department"]: one["stage"] for one in answer.json()["slots"]}
    assert stages == {"police": "arrived", "justice": "called", "court": "called"}
    (shown,) = (await desk.get(f"/v1/cases/{case_id}")).json()["whistles"]
    assert [(s["department"], s["outcome"], s["lead"]) for s in shown["slots"]] == [
        ("police", "reported", True),
        ("court", None, False),
        ("justice", None, False),
    ]
    assert (await desk.told(case_id))[-2:] == ["whistle.blown", "whistle.reported_in"]
    seqs = [event.seq for event in await desk.announced(case_id)]
    assert seqs == list(range(1, len(seqs) + 1))


async def test_why_the_whistle_was_blown_lies_open_nowhere(desk: Desk) -> None:
    case_id, _ = await called(desk, "police")
    (fact,) = [one for one in await desk.announced(case_id) if one.data.TYPE == "whistle.blown.v1"]
    assert "三次调解未果" not in fact.body.decode()
    assert fact.data.model_dump()["sealed"]["fields"].keys() == {"reason"}


async def test_nobody_is_late_for_want_of_a_connection(desk: Desk) -> None:
    case_id, whistle_id = await called(desk, "police")
    async with AsyncExitStack() as held:
        every = range(desk.settings.postgres_pool_max)
        first, *_ = [await held.enter_async_context(desk.pool.acquire()) for _ in every]
        handed_in: datetime = await first.fetchval("SELECT clock_timestamp()")
        coming = asyncio.create_task(act(desk, whistle_id, "report-ins", **POLICE, means="remote"))

        async def waited() -> bool:
            now: datetime = await first.fetchval("SELECT clock_timestamp()")
            return now > handed_in + timedelta(seconds=1.5)

        await until(waited, "the request has waited for a while")
    assert (await coming).status_code == 200
    (slot,) = await desk.rows("slot", case_id)
    assert slot["reported_in_at"] < handed_in + timedelta(seconds=1)


async def test_a_report_in_twice_is_one(desk: Desk) -> None:
    case_id, whistle_id = await called(desk, "police")
    for _ in range(2):
        answer = await act(desk, whistle_id, "report-ins", **POLICE, means="remote")
        assert answer.status_code == 200
    assert (await desk.told(case_id)).count("whistle.reported_in") == 1


@pytest.mark.parametrize(
    ("asked", "status", "code"),
    [
        ({"departments": []}, 422, "departments_missing"),
        ({"departments": ["atlantis"]}, 422, "unknown_department"),
        ({"departments": [f"d{n}" for n in range(30)]}, 422, "unknown_department"),
        ({"departments": [f"d{n}" for n in range(101)]}, 422, "invalid_fields"),
        ({"departments": ["police"], "lead": "court"}, 422, "lead_not_named"),
        ({"departments": ["police"], "expected_seq": 10_000}, 409, "seq_ahead"),
        ({"departments": ["police"], "reason": " "}, 422, "invalid_fields"),
        ({"departments": ["police"], "reasons": "x"}, 422, "invalid_fields"),
    ],
    ids=[
        "nobody",
        "an_unknown_department",
        "thirty_unknown_departments",
        "too_many",
        "a_lead_that_is_not_called",
        "stale",
        "no_reason",
        "an_unknown_field",
    ],
)
async def test_what_is_no_whistle_is_named(
    desk: Desk, asked: dict[str, Any], status: int, code: str
) -> None:
    case_id = await desk.report(location={"grid": "g01"}, case_class="urgent")
    answer = (
        await blow(desk, case_id, **asked)
        if "departments" not in asked
        else await blow(desk, case_id, *asked.pop("departments"), **asked)
    )
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert await desk.rows("slot", case_id) == []


async def test_a_role_that_may_not_blows_nothing(desk: Desk) -> None:
    case_id = await desk.report(location={"grid": "g01"}, case_class="urgent")
    answer = await blow(desk, case_id, "police", by=("grid_worker", "g01", "s-gw-01"))
    assert (answer.status_code, answer.json()["code"]) == (403, "role_not_allowed")


async def test_another_department_answers_for_nobody(desk: Desk) -> None:
    _, whistle_id = await called(desk, "police", "court")
    answer = await act(desk, whistle_id, "report-ins", "court", **POLICE, means="remote")
    assert (answer.status_code, answer.json()["code"]) == (403, "department_not_yours")
    answer = await act(
        desk, whistle_id, "report-ins", "justice", department="justice", means="remote"
    )
    assert answer.status_code == 403
    assert (await act(desk, uuid4(), "report-ins", **POLICE, means="remote")).status_code == 404


async def test_the_lead_holds_the_case_until_it_has_come(desk: Desk) -> None:
    case_id, whistle_id = await called(desk, "police", "court")
    worker = ("grid_worker", "g01", (await desk.case(case_id))["owner_staff"])
    for step in ("first_ask", "grid_settle"):
        answer = await desk.step(case_id, step, worker, (await desk.case(case_id))["seq"])
        assert answer.status_code == 200, answer.text
    done = {"result": "谈妥", "proof": desk.proof}
    answer = await desk.step(case_id, "resolve", worker, (await desk.case(case_id))["seq"], **done)
    assert (answer.status_code, answer.json()["code"]) == (409, "whistle_open")
    assert answer.json()["names"] == ["police"]
    await act(desk, whistle_id, "report-ins", **POLICE, means="remote")
    answer = await desk.step(case_id, "resolve", worker, (await desk.case(case_id))["seq"], **done)
    assert answer.status_code == 200, answer.text


async def test_a_miss_is_written_once_and_climbs(timed: Desk) -> None:
    case_id, _ = await called(timed, "police", "court")
    due = await due_at(timed, case_id)
    await timed.set_clock((await timed.now() - timedelta(seconds=9), timedelta(hours=2)))
    assert due < await timed.now() + timedelta(hours=2)
    clockwork = timed.clockwork()
    for _ in range(6):
        await clockwork.tick()
    assert await outcomes(timed, case_id) == {"police": "missed", "court": "missed"}
    told = await timed.told(case_id)
    assert told.count("whistle.missed") == 2
    climbed = [
        one.data.model_dump()["do"]
        for one in await timed.announced(case_id)
        if one.data.TYPE == "case.escalated.v1" and one.data.model_dump()["department"] == "court"
    ]
    assert climbed[:2] == ["remind", "score"]
    assert "notify_head" in climbed
    assert len(climbed) == len(set(climbed))


@pytest.mark.parametrize(
    ("after_due_ms", "outcome"),
    [(-1, "corrected"), (0, "corrected"), (1, "reported_late")],
)
async def test_a_report_in_that_surfaces_after_its_miss_counts_from_its_handing_in(
    timed: Desk, after_due_ms: int, outcome: str
) -> None:
    case_id, whistle_id = await called(timed, "police")
    await timed.pool.execute(
        "UPDATE slot SET due_at = date_trunc('milliseconds', due_at) WHERE case_id = $1", case_id
    )
    due = await due_at(timed, case_id)
    await timed.pool.execute("UPDATE slot SET outcome = 'missed' WHERE case_id = $1", case_id)
    handed_in = due + timedelta(milliseconds=after_due_ms)
    await timed.hear(timed.record(request(timed, case_id, whistle_id), handed_in))
    assert await outcomes(timed, case_id) == {"police": outcome}
    told = "whistle.corrected" if outcome == "corrected" else "whistle.reported_in"
    assert (await timed.told(case_id))[-1] == told


@pytest.mark.parametrize(
    ("after_due_ms", "outcome"), [(-1, "reported"), (0, "reported"), (1, "reported_late")]
)
async def test_a_report_in_a_millisecond_before_or_after_the_deadline(
    desk: Desk, after_due_ms: int, outcome: str
) -> None:
    case_id, whistle_id = await called(desk, "police")
    await desk.pool.execute(
        "UPDATE slot SET due_at = date_trunc('milliseconds', due_at) WHERE case_id = $1", case_id
    )
    handed_in = await due_at(desk, case_id) + timedelta(milliseconds=after_due_ms)
    await desk.hear(desk.record(request(desk, case_id, whistle_id), handed_in))
    assert await outcomes(desk, case_id) == {"police": outcome}


async def test_a_report_in_from_before_the_whistle_by_a_clock_that_is_off_is_in_time(
    desk: Desk,
) -> None:
    case_id, whistle_id = await called(desk, "police")
    (row,) = await desk.rows("slot", case_id)
    early = row["blown_at"] - timedelta(seconds=5)
    await desk.hear(desk.record(request(desk, case_id, whistle_id), early))
    assert await outcomes(desk, case_id) == {"police": "reported"}


async def test_a_report_in_by_a_department_that_was_not_named_changes_nothing(desk: Desk) -> None:
    case_id, whistle_id = await called(desk, "police")
    answer = await act(desk, whistle_id, "report-ins", "court", department="court", means="remote")
    assert (answer.status_code, answer.json()["code"]) == (403, "unit_not_allowed")
    await desk.hear(desk.record(request(desk, case_id, whistle_id, "court")))
    told = await desk.announced(case_id)
    assert told[-1].data.model_dump()["code"] == "not_called"
    assert await outcomes(desk, case_id) == {"police": None}


async def test_a_report_in_after_the_withdrawal_is_told_and_changes_nothing(desk: Desk) -> None:
    case_id, whistle_id = await called(desk, "police")
    await desk.http.post(
        f"/v1/whistles/{whistle_id}/release", json={}, headers=desk.headers(*CLERK)
    )
    answer = await act(desk, whistle_id, "report-ins", **POLICE, means="remote")
    assert (answer.status_code, answer.json()["code"]) == (409, "slot_ended")
    await desk.hear(desk.record(request(desk, case_id, whistle_id)))
    told = await desk.announced(case_id)
    assert told[-1].data.model_dump()["code"] == "slot_ended"
    assert await outcomes(desk, case_id) == {"police": "withdrawn"}


async def test_an_act_by_events_that_is_not_allowed_is_told_and_holds_nobody(desk: Desk) -> None:
    case_id, whistle_id = await called(desk, "police")
    first = desk.record(request(desk, case_id, whistle_id, "court"))
    second = desk.record(request(desk, case_id, whistle_id))
    await desk.hear(first, second)
    assert (await desk.told(case_id))[-2:] == ["case.step_refused", "whistle.reported_in"]
    assert await desk.rows("slot", case_id) != []
    assert await outcomes(desk, case_id) == {"police": "reported"}


async def test_who_came_is_released_and_who_did_not_is_withdrawn(desk: Desk) -> None:
    case_id, whistle_id = await called(desk, "police", "court")
    await act(desk, whistle_id, "report-ins", **POLICE, means="remote")
    answer = await desk.http.post(
        f"/v1/whistles/{whistle_id}/release", json={}, headers=desk.headers(*CLERK)
    )
    assert answer.status_code == 200, answer.text
    assert await outcomes(desk, case_id) == {"police": "reported", "court": "withdrawn"}
    again = await act(desk, whistle_id, "report-ins", "court", department="court", means="remote")
    assert (again.status_code, again.json()["code"]) == (409, "slot_ended")
    open_timers = [one for one in await desk.rows("timer", case_id) if "/" in one["deadline"]]
    assert {one["outcome"] for one in open_timers} == {"void"}


async def test_a_case_that_closes_lets_its_departments_go(desk: Desk) -> None:
    case_id, _ = await called(desk, "police")
    seq = (await desk.case(case_id))["seq"]
    answer = await desk.step(case_id, "cancel", CLERK, seq, reason="误报")
    assert answer.status_code == 200, answer.text
    assert await outcomes(desk, case_id) == {"police": "withdrawn"}
    assert (await desk.told(case_id))[-1] == "whistle.withdrawn"


async def test_a_second_whistle_merges(desk: Desk) -> None:
    case_id, whistle_id = await called(desk, "police")
    answer = await blow(desk, case_id, "police", "court")
    assert answer.status_code == 201
    rows = {row["department"]: row["whistle_id"] for row in await desk.rows("slot", case_id)}
    assert rows["police"] == whistle_id
    assert rows["court"] == UUID(answer.json()["whistle_id"])


async def test_who_was_merged_reports_in_by_the_second_whistles_id_too(desk: Desk) -> None:
    case_id, _ = await called(desk, "police")
    second = UUID((await blow(desk, case_id, "police", "court")).json()["whistle_id"])
    answer = await act(desk, second, "report-ins", "police", department="police", means="remote")
    assert answer.status_code == 200, answer.text
    assert await outcomes(desk, case_id) == {"police": "reported", "court": None}


async def test_a_whistle_that_is_merged_whole_answers_with_the_one_that_called(desk: Desk) -> None:
    case_id, first = await called(desk, "police")
    answer = await blow(desk, case_id, "police")
    assert (answer.status_code, UUID(answer.json()["whistle_id"])) == (201, first)


async def test_yh_s01_duty_hours_are_counted_once_the_official_calendar_is_there(
    desk: Desk,
) -> None:
    official = load().model_dump(mode="json", exclude_none=True)
    await desk.town({"kind": "calendar", "id": "cn", "body": official}, change_set="calendar")
    case_id = await desk.report(location={"grid": "g01"}, case_class="complex")
    (clock,) = [one for one in await desk.rows("timer", case_id) if one["kind"] == "miss"]
    assert clock["fires_at"] is not None
    answer = await blow(desk, case_id, "police", "justice", "court")
    assert answer.status_code == 201, answer.text
    dues = {one["due_at"] for one in answer.json()["slots"]}
    assert len(dues) == 1
    (due,) = dues
    local = datetime.fromisoformat(due).astimezone(ZoneInfo("Asia/Shanghai"))
    assert time(8, 30) < local.time() <= time(18, 0)
