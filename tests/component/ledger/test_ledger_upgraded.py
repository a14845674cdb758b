"""A database of the version before: the wall is put up around what it holds, nothing is lost."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from deploy.local import migrate as migrating
from deploy.local.migrate import ROOT, migrate
from tests.servers import Postgres, as_service

DATABASE = "ledger_upgraded"
SET = """
INSERT INTO change_set (tenant_id, change_set_id, recorded_by, valid_from, entries)
VALUES ($1, 's', 'x', now(), 3)
"""
RECORD = """
INSERT INTO registry_record (tenant_id, kind, record_id, version, body, change_set_id, valid_from)
VALUES ($1, $2, $3, 1, $4, 's', now())
"""
BEFORE = {
    "household": ('{"grid": "g1", "head": "p1"}', ("g1", "p1", None, None)),
    "person": ('{"household": "h1"}', ("h1", None, None, None)),
    "link": ('{"staff": "w1", "to": "h1", "to_kind": "household"}', (None, None, "h1", "w1")),
    "unit": (None, (None, None, None, None)),
}
FACT = """
INSERT INTO case_ledger (
    tenant_id, event_id, topic, partition, record_offset, at, type, subject, seq, occurred_at,
    headers, body
)
VALUES (
    $1, gen_random_uuid(), 'intake.events', 0, 0, now(), 'case.reported.v1',
    gen_random_uuid()::text, 1, '', '{}', $2
)
"""
REPORT = b'{"location": {"household_id": "h1"}}'
HOUSEHOLDS = "SELECT household FROM case_ledger WHERE tenant_id = $1 ORDER BY 1"
COLUMNS = "SELECT kind, place, head, link_to, link_staff FROM registry_record WHERE tenant_id = $1"


@pytest.fixture
async def dsn(postgres: Postgres) -> AsyncIterator[str]:
    admin = await asyncpg.connect(postgres.dsn("postgres"))
    await admin.execute(f"CREATE DATABASE {DATABASE}")
    yield postgres.dsn(DATABASE)
    await admin.execute(f"DROP DATABASE {DATABASE} WITH (FORCE)")
    await admin.close()


@pytest.fixture
def before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let migrations be those of the version before."""
    for service in ("chassis", "ledger"):
        place = Path("services") / service / "sql"
        newer = shutil.ignore_patterns("010[5-9]_*", "011?_*", "012?_*")
        shutil.copytree(ROOT / place, tmp_path / place, ignore=newer)
    monkeypatch.setattr(migrating, "ROOT", tmp_path)


@pytest.mark.usefixtures("before")
async def test_what_was_recorded_before_stands_behind_the_wall(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await migrate("ledger", dsn)
    owner = await asyncpg.connect(dsn)
    for town in ("one", "other"):
        await owner.execute(SET, town)
        for kind, (body, _) in BEFORE.items():
            await owner.execute(RECORD, town, kind, f"{kind}1", body)
        for said in (REPORT, b"{"):
            await owner.execute(FACT, town, said)
    monkeypatch.setattr(migrating, "ROOT", ROOT)
    await migrate("ledger", dsn)
    # The version before goes on as the owner, and sees and writes as it did.
    await owner.execute(RECORD, "one", "person", "p2", BEFORE["person"][0])
    assert len(await owner.fetch("SELECT FROM registry_record")) == 2 * len(BEFORE) + 1
    service = await asyncpg.connect(as_service(dsn, "ledger"))
    assert await service.fetch(COLUMNS, "other") == []
    await service.execute("SELECT set_config('chuishao.tenant', 'other', false)")
    found = {row["kind"]: tuple(row)[1:] for row in await service.fetch(COLUMNS, "other")}
    assert found == {kind: columns for kind, (_, columns) in BEFORE.items()}
    assert await service.fetch(COLUMNS, "one") == []
    told = [row["household"] for row in await service.fetch(HOUSEHOLDS, "other")]
    assert told == ["h1", None]
    await service.close()
    await owner.close()
