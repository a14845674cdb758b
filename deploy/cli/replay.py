"""`chuishao replay FILE`: real messages through the whole path; a second run changes nothing."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import aiohttp
import asyncpg
import typer
from rich.table import Table

from deploy.cli.messages import (
    SHOWN_MAX,
    Message,
    body_of,
    key_of,
    read_messages,
    told_refusal,
    told_repeats,
)
from deploy.cli.places import Places
from deploy.cli.screen import DATA_DIR, DataDir, Tenant, out, progress, run
from deploy.local.load import ACCEPTED, sender
from deploy.local.state import StackState, read_state

IN_FLIGHT = 32
OPEN_TIMEOUT_S = 120.0
TRIES_MAX = 20
AGAIN = (429, 503)

PLACES = """
SELECT kind, record_id, body
FROM registry_copy
WHERE tenant_id = $1
    AND (kind = 'household' OR (kind = 'unit' AND body ? 'polygon'))
ORDER BY record_id
"""

OPENED = """
SELECT case_id, grid, fallback, placed_by, flow, state
FROM cases
WHERE tenant_id = $1 AND case_id = ANY($2::uuid[])
ORDER BY received_at, case_id
"""

CASES = "SELECT count(*) FROM cases WHERE tenant_id = $1"


@dataclass(frozen=True, slots=True)
class Refused:
    """A report that was not taken: which of those given (from 0), and intake's answer."""

    nth: int
    status: int
    problem: dict[str, Any]


@dataclass(slots=True)
class Replayed:
    """What became of a file's messages."""

    messages: int = 0
    codes: dict[UUID, str] = field(default_factory=dict)  # tracking code by case
    cases: dict[str, UUID] = field(default_factory=dict)  # case by idempotency key
    refused: list[Refused] = field(default_factory=list)
    sent_s: float = 0.0
    opened_s: float = 0.0
    before: int = 0
    after: int = 0
    opened: list[dict[str, Any]] = field(default_factory=list)

    @property
    def case_ids(self) -> list[UUID]:
        return list(self.codes)


@asynccontextmanager
async def routing_database(state: StackState) -> AsyncIterator["asyncpg.Connection[Any]"]:
    conn = await asyncpg.connect(state.dsns["routing"])
    try:
        yield conn
    finally:
        await conn.close()


async def read_places(state: StackState, tenant: str) -> Places:
    """Read where a tenant's messages can be placed."""
    async with routing_database(state) as conn:
        rows = await conn.fetch(PLACES, tenant)
    outlines = {
        row["record_id"]: [(x, y) for x, y in json.loads(row["body"])["polygon"][0]]
        for row in rows
        if row["kind"] == "unit" and json.loads(row["body"])["polygon"]
    }
    households = [row["record_id"] for row in rows if row["kind"] == "household"]
    return Places(households, sorted(outlines), outlines)


async def send_all(
    state: StackState,
    reports: Sequence[tuple[str, dict[str, Any]]],
    done: Callable[[], None] = lambda: None,
) -> Replayed:
    """Post (idempotency key, body) pairs, a bounded number at a time; told to wait, it waits."""
    replayed = Replayed(messages=len(reports))
    free = asyncio.Semaphore(IN_FLIGHT)
    started = time.monotonic()
    async with sender(state.url("intake"), IN_FLIGHT) as client:

        async def send(nth: int, key: str, body: dict[str, Any]) -> None:
            async with free:
                status, accepted = await _post(client, state.api_key, key, body)
            if status == ACCEPTED:
                replayed.cases[key] = UUID(accepted["case_id"])
                replayed.codes[replayed.cases[key]] = accepted["tracking_code"]
            else:
                replayed.refused.append(Refused(nth, status, accepted))
            done()

        async with asyncio.TaskGroup() as tasks:
            for nth, (key, body) in enumerate(reports):
                tasks.create_task(send(nth, key, body))
    replayed.sent_s = time.monotonic() - started
    return replayed


async def _post(
    client: aiohttp.ClientSession, api_key: str, key: str, body: dict[str, Any]
) -> tuple[int, dict[str, Any]]:
    headers = {"X-Api-Key": api_key, "Idempotency-Key": key}
    for _ in range(TRIES_MAX):
        async with client.post("/v1/cases", json=body, headers=headers) as answer:
            status, accepted = answer.status, await answer.json(content_type=None)
            if status not in AGAIN:
                break
        await asyncio.sleep(float(answer.headers.get("Retry-After", "1")))
    return status, accepted


async def wait_opened(
    state: StackState, tenant: str, replayed: Replayed, seen: Callable[[int], None]
) -> None:
    """Wait until every accepted report is a case.

    Raises:
        TimeoutError: some were not opened in time.
    """
    started = time.monotonic()
    async with routing_database(state) as conn:
        while True:
            rows = await conn.fetch(OPENED, tenant, replayed.case_ids)
            seen(len(rows))
            if len(rows) == len(replayed.case_ids):
                break
            if time.monotonic() - started > OPEN_TIMEOUT_S:
                raise TimeoutError(f"{len(rows)} of {len(replayed.case_ids)} cases were opened")
            await asyncio.sleep(0.2)
        replayed.after = await conn.fetchval(CASES, tenant)
    replayed.opened = [dict(row) for row in rows]
    replayed.opened_s = time.monotonic() - started


async def replay_file(state: StackState, tenant: str, messages: Sequence[Message]) -> Replayed:
    """Replay a file's messages and wait until all of them are opened."""
    places = await read_places(state, tenant)
    async with routing_database(state) as conn:
        before = await conn.fetchval(CASES, tenant)
    reports = [(key_of(m), body_of(m, tenant, places)) for m in messages]
    with progress() as bar:
        sending = bar.add_task("上报 · reporting", total=len(reports))
        replayed = await send_all(state, reports, lambda: bar.advance(sending))
        opening = bar.add_task("立案 · opening", total=len(replayed.case_ids))
        await wait_opened(
            state, tenant, replayed, lambda count: bar.update(opening, completed=count)
        )
    replayed.before = before
    return replayed


def show(replayed: Replayed, messages: Sequence[Message]) -> None:
    """Print what became of it."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    new = replayed.after - replayed.before
    rate = replayed.messages / replayed.sent_s if replayed.sent_s else 0
    rows = (
        ("消息 · messages", f"{replayed.messages}"),
        ("已收 · accepted", f"{len(replayed.case_ids)}（{replayed.sent_s:.1f} s，{rate:.0f}/s）"),
        ("立案 · opened", f"{len(replayed.opened)}（+{replayed.opened_s:.1f} s）"),
        ("其中新增 · new", f"{new}"),
        ("拒收 · refused", f"{len(replayed.refused)}"),
    )
    for name, value in rows:
        table.add_row(name, value)
    out.print(table)
    refused = sorted(replayed.refused, key=lambda one: one.nth)
    told = [told_refusal(messages[one.nth], one.status, one.problem) for one in refused]
    if len(told) > SHOWN_MAX:
        told[SHOWN_MAX:] = [f"……还有 {len(told) - SHOWN_MAX} 条 · and more"]
    for line in [*told_repeats(messages), *told]:
        out.print(line, markup=False)
    _show_counts("归属依据 · placed by", Counter(one["placed_by"] for one in replayed.opened))
    fallback = Counter(one["fallback"] for one in replayed.opened if one["fallback"])
    _show_counts("兜底原因 · fallback by reason", fallback)
    _show_counts("各网格 · per grid", Counter(one["grid"] for one in replayed.opened), columns=8)


def _show_counts(title: str, counts: Counter[str | None], columns: int = 4) -> None:
    out.print(f"[bold]{title}[/bold]")
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    cells = [f"{name or '—'} {count}" for name, count in sorted(counts.items(), key=str)]
    for start in range(0, len(cells), columns):
        table.add_row(*cells[start : start + columns])
    out.print(table)


def replay(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="JSON Lines")],
    tenant: Tenant = None,
    data_dir: DataDir = Path(DATA_DIR),
) -> None:
    """重放真实消息，再跑一次什么也不会变 · Replay real messages; a second run changes nothing."""

    async def work() -> None:
        state = read_state(data_dir)
        town, messages = state.tenant(tenant), read_messages(file)
        replayed = await replay_file(state, town, messages)
        show(replayed, messages)
        if replayed.refused:
            raise typer.Exit(1)

    run(work)
