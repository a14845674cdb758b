"""Routing as a process: replicas that come and go, and a registry that changes meanwhile."""

import asyncio
from collections import defaultdict
from uuid import UUID

import pytest

from contracts.events import case_id
from contracts.registry import Change
from contracts.topics import LEDGER_REGISTRY
from deploy.seed.town import CENTRE
from services.chassis.seal import KeyRing
from tests import factories
from tests.component.chassis import real
from tests.integration.trio import Trio, registry_place
from tests.waiting import PATIENCE_S, until

REPORTS = 300
FOUND = """
SELECT cases.case_id, grid, fallback, owner_unit, owner_role, owner_staff, state, cases.seq,
    array_agg(type ORDER BY case_fact.seq) AS types
FROM cases
JOIN case_fact USING (tenant_id, case_id)
WHERE tenant_id = $1 AND case_id = ANY($2::uuid[])
GROUP BY cases.tenant_id, cases.case_id
"""


def where(n: int) -> dict[str, object]:
    """Return where the n-th report says that it is: every kind of clue, good and bad."""
    lon, lat = CENTRE
    places: list[dict[str, object]] = [
        {"grid": f"g0{1 + n % 6}"},
        {"household_id": f"h{1 + n % 20:06d}"},
        {"lat": lat + (n % 7 - 3) / 200, "lon": lon + (n % 11 - 5) / 200, "crs": "WGS84"},
        {"village": f"v{1 + n % 2}"},
        {"grid": "nowhere"},
        {},
    ]
    return places[n % 6]


async def send(trio: Trio, tenant: str, numbers: range) -> None:
    free = asyncio.Semaphore(16)

    async def one(n: int) -> None:
        async with free:
            category = ["other", "security", "dispute_land"][n % 3]
            await trio.accepted(tenant, f"crowd-{n}", location=where(n), category=category)

    async with asyncio.TaskGroup() as tasks:
        for n in numbers:
            tasks.create_task(one(n))


def ids(tenant: str) -> list[UUID]:
    return [case_id(tenant, "demo", f"crowd-{n}") for n in range(REPORTS)]


async def opened(trio: Trio, tenant: str) -> dict[int, tuple[object, ...]]:
    """Wait for all cases; return what became of each, by the number of its report."""
    wanted = {one: n for n, one in enumerate(ids(tenant))}

    async def all_there() -> bool:
        return len(await trio.rows("routing", FOUND, tenant, list(wanted))) == REPORTS

    await until(all_there, f"all cases of {tenant} are open")
    rows = await trio.rows("routing", FOUND, tenant, list(wanted))
    return {wanted[row["case_id"]]: tuple(row)[1:] for row in rows}


async def test_replicas_that_come_and_go_change_nothing(trio: Trio) -> None:
    """The same 300 reports to two equal towns: once to one process, once to many in turn."""
    await send(trio, "calm", range(REPORTS))
    calm = await opened(trio, "calm")
    third = REPORTS // 3
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(send(trio, "crowd", range(third)))
        tasks.create_task(trio.start("routing", "routing-2", REPLICA="2"))
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(send(trio, "crowd", range(third, 2 * third)))
        tasks.create_task(trio.stop("routing-2"))
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(trio.start("routing", "routing-3"))
        tasks.create_task(send(trio, "crowd", range(2 * third, REPORTS)))
    crowd = await opened(trio, "crowd")
    await trio.stop("routing-3")
    assert crowd == calm
    numbers = await trio.rows("routing", "SELECT number FROM cases WHERE tenant_id = 'crowd'")
    assert len({row["number"] for row in numbers}) == REPORTS
    await announced_once(trio, "crowd")
    assert await trio.rows("routing", "SELECT FROM quarantine") == []


async def announced_once(trio: Trio, tenant: str) -> None:
    """Check that each case's facts stand on the topic in order; repeats are harmless."""
    seqs: dict[bytes, list[int]] = defaultdict(list)

    async def relayed() -> bool:
        return not await trio.rows("routing", "SELECT FROM outbox LIMIT 1")

    await until(relayed, "the outbox is empty")
    for record in await trio.records("routing.events"):
        if record.key.startswith(f"{tenant}|".encode()):
            seq = int(dict(record.headers)["ce_sequence"])
            if not seqs[record.key] or seq > max(seqs[record.key]):
                seqs[record.key].append(seq)
    assert len(seqs) == REPORTS
    assert all(found == list(range(1, len(found) + 1)) for found in seqs.values())


def new_village(trio: Trio) -> list[Change]:
    lines = [
        {"kind": "unit", "id": "v9", "body": {"level": "village", "zh": "新村", "parent": "town"}},
        {"kind": "unit", "id": "g99", "body": {"level": "grid", "zh": "新格", "parent": "v9"}},
        {"kind": "staff", "id": "s-new", "body": {
            "name": "x", "posts": [{"unit": "g99", "role": "grid_worker"}]}},
    ]  # fmt: skip
    ring = KeyRing(trio.secrets.key_file)
    return factories.registry_changes(ring, lines, tenant="third", change_set="halves")


async def publish(trio: Trio, *changes: Change) -> None:
    """Publish records as ledger would, and wait until routing has read them."""
    place = registry_place("third")
    async with real.producer(trio.kafka) as producer:
        for change in changes:
            sent = await producer.send_and_wait(
                LEDGER_REGISTRY.name,
                change.body,
                key=change.key,
                partition=place.partition,
                headers=[(name, text.encode()) for name, text in change.headers.items()],
            )
    query = """
    SELECT FROM processed_offset
    WHERE topic = 'ledger.registry' AND partition = $1 AND next_offset > $2
    """

    async def read() -> bool:
        return bool(await trio.rows("routing", query, place.partition, sent.offset))

    await until(read, "routing has read them")


async def test_a_registry_change_is_not_seen_in_halves(trio: Trio) -> None:
    *first, last = new_village(trio)
    await publish(trio, *first)
    early = await trio.case(
        "third", await trio.accepted("third", "early", location={"grid": "g99"})
    )
    assert (early["grid"], early["fallback"]) == (None, "unknown_grid")
    await publish(trio, last)
    late = await trio.case("third", await trio.accepted("third", "late", location={"grid": "g99"}))
    assert (late["grid"], late["village"], late["owner"]["staff"]) == ("g99", "v9", "s-new")


async def test_a_timer_of_a_town_in_virtual_time_strikes_when_its_clock_is_advanced(
    trio: Trio,
) -> None:
    clock, operator = f"{trio.urls['ledger']}/v1/dev/clock", trio.headers("second", "operator")
    urgent = await trio.accepted(
        "second", "urgent", location={"grid": "g01"}, **{"class": "urgent"}
    )
    assert len((await trio.case("second", urgent))["clocks"]) == 3
    moved = await trio.http.post(clock, json={"advance_s": 25 * 3600}, headers=operator)
    assert moved.status_code == 200

    async def struck() -> bool:
        return not [one for one in (await trio.case("second", urgent))["clocks"] if one["armed"]]

    await until(struck, "the clocks have struck")
    url = f"{trio.urls['routing']}/v1/cases/{urgent}/history"
    headers = trio.headers("second", "center_clerk", "town")
    facts = (await trio.http.get(url, headers=headers)).json()["facts"]
    told = [fact["data"]["deadline"] for fact in facts if fact["type"] == "case.deadline_missed.v1"]
    assert told == ["first_action", "class"]


@pytest.mark.parametrize("service", ["routing", "intake", "ledger"])
async def test_a_service_that_is_told_to_stop_stops_soon_and_leaves_nothing_undone(
    trio: Trio, service: str
) -> None:
    name = f"{service}-leaving"
    await trio.start(service, name)
    await trio.ready(name)
    async with asyncio.timeout(PATIENCE_S):
        await trio.stop(name)
    log = (trio.logs / f"{name}.log").read_text()
    assert "Traceback" not in log
    assert (await trio.report("yihe", f"after-{name}")).status_code == 202
