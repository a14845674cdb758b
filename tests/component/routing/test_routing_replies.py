"""Report-ins by answering a message: by the moment at which the broker took the reply."""

from datetime import datetime, timedelta
from uuid import UUID, uuid4

from contracts.events import Event
from contracts.facts import Actor, Message, MessageDeliveredV1, MessageRepliedV1
from contracts.topics import INTAKE_EVENTS, NOTIFY_EVENTS
from tests.component.routing.desk import Desk
from tests.factories import START

SECOND = timedelta(seconds=1)


def replied(desk: Desk, case_id: UUID, whistle_id: UUID, department: str = "police") -> Event:
    return Event(
        event_id=uuid4(),
        tenant_id=desk.tenant,
        subject_id=case_id,
        occurred_at=START,
        source="/notify",
        data=MessageRepliedV1(
            whistle_id=whistle_id,
            department=department,
            means="app_ack",
            by=Actor(staff="o1", role="department_officer"),
            channel="sms",
        ),
    )


def delivered(desk: Desk, case_id: UUID) -> Event:
    message = Message(message_id="m1", rule="whistle_blown", recipient="o1", channel="sms")
    return Event(
        event_id=uuid4(),
        tenant_id=desk.tenant,
        subject_id=case_id,
        occurred_at=START,
        source="/notify",
        data=MessageDeliveredV1(message=message),
    )


async def called(desk: Desk, *departments: str) -> tuple[UUID, UUID, datetime]:
    """Blow the whistle on an urgent case; return case, whistle and when report-ins are due."""
    case_id = await desk.report(location={"grid": "g01"}, case_class="urgent")
    answer = await desk.http.post(
        f"/v1/cases/{case_id}/whistles",
        json={
            "departments": departments,
            "reason": "三次调解未果",
            "expected_seq": (await desk.case(case_id))["seq"],
        },
        headers=desk.headers("center_clerk", "town", "s-cc-01"),
    )
    assert answer.status_code == 201, answer.text
    (due_at,) = {row["due_at"] for row in await desk.rows("slot", case_id)}
    return case_id, UUID(answer.json()["whistle_id"]), due_at


async def outcomes(desk: Desk, case_id: UUID) -> dict[str, str | None]:
    return {row["department"]: row["outcome"] for row in await desk.rows("slot", case_id)}


def test_a_case_has_the_same_partition_wherever_acts_are_handed_in() -> None:
    assert INTAKE_EVENTS.partitions == NOTIFY_EVENTS.partitions
    assert (INTAKE_EVENTS.key, INTAKE_EVENTS.log_append_time) == (
        NOTIFY_EVENTS.key,
        NOTIFY_EVENTS.log_append_time,
    )


async def test_a_reply_is_a_report_in_at_the_broker_s_time(desk: Desk) -> None:
    case_id, whistle_id, due_at = await called(desk, "police", "justice")
    await desk.hear_replies(desk.reply(replied(desk, case_id, whistle_id), at=due_at))
    assert await outcomes(desk, case_id) == {"police": "reported", "justice": None}
    (slot,) = [row for row in await desk.rows("slot", case_id) if row["outcome"]]
    assert (slot["means"], slot["reported_in_at"]) == ("app_ack", due_at)


async def test_a_reply_after_the_deadline_is_late(desk: Desk) -> None:
    case_id, whistle_id, due_at = await called(desk, "police")
    late = due_at + timedelta(milliseconds=1)
    await desk.hear_replies(desk.reply(replied(desk, case_id, whistle_id), at=late))
    assert await outcomes(desk, case_id) == {"police": "reported_late"}


async def test_a_second_reply_changes_nothing(desk: Desk) -> None:
    case_id, whistle_id, due_at = await called(desk, "police")
    for _ in range(2):
        await desk.hear_replies(desk.reply(replied(desk, case_id, whistle_id), at=due_at))
    assert (await desk.told(case_id)).count("whistle.reported_in") == 1


async def test_a_reply_that_the_rules_do_not_allow_is_told_of(desk: Desk) -> None:
    case_id, _, due_at = await called(desk, "police")
    await desk.hear_replies(desk.reply(replied(desk, case_id, uuid4()), at=due_at))
    (refused,) = [e.data for e in await desk.announced(case_id) if "refused" in e.data.TYPE]
    told = refused.model_dump()
    assert (told["act"], told["code"], told["front_end"]) == ("report_in", "not_called", "sms")


async def test_what_becomes_of_messages_is_passed_over(desk: Desk) -> None:
    case_id, _, _ = await called(desk, "police")
    before = await desk.told(case_id)
    await desk.hear_replies(desk.reply(delivered(desk, case_id)))
    assert await desk.told(case_id) == before


async def test_no_miss_is_written_while_a_reply_is_unread(timed: Desk) -> None:
    case_id, whistle_id, _ = await called(timed, "police", "court")
    now = await timed.now()
    punctual = replied(timed, case_id, whistle_id)
    unread = timed.reply(punctual, at=now - 20 * SECOND)
    await timed.set_clock((now - 9 * SECOND, timedelta(hours=2)))
    clockwork = timed.clockwork()
    for _ in range(3):
        await clockwork.tick()
    assert await outcomes(timed, case_id) == {"police": None, "court": None}
    await timed.hear_replies(unread)
    await clockwork.tick()
    assert await outcomes(timed, case_id) == {"police": "reported", "court": "missed"}


async def test_a_reply_that_surfaces_after_its_miss_corrects_it(timed: Desk) -> None:
    case_id, whistle_id, due_at = await called(timed, "police")
    await timed.pool.execute("UPDATE slot SET outcome = 'missed' WHERE case_id = $1", case_id)
    await timed.hear_replies(timed.reply(replied(timed, case_id, whistle_id), at=due_at))
    assert await outcomes(timed, case_id) == {"police": "corrected"}
