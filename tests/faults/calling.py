"""Whistles on a whole stack: who is called, who comes, and by which clock."""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar
from uuid import UUID, uuid4

import asyncpg
import httpx

from contracts.events import Event, read_event
from contracts.facts import ROUTING_FACTS
from contracts.topics import ROUTING_EVENTS
from deploy.cli.told import Town
from deploy.local.errors import LocalStackError
from deploy.local.load import Load, Log
from deploy.local.quiet import Watch
from deploy.local.seeding import post_set
from deploy.local.state import StackState
from deploy.local.whole import OPERATOR, Running
from services.chassis.seal import KeyRing
from tests.faults.check import read_records
from tests.faults.ground import bodies, state_of

KEY = "departments-software-0123456789"
RETRY_S, PATIENCE_S = 0.3, 120.0
SLOTS = "SELECT * FROM slot ORDER BY case_id, department"
PASSING = (httpx.HTTPError, LocalStackError, ValueError, OSError)

T = TypeVar("T")


async def insist(act: Callable[[], Awaitable[T]]) -> T:
    """Act until it is answered well: whatever is down comes back."""
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            return await act()
        except PASSING:
            if time.monotonic() > until:
                raise
            await asyncio.sleep(RETRY_S)


async def open_urgent(running: Running, tenant: str, cases: int, rate: float) -> Log:
    """Report urgent cases, whose departments are due after half an hour, and wait for rest."""
    given = ({**body, "class": "urgent"} for body in bodies(running, tenant))
    some = itertools.islice(given, cases)
    load = Load(running.url("intake"), running.secrets.api_key, some, "called")
    log = await load.run(rate, asyncio.Event())
    async with Watch(state_of(running)) as watch:
        await watch.until_quiet(180)
    return log


async def blow(town: Town, case_id: UUID, departments: Sequence[str]) -> None:
    """Call departments to a case, unless an answer that was lost has done so."""
    path = f"/v1/cases/{case_id}"
    case = await town.ask("routing", path, "center_clerk", units=["town"])
    if case["whistles"]:
        return
    body = {"departments": departments, "reason": "三次调解未果", "expected_seq": case["seq"]}
    await town.post(f"{path}/whistles", body, "center_clerk", units=["town"])


async def come(town: Town, slot: "asyncpg.Record") -> None:
    """Let a department report in at routing's door."""
    department = slot["department"]
    body = {"department": department, "means": "remote"}
    path = f"/v1/whistles/{slot['whistle_id']}/report-ins"
    await town.post(path, body, "department_officer", department=department)


async def give_key(running: Running, tenant: str, departments: Sequence[str]) -> None:
    """Let software with `KEY` act for departments; return once intake knows."""
    digest = KeyRing(running.secrets.key_file).api_key_digest(KEY)
    body: dict[str, object] = {
        "zh": "部门软件",
        "kind": "platform",
        "key_digest": digest,
        "quota_per_s": 2_000,
    }
    body |= {"burst": 4_000, "departments": list(departments)}
    line = {"kind": "front_end", "id": "software", "body": body}
    token = running.token(tenant, OPERATOR)
    await post_set(running.url("ledger"), token, "departments-software", [line])
    nobody: dict[str, object] = {
        "case_id": uuid4(),
        "whistle_id": uuid4(),
        "department": departments[0],
    }
    await insist(lambda: act_by_events(running, tenant, nobody))


async def act_by_events(running: Running, tenant: str, slot: Any) -> None:
    """Report in through intake, as a department's software does."""
    body = {name: str(slot[name]) for name in ("case_id", "whistle_id", "department")}
    headers = {
        "X-Api-Key": KEY,
        "Idempotency-Key": f"{slot['whistle_id']}-{slot['department']}",
    }
    given = {**body, "tenant": tenant, "act": "report_in", "means": "remote"}
    async with httpx.AsyncClient(base_url=running.url("intake"), timeout=10) as client:
        answer = await client.post("/v1/acts", json=given, headers=headers)
    answer.raise_for_status()


async def advance(state: StackState, tenant: str, seconds: float) -> None:
    """Move a town's clock, and do not wait for what falls due."""
    headers = {"Authorization": f"Bearer {state.token(tenant, OPERATOR)}"}
    async with httpx.AsyncClient(timeout=10, headers=headers) as client:
        url = f"{state.url('ledger')}/v1/dev/clock"
        (await client.post(url, json={"advance_s": seconds})).raise_for_status()


async def slots_of(state: StackState) -> "list[asyncpg.Record]":
    """Return routing's slots as they stand."""
    conn = await asyncpg.connect(state.dsns["routing"])
    try:
        return list(await conn.fetch(SLOTS))
    finally:
        await conn.close()


async def told(state: StackState) -> list[Event]:
    """Return routing's facts in order, each once."""
    events: dict[UUID, Event] = {}
    for record in await read_records(state, (ROUTING_EVENTS,)):
        event = read_event(ROUTING_FACTS, dict(record.headers), record.value)
        if event is not None:
            events.setdefault(event.event_id, event)
    return list(events.values())


async def crossed(state: StackState) -> list[str]:
    """Return the sends that were under way when their slot was over."""
    conn = await asyncpg.connect(state.dsns["notify"])
    try:
        rows = await conn.fetch("SELECT attempt_id::text FROM attempt WHERE crossed")
    finally:
        await conn.close()
    return [row["attempt_id"] for row in rows]
