"""A case goes the whole way, through the doors that its people use."""

import json
import re
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest

from deploy.cli.clock import move
from deploy.cli.replay import send_all, wait_opened
from deploy.cli.told import Town
from deploy.local.doctor import Finding, examine
from deploy.local.quiet import Watch
from deploy.local.seeding import post_set
from deploy.local.state import StackState
from deploy.local.whole import OPERATOR, Running
from deploy.seed.reports import reports
from tests.faults.ground import TENANT
from tests.faults.replayed import replay_twice
from tests.system.doors import QUIET_S, READY_S, command, opened, report
from tests.waiting import until


async def test_a_report_goes_the_whole_way(state: StackState) -> None:
    accepted, _ = await report(
        state,
        "whole-way",
        summary="村口路灯坏了",
        category="environment",
        location={"grid": "g03"},
        reporter={"name": "李四", "phone": "16012345678"},
    )
    town = Town(state, TENANT)
    case = await opened(town, accepted["case_id"], "g03")
    owner = case["owner"]
    assert (case["grid"], case["state"], owner["role"]) == ("g03", "reported", "grid_worker")
    assert case["text"] == {"summary": "村口路灯坏了"}

    async def phone() -> list[str]:
        async with httpx.AsyncClient(base_url=state.url("sandbox"), timeout=10) as client:
            answer = await client.get("/sandbox/messages", params={"reached": "true"})
        return [m["text"] for m in answer.json()["messages"] if case["number"] in m["text"]]

    texts = await until(phone, "the worker's phone shows it", READY_S)
    assert len(texts) == 1
    assert not re.search("李四|路灯坏了", texts[0]), "nothing personal in a message"
    where = (owner["role"], owner["unit"], owner["staff"])
    for body in (
        {"step": "first_ask"},
        {"step": "grid_settle"},
        {"step": "resolve", "result": "已换新灯", "proof": ["photo-1"]},
    ):
        case = await town.step(case, body, *where)
    case = await town.step(
        case, {"step": "return_visit", "satisfied": True}, "center_clerk", "town", "s-other"
    )
    assert case["state"] == "closed"

    async def followed() -> dict[str, Any] | None:
        async with httpx.AsyncClient(base_url=state.url("intake"), timeout=10) as client:
            answer = await client.get(f"/v1/track/{accepted['tracking_code']}")
        seen = answer.json() if answer.is_success else {}
        return seen if seen.get("stage", {}).get("state") == "closed" else None

    seen = await until(followed, "the reporter sees the end", READY_S)
    assert [step["zh"] for step in seen["steps"]] == ["首问登记", "网格化解", "办结", "回访"]
    assert "李四" not in json.dumps(seen, ensure_ascii=False)

    async def kept() -> set[str] | None:
        facts = await town.ask("ledger", f"/v1/cases/{accepted['case_id']}/facts", OPERATOR)
        types = {fact["type"] for fact in facts["facts"]}
        return types if {"case.closed.v1", "message.delivered.v1"} <= types else None

    types = await until(kept, "the ledger has it all", READY_S)
    assert {"case.reported.v1", "case.opened.v1", "case.accepted.v1", "case.resolved.v1"} <= types


async def test_a_replay_places_each_message_and_a_second_run_adds_nothing(
    running: Running, state: StackState, tmp_path: Path
) -> None:
    made = list(reports(running.towns[TENANT], seed=11, count=200))
    lines = [
        json.dumps(
            {
                "id": f"m{n}",
                "subject": body["summary"],
                "text": body["description"],
                "at": "2025-03-03T10:00:00+08:00",
            },
            ensure_ascii=False,
        )
        for n, body in enumerate(made)
    ]
    path = tmp_path / "messages.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    conn = await asyncpg.connect(state.dsns["routing"])
    await conn.execute("SELECT 1")
    before = await conn.fetchval("SELECT count(*) FROM cases")
    await conn.close()
    verdict = await replay_twice(running, path)
    others = [line for line in verdict.wrong if f"{200 + before} cases of 200" not in line]
    assert not others
    assert verdict.counts["added by the second run"] == 0


async def test_a_new_profile_version_binds_new_cases_and_leaves_old_ones(
    running: Running, state: StackState
) -> None:
    town = Town(state, TENANT)
    old, _ = await report(state, "pinned-old", summary="旧规矩下的事", location={"grid": "g02"})
    before = await opened(town, old["case_id"], "g02")
    profile = next(e.body for e in running.towns[TENANT] if e.kind == "profile")
    newer = {**profile, "version": before["profile_version"] + 1}
    token = state.token(TENANT, OPERATOR)
    line = {"kind": "profile", "id": str(newer["version"]), "body": newer}
    await post_set(state.url("ledger"), token, "profile-2", [line])
    async with Watch(state) as watch:
        await watch.until_quiet(QUIET_S)
    new, _ = await report(state, "pinned-new", summary="新规矩下的事", location={"grid": "g02"})
    after = await opened(town, new["case_id"], "g02")
    again = await opened(town, old["case_id"], "g02")
    assert after["profile_version"] == newer["version"]
    assert again["profile_version"] == before["profile_version"]


async def test_the_clock_moves_and_all_that_falls_due_is_done(state: StackState) -> None:
    made = [
        (
            f"due-{n}",
            {"tenant": TENANT, "summary": "急事", "class": "urgent", "location": {"grid": "g04"}},
        )
        for n in range(20)
    ]
    replayed = await send_all(state, made)
    await wait_opened(state, TENANT, replayed, lambda _: None)
    await move(state, TENANT, {"advance_s": 7 * 86_400})
    conn = await asyncpg.connect(state.dsns["routing"])
    rows = await conn.fetch(
        "SELECT case_id, type FROM case_fact WHERE type = 'case.deadline_missed.v1'"
        " AND case_id = ANY($1::uuid[])",
        replayed.case_ids,
    )
    await conn.close()
    missed: dict[UUID, int] = {}
    for row in rows:
        missed[row["case_id"]] = missed.get(row["case_id"], 0) + 1
    assert missed == dict.fromkeys(replayed.case_ids, 2), "the class's deadline and the first act's"


async def not_armed(state: StackState) -> Finding:
    """Return what doctor says of deadlines that are not armed; all else is well."""
    async with Watch(state) as watch:
        await watch.until_quiet(QUIET_S)
    findings = await examine(state)
    bad = [one for one in findings if one.state == "bad"]
    assert not bad
    return next(one for one in findings if "not armed" in one.what)


@pytest.mark.timeout(180)
async def test_doctor_names_what_is_not_armed_and_the_command_that_arms_it(
    state: StackState, place: str, tmp_path: Path
) -> None:
    await report(state, "unarmed", summary="井盖松了", location={"grid": "g01"})
    unarmed = await not_armed(state)
    assert any("step.first_ask" in line for line in unarmed.details)
    assert "chuishao calendar import" in unarmed.todo
    wrong = tmp_path / "wrong.json"
    wrong.write_text('{"version": 1, "years": [], "yaers": []}', encoding="utf-8")
    refused = command("calendar", "import", str(wrong), "--data-dir", place)
    _, err = refused.communicate(timeout=60)
    assert refused.returncode == 1
    assert "yaers：没有这个字段" in err
    imported = command("calendar", "import", "--data-dir", place)
    out, err = imported.communicate(timeout=60)
    assert imported.returncode == 0, out + err
    assert "正式 official：2020–2026；暂定 provisional：2027" in out
    armed = re.search(r"(\d+) clocks armed, 0 moved, 0 misses withdrawn", out)
    assert armed is not None
    assert int(armed[1]) > 0
    assert (await not_armed(state)).text == "0"
    shown = command("calendar", "show", "--year", "2026", "--data-dir", place)
    assert "2026-02-14（周六）" in shown.communicate(timeout=60)[0]


@pytest.mark.parametrize("service", ["intake", "routing", "notify", "ledger", "console"])
async def test_each_service_tells_its_state(state: StackState, service: str) -> None:
    async with httpx.AsyncClient(base_url=state.url(service), timeout=10) as client:
        assert (await client.get("/live")).json() == {"status": "live"}
        assert (await client.get("/ready")).status_code == 200
        assert "chuishao_" in (await client.get("/metrics")).text
        assert (await client.get("/openapi.json")).json()["openapi"].startswith("3.1")
