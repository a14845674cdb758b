"""The audit log on a real database: written with the act, sealed behind it, every change found."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from prometheus_client import REGISTRY

from deploy.local.secrets import Secrets
from services.chassis.postgres import Connection, Pool, open_pool
from services.ledger import anchors
from services.ledger.domain.audit import Act, Break, Link
from services.ledger.sealer import Sealer
from services.ledger.settings import LedgerSettings
from services.ledger.store import audit
from services.ledger.verifying import Verdict, verify
from tests import factories
from tests.conftest import Database
from tests.servers import as_service
from tests.waiting import until

TOWN, OTHER = "town0", "town1"


@dataclass(frozen=True)
class Log:
    """One database's audit log, its sealer, and its anchors."""

    dsn: str
    pool: Pool
    sealer: Sealer
    file: Path
    settings: LedgerSettings

    async def act(self, name: str, tenant: str = TOWN, **more: Any) -> None:
        async with self.pool.acquire() as conn, conn.transaction():
            await audit.write(conn, Act(tenant, "w1", "registry.record", name, **more))

    async def sealed(self, *names: str, tenant: str = TOWN) -> None:
        for name in names:
            await self.act(name, tenant)
        while await self.sealer.round():
            pass
        await self.sealer.anchor()

    async def verdict(self, tenant: str | None = None, last: int | None = None) -> Verdict:
        noted, _ = anchors.read([self.file] if self.file.exists() else [])
        async with self.pool.acquire() as conn:
            return await verify(conn, noted, tenant, last)

    async def tamper(self, *statements: str) -> None:
        """Do what the owner of the tables can do: switch the guards off first."""
        conn = await asyncpg.connect(self.dsn)
        for table in ("audit", "audit_seal"):
            await conn.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
        for statement in statements:
            await conn.execute(statement)
        await conn.close()


@pytest.fixture
async def log(database: Database, ledger_secrets: Secrets, tmp_path: Path) -> AsyncIterator[Log]:
    dsn, file = await database("ledger"), tmp_path / "audit" / "anchors.ndjson"
    about: dict[str, Any] = {"audit_anchor_path": file, "audit_anchor_wait_s": 0}
    own = factories.settings(LedgerSettings, ledger_secrets, dsn=dsn)
    served = as_service(dsn, "ledger")
    settings = factories.settings(LedgerSettings, ledger_secrets, dsn=served, **about)
    async with open_pool(own, "owner") as owner, open_pool(settings, "ledger") as pool:
        yield Log(dsn, owner, Sealer(settings, pool), file, settings)


async def first(log: Log) -> Break:
    (broken,) = (await log.verdict()).breaks
    return broken


async def test_what_is_written_is_sealed_and_found_whole(log: Log) -> None:
    await log.sealed("a", "b", "c")
    await log.sealed("x", tenant=OTHER)
    await log.act("later")
    found = await log.verdict()
    assert (found.breaks, found.rows, found.tenants, found.unsealed) == ([], 4, 2, 1)
    assert (await log.verdict(OTHER)).rows == 1


async def test_an_act_is_undone_with_its_transaction(log: Log) -> None:
    async with log.pool.acquire() as conn:
        undone = conn.transaction()
        await undone.start()
        await audit.write(conn, Act(TOWN, "w1", "registry.record", "never"))
        await undone.rollback()
    await log.sealed("a")
    found = await log.verdict()
    assert (found.breaks, found.rows) == ([], 1)


@pytest.mark.parametrize("table", ["audit", "audit_seal"])
@pytest.mark.parametrize(
    "statement", ["DELETE FROM {0}", "TRUNCATE {0}", "UPDATE {0} SET tenant_id = 'x'"]
)
async def test_the_database_refuses_a_change(log: Log, table: str, statement: str) -> None:
    await log.sealed("a")
    conn = await asyncpg.connect(log.dsn)
    for replica in ("origin", "replica"):
        await conn.execute(f"SET session_replication_role = {replica}")
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append only"):
            await conn.execute(statement.format(table))
    await conn.close()


SWAP_PLACES = """
UPDATE audit_seal SET n = n + 100 WHERE n IN (2, 4);
UPDATE audit_seal SET n = CASE n WHEN 102 THEN 4 ELSE 2 END WHERE n > 100
"""
SWAP_ROWS = """
ALTER TABLE audit_seal DROP CONSTRAINT audit_seal_seq_key;
UPDATE audit_seal SET seq = CASE n WHEN 2 THEN 3 ELSE 2 END WHERE n IN (2, 3)
"""
INSERT_ROW = """
INSERT INTO audit (tenant_id, actor, verb, object, fields, decision)
VALUES ('town0', 'w2', 'registry.record', 'forged', '{}', 'allowed')
"""
INSERT_LINK = """
UPDATE audit_seal SET n = n + 100 WHERE n > 2;
UPDATE audit_seal SET n = n - 99 WHERE n > 100;
INSERT INTO audit_seal (tenant_id, n, seq, hash) VALUES ('town0', 3, 6, sha256('forged'))
"""


@pytest.mark.parametrize(
    ("statements", "kind", "n", "seq"),
    [
        (["UPDATE audit SET actor = 'somebody' WHERE seq = 3"], "altered", 3, 3),
        (["UPDATE audit SET reason = '' WHERE seq = 3"], "altered", 3, 3),
        (["UPDATE audit SET at = at + interval '1 us' WHERE seq = 3"], "altered", 3, 3),
        (["UPDATE audit SET fields = '{a}' WHERE seq = 3"], "altered", 3, 3),
        (["UPDATE audit_seal SET hash = sha256('x') WHERE n = 3"], "altered", 3, 3),
        (["DELETE FROM audit WHERE seq = 3"], "deleted", 3, 3),
        (["DELETE FROM audit_seal WHERE n = 3"], "deleted", 3, None),
        (
            ["DELETE FROM audit WHERE seq = 3", "DELETE FROM audit_seal WHERE n = 3"],
            "deleted",
            3,
            None,
        ),
        ([INSERT_ROW], "inserted", None, 6),
        ([INSERT_ROW, INSERT_LINK], "inserted", 3, 6),
        ([SWAP_PLACES], "reordered", 2, 4),
        ([SWAP_ROWS], "reordered", 2, 3),
        (
            ["DELETE FROM audit WHERE seq > 3", "DELETE FROM audit_seal WHERE n > 3"],
            "truncated",
            4,
            None,
        ),
        (["TRUNCATE audit, audit_seal"], "truncated", 1, None),
    ],
)
async def test_a_change_is_found_and_its_row_is_named(
    log: Log, statements: list[str], kind: str, n: int | None, seq: int | None
) -> None:
    await log.sealed("a", "b", "c", "d", "e")
    await log.tamper(*statements)
    found = await first(log)
    assert (found.tenant_id, found.kind, found.n, found.seq) == (TOWN, kind, n, seq)


async def test_a_chain_that_is_written_anew_is_not_what_the_anchor_says(log: Log) -> None:
    await log.sealed("a")
    await log.sealed("b", "c", "d", "e")
    await log.tamper(
        "UPDATE audit SET actor = 'somebody' WHERE seq = 3",
        "TRUNCATE audit_seal",
        "INSERT INTO audit_unsealed (seq) SELECT seq FROM audit",
    )
    await log.sealed("f")
    found = await first(log)
    assert (found.kind, found.n, found.n_to) == ("rewritten", 2, 5)


async def test_a_tail_that_is_cut_off_and_grown_again_is_found(log: Log) -> None:
    await log.sealed("a", "b", "c")
    await log.tamper("DELETE FROM audit WHERE seq > 1", "DELETE FROM audit_seal WHERE n > 1")
    await log.sealed("d", "e")  # noted in their turn, at places that were noted before
    found = await first(log)
    assert (found.kind, found.n, found.n_to) == ("rewritten", 1, 3)


async def test_without_an_anchor_a_tail_that_is_cut_off_is_not_seen(log: Log) -> None:
    await log.sealed("a", "b", "c")
    log.file.unlink()
    await log.tamper("DELETE FROM audit WHERE seq > 1", "DELETE FROM audit_seal WHERE n > 1")
    assert (await log.verdict()).breaks == []


async def test_an_act_that_is_deleted_before_it_is_sealed_is_missed(log: Log) -> None:
    await log.act("a")
    await log.tamper("DELETE FROM audit")
    await log.sealed("b")
    found = await log.verdict()
    assert [(one.kind, one.seq) for one in found.breaks] == [("deleted", 1)]
    assert found.unsealed == 1


async def test_each_town_is_judged_by_itself(log: Log) -> None:
    await log.sealed("a", "b")
    await log.sealed("x", "y", tenant=OTHER)
    await log.tamper("UPDATE audit SET object = 'z' WHERE seq = 3")
    assert (await first(log)).tenant_id == OTHER
    assert (await log.verdict(TOWN)).breaks == []


async def test_a_look_at_the_end_alone_is_bounded(log: Log) -> None:
    await log.sealed(*"abcdef")
    assert (await log.verdict(last=2)).rows == 3
    await log.tamper("UPDATE audit SET object = 'z' WHERE seq = 2")
    assert (await log.verdict(last=2)).breaks == []
    assert (await log.verdict(last=9)).breaks[0].seq == 2
    await log.tamper("UPDATE audit SET object = 'z' WHERE seq = 5")
    assert (await log.verdict(last=2)).breaks[0].seq == 5


async def test_writers_that_commit_out_of_order_wait_for_nobody(log: Log) -> None:
    async with log.pool.acquire() as slow, slow.transaction():
        await audit.write(slow, Act(TOWN, "w1", "registry.record", "first"))
        await log.sealed("second", "third")
        assert (await log.verdict()).rows == 2
    await log.sealed("fourth")
    found = await log.verdict()
    assert (found.breaks, found.rows, found.unsealed) == ([], 4, 0)
    async with log.pool.acquire() as conn:
        assert [one.seq async for one in linked(conn)] == [2, 3, 1, 4]


async def linked(conn: Connection) -> AsyncIterator[Link]:
    async with conn.transaction():
        async for one in audit.links(conn, TOWN):
            yield one


async def test_two_sealers_and_many_writers_make_one_chain_for_each_town(log: Log) -> None:
    small = log.settings.model_copy(update={"audit_seal_rows_max": 3})
    stopping = asyncio.Event()

    async def write(n: int) -> None:
        for m in range(10):
            await log.act(f"{n}-{m}", f"town{n % 2}")

    async with (
        open_pool(small, "ledger") as one,
        open_pool(small, "ledger") as another,
        asyncio.TaskGroup() as tasks,
    ):
        for pool in (one, another):
            tasks.create_task(Sealer(small, pool).run(stopping))
        await asyncio.gather(*(write(n) for n in range(6)))

        async def all_sealed() -> bool:
            return (await log.verdict()).unsealed == 0

        await until(all_sealed, "all acts are sealed")
        stopping.set()
    found = await log.verdict()
    assert (found.breaks, found.rows, found.tenants) == ([], 60, 2)


SEAL_AND_DIE = """
import asyncio, sys
from services.chassis import crash
from services.chassis.postgres import open_pool
from services.ledger.sealer import Sealer
from services.ledger.settings import LedgerSettings

async def main():
    settings = LedgerSettings()
    crash.arm(settings.mode)
    async with open_pool(settings, "ledger") as pool:
        sealer = Sealer(settings, pool)
        await sealer.round()
        await sealer.anchor()

asyncio.run(main())
"""


@pytest.mark.parametrize(("point", "sealed"), [("before_seal", 0), ("after_seal", 2)])
async def test_what_a_sealer_that_died_has_left_is_done_by_the_next(
    log: Log, point: str, sealed: int
) -> None:
    await log.act("a")
    await log.act("b")
    about = log.settings.model_dump(mode="json", exclude_none=True)
    env = {f"LEDGER_{name.upper()}": str(value) for name, value in about.items()}
    died = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", SEAL_AND_DIE), env={**env, "CHUISHAO_CRASH_AT": point}
    )
    assert await died.wait() == -signal.SIGKILL
    assert not log.file.exists()
    found = await log.verdict()
    assert (found.breaks, found.rows, found.unsealed) == ([], sealed, 2 - sealed)
    await log.sealed("c")
    found = await log.verdict()
    assert (found.breaks, found.rows, found.unsealed) == ([], 3, 0)
    assert anchors.read([log.file])[0][TOWN].keys() == {3}


async def test_acts_of_any_letters_are_sealed_as_they_were_written(log: Log) -> None:
    words = ("𠮷", "é", "e\u0301", '"', "\\", "'", "|", "\n", "")
    for word in words:
        await log.act(word, fields=(word, "NULL", ""), reason=word, on_behalf=word or None)
    await log.sealed()
    assert (await log.verdict()).breaks == []
    async with log.pool.acquire() as conn:
        kept = [(one["object"], one["reason"]) for one in await audit.latest(conn, TOWN, 99)]
    assert kept == [(word, word) for word in reversed(words)]


async def test_null_is_not_an_empty_word(log: Log) -> None:
    await log.sealed("a")
    await log.tamper("UPDATE audit SET on_behalf = ''")
    assert (await first(log)).kind == "altered"


async def test_an_anchor_that_was_torn_harms_no_other(log: Log) -> None:
    await log.sealed("a")
    with log.file.open("a") as file:
        file.write('{"tenant": "to')
    await log.sealed("b")
    noted, unreadable = anchors.read([log.file])
    assert ([*noted[TOWN]], unreadable) == ([1, 2], [f"{log.file}:2"])
    assert (await log.verdict()).breaks == []


async def test_how_long_acts_wait_is_told_to_operators(log: Log) -> None:
    await log.act("a")
    await log.sealer.look()
    assert REGISTRY.get_sample_value("chuishao_audit_unsealed_rows") == 1
    assert (REGISTRY.get_sample_value("chuishao_audit_unsealed_age_seconds") or 0) > 0
    await log.sealed()
    await log.sealer.look()
    assert REGISTRY.get_sample_value("chuishao_audit_unsealed_age_seconds") == 0
