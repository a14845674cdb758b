"""`chuishao audit` and doctor on a real database: a whole log is counted, a change named."""

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from typer.testing import CliRunner

from deploy.cli.audit import app
from deploy.local.doctor import AUDIT_LOG, Finding, examine
from deploy.local.layout import ANCHORS
from deploy.local.ports import unused_ports
from deploy.local.state import StackState
from services.chassis.postgres import open_pool
from services.ledger.domain.audit import Act
from services.ledger.sealer import Sealer
from services.ledger.settings import LedgerSettings
from services.ledger.store import audit
from tests import factories
from tests.conftest import Database
from tests.servers import as_service

TOWN = "town0"


@dataclass(frozen=True)
class Stack:
    """A data directory and ledger's database with three sealed acts and one that waits."""

    data_dir: Path
    dsn: str

    async def said(self, *words: str, code: int = 0) -> str:
        where = ["--dsn", self.dsn, "--data-dir", str(self.data_dir)]
        done = await asyncio.to_thread(CliRunner().invoke, app, [*words, *where])
        assert done.exit_code == code, done.output
        return done.output

    async def tamper(self, statement: str) -> None:
        conn = await asyncpg.connect(self.dsn)
        await conn.execute("ALTER TABLE audit DISABLE TRIGGER ALL")
        await conn.execute("ALTER TABLE audit_seal DISABLE TRIGGER ALL")
        await conn.execute(statement)
        await conn.close()

    async def findings(self) -> list[Finding]:
        kafka, http = unused_ports(2)
        facts = {
            "ledger": f"http://127.0.0.1:{http}",
            "kafka": f"127.0.0.1:{kafka}",
            "postgres": {"ledger": self.dsn, "routing": self.dsn},
        }
        found = await examine(StackState(self.data_dir, facts))
        return [one for one in found if one.what == AUDIT_LOG]


@pytest.fixture
async def stack(database: Database, tmp_path: Path) -> Stack:
    dsn, keys = await database("ledger"), factories.secrets(tmp_path / "keys", TOWN)
    about: dict[str, Any] = {"audit_anchor_path": tmp_path / ANCHORS}
    own = factories.settings(LedgerSettings, keys, dsn=dsn)
    settings = factories.settings(LedgerSettings, keys, dsn=as_service(dsn, "ledger"), **about)
    async with open_pool(own, "owner") as pool, open_pool(settings, "ledger") as served:
        sealer = Sealer(settings, served)
        for n in range(4):
            async with pool.acquire() as conn, conn.transaction():
                act = Act(TOWN, "王五", "registry.record", f"change_set/s{n}", reason="村改居")
                await audit.write(conn, act)
            if n == 2:
                await sealer.round()
                await sealer.anchor()
    return Stack(tmp_path, dsn)


async def test_a_whole_log_is_told_with_its_count(stack: Stack) -> None:
    told = await stack.said("verify")
    assert "3 行、1 个镇，完整 · rows, whole" in told
    assert "1 行还没封存" in told
    told_json = json.loads(await stack.said("verify", "--tenant", TOWN, "--json"))
    assert (told_json["whole"], told_json["rows"], told_json["unsealed"]) == (True, 3, 1)
    assert (told_json["anchors"], told_json["breaks"]) == (1, [])


async def test_a_changed_row_is_named_in_chinese_first_and_the_command_fails(stack: Stack) -> None:
    await stack.tamper("UPDATE audit SET actor = '李四' WHERE seq = 2")
    told = await stack.said("verify", code=1)
    assert "town0：第 2 行（seq 2）与封存时不同" in told
    assert "row 2 (seq 2) is not as it was sealed" in told
    found = json.loads(await stack.said("verify", "--json", code=1))
    assert found["whole"] is False
    (broken,) = found["breaks"]
    assert [broken[name] for name in ("tenant", "kind", "n", "seq")] == [TOWN, "altered", 2, 2]
    assert "whole" in await stack.said("verify", "--tenant", "town1")


async def test_a_tail_that_was_cut_off_shows_by_the_anchors_alone(stack: Stack) -> None:
    await stack.tamper("DELETE FROM audit_seal WHERE n > 1; DELETE FROM audit WHERE seq > 1")
    await stack.tamper("TRUNCATE audit_unsealed")
    assert "第 2 行起被截掉" in await stack.said("verify", code=1)
    copy = stack.data_dir / "copy.ndjson"
    (stack.data_dir / ANCHORS).rename(copy)
    assert "没有锚" in await stack.said("verify")
    assert "第 2 行起被截掉" in await stack.said("verify", "--anchor", str(copy), code=1)


async def test_a_file_of_anchors_that_is_not_there_is_named(stack: Stack) -> None:
    gone = str(stack.data_dir / "gone")
    done = await asyncio.to_thread(
        CliRunner().invoke, app, ["verify", "--dsn", stack.dsn, "--anchor", gone]
    )
    assert done.exit_code == 1
    assert f"--anchor {gone}" in done.output


async def test_the_last_acts_are_a_table_and_json(stack: Stack) -> None:
    table = await stack.said("ls", "--limit", "2")
    assert "change_set/s3" in table
    assert " 待 " in table
    assert "change_set/s1" not in table
    acts = json.loads(await stack.said("ls", "--json"))
    assert [one["n"] for one in acts] == [None, 3, 2, 1]
    assert {(one["actor"], one["reason"]) for one in acts} == {("王五", "村改居")}
    assert "nothing has been written" in await stack.said("ls", "--tenant", "town1")


async def test_doctor_tells_whole_broken_behind_and_unanchored(stack: Stack) -> None:
    (well,) = await stack.findings()
    assert (well.state, "3" in well.text) == ("well", True)
    await stack.tamper("UPDATE audit_unsealed SET at = at - interval '2 min'")
    (behind,) = await stack.findings()
    assert (behind.state, "还没封存" in behind.text, bool(behind.todo)) == ("bad", True, True)
    (stack.data_dir / ANCHORS).unlink()
    assert [one.state for one in await stack.findings()] == ["bad", "note"]
    await stack.tamper("DELETE FROM audit WHERE seq = 2")
    broken, *_ = await stack.findings()
    assert (broken.state, broken.text) == ("bad", "链断了 · the chain is broken")
    assert "第 2 行（seq 2）不见了" in broken.details[0]
