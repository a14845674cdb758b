"""A key is rotated under running services: old words stay readable, new ones are under the new."""

import asyncio
import json
from collections import Counter
from pathlib import Path

import asyncpg
import httpx

from contracts.topics import LEDGER_REGISTRY
from deploy.cli.told import Town
from deploy.local import keys
from deploy.local.quiet import Watch
from deploy.local.resealing import used_everywhere, used_on_topics
from deploy.local.state import StackState
from deploy.local.whole import Running
from tests.faults.ground import TENANT
from tests.system.doors import QUIET_S, command, opened, report

NAME = "阿依古丽·麦麦提"


async def done(*arguments: str, code: int = 0) -> str:
    process = command(*arguments)
    out, err = await asyncio.to_thread(process.communicate, timeout=120)
    assert process.returncode == code, out + err
    return out + err


async def used(state: StackState) -> Counter[str]:
    """Count what the databases hold of the town under each key."""
    counted = Counter[str]()
    for one in (await used_everywhere(state.dsns)).values():
        for (tenant, kid), n in one.items():
            counted[kid] += n if tenant == TENANT else 0
    return counted


async def test_a_key_is_rotated_and_its_data_keys_wrapped_anew_under_running_services(
    running: Running, state: StackState, place: str
) -> None:
    where, town = ("--data-dir", place), Town(state, TENANT)
    words = {"summary": "路灯不亮", "reporter": {"name": NAME, "phone": "13900000000"}}
    first, _ = await report(state, "before-rotation", location={"grid": "g01"}, **words)
    assert (await opened(town, first["case_id"], "g01"))["text"]["summary"] == "路灯不亮"
    old = keys.versions(running.secrets.key_file)[TENANT][0]

    told = await done("keys", "rotate", "--tenant", TENANT, *where)
    new = keys.versions(running.secrets.key_file)[TENANT][0]
    assert new in told
    assert new != old
    second, _ = await report(state, "after-rotation", location={"grid": "g01"}, **words)
    assert (await opened(town, second["case_id"], "g01"))["text"]["summary"] == "路灯不亮"
    async with Watch(state) as watch:
        await watch.until_quiet(QUIET_S)
    assert set(await used(state)) == {old, new}
    conn = await asyncpg.connect(state.dsns["routing"])
    query = "SELECT sealed ->> 'kid' FROM cases WHERE case_id = $1"
    kids = [await conn.fetchval(query, one["case_id"]) for one in (first, second)]
    assert kids == [old, new]

    assert "打不开" not in await done("keys", "reseal", "--tenant", TENANT, *where)
    assert set(await used(state)) == {new}
    assert await conn.fetchval(query, first["case_id"]) == new
    await conn.close()
    async with Watch(state) as watch:
        await watch.until_quiet(QUIET_S)
    assert set(await used(state)) == {new}
    assert (await opened(town, first["case_id"], "g01"))["text"]["summary"] == "路灯不亮"
    on_topics = await used_on_topics(state.kafka)
    assert {kid for tenant, kid in on_topics[LEDGER_REGISTRY.name] if tenant == TENANT} == {new}

    refused = await done("keys", "rm", old, "--tenant", TENANT, *where, code=1)
    assert "intake.events" in refused  # for 30 days
    assert LEDGER_REGISTRY.name not in refused
    assert "routing.cases" not in refused
    unused = keys.rotate(running.secrets.key_file, [TENANT])[TENANT]
    keys.rotate(running.secrets.key_file, [TENANT])
    assert unused in await done("keys", "rm", unused, "--tenant", TENANT, *where)
    assert unused not in keys.versions(running.secrets.key_file)[TENANT][1]


async def test_a_lost_key_is_named_by_door_and_command_and_comes_back_without_a_restart(
    running: Running, state: StackState, place: str
) -> None:
    file, town = running.secrets.key_file, Town(state, TENANT)
    case, _ = await report(state, "lost-key", summary="井盖松动", location={"grid": "g01"})
    await opened(town, case["case_id"], "g01")
    whole = file.read_bytes()
    old = keys.versions(file)[TENANT][0]
    keys.rotate(file, [TENANT])
    keys.forget(file, TENANT, old)
    try:
        shown = await done("keys", "ls", "--tenant", TENANT, "--data-dir", place, code=1)
        assert any(TENANT in line and old in line and "LOST" in line for line in shown.splitlines())
        told = json.dumps(await _refusal(state, case["case_id"]), ensure_ascii=False)
        assert "words_not_opened" in told
        assert old in told
        assert TENANT in told
    finally:
        _put_back(file, whole)
    assert (await opened(town, case["case_id"], "g01"))["text"]["summary"] == "井盖松动"


async def _refusal(state: StackState, case_id: str) -> object:
    token = state.token(TENANT, "grid_worker", units=["g01"])
    async with httpx.AsyncClient(base_url=state.url("routing"), timeout=10) as client:
        bearer = {"Authorization": f"Bearer {token}"}
        answer = await client.get(f"/v1/cases/{case_id}", headers=bearer)
    assert answer.status_code == 503
    return answer.json()


def _put_back(file: Path, content: bytes) -> None:
    """Put the backup in its place, as an operator would."""
    backup = file.with_suffix(".backup")
    backup.write_bytes(content)
    backup.chmod(0o600)
    backup.replace(file)
