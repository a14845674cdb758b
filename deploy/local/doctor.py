"""What is wrong with a running stack, and what to do about it: Chinese first, English beside it."""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import asyncpg
import httpx
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

from deploy.local.audited import examined, in_words
from deploy.local.quiet import Watch
from deploy.local.set_aside import Place
from deploy.local.state import StackState
from services.routing.store.audit import AUDIT

LOOK_TIMEOUT_S = 15.0
BACKLOG_TIMEOUT_S = 5.0
CONNECT_TIMEOUT_S = 5.0
KAFKA_TIMEOUT_S = 3.0
LISTED_MAX = 20
OVERDUE_S = 60.0
UNSEALED_S, LINKS_MAX = 60.0, 2_000
BACKLOG = "积压 · backlog"
AUDIT_LOG = "审计 · audit log"
OUTAGES = (OSError, KafkaError, asyncpg.PostgresError, asyncpg.InterfaceError)

QUARANTINED = """
SELECT topic, partition, record_offset, state, reason, count(*) OVER () AS total
FROM quarantine
ORDER BY at
LIMIT $1
"""
PARKED = "SELECT count(*) AS parked FROM outbox_parked"
UNARMED = """
SELECT tenant_id, deadline, count(*) AS timers
FROM timer
WHERE outcome IS NULL AND fires_at IS NULL
GROUP BY 1, 2
ORDER BY 1, 2
LIMIT 200
"""
WITHOUT_TOPIC = """
SELECT tenant_id, department, sum(waits) AS held
FROM (
    SELECT tenant_id, record_id AS department, 0 AS waits
    FROM registry_copy
    WHERE kind = 'department'
    UNION ALL
    SELECT tenant_id, department, 1
    FROM task
    WHERE NOT sent
) AS every
WHERE NOT EXISTS (
    SELECT
    FROM department_topic AS there
    WHERE there.tenant_id = every.tenant_id AND there.department = every.department
)
GROUP BY 1, 2
ORDER BY held DESC, 1, 2
LIMIT 200
"""
# Open cases that came in when nobody of their grid was on duty: where the rosters have a gap.
GAPS = """
SELECT tenant_id, grid, count(*) AS cases
FROM cases
WHERE NOT closed AND fallback IN ('nobody_on_duty', 'nobody_on_roster')
GROUP BY 1, 2
ORDER BY 3 DESC, 1, 2
LIMIT 200
"""
# Whose unit was taken out of the registry: they stand in nobody's queue.
ORPHANED = """
SELECT tenant_id, owner_unit, count(*) AS cases
FROM cases
WHERE NOT closed
    AND owner_role <> ''
    AND owner_unit <> ''
    AND NOT EXISTS (
        SELECT
        FROM registry_copy AS unit
        WHERE unit.tenant_id = cases.tenant_id
            AND unit.kind = 'unit'
            AND unit.record_id = cases.owner_unit
    )
GROUP BY 1, 2
ORDER BY 3 DESC, 1, 2
LIMIT 200
"""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: well, worth a note, or bad; `todo` says what to do unless it is well."""

    what: str
    state: Literal["well", "note", "bad"]
    text: str
    todo: str = ""
    details: Sequence[str] = ()


async def examine(state: StackState) -> list[Finding]:
    """Look at everything once; what cannot be looked at is a finding too."""
    logs = f"{state.data_dir}/logs/<服务 service>.log"
    servers = f"{state.data_dir}/kafka/kafka.log、{state.data_dir}/postgres/postgres.log"
    todo = (
        f"稍等再查；还不行就看 {servers}，再重新运行 chuishao up · look again in a while; "
        "if it stays so read these logs and run `chuishao up` again"
    )
    findings = await _look("Kafka · kafka", _kafka(state), todo, KAFKA_TIMEOUT_S)
    answers = findings[0].state == "well"
    findings.append(await _ready(state, logs))
    if answers:
        findings += await _look(BACKLOG, _backlog(state, logs), todo, BACKLOG_TIMEOUT_S)
    else:
        text = "看不了：Kafka 没有应答 · cannot be looked at: Kafka does not answer"
        findings.append(Finding(BACKLOG, "bad", text, todo))
    for service in state.services:
        name = f"{service} 数据库 · database"
        findings += await _look(name, _set_aside(service, state.dsns[service]), todo)
    findings += await _look("时钟与承办人 · timers and owners", _cases(state, logs), todo)
    if "ledger" in state.services:
        findings += await _look(AUDIT_LOG, _audit(state, logs), todo)
    return findings


async def _look(
    what: str,
    findings: Coroutine[Any, Any, list[Finding]],
    todo: str,
    timeout_s: float = LOOK_TIMEOUT_S,
) -> list[Finding]:
    """Return the findings, or that none can be had."""
    try:
        async with asyncio.timeout(timeout_s):
            return await findings
    except OUTAGES as error:
        return [Finding(what, "bad", f"看不了 · cannot be looked at: {error!r}", todo)]


async def _kafka(state: StackState) -> list[Finding]:
    """Ask Kafka anything: services stay ready for a while after it has stopped to answer."""
    client = AIOKafkaClient(bootstrap_servers=state.kafka)
    try:
        await client.bootstrap()
    finally:
        await client.close()
    return [Finding("Kafka · kafka", "well", "有应答 · answers")]


async def _ready(state: StackState, logs: str) -> Finding:
    waiting: list[str] = []
    async with httpx.AsyncClient(timeout=CONNECT_TIMEOUT_S) as client:
        for service in state.services:
            try:
                answer = await client.get(f"{state.url(service)}/ready")
                if answer.is_error:
                    waiting.append(f"{service}: {answer.json().get('waiting')}")
            except (httpx.HTTPError, ValueError) as error:
                waiting.append(f"{service}: {error!r}")
    what = "服务 · services"
    if not waiting:
        return Finding(what, "well", f"都已就绪 · all ready: {', '.join(state.services)}")
    todo = (
        f"等的是什么见下；进程退出会自动重启，原因在 {logs} · see below what each waits for; "
        "a process that ended is started again, its log tells why"
    )
    return Finding(what, "bad", "没有全部就绪 · not all ready", todo, waiting)


async def _backlog(state: StackState, logs: str) -> list[Finding]:
    async with Watch(state) as watch:
        waiting = await watch.waiting()
    if not waiting.total:
        return [Finding(BACKLOG, "well", "无 · none")]
    todo = (
        f"稍等再查；不见少就看那个服务的 {logs} · look again in a while; if it does not shrink "
        "read that service's log"
    )
    return [Finding(BACKLOG, "note", str(waiting), todo)]


async def _rows(dsn: str, query: str, *given: object) -> list[Mapping[str, Any]]:
    conn = await asyncpg.connect(dsn, timeout=CONNECT_TIMEOUT_S)
    try:
        return [dict(row) for row in await conn.fetch(query, *given)]
    finally:
        await conn.close(timeout=CONNECT_TIMEOUT_S)


async def _set_aside(service: str, dsn: str) -> list[Finding]:
    findings = []
    if rows := await _rows(dsn, QUARANTINED, LISTED_MAX):
        lines = [
            f"{Place(service, r['topic'], r['partition'], r['record_offset'])} "
            f"{r['state']}: {r['reason']}"
            for r in rows
        ]
        text = f"{rows[0]['total']} 条记录被搁置，最早的见下 · records set aside, oldest below"
        todo = (
            f"看 chuishao dlq ls --service {service}，消除原因，再 dlq replay；后续记录等着它 · "
            "look there, remove the cause, then replay; later records of the same case wait"
        )
        findings.append(Finding(f"{service} 隔离区 · quarantine", "bad", text, todo, lines))
    if parked := (await _rows(dsn, PARKED))[0]["parked"]:
        text = f"{parked} 条发不出去 · rows that can never be sent"
        todo = (
            f"看 chuishao dlq ls --service {service}：太大，主题不收；放大上限再 dlq replay，"
            "或改小重报再 dlq drop · too large: raise the limit and replay, or send it smaller "
            "and drop"
        )
        findings.append(Finding(f"{service} 发件箱 · outbox", "bad", text, todo))
    return findings


async def _cases(state: StackState, logs: str) -> list[Finding]:
    dsn = state.dsns["routing"]
    lacks = (await _rows(dsn, AUDIT, OVERDUE_S))[0]
    return [
        _counted(
            f"到期未办的时钟 · timers overdue by more than {OVERDUE_S:.0f} s",
            lacks["timer_overdue"],
            f"先消积压和隔离区：没读完就不触发；再看 routing 的 {logs} · first clear backlog and "
            "quarantine: nothing fires before all was read; then read routing's log",
        ),
        _counted(
            "无主的件 · cases without an owner",
            lacks["case_without_owner"],
            "镇配置的 fallback 角色要有人，再转交这些件 · give the profile's fallback role to "
            "somebody, then hand these cases over",
        ),
        _orphaned(await _rows(dsn, ORPHANED)),
        _gaps(await _rows(dsn, GAPS)),
        _unarmed(await _rows(dsn, UNARMED)),
        _untold(await _rows(dsn, WITHOUT_TOPIC)),
        _counted(
            "没有闹钟的时限 · clocks that run without a timer",
            sum(found for what, found in lacks.items() if what.endswith("_without_timer")),
            f"请人盯，留着数据库报给我们 · let a person watch; keep database and {logs}",
        ),
    ]


async def _audit(state: StackState, logs: str) -> list[Finding]:
    """Look at the end of each town's chain; `chuishao audit verify` looks at the whole."""
    found = await examined(state.dsns["ledger"], state.data_dir, last=LINKS_MAX)
    said = found.verdict
    findings = []
    if said.breaks:
        lines = ["".join(in_words(one)) for one in said.breaks]
        todo = (
            "别动数据库，先留一份备份；再用 chuishao audit verify 查整条链，见 "
            "docs/runbooks/audit_broken.md · change nothing, keep a backup first; then verify the "
            "whole chain"
        )
        findings.append(Finding(AUDIT_LOG, "bad", "链断了 · the chain is broken", todo, lines))
    if said.unsealed_s > UNSEALED_S:
        text = f"{said.unsealed} 行等了 {said.unsealed_s:.0f} s 还没封存 · rows not sealed yet"
        todo = (
            f"ledger 要在运行；看它的 {logs}，找 audit_seal_waited · ledger must run; look for "
            "that in its log"
        )
        findings.append(Finding(AUDIT_LOG, "bad", text, todo))
    if said.rows and not found.anchors:
        todo = (
            "设 LEDGER_AUDIT_ANCHOR_PATH：没有锚，截尾和重写看不出来 · set it: without anchors "
            "neither a tail cut off nor a rewritten chain shows"
        )
        findings.append(Finding(AUDIT_LOG, "note", "没有锚 · no anchors", todo))
    return findings or [Finding(AUDIT_LOG, "well", f"末 {said.rows} 行完整 · rows, whole")]


def _orphaned(rows: Sequence[Mapping[str, Any]]) -> Finding:
    found = _counted(
        "单位已不在的件 · cases of units that are gone",
        sum(row["cases"] for row in rows),
        "把下列单位重新登记（台账 unit），把件移交出去，再删除 · record these units in the "
        "registry again, hand their cases over, then remove them",
    )
    details = [f"{row['tenant_id']} {row['owner_unit']}: {row['cases']}" for row in rows]
    return replace(found, details=details)


def _gaps(rows: Sequence[Mapping[str, Any]]) -> Finding:
    return _noted(
        "值班有空档的网格 · grids found without anybody on duty",
        len(rows),
        "给这些网格排班、销假或定 AB 角（台账 roster、absence、backup_pair）· roster somebody "
        "there, end the absence, or name a pair (ledger's `roster`, `absence`, `backup_pair`)",
        [f"{row['tenant_id']} {row['grid']}: {row['cases']}" for row in rows],
    )


def _unarmed(rows: Sequence[Mapping[str, Any]]) -> Finding:
    return _noted(
        "按工作时间计、尚未上弦的时限 · deadlines on duty time, not armed yet",
        sum(row["timers"] for row in rows),
        "导入官方日历：chuishao calendar import；此前请人盯 · bring the official calendar with "
        "`chuishao calendar import`; until then let a person watch",
        [f"{row['tenant_id']} {row['deadline']}: {row['timers']}" for row in rows],
    )


def _untold(rows: Sequence[Mapping[str, Any]]) -> Finding:
    found = _noted(
        "没有主题的部门 · departments without a topic",
        len(rows),
        "部门要在登记里，再运行 chuishao topics apply；等着的记录随后自动发出 · record the "
        "department in the registry, run `chuishao topics apply`; what waits (counted below) "
        "goes out by itself then",
        [f"{row['tenant_id']} {row['department']}: {row['held']}" for row in rows],
    )
    return replace(found, state="bad") if any(row["held"] for row in rows) else found


def _noted(what: str, count: int, todo: str, details: Sequence[str]) -> Finding:
    return Finding(what, "note", str(count), todo, details) if count else Finding(what, "well", "0")


def _counted(what: str, count: int, todo: str) -> Finding:
    return Finding(what, "bad", str(count), todo) if count else Finding(what, "well", "0")
