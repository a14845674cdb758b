"""Doctor speaks whatever is down: a finding with what to do, never a trace."""

import socket
import time
from pathlib import Path

import asyncpg
import pytest

from deploy.local.doctor import Finding, examine
from deploy.local.ports import unused_ports
from deploy.local.state import StackState
from tests.conftest import Database

SET_ASIDE = """
INSERT INTO quarantine (topic, partition, record_offset, at, headers, body, state, reason)
SELECT 'intake.events', 3, n, now(), '[]', NULL, 'rejected', '[bold]no summary'
FROM generate_series(1, 25) n
"""


def stack(place: Path, routing: str) -> StackState:
    """Describe a stack of which nothing answers but, perhaps, routing's database."""
    kafka, http = unused_ports(2)
    facts = {
        "routing": f"http://127.0.0.1:{http}",
        "kafka": f"127.0.0.1:{kafka}",
        "postgres": {"routing": routing},
    }
    return StackState(place, facts)


def by_name(findings: list[Finding]) -> dict[str, Finding]:
    return {one.what.partition(" · ")[2]: one for one in findings}


async def test_servers_that_are_down_are_findings_that_say_what_to_do(tmp_path: Path) -> None:
    nobody = f"postgresql://chuishao@127.0.0.1:{unused_ports(1)[0]}/routing"
    findings = await examine(stack(tmp_path, nobody))
    assert {one.state for one in findings} == {"bad"}
    assert set(by_name(findings)) == {
        "kafka",
        "services",
        "backlog",
        "database",
        "timers and owners",
    }
    for one in findings:
        assert " · " in one.todo
        assert str(tmp_path) in one.todo


async def test_without_kafka_the_databases_are_still_looked_at(
    tmp_path: Path, database: Database
) -> None:
    found = by_name(await examine(stack(tmp_path, await database("routing"))))
    assert (found["kafka"].state, found["backlog"].state) == ("bad", "bad")
    assert "KafkaConnectionError" in found["kafka"].text
    assert found["cases without an owner"].state == "well"


GAP = """
INSERT INTO cases (
    tenant_id, case_id, number, profile_version, flow, category, severity, class, grid, fallback,
    front_end, state, owner_unit, owner_role, received_at, seq, human_seq, closed, accepted, done,
    running, location, sealed, why
)
SELECT 't', gen_random_uuid(), n::text, 1, 'f', 'c', 's', 'c', 'g12', 'nobody_on_duty', 'f', 's',
    'v1', 'village_cadre', now(), 1, 0, n > 2, false, '[]', '[]', '{}', '{}', '[]'
FROM generate_series(1, 3) AS n
"""


async def test_a_roster_with_a_gap_is_listed_by_its_grid(
    tmp_path: Path, database: Database
) -> None:
    dsn = await database("routing")
    name = "grids found without anybody on duty"
    assert by_name(await examine(stack(tmp_path, dsn)))[name].state == "well"
    conn = await asyncpg.connect(dsn)
    await conn.execute(GAP)
    await conn.close()
    found = by_name(await examine(stack(tmp_path, dsn)))[name]
    assert (found.state, list(found.details)) == ("note", ["t g12: 2"])
    assert "· " in found.todo


async def test_open_cases_of_a_unit_that_is_gone_are_listed_by_the_unit(
    tmp_path: Path, database: Database
) -> None:
    dsn = await database("routing")
    name = "cases of units that are gone"
    unit = "INSERT INTO registry_copy (tenant_id, kind, record_id, body, valid_from) VALUES ($1, 'unit', 'v1', '{}', now())"  # noqa: E501
    conn = await asyncpg.connect(dsn)
    await conn.execute(GAP)
    await conn.execute(unit, "elsewhere")
    found = by_name(await examine(stack(tmp_path, dsn)))[name]
    assert (found.state, found.text, list(found.details)) == ("bad", "2", ["t v1: 2"])
    await conn.execute(unit, "t")
    await conn.close()
    assert by_name(await examine(stack(tmp_path, dsn)))[name].state == "well"


async def test_a_kafka_that_accepts_and_never_answers_is_told_first_and_soon(
    tmp_path: Path, database: Database
) -> None:
    state = stack(tmp_path, await database("routing"))
    host, port = state.kafka.split(":")
    begun = time.monotonic()
    with socket.create_server((host, int(port))):  # which nobody accepts from, as when frozen
        findings = await examine(state)
    assert time.monotonic() - begun < 30
    assert (findings[0].what, findings[0].state) == ("Kafka · kafka", "bad")
    assert by_name(findings)["backlog"].state == "bad"


async def test_all_that_is_set_aside_is_counted_and_the_oldest_are_listed(
    tmp_path: Path, database: Database
) -> None:
    dsn = await database("routing")
    conn = await asyncpg.connect(dsn)
    await conn.execute(SET_ASIDE)
    await conn.close()
    found = by_name(await examine(stack(tmp_path, dsn)))["quarantine"]
    assert found.text.startswith("25 ")
    assert len(found.details) == 20
    assert found.details[0].startswith("routing:")  # as `chuishao dlq show` wants it
    assert found.todo


@pytest.mark.parametrize("table", ["quarantine", "outbox_parked"])
async def test_a_database_without_its_schema_is_a_finding(
    tmp_path: Path, database: Database, table: str
) -> None:
    dsn = await database("routing")
    conn = await asyncpg.connect(dsn)
    await conn.execute(f"DROP TABLE {table}")
    await conn.close()
    found = by_name(await examine(stack(tmp_path, dsn)))["database"]
    assert (found.state, table in found.text) == ("bad", True)


UNTOLD = """
INSERT INTO registry_copy (tenant_id, kind, record_id, body, valid_from)
VALUES ('yihe', 'department', 'police', '{}', now()), ('yihe', 'department', 'court', '{}', now())
"""
HELD = """
INSERT INTO task (
    tenant_id, department, case_id, task_seq, task_id, type, occurred_at, body, sent
)
SELECT 'yihe', 'police', gen_random_uuid(), 1, gen_random_uuid(), 'task.given.v1', now(), '{}',
    false
FROM generate_series(1, 3)
"""


async def test_a_department_without_a_topic_is_bad_once_something_waits_for_it(
    tmp_path: Path, database: Database
) -> None:
    dsn = await database("routing")
    conn = await asyncpg.connect(dsn)
    await conn.execute(UNTOLD)
    found = by_name(await examine(stack(tmp_path, dsn)))["departments without a topic"]
    assert (found.state, found.text) == ("note", "2")
    await conn.execute(HELD)
    found = by_name(await examine(stack(tmp_path, dsn)))["departments without a topic"]
    assert (found.state, found.details) == ("bad", ["yihe police: 3", "yihe court: 0"])
    await conn.execute("INSERT INTO department_topic VALUES ('yihe', 'police'), ('yihe', 'court')")
    await conn.close()
    found = by_name(await examine(stack(tmp_path, dsn)))["departments without a topic"]
    assert (found.state, found.todo) == ("well", "")
