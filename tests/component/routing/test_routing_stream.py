"""A department's stream: resumed without a gap and without a repeat; it ends with its token."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from deploy.local.tokens import make_token, revoke
from services.chassis.http import Problem
from services.routing.store import stream as store
from services.routing.stream import Streams
from tests.component.routing.desk import Desk
from tests.component.routing.test_routing_whistles import POLICE, act, called
from tests.waiting import PATIENCE_S

Event = tuple[int, str, dict[str, Any]]


def bearer(desk: Desk, life_s: int = 60) -> str:
    roles = ["department_officer"]
    token = make_token(
        desk.secrets.token_private, desk.tenant, roles, department="police", life_s=life_s
    )
    return f"Bearer {token}"


def streams(desk: Desk, **more: Any) -> tuple[Streams, asyncio.Event]:
    quick = {"stream_wait_s": 0.02, "stream_beat_s": 0.1, **more}
    closing = asyncio.Event()
    return Streams(desk.settings.model_copy(update=quick), desk.door, closing), closing


async def follow(
    desk: Desk, one: Streams, since: int | None = None, life_s: int = 60
) -> AsyncGenerator[bytes, None]:
    token = bearer(desk, life_s)
    who = desk.door.who(token)
    position = await one.begin(who, "police", since)
    async with aclosing(one.follow(who, "police", position, token)) as messages:
        async for message in messages:
            yield message


def read(message: bytes) -> Event | None:
    """Read a message as a browser would; beats and bare ids are none."""
    fields = dict(line.split(": ", 1) for line in message.decode().splitlines() if line)
    if "data" not in fields:
        return None
    return int(fields["id"]), fields["event"], json.loads(fields["data"])


async def some(desk: Desk, count: int, since: int | None) -> list[Event]:
    """Return the next events behind a place, and go."""
    found: list[Event] = []
    one, _ = streams(desk)
    async with asyncio.timeout(PATIENCE_S), aclosing(follow(desk, one, since)) as messages:
        async for message in messages:
            event = read(message)
            found += [event] if event else []
            if len(found) == count:
                return found
    return found


async def test_a_place_that_nothing_has_come_to_is_refused_and_not_waited_at(desk: Desk) -> None:
    await called(desk, "police")
    one, _ = streams(desk)
    who = desk.door.who(bearer(desk))
    assert await one.begin(who, "police", 1) == 1
    with pytest.raises(Problem) as ahead:
        await one.begin(who, "police", 2)
    assert (ahead.value.status, ahead.value.body["code"]) == (409, "position_ahead")


async def test_who_comes_back_misses_nothing_and_gets_nothing_twice(desk: Desk) -> None:
    case_id, whistle_id = await called(desk, "police", "court")
    await act(desk, whistle_id, "report-ins", **POLICE, means="remote")
    first, second = await some(desk, 2, since=0)
    assert [first[0], second[0]] == [1, 2]
    assert (first[1], first[2]["task_seq"]) == ("task.given.v1", 1)
    assert second[2]["data"]["change"] == "reported_in"
    await act(desk, whistle_id, "arrivals", **POLICE)
    (third,) = await some(desk, 1, since=second[0])
    assert (third[0], third[2]["case_id"]) == (3, str(case_id))
    assert [event[0] for event in await some(desk, 3, since=0)] == [1, 2, 3]


async def test_a_stream_without_a_place_begins_now_and_says_where(desk: Desk) -> None:
    await called(desk, "police")
    one, _ = streams(desk)
    async with asyncio.timeout(PATIENCE_S), aclosing(follow(desk, one)) as messages:
        assert await anext(messages) == b"id: 1\n\n"
        await called(desk, "police", key="k2")
        (event,) = [read(message) async for message in _until_told(messages)]
        assert event is not None
        assert event[0] == 2


async def _until_told(messages: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    async for message in messages:
        if b"data: " in message:
            yield message
            return


async def test_many_who_listen_at_once_see_one_order_without_a_gap(desk: Desk) -> None:
    async with asyncio.TaskGroup() as group:
        heard = [group.create_task(some(desk, 20, since=0)) for _ in range(3)]
        for n in range(20):
            group.create_task(called(desk, "police", key=f"k{n}"))
    orders = [[(event[0], event[2]["task_id"]) for event in one.result()] for one in heard]
    assert [position for position, _ in orders[0]] == list(range(1, 21))
    assert orders[0] == orders[1] == orders[2]


GIVE = """
INSERT INTO task (
    tenant_id, department, case_id, task_seq, task_id, type, occurred_at, body, sent
)
VALUES ($1, 'police', gen_random_uuid(), 1, $2, 'task.given.v1', now(), '{}', true)
"""


async def test_a_place_that_was_given_stays_whatever_becomes_visible_later(desk: Desk) -> None:
    first, second = uuid4(), uuid4()
    async with desk.pool.acquire() as slow, desk.pool.acquire() as looking:
        begun, look = slow.transaction(), looking.transaction()
        await begun.start()
        await slow.execute(GIVE, desk.tenant, first)
        await desk.pool.execute(GIVE, desk.tenant, second)
        await look.start()
        await store.place(looking, desk.tenant, "police", 100)
        await begun.commit()
        async with asyncio.TaskGroup() as group:
            group.create_task(some(desk, 2, since=0))
            waiting = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"
            while not await desk.pool.fetchval(waiting):
                await asyncio.sleep(0.01)
            await look.commit()
    rows = {row["task_id"]: row["position"] for row in await desk.rows("task")}
    assert rows == {second: 1, first: 2}


async def test_a_stream_beats_and_ends_with_its_token(desk: Desk) -> None:
    one, _ = streams(desk)
    async with asyncio.timeout(PATIENCE_S):
        messages = [message async for message in follow(desk, one, life_s=2)]
    assert b": beat\n\n" in messages


async def test_a_stream_ends_once_its_token_is_taken_back(desk: Desk) -> None:
    secrets, roles = desk.secrets, ["department_officer"]
    thieved = make_token(
        secrets.token_private, desk.tenant, roles, department="police", staff="thieved"
    )
    one, _ = streams(desk)
    who = desk.door.who(f"Bearer {thieved}")
    place = await one.begin(who, "police", None)
    async with asyncio.timeout(PATIENCE_S):
        messages = one.follow(who, "police", place, f"Bearer {thieved}")
        await anext(messages)
        assert await anext(messages) == b": beat\n\n"
        revoke(secrets.token_public, desk.tenant, "thieved", datetime.now(UTC))
        left = [message async for message in messages]
    assert left in ([], [b": beat\n\n"])


async def test_a_stream_ends_with_its_service(desk: Desk) -> None:
    one, closing = streams(desk, stream_wait_s=30)
    async with asyncio.timeout(PATIENCE_S), aclosing(follow(desk, one)) as messages:
        await anext(messages)
        rest = asyncio.ensure_future(anext(messages, None))
        closing.set()
        assert await rest in (None, b": beat\n\n")


async def test_a_stream_is_for_its_department_alone_and_there_are_not_too_many(desk: Desk) -> None:
    headers = {"Authorization": bearer(desk)}
    answer = await desk.http.get("/v1/departments/court/stream", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "department_not_yours")
    none = desk.http.get("/v1/departments/police/stream?since=-1", headers=headers)
    assert (await none).status_code == 422
    full, _ = streams(desk, streams_max=0)
    with pytest.raises(Problem, match="too_many_streams"):
        await full.begin(desk.door.who(bearer(desk)), "police", None)
