"""What an operator does with what is set aside: each act once, kept for good, in the contract."""

import asyncio
import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Any
from uuid import uuid5

import pytest

from contracts.events import Event, read_event
from contracts.facts import ROUTING_FACTS, Actor, CaseClosedV1
from deploy.local import let_go, set_aside
from deploy.local.corrections import Correction
from deploy.local.errors import LocalStackError
from deploy.local.let_go import Left
from deploy.local.set_aside import Place, Subject, place_of
from services.chassis import outbox
from services.chassis.batch import Heard, NotHere, Subscription
from services.chassis.inbox import Record
from services.chassis.outbox import Outgoing
from services.chassis.postgres import Connection
from services.quarantine.replay import replay_next
from tests.component.chassis.notes import EFFECT, START, TENANT, TOPIC, Consumer, Ground, subject
from tests.waiting import PATIENCE_S

BY = Actor(staff="s-1", role="center_clerk", unit="town")
HELD = Place("notes", TOPIC, 0, 0)
ACTS = "SELECT act, done_by, why, body, corrected_body FROM quarantine_act ORDER BY act_id"


def closed(about: str, n: int) -> Event:
    """The n-th fact about a case; its state tells which it is."""
    fact = CaseClosedV1(by=BY, state=f"{about}-{n}")
    return Event(uuid5(subject(about), str(n)), TENANT, subject(about), START, "/test", fact)


def record(about: str, n: int, **more: Any) -> Record:
    event = closed(about, n)
    headers = {name: value.encode() for name, value in event.headers.items()}
    parts = {"partition": 0, "offset": n, "key": event.key, "value": event.body, **more}
    return Record(topic=TOPIC, at=START, headers=headers, **parts)


def parse(one: Record) -> Event | None:
    return read_event(ROUTING_FACTS, one.headers, one.value)


async def apply(conn: Connection, heard: Sequence[Heard[Event]]) -> None:
    for one in heard:
        fact = one.message.data
        assert isinstance(fact, CaseClosedV1)
        if fact.state == "nowhere":
            raise NotHere("no units in the registry of tenant yihe")
        about = ([TENANT], [one.message.subject_id], [one.message.event_id], [fact.state])
        await conn.execute(EFFECT, *about)


def reader(ground: Ground) -> Subscription[Event]:
    return Subscription(ground.settings, ground.pool, [TOPIC], parse, apply, lambda: None)


def dsn(ground: Ground) -> str:
    return str(ground.settings.postgres_dsn)


async def held(ground: Ground, body: bytes | None = b"{", behind: int = 3) -> None:
    """Let the first record about `a` hold it, and others wait behind."""
    first = [record("a", 0, value=body)]
    await reader(ground).on_batch(
        Consumer(), [*first, *(record("a", n + 1) for n in range(behind))]
    )


async def replayed(ground: Ground) -> list[str]:
    while await replay_next(ground.pool, {TOPIC: reader(ground)}):
        pass
    return await ground.texts()


async def listed(ground: Ground, **how: Any) -> list[Subject]:
    return await set_aside.subjects("notes", dsn(ground), **how)


async def acts(ground: Ground) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in await ground.pool.fetch(ACTS)]


async def test_a_subject_is_listed_by_what_holds_it_with_those_behind(ground: Ground) -> None:
    await held(ground)
    await reader(ground).on_batch(Consumer(), [record("b", 0, partition=1, key=None, value=None)])
    first, alone = await listed(ground)
    assert (first.place, first.state, first.behind) == (HELD, "rejected", 3)
    assert first.type == "case.closed.v1"
    assert first.age_s > 0
    assert (alone.key, alone.behind) == (None, 0)
    assert {one.place for one in await listed(ground, reason="INVALID json")} >= {HELD}
    assert await listed(ground, reason="no such words") == []
    assert await listed(ground, older_s=first.age_s + 3600) == []
    assert len(await listed(ground, limit=1)) == 1


async def one_of(ground: Ground, place: Place) -> Subject:
    return next(one for one in await listed(ground) if one.place == place)


async def test_a_correction_stands_beside_the_original_and_takes_effect_when_replayed(
    ground: Ground,
) -> None:
    await held(ground, b'{"state": "a-0"}')
    by = json.dumps(BY.model_dump())
    kept = await let_go.fix(dsn(ground), HELD, Correction([f"by={by}"]), "op", "the writer forgot")
    assert kept.body == b'{"state": "a-0"}'
    assert json.loads(kept.now[1] or b"")["by"] == BY.model_dump()
    assert await replayed(ground) == [], "nobody has let it go"
    await let_go.release(dsn(ground), HELD, "op")
    assert (await one_of(ground, HELD)).released
    assert await replayed(ground) == ["a-0", "a-1", "a-2", "a-3"]
    first, *rest = await acts(ground)
    assert first == ("fixed", "op", "the writer forgot", b'{"state": "a-0"}', kept.now[1])
    assert [act for act, *_ in rest] == ["replayed"] * 4
    assert await listed(ground) == []


REFUSED: dict[str, tuple[Correction, str]] = {
    "a value that is no JSON to set into": (Correction(["state=x"]), "--file"),
    "a body that breaks the contract": (Correction(body=b'{"state": 7}'), "by: Field"),
    "no pair": (Correction(["state"], body=b"{}"), "--set state"),
    "another id": (Correction(headers=[f"ce_id={subject('x')}"], body=b"{}"), "ce_id"),
    "another subject": (
        Correction(headers=[f"ce_subject={subject('x')}"], body=closed("a", 0).body),
        "another subject",
    ),
    "a kind that is none": (
        Correction(headers=["ce_type=case.eaten.v1"], body=closed("a", 0).body),
        "case.eaten.v1",
    ),
}


@pytest.mark.parametrize(("wanted", "says"), REFUSED.values(), ids=REFUSED.keys())
async def test_a_correction_that_is_none_is_refused_and_leaves_nothing(
    ground: Ground, wanted: Correction, says: str
) -> None:
    await held(ground)
    with pytest.raises(LocalStackError, match=says):
        await let_go.fix(dsn(ground), HELD, wanted, "op", "why")
    assert not (await one_of(ground, HELD)).corrected
    assert await acts(ground) == []


async def test_what_is_sealed_is_not_set_by_hand(ground: Ground) -> None:
    sealed = {"kid": "k1", "key": "aa==", "fields": {"reason": "bb=="}}
    await held(ground, json.dumps({"sealed": sealed}).encode())
    for path in ("sealed.fields.reason=x", "sealed.kid=k2"):
        with pytest.raises(LocalStackError, match="sealed stays as it is"):
            await let_go.fix(dsn(ground), HELD, Correction([path]), "op", "why")


async def test_one_that_lacked_something_needs_no_correction(ground: Ground) -> None:
    body = closed("a", 0).body.replace(b"a-0", b"nowhere")
    await held(ground, body)
    assert (await one_of(ground, HELD)).state == "parked"
    await let_go.fix(dsn(ground), HELD, Correction(["state=a-0"]), "op", "for this test")
    await let_go.release(dsn(ground), HELD, "op")
    assert await replayed(ground) == ["a-0", "a-1", "a-2", "a-3"]


async def test_one_that_is_dropped_never_takes_effect_and_lets_those_behind_go(
    ground: Ground,
) -> None:
    await held(ground)
    await let_go.drop(dsn(ground), HELD, "op", "a stranger wrote it")
    assert await replayed(ground) == ["a-1", "a-2", "a-3"]
    first, *_ = await acts(ground)
    assert first == ("dropped", "op", "a stranger wrote it", b"{", None)
    again = [record("a", n) for n in range(4)]
    await reader(ground).on_batch(Consumer(), again)
    assert await ground.texts() == ["a-1", "a-2", "a-3"]
    with pytest.raises(LocalStackError, match="nothing is set aside there"):
        await let_go.drop(dsn(ground), HELD, "op", "once more")


async def test_to_let_go_from_any_record_begins_with_the_held_one(ground: Ground) -> None:
    await held(ground, closed("a", 0).body.replace(b"a-0", b"nowhere"))
    better = Correction(body=closed("a", 0).body)
    await let_go.fix(dsn(ground), HELD, better, "op", "why")
    await let_go.release(dsn(ground), Place("notes", TOPIC, 0, 2), "op")
    assert await replayed(ground) == ["a-0", "a-1", "a-2", "a-3"]


async def test_whoever_waits_is_told_what_holds_again(ground: Ground) -> None:
    await held(ground)
    kept = await let_go.release(dsn(ground), HELD, "op")
    dsns = {"notes": dsn(ground)}
    with pytest.raises(TimeoutError, match="4"):
        await let_go.until_taken(dsns, [kept], 0.1)
    assert await replayed(ground) == []
    assert await let_go.until_taken(dsns, [kept], 5) == Left(waiting=0, held=4)


async def test_two_operators_and_the_service_at_once_make_one_effect_each(ground: Ground) -> None:
    await held(ground, behind=40)
    better = Correction(body=closed("a", 0).body)

    async def operate() -> None:
        with suppress(LocalStackError):  # the other one was first
            await let_go.fix(dsn(ground), HELD, better, "op", "why")
            await let_go.release(dsn(ground), HELD, "op")

    async def serve() -> None:
        while await listed(ground):
            await replay_next(ground.pool, {TOPIC: reader(ground)})

    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as tasks:
        for work in (operate, operate, serve, serve):
            tasks.create_task(work())
    assert await ground.texts() == [f"a-{n}" for n in range(41)]


async def unsent(ground: Ground) -> Place:
    """Park three rows of one key, as the relay does with one that is too large."""
    rows = [Outgoing("t", b"k", {"ce_id": str(n)}, str(n).encode(), b"k") for n in range(3)]
    async with ground.pool.acquire() as conn, conn.transaction():
        await outbox.write(conn, rows)
        await conn.execute("INSERT INTO outbox_parked SELECT * FROM outbox ORDER BY id LIMIT 2")
        await conn.execute(
            "DELETE FROM outbox WHERE (lane, id) IN (SELECT lane, id FROM outbox_parked)"
        )
    (one,) = await listed(ground)
    assert (one.state, one.behind) == ("unsent", 1)
    return one.place


OUTBOX = "SELECT convert_from(body, 'UTF8') FROM outbox ORDER BY id"


async def test_rows_that_can_be_sent_now_go_back_under_their_old_numbers(ground: Ground) -> None:
    place = await unsent(ground)
    kept = await let_go.release(dsn(ground), place, "op")
    assert [row[0] for row in await ground.pool.fetch(OUTBOX)] == ["0", "1", "2"]
    assert await let_go.left(dsn(ground), [kept]) == Left(waiting=1, held=0)
    assert [act for act, *_ in await acts(ground)] == ["resent"]


async def test_a_row_that_is_dropped_lets_those_behind_it_be_sent(ground: Ground) -> None:
    place = await unsent(ground)
    with pytest.raises(LocalStackError, match="not corrected"):
        await let_go.fix(dsn(ground), place, Correction(["a=1"]), "op", "why")
    await let_go.drop(dsn(ground), place, "op", "sent smaller")
    assert [row[0] for row in await ground.pool.fetch(OUTBOX)] == ["1", "2"]
    assert await acts(ground) == [("dropped", "op", "sent smaller", b"0", None)]


async def test_rows_do_not_go_back_while_a_relay_sends_their_lane(ground: Ground) -> None:
    place = await unsent(ground)
    async with ground.pool.acquire() as conn, conn.transaction():
        await conn.execute("SELECT pg_advisory_xact_lock(4711, $1)", place.partition)
        going = asyncio.create_task(let_go.release(dsn(ground), place, "op"))
        await asyncio.wait([going], timeout=0.3)
        assert not going.done()
    await going
    assert await listed(ground) == []


@pytest.mark.parametrize(
    "text", ["", "notes", "nobody:notes/0@1", "notes:notes/x@1", "notes:a b/0@1"]
)
def test_a_place_that_is_none_is_told_with_the_services_there_are(text: str) -> None:
    with pytest.raises(LocalStackError, match="services here: notes"):
        place_of(text, {"notes": ""})


def test_a_place_reads_as_it_is_told() -> None:
    for place in (HELD, Place("notes", "dept.yihe.police", 2, 7), Place("notes", "outbox", 63, 1)):
        assert place_of(str(place), {"notes": ""}) == place
