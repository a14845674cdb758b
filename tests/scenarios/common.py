"""What is not of one town: what comes twice, two workers, a provider that fails."""

import asyncio
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from aiokafka import ConsumerRecord

from contracts.events import Event
from contracts.facts import Actor, CaseStepRequestedV1, Means
from contracts.topics import INTAKE_EVENTS
from tests.component.chassis import real
from tests.faults.check import read_records
from tests.scenarios.stage import Stage
from tests.scenarios.told import scenario

MONDAY = "2025-03-03T09:00"
PLACE: dict[str, Any] = {"location": {"grid": "g01"}, "class": "general"}


async def records_of(stage: Stage, case: Mapping[str, Any]) -> list[ConsumerRecord]:
    """Return what intake has published of a case."""
    subject = ("ce_subject", case["case_id"].encode())
    found = await read_records(stage.state, (INTAKE_EVENTS,))
    return [one for one in found if subject in one.headers]


@scenario("X-2", "yihe", MONDAY)
async def what_comes_twice_counts_once(stage: Stage) -> None:
    case, same = [await stage.report(key="a-key", **PLACE) for _ in range(2)]
    assert same["accepted"]["case_id"] == case["case_id"]
    record, *_ = await records_of(stage, case)
    async with real.producer(stage.state.kafka) as producer:
        again = {"key": record.key, "headers": list(record.headers)}
        await producer.send_and_wait(record.topic, record.value, **again)
    await stage.settled()
    assert len({one.offset for one in await records_of(stage, case)}) == 3
    assert len(await stage.facts(case, "case.opened.v1")) == 1
    assert len(await stage.facts(case, "case.assigned.v1")) == 1
    assert len(await stage.told(case, "case_assigned")) == 1
    assert (await stage.get("ledger", "/v1/counts"))["cases"] == 1
    kept = (await stage.get("ledger", f"/v1/cases/{case['case_id']}/facts"))["facts"]
    assert [one["type"] for one in kept].count("case.reported.v1") == 1
    assert (await stage.case(case))["follow_ups"] == []


# --- two workers ---------------------------------------------------------------------------------

CALLED = ("police", "justice")
ACTS: list[tuple[Means, str]] = [
    (means, name) for means in ("remote", "on_site") for name in CALLED
]


async def read_by(stage: Stage, replica: int) -> int:
    """Return how many records of intake a replica of routing has taken in."""
    port = stage.running.layout.port("routing", replica)
    async with stage.door("routing") as client:
        shown = (await client.get(f"http://127.0.0.1:{port}/metrics")).text
    name = rf'chuishao_records_total{{[^}}]*topic="{re.escape(INTAKE_EVENTS.name)}"[^}}]*}} (\S+)'
    applied = [one for one in re.finditer(name, shown) if 'end="applied"' in one[0]]
    return int(sum(float(one[1]) for one in applied))


def report_in(stage: Stage, whistle: Mapping[str, Any], department: str, means: Means) -> Event:
    """Make the event of a report-in that a department's software hands in."""
    by = Actor(staff="software", role="front_end", unit=department)
    asked = CaseStepRequestedV1(
        front_end="software",
        act="report_in",
        whistle_id=whistle["whistle_id"],
        department=department,
        means=means,
        by=by,
    )
    case_id = UUID(whistle["case_id"])
    return Event(uuid4(), stage.tenant, case_id, datetime.now(UTC), "/intake/software", asked)


@scenario("X-4", "arrival.yaml", MONDAY)
async def two_workers_keep_each_case_in_order(stage: Stage) -> None:
    # It stays until the stack is stopped: a seat that is given up is kept free for 15 s.
    await stage.running.start("routing", replica=1)
    before = [await read_by(stage, replica) for replica in (0, 1)]
    cases = await asyncio.gather(*(stage.report(key=f"n-{n}", **PLACE) for n in range(8)))
    whistles = await asyncio.gather(*(stage.whistle(case, CALLED) for case in cases))
    async with real.producer(stage.state.kafka) as producer:
        for means, department in ACTS:
            for whistle in whistles:
                event = report_in(stage, whistle, department, means)
                headers = [(name, value.encode()) for name, value in event.headers.items()]
                await producer.send(INTAKE_EVENTS.name, event.body, key=event.key, headers=headers)
    await stage.settled()
    for case in cases:
        await is_in_order(stage, case)
    after = [await read_by(stage, replica) for replica in (0, 1)]
    assert all(now > then for now, then in zip(after, before, strict=True)), "both have worked"


async def is_in_order(stage: Stage, case: Mapping[str, Any]) -> None:
    """Check that a case's facts follow one another as its acts were handed in."""
    facts = await stage.facts(case)
    assert [fact["seq"] for fact in facts] == list(range(1, len(facts) + 1))
    assert facts[0]["type"] == "case.opened.v1"
    came = {"whistle.reported_in.v1": "remote", "whistle.arrived.v1": "on_site"}
    acts = [one for one in facts if one["type"] in came]
    assert [(came[one["type"]], one["data"]["department"]) for one in acts] == ACTS
    means = {name: slot["means"] for name, slot in (await stage.slots(case)).items()}
    assert means == dict.fromkeys(CALLED, "remote"), "the first that was handed in stands"


# --- a provider that fails -----------------------------------------------------------------------


@scenario("X-5", "sms-then-app.yaml", MONDAY)
async def what_cannot_be_texted_goes_by_the_next_channel(stage: Stage) -> None:
    worker = stage.person("grid_worker", "g01")
    (phone,) = [
        str(one.body["phone"]) for one in stage.entries("staff") if one.record_id == worker.staff
    ]
    fails = {"kind": "refuse", "code": "isp.SYSTEM_ERROR", "next": 3, "phone": phone}
    async with stage.door("sandbox") as client:
        (await client.post("/sandbox/faults", json={"faults": [fails]})).raise_for_status()

    case = await stage.report(**PLACE)
    for step in ("first_ask", "grid_settle"):
        assert (await stage.step(case, step, worker))["case_id"] == case["case_id"]
    message = (await stage.told(case, "case_assigned"))[worker.staff]
    tried = [(one["channel"], one["state"]) for one in message["attempts"]]
    assert tried == [*[("sms", "retry")] * 3, ("app", "delivered")]
    inbox = await stage.get("notify", "/v1/inbox", worker)
    assert [one["notice"] for one in inbox["messages"]] == ["case_assigned"]
    assert [one for one in await stage.phones(case) if one["phone"] == phone] == []
    assert (await stage.case(case))["state"] == "in_progress"
