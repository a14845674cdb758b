"""What departments are told: in order, without a gap, and even before their topic is there."""

import asyncio
from collections.abc import Collection
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from contracts.events import read_event
from contracts.facts import TASK_FACTS, TaskGivenV1
from services.routing.store import tasks
from services.routing.topics import TopicWatch
from tests.component.routing.desk import OUTBOX, Desk
from tests.component.routing.test_routing_stages import LEADER, post, refused
from tests.component.routing.test_routing_whistles import CLERK, POLICE, act, blow, called, request


async def seen(desk: Desk, *departments: str) -> None:
    await tasks.see_topics(desk.pool, [(desk.tenant, one) for one in departments])


async def watch(desk: Desk, *departments: str) -> TopicWatch:
    """Return a watch on a broker that has these departments' topics."""

    async def topics() -> Collection[str]:
        return {f"dept.{desk.tenant}.{one}" for one in departments}

    return TopicWatch(desk.settings, desk.pool, topics, lambda: desk.woken.append(None))


async def sent(desk: Desk, department: str) -> list[tuple[int, str, UUID]]:
    """Return what went out on a department's topic: number, what it tells, case."""
    found = []
    for row in await desk.pool.fetch(OUTBOX, desk.tenant):
        if row["topic"] != f"dept.{desk.tenant}.{department}":
            continue
        headers = {name: text.encode() for name, text in row["headers"].items()}
        event = read_event(TASK_FACTS, headers, row["body"])
        assert event is not None
        assert row["record_key"] == event.key
        data = event.data.model_dump()
        assert (data["department"], data["task_seq"]) == (department, event.seq)
        found.append((event.seq, data.get("change", "given"), event.subject_id))
    return found


async def told(desk: Desk, department: str) -> list[tuple[int, str]]:
    return [(seq, what) for seq, what, _ in await sent(desk, department)]


async def kept(desk: Desk, department: str) -> list[tuple[int, str]]:
    rows = sorted(await desk.rows("task"), key=lambda row: row["n"])
    mine = (row for row in rows if row["department"] == department)
    return [(row["task_seq"], row["body"].get("change", "given")) for row in mine]


async def test_each_department_is_told_of_its_own_part_in_order(desk: Desk) -> None:
    await seen(desk, "police", "court", "justice")
    _, whistle_id = await called(desk, "police", "court")
    await act(desk, whistle_id, "report-ins", **POLICE, means="remote")
    await act(desk, whistle_id, "arrivals", **POLICE)
    await desk.http.post(
        f"/v1/whistles/{whistle_id}/release", json={}, headers=desk.headers(*CLERK)
    )
    assert await told(desk, "police") == [
        (1, "given"),
        (2, "reported_in"),
        (3, "arrived"),
        (4, "released"),
    ]
    assert await told(desk, "court") == [(1, "given"), (2, "withdrawn")]
    assert await told(desk, "justice") == []


async def test_what_is_told_of_a_case_names_its_place_and_holds_no_words(desk: Desk) -> None:
    words = {
        "summary": "王小明家漏水",
        "description": "三楼",
        "name": "王小明",
        "phone": "+8613800000000",
    }
    await desk.report(words=words, location={"grid": "g01"}, case_class="urgent")
    (row,) = await desk.rows("cases")
    await blow(desk, row["case_id"], "police", kind="joint_consult")
    (task,) = await desk.rows("task")
    given = TaskGivenV1.model_validate(task["body"])
    assert (given.number, given.category) == (row["number"], row["category"])
    assert (given.grid, given.village, given.kind, given.lead) == (
        "g01", row["village"], "joint_consult", True,
    )  # fmt: skip
    names = {one["id"]: one["body"]["zh"] for one in await units(desk)}
    assert (given.grid_name, given.village_name) == (names["g01"], names[row["village"]])
    assert given.due_at is not None
    for said in (*words.values(), "三次调解未果", CLERK[2]):
        assert said not in str(task["body"])


async def units(desk: Desk) -> list[dict[str, Any]]:
    query = "SELECT record_id AS id, body FROM registry_copy WHERE tenant_id = $1 AND kind = 'unit'"
    return [dict(row) for row in await desk.pool.fetch(query, desk.tenant)]


async def test_what_the_clock_does_is_told(timed: Desk) -> None:
    _, whistle_id = await called(timed, "police", "court")
    await timed.set_clock((await timed.now() - timedelta(seconds=9), timedelta(hours=2)))
    clockwork = timed.clockwork()
    for _ in range(6):
        await clockwork.tick()
    assert await kept(timed, "police") == [(1, "given"), (2, "missed")]
    await act(timed, whistle_id, "report-ins", **POLICE, means="remote")
    assert await kept(timed, "police") == [(1, "given"), (2, "missed"), (3, "reported_in")]
    assert await kept(timed, "court") == [(1, "given"), (2, "missed")]


async def test_whoever_still_has_a_part_is_told_that_the_case_has_closed(desk: Desk) -> None:
    case_id, whistle_id = await called(desk, "police", "court")
    await act(desk, whistle_id, "refusals", **POLICE, basis="不归我管", proposed="court")
    seq = (await desk.case(case_id))["seq"]
    answer = await desk.step(case_id, "cancel", CLERK, seq, reason="误报")
    assert answer.status_code == 200, answer.text
    closed = ["case_closed", "withdrawn"]
    assert [what for _, what in await kept(desk, "police")] == ["given", "refused", *closed]
    assert await kept(desk, "court") == [(1, "given"), (2, "case_closed"), (3, "withdrawn")]


async def test_what_is_ruled_on_a_refusal_is_told_to_who_refused_and_to_who_comes(
    desk: Desk,
) -> None:
    for key, ruling in (("k1", "reject"), ("k2", "accept")):
        _, whistle_id = await refused(desk, "police", key=key)
        path = f"whistles/{whistle_id}/rulings"
        answer = await post(desk, path, LEADER, **POLICE, ruling=ruling)
        assert answer.status_code == 200, answer.text
    told = [what for _, what in await kept(desk, "police")]
    assert told == ["given", "refused", "refusal_rejected", "given", "refused", "refusal_accepted"]
    bodies = [row["body"] for row in await desk.rows("task") if "change" in row["body"]]
    (again,) = [body for body in bodies if body["change"] == "refusal_rejected"]
    assert again["due_at"] is not None
    assert await kept(desk, "justice") == [(1, "given")]


async def test_an_act_that_comes_twice_is_told_once(desk: Desk) -> None:
    case_id, whistle_id = await called(desk, "police")
    record = desk.record(request(desk, case_id, whistle_id))
    await desk.hear(record)
    await desk.hear(record)
    assert await kept(desk, "police") == [(1, "given"), (2, "reported_in")]


async def test_a_department_learns_that_its_act_was_refused_and_another_learns_nothing(
    desk: Desk,
) -> None:
    case_id, whistle_id = await called(desk, "police")
    await desk.http.post(
        f"/v1/whistles/{whistle_id}/release", json={}, headers=desk.headers(*CLERK)
    )
    for department in ("police", "court"):
        await desk.hear(desk.record(request(desk, case_id, whistle_id, department)))
    assert await kept(desk, "police") == [(1, "given"), (2, "withdrawn"), (3, "act_refused")]
    (refused,) = [row for row in await desk.rows("task") if row["task_seq"] == 3]
    assert refused["body"]["code"] == "slot_ended"
    assert await kept(desk, "court") == []


async def test_numbers_are_without_a_gap_whoever_acts_at_once(desk: Desk) -> None:
    await seen(desk, "police", "court", "justice")
    departments = ("police", "court", "justice")
    _, whistle_id = await called(desk, *departments)
    async with asyncio.TaskGroup() as group:
        for one in departments:
            for _ in range(3):
                group.create_task(
                    act(desk, whistle_id, "report-ins", one, department=one, means="remote")
                )
    for one in departments:
        await act(desk, whistle_id, "arrivals", one, department=one)
        assert [seq for seq, _ in await told(desk, one)] == [1, 2, 3]


async def test_a_second_call_after_a_release_counts_on(desk: Desk) -> None:
    case_id, whistle_id = await called(desk, "police")
    await act(desk, whistle_id, "report-ins", **POLICE, means="remote")
    await desk.http.post(
        f"/v1/whistles/{whistle_id}/release", json={}, headers=desk.headers(*CLERK)
    )
    await blow(desk, case_id, "police")
    assert (await kept(desk, "police"))[2:] == [(3, "released"), (4, "given")]


async def test_without_its_topic_a_department_waits_and_nobody_with_it(desk: Desk) -> None:
    await seen(desk, "court")
    _, whistle_id = await called(desk, "police", "court")
    await act(desk, whistle_id, "report-ins", **POLICE, means="remote")
    assert await told(desk, "police") == []
    assert await told(desk, "court") == [(1, "given")]
    await (await watch(desk)).look()
    assert await told(desk, "police") == []
    look = await watch(desk, "police")
    await look.look()
    assert await told(desk, "police") == [(1, "given"), (2, "reported_in")]
    await act(desk, whistle_id, "arrivals", **POLICE)
    await look.look()
    assert await told(desk, "police") == [(1, "given"), (2, "reported_in"), (3, "arrived")]
    assert {row["sent"] for row in await desk.rows("task")} == {True}


async def test_nothing_overtakes_what_still_waits(desk: Desk) -> None:
    _, whistle_id = await called(desk, "police")
    await seen(desk, "police")
    await act(desk, whistle_id, "report-ins", **POLICE, means="remote")
    _, other = await called(desk, "police", key="k2")
    assert [what for _, what in await told(desk, "police")] == ["given"], "another case's"
    await (await watch(desk, "police")).look()
    await act(desk, other, "report-ins", **POLICE, means="remote")
    by_case: dict[UUID, list[int]] = {}
    for seq, _, case_id in await sent(desk, "police"):
        by_case.setdefault(case_id, []).append(seq)
    assert sorted(by_case.values()) == [[1, 2], [1, 2]]


async def test_an_act_on_a_case_that_is_not_here_is_dropped_and_nobody_is_held(desk: Desk) -> None:
    _, whistle_id = await called(desk, "police")
    await desk.hear(desk.record(request(desk, uuid4(), whistle_id)))
    held = await desk.pool.fetch(
        "SELECT FROM quarantine WHERE convert_from(record_key, 'UTF8') LIKE $1", f"{desk.tenant}|%"
    )
    assert held == []


async def test_who_is_named_twice_is_let_go_once(desk: Desk) -> None:
    case_id, whistle_id = await called(desk, "police")
    answer = await desk.http.post(
        f"/v1/whistles/{whistle_id}/release",
        json={"departments": ["police", "police"]},
        headers=desk.headers(*CLERK),
    )
    assert answer.status_code == 200, answer.text
    assert len(await desk.rows("slot", case_id)) == 1
