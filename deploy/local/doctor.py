"""What is wrong with a running stack, and what to do about it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import asyncpg
import httpx

from deploy.local.quiet import Watch
from deploy.local.state import StackState

QUARANTINED = """
SELECT topic, partition, record_offset, state, reason
FROM quarantine
ORDER BY at
LIMIT 20
"""
PARKED = "SELECT count(*) FROM outbox_parked"
UNARMED = """
SELECT tenant_id, deadline, count(*) AS timers
FROM timer
WHERE outcome IS NULL AND fires_at IS NULL
GROUP BY 1, 2
ORDER BY 1, 2
LIMIT 200
"""
# By real clocks alone: a tenant whose clock was moved is looked at by `quiet`.
OVERDUE = """
SELECT count(*) AS timers
FROM timer
WHERE outcome IS NULL
    AND fires_at < clock_timestamp() - interval '60 s'
    AND NOT EXISTS (
        SELECT FROM registry_copy c WHERE c.kind = 'clock' AND c.tenant_id = timer.tenant_id
    )
"""
UNOWNED = "SELECT count(*) FROM cases WHERE NOT closed AND owner_role = ''"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: well, worth a note, or bad."""

    what: str
    state: Literal["well", "note", "bad"]
    text: str
    details: Sequence[str] = ()


async def examine(state: StackState) -> list[Finding]:
    """Look at everything once."""
    findings = [await _ready(state)]
    async with Watch(state) as watch:
        waiting = await watch.waiting()
    if waiting.total:
        findings.append(Finding("积压 · backlog", "note", str(waiting)))
    else:
        findings.append(Finding("积压 · backlog", "well", "无 · none"))
    for service in state.services:
        findings += await _set_aside(service, state.dsns[service])
    findings += await _clocks(state.dsns["routing"])
    return findings


async def _ready(state: StackState) -> Finding:
    waiting: list[str] = []
    async with httpx.AsyncClient(timeout=5) as client:
        for service in state.services:
            try:
                answer = await client.get(f"{state.url(service)}/ready")
                if answer.is_error:
                    waiting.append(f"{service}: {answer.json().get('waiting')}")
            except httpx.HTTPError as error:
                waiting.append(f"{service}: {error!r}")
    names = ", ".join(state.services)
    text = "没有全部就绪 · not all ready" if waiting else f"都已就绪 · all ready: {names}"
    return Finding("服务 · services", "bad" if waiting else "well", text, waiting)


async def _rows(dsn: str, query: str) -> list[Mapping[str, Any]]:
    conn = await asyncpg.connect(dsn)
    try:
        return [dict(row) for row in await conn.fetch(query)]
    finally:
        await conn.close()


async def _set_aside(service: str, dsn: str) -> list[Finding]:
    findings = []
    rows = await _rows(dsn, QUARANTINED)
    if rows:
        lines = [
            f"{r['topic']}/{r['partition']}@{r['record_offset']} {r['state']}: {r['reason']}"
            for r in rows
        ]
        text = f"{len(rows)} 条记录被搁置 · records set aside"
        findings.append(Finding(f"{service} 隔离区 · quarantine", "bad", text, lines))
    parked = (await _rows(dsn, PARKED))[0]["count"]
    if parked:
        text = f"{parked} 条发不出去 · rows that can never be sent"
        findings.append(Finding(f"{service} 发件箱 · outbox", "bad", text))
    return findings


async def _clocks(dsn: str) -> list[Finding]:
    overdue = (await _rows(dsn, OVERDUE))[0]["timers"]
    unarmed = await _rows(dsn, UNARMED)
    unowned = (await _rows(dsn, UNOWNED))[0]["count"]
    lines = [f"{row['tenant_id']} {row['deadline']}: {row['timers']}" for row in unarmed]
    total = sum(row["timers"] for row in unarmed)
    return [
        Finding(
            "到期未办的时钟 · timers overdue by more than 60 s",
            "bad" if overdue else "well",
            str(overdue),
        ),
        Finding("无主的件 · cases without an owner", "bad" if unowned else "well", str(unowned)),
        Finding(
            "按工作时间计、尚未上弦的时限 · deadlines on duty time, not armed yet",
            "note" if total else "well",
            str(total),
            lines,
        ),
    ]
