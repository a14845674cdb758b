"""Who is erased is gone from every reader's copy, and nothing kept opens any more."""

import asyncio
import json
from typing import Any

import asyncpg

from contracts.topics import LEDGER_REGISTRY
from deploy.local.lying import lying_on
from deploy.local.seeding import post_set
from deploy.local.state import StackState
from tests.faults.ground import TENANT
from tests.system.doors import command
from tests.waiting import until

READERS = ("routing", "notify")
ID = "s-erased"
TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"


async def done(*arguments: str, code: int = 0) -> str:
    process = command(*arguments)
    out, err = await asyncio.to_thread(process.communicate, timeout=120)
    assert process.returncode == code, out + err
    return out + err


async def copied(state: StackState, service: str) -> list[Any]:
    """Return the wrapped keys of a reader's copy of this record, staged ones too."""
    conn = await asyncpg.connect(state.dsns[service])
    try:
        return [
            row["wrapped"]
            for table in ("registry_copy", "registry_staged")
            for row in await conn.fetch(
                f"SELECT body #>> '{{sealed,key}}' AS wrapped FROM {table}"  # noqa: S608 - ours
                " WHERE tenant_id = $1 AND kind = 'staff' AND record_id = $2 AND body IS NOT NULL",
                TENANT,
                ID,
            )
        ]
    finally:
        await conn.close()


async def tables_with(state: StackState, text: str) -> list[str]:
    """Return the tables of any database that hold a text, also as bytes."""
    found = []
    for service, dsn in state.dsns.items():
        conn = await asyncpg.connect(dsn)
        for row in await conn.fetch(TABLES):
            query = (
                f"SELECT count(*) FROM {row['tablename']} AS kept"  # noqa: S608 - tables of ours
                " WHERE strpos(kept::text, $1) > 0 OR strpos(kept::text, $2) > 0"
            )
            if await conn.fetchval(query, text, text.encode().hex()):
                found.append(f"{service}.{row['tablename']}")
        await conn.close()
    return found


async def test_an_erased_member_of_staff_is_gone_from_every_readers_copy(
    state: StackState, place: str
) -> None:
    ledger, token = state.url("ledger"), state.token(TENANT, "operator")
    for n, phone in enumerate(("16066660001", "16066660002")):
        posts = [{"unit": "g02", "role": "grid_worker", "rank": 9}]
        body = {"posts": posts, "name": "古丽·𠮷", "phone": phone}
        line = {"kind": "staff", "id": ID, "body": body}
        await post_set(ledger, token, f"to-be-erased-{n}", [line])
    conn = await asyncpg.connect(state.dsns["ledger"])
    keys = "SELECT body #>> '{sealed,key}' FROM registry_record WHERE record_id = $1"
    wrapped = [row[0] for row in await conn.fetch(keys, ID)]
    assert len(wrapped) == 2

    for service in READERS:

        async def has_the_last(service: str = service) -> bool:
            return await copied(state, service) == [wrapped[-1]]

        await until(has_the_last, f"{service} has a copy")

    where = ("--tenant", TENANT, "--data-dir", place)
    told = await done("registry", "erase", "staff", ID, "--reason", "离职，依申请", *where)
    assert "erased" in told
    for service in READERS:

        async def has_none(service: str = service) -> bool:
            return not await copied(state, service)

        await until(has_none, f"{service} has dropped its copy")
    for key in wrapped:
        assert await tables_with(state, key) == []
    assert [row[0] for row in await conn.fetch(keys, ID)] == [None, None, None]
    await conn.close()
    last = [
        record.value
        async for record in lying_on(state.kafka, LEDGER_REGISTRY)
        if record.key == f"{TENANT}|staff|{ID}".encode()
    ][-1]
    assert last is None

    again = await done("registry", "erase", "staff", ID, "--reason", "再来一次", *where)
    assert "erased before" in again
    listed = [json.loads(line) for line in (await done("registry", "erased", *where)).splitlines()]
    assert [one["reason"] for one in listed if one["id"] == ID] == ["离职，依申请"]
    nobody = await done("registry", "erase", "person", "p-no", "--reason", "依申请", *where, code=1)
    assert "There is no such record" in nobody
