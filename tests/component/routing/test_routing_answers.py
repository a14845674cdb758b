"""Answers by the key pressed on a call: by the moment at which the broker took it."""

from datetime import timedelta
from uuid import UUID, uuid4

from contracts.events import Event
from contracts.facts import (
    Actor,
    CaseCallAnsweredV1,
    CaseStepRefusedV1,
    Message,
    MessageAcknowledgedV1,
)
from services.chassis.inbox import Record
from tests.component.routing.desk import Desk, town_lines
from tests.component.routing.test_routing_handing import (
    NIGHT,
    at,
    known_hours,
    let_time_come,
    rostered,
    shown,
    worker,
)


async def press(
    desk: Desk, case_id: UUID, by: tuple[str, str, str], *, after: timedelta = timedelta(minutes=5)
) -> Record:
    """Return what notify tells when somebody presses the key on the call that he got."""
    role, unit, staff = by
    rung = Message(message_id="m1", rule="urgent_after_hours", recipient=staff, channel="voice")
    event = Event(
        event_id=uuid4(),
        tenant_id=desk.tenant,
        subject_id=case_id,
        occurred_at=NIGHT,
        source="/notify",
        data=MessageAcknowledgedV1(message=rung, by=Actor(staff=staff, role=role, unit=unit)),
    )
    record = desk.reply(event, at=NIGHT + after)
    await desk.hear_replies(record)
    return record


async def refused_answers(desk: Desk, case_id: UUID) -> list[tuple[str, str, str]]:
    told = [event.data for event in await desk.announced(case_id)]
    refused = [fact for fact in told if isinstance(fact, CaseStepRefusedV1)]
    assert {(fact.act, fact.front_end) for fact in refused} <= {("answer", "voice")}
    return [(fact.by.staff, fact.by.role, fact.code) for fact in refused]


async def test_yh_s07_the_key_pressed_in_time_calls_nobody_else(timed: Desk) -> None:
    await known_hours(timed)
    case_id = await timed.urgent(at=NIGHT)
    leader = await rostered(timed, "g01", "grid_leader")
    record = await press(timed, case_id, leader)
    assert (await shown(timed, case_id))["call"] is None
    (answered,) = [
        event for event in await timed.announced(case_id) if event.data.TYPE.endswith("answered.v1")
    ]
    assert isinstance(answered.data, CaseCallAnsweredV1)
    assert answered.data.by == Actor(staff=leader[2], role=leader[0], unit=leader[1])
    assert answered.occurred_at == NIGHT + timedelta(minutes=5)
    told = await timed.told(case_id)
    await timed.hear_replies(record)
    assert await timed.told(case_id) == told
    await let_time_come(timed, at("2025-03-03T20:31"))
    assert (await timed.told(case_id)).count("case.called") == 1
    assert await refused_answers(timed, case_id) == []


async def test_a_role_that_is_called_is_answered_by_who_was_rung_in_it(desk: Desk) -> None:
    cadre = await rostered(desk, "v1", "village_cadre")
    night = {"begin": "2025-03-03T17:00+08:00", "end": "2025-03-04T08:00+08:00"}
    away = [
        {"kind": "absence", "id": f"a-{line['id']}", "body": {"staff": line["id"], **night}}
        for line in town_lines()
        if line["kind"] == "staff"
        and {post["role"] for post in line["body"]["posts"]} & {"grid_leader", "village_cadre"}
    ]
    await known_hours(desk, *away)
    case_id = await desk.urgent(at=NIGHT)
    (called,) = (await shown(desk, case_id))["call"]["called"]
    assert called == {"unit": "v1", "role": "village_cadre", "staff": None}
    await press(desk, case_id, cadre)
    assert (await shown(desk, case_id))["call"] is None


async def test_a_key_that_is_pressed_too_late_is_told_of_and_loses_nothing(timed: Desk) -> None:
    await known_hours(timed)
    case_id = await timed.urgent(at=NIGHT)
    await let_time_come(timed, at("2025-03-03T20:31"))
    leader = await rostered(timed, "g01", "grid_leader")
    before = await shown(timed, case_id)
    await press(timed, case_id, leader, after=timedelta(minutes=17))
    assert await refused_answers(timed, case_id) == [(leader[2], "grid_leader", "not_called")]
    after = await shown(timed, case_id)
    assert (after["call"], after["owner"]) == (before["call"], before["owner"])
    cadre = await rostered(timed, "v1", "village_cadre")
    await press(timed, case_id, cadre, after=timedelta(minutes=18))
    assert (await shown(timed, case_id))["call"] is None


async def test_a_stranger_s_key_and_a_second_one_are_told_of(desk: Desk) -> None:
    await known_hours(desk)
    case_id = await desk.urgent(at=NIGHT)
    leader, stranger = await rostered(desk, "g01", "grid_leader"), await worker(desk, "g03")
    for one in (stranger, leader, leader):
        await press(desk, case_id, one)
    assert await refused_answers(desk, case_id) == [
        (stranger[2], "grid_worker", "not_called"),
        (leader[2], "grid_leader", "nobody_called"),
    ]
    assert (await desk.told(case_id)).count("case.call_answered") == 1
