"""`chuishao dlq` on a running system: bad records found, corrected, replayed, dropped."""

import asyncio
import json
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from aiokafka.structs import ConsumerRecord
from typer.testing import CliRunner

from contracts.events import subject_key
from deploy.cli.dlq import app
from tests.component.chassis import real
from tests.integration.trio import Trio
from tests.waiting import until

TENANT, TOPIC = "letters", "intake.events"


async def dlq(trio: Trio, *words: str, code: int = 0) -> str:
    """Run `chuishao dlq` as an operator does; return what it said."""
    where = [f"--dsn={name}={dsn}" for name, dsn in trio.dsns.items()]
    done = await asyncio.to_thread(CliRunner().invoke, app, [*words, *where])
    assert done.exit_code == code, done.output
    return done.output


async def held(trio: Trio, *case_ids: UUID) -> list[dict[str, Any]]:
    found = json.loads(await dlq(trio, "ls", "--json", "--service", "routing"))
    keys = {f"{TENANT}|{case_id}" for case_id in case_ids}
    return [one for one in found if one["key"] in keys]


async def reported(trio: Trio) -> ConsumerRecord:
    """Return a report as intake wrote it."""

    async def accepted() -> str | None:
        answer = await trio.report(TENANT, "pattern", location={"grid": "g01"})
        found: str | None = answer.json().get("case_id")
        return found

    key = subject_key(TENANT, UUID(await until(accepted, "intake knows the town")))
    return next(one for one in await trio.records(TOPIC) if one.key == key)


async def plant(trio: Trio, pattern: ConsumerRecord, case_id: UUID, *bodies: bytes) -> None:
    """Write records about one case, each an event of its own, as a foreign writer might."""
    headers = dict(pattern.headers) | {"ce_subject": str(case_id).encode()}
    async with real.producer(trio.kafka) as to:
        for body in bodies:
            own = list((headers | {"ce_id": str(uuid4()).encode()}).items())
            await to.send_and_wait(TOPIC, body, key=subject_key(TENANT, case_id), headers=own)


async def history(trio: Trio, case_id: UUID) -> list[str]:
    query = "SELECT type FROM case_fact WHERE case_id = $1 ORDER BY seq"
    return [row["type"] for row in await trio.rows("routing", query, case_id)]


def with_nul(body: bytes) -> bytes:
    """A body that keeps the contract, and that no database takes."""
    return json.dumps(json.loads(body) | {"front_end": "demo\0"}).encode()


async def test_bad_records_are_found_corrected_and_replayed_before_what_came_behind(
    trio: Trio, tmp_path: Path
) -> None:
    pattern = await reported(trio)
    good = bytes(pattern.value)
    others = [json.dumps(json.loads(good) | {"category": f"c{n}"}).encode() for n in range(2)]
    broken, failing, foreign = uuid4(), uuid4(), uuid4()
    bad = {broken: good[:-9], failing: with_nul(good), foreign: b"{"}
    for case_id, body in bad.items():
        await plant(trio, pattern, case_id, body, *others)

    async def are_held() -> bool:
        found = await held(trio, *bad)
        return [one["behind"] for one in found] == [2, 2, 2]

    await until(are_held, "each is held, and two records behind it")
    place = {one["key"].partition("|")[2]: one["place"] for one in await held(trio, *bad)}
    shown = await dlq(trio, "show", place[str(broken)], "--raw", str(tmp_path / "raw"))
    assert "怎么办" in shown
    assert (tmp_path / "raw").read_bytes() == bad[broken]
    at = place[str(failing)]
    assert "没有成功" in await dlq(trio, "fix", at, "--why", "x", "--set", "sealed=7", code=1)
    await dlq(trio, "fix", at, "--why", "写坏了", "--set", "front_end=demo")
    (tmp_path / "good").write_bytes(good)
    await dlq(trio, "fix", place[str(broken)], "--why", "短了", "--file", str(tmp_path / "good"))
    assert await history(trio, broken) == await history(trio, failing) == []
    assert "都已生效" in await dlq(trio, "replay", at, place[str(broken)])
    for case_id in (broken, failing):
        first, *rest = told = await history(trio, case_id)
        assert first == "case.opened.v1"
        assert rest.count("case.follow_up_kept.v1") == 2
        again = await dlq(trio, "replay", place[str(case_id)], code=1)
        assert "没有被搁置的记录" in again
        assert await history(trio, case_id) == told
    at = place[str(foreign)]
    assert "--yes" in await dlq(trio, "drop", at, "--reason", "外人写的", code=1)
    await dlq(trio, "drop", at, "--reason", "外人写的", "--yes")

    async def follows() -> bool:
        return (await history(trio, foreign)).count("case.follow_up_kept.v1") == 1

    await until(follows, "the two behind the one that was dropped are read")
    assert await held(trio, *bad) == []
    acts = await trio.rows("routing", "SELECT body FROM quarantine_act WHERE act = 'dropped'")
    assert [row["body"] for row in acts] == [b"{"]
