"""Ledger as a process: what it publishes, and what it keeps of all that is published."""

import asyncio
import json
from collections import defaultdict
from uuid import UUID, uuid4

from contracts.topics import LEDGER_REGISTRY, NOTIFY_EVENTS, TOPICS
from tests.component.chassis import real
from tests.integration.trio import Trio, registry_place
from tests.waiting import until

CANARY = "金丝雀7041"


def units(prefix: str, count: int) -> list[dict[str, object]]:
    body = {"level": "grid", "zh": "x", "parent": "v1"}
    return [{"kind": "unit", "id": f"{prefix}{n:05d}", "body": body} for n in range(count)]


async def sent(trio: Trio) -> None:
    async def empty() -> bool:
        return not await trio.rows("ledger", "SELECT FROM outbox LIMIT 1")

    await until(empty, "the outbox is empty")


async def sets_on_topic(trio: Trio, tenant: str) -> list[tuple[str, bool]]:
    records = await trio.records(LEDGER_REGISTRY.name)
    mine = [one for one in records if one.key.startswith(f"{tenant}|".encode())]
    assert {one.partition for one in mine} == {registry_place(tenant).partition}
    headers = [dict(one.headers) for one in mine]
    return [(h["ce_changeset"].decode(), h["ce_last"] == b"true") for h in headers]


async def test_each_service_names_the_topics_that_it_misses(trio: Trio) -> None:
    for told in trio.before_topics.values():
        assert "run `chuishao topics apply`" in told
    named = {name: told.split(": ")[1].split(", ") for name, told in trio.before_topics.items()}
    assert set(named["ledger"]) == {topic.name for topic in TOPICS}
    read = {"intake.events", "routing.events", "ledger.registry"}
    assert set(named["intake"]) == read
    assert set(named["routing"]) == read | {"notify.events"}


async def test_sets_at_once_stand_one_after_the_other_on_the_topic(trio: Trio) -> None:
    async with asyncio.TaskGroup() as tasks:
        for n in range(5):
            tasks.create_task(trio.post_set("third", f"set-{n}", units(f"s{n}-", 300)))
    await sent(trio)
    told = [one for one in await sets_on_topic(trio, "third") if one[0] != "seed"]
    order = list(dict.fromkeys(name for name, _ in told))
    assert sorted(order) == [f"set-{n}" for n in range(5)]
    assert told == [(name, n == 299) for name in order for n in range(300)]


async def test_a_large_set_takes_effect_once_and_whole(trio: Trio) -> None:
    await trio.post_set("third", "large", units("big-", 5_000))
    count = "SELECT count(*) AS n FROM registry_copy WHERE record_id LIKE 'big-%'"
    seen: set[int] = set()

    async def applied() -> bool:
        (found,) = await trio.rows("routing", count)
        seen.add(found["n"])
        return bool(found["n"])

    await until(applied, "the set has taken effect")
    assert seen <= {0, 5_000}
    assert await trio.rows("routing", "SELECT FROM registry_staged WHERE tenant_id = 'third'") == []


async def test_what_is_removed_is_a_tombstone_and_gone_from_every_copy(trio: Trio) -> None:
    await trio.post_set("third", "add", units("gone-", 1))
    await trio.post_set("third", "remove", [{"kind": "unit", "id": "gone-00000", "body": None}])
    await sent(trio)
    records = await trio.records(LEDGER_REGISTRY.name)
    about = [one.value for one in records if one.key == b"third|unit|gone-00000"]
    assert about[-1] is None

    async def gone() -> bool:
        query = "SELECT FROM registry_copy WHERE record_id = 'gone-00000'"
        done = "SELECT FROM processed_offset WHERE topic = 'ledger.registry' AND partition = $1 AND next_offset >= $2"  # noqa: E501
        end = max(one.offset for one in records if one.key == b"third|unit|gone-00000") + 1
        read = await trio.rows("routing", done, registry_place("third").partition, end)
        return bool(read) and not await trio.rows("routing", query)

    await until(gone, "routing has dropped it")


async def test_persons_and_addresses_are_on_no_topic(trio: Trio) -> None:
    person = {
        "name": CANARY,
        "phone": "13790817263",
        "id_number": "11010519491231002X",
        "household": "h1",
    }
    lines = [
        {"kind": "person", "id": "p1", "body": person},
        {"kind": "household", "id": "h1", "body": {"grid": "g01", "address": f"{CANARY}路"}},
        {
            "kind": "staff",
            "id": "s1",
            "body": {"posts": [], "name": CANARY, "phone": "13790817263"},
        },
    ]
    await trio.post_set("third", "people", lines)
    words = {"summary": CANARY, "description": CANARY, "reporter": {"name": CANARY},
             "location": {"grid": "g01", "address": CANARY}}  # fmt: skip
    case_id = await trio.accepted("third", "canary", **words)
    await trio.case("third", case_id)
    await sent(trio)
    found = 0
    for topic in TOPICS:
        for record in await trio.records(topic.name):
            found += 1
            whole = b"|".join([record.key, record.value or b"", *(v for _, v in record.headers)])
            assert CANARY.encode() not in whole
            assert person["id_number"].encode() not in whole
            assert person["phone"].encode() not in whole
            assert json.dumps(CANARY).strip('"').encode() not in whole
            assert b"|person|" not in record.key
    assert found > 100


async def test_every_fact_is_kept_as_it_came(trio: Trio) -> None:
    subject = uuid4()
    bodies = {
        "wish.claimed.v9": b'{"a": 1}',
        "message.delivered.v1": b"\xff\x00 no JSON",
        "case.closed.v1": b'{"by": 5}',
        "message.failed.v1": None,
    }
    async with real.producer(trio.kafka) as producer:
        for type_, body in bodies.items():
            headers = {
                "ce_specversion": "1.0",
                "ce_id": str(uuid4()),
                "ce_type": type_,
                "ce_source": "/elsewhere",
                "ce_subject": str(subject),
                "ce_time": "2025-03-03T10:00:00Z",
                "ce_tenant": "third",
            }
            await producer.send_and_wait(
                NOTIFY_EVENTS.name,
                body,
                key=f"third|{subject}".encode(),
                headers=[(name, text.encode()) for name, text in headers.items()],
            )
    query = "SELECT type, body FROM case_ledger WHERE subject = $1"

    async def kept() -> bool:
        return len(await trio.rows("ledger", query, str(subject))) == len(bodies)

    await until(kept, "all facts are in the ledger")
    rows = await trio.rows("ledger", query, str(subject))
    assert {row["type"]: row["body"] for row in rows} == bodies


async def test_counts_are_those_of_the_cases(trio: Trio) -> None:
    grids = ["g01", "g02", "g04", None]
    ids: list[UUID] = []
    for n in range(12):
        where = {"grid": grids[n % 4]} if grids[n % 4] else {}
        ids.append(await trio.accepted("counted", f"count-{n}", location=where))
    for case_id in ids:
        await trio.case("counted", case_id)
    clerk = ("center_clerk", "town", "k1")
    await trio.step("counted", ids[0], "cancel", clerk, reason="r")
    url, headers = (
        f"{trio.urls['ledger']}/v1/counts",
        trio.headers("counted", "town_leader", "town"),
    )

    async def counted() -> bool:
        counts = (await trio.http.get(url, headers=headers)).json()
        closed = sum(one["cases"] for one in counts["counts"] if one["closed"])
        return (counts["cases"], closed) == (12, 1)

    await until(counted, "ledger has counted")
    by_grid: dict[str, int] = defaultdict(int)
    for one in (await trio.http.get(url, headers=headers)).json()["counts"]:
        by_grid[one["grid"]] += one["cases"]
    assert by_grid == {"g01": 3, "g02": 3, "g04": 3, "": 3}
    facts = f"{trio.urls['ledger']}/v1/cases/{ids[0]}/facts"
    told = (await trio.http.get(facts, headers=headers)).json()["facts"]
    assert [one["type"] for one in told if one["topic"] == "intake.events"] == ["case.reported.v1"]
    seqs = [one["seq"] for one in told if one["topic"] == "routing.events"]
    assert seqs == list(range(1, len(seqs) + 1))
