"""The documented consumers in Java and with curl, run as a department's people would run them."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from deploy.local.jars import locked_jars
from tests.integration.offices import CONSUMER, Office, Reader
from tests.integration.trio import Trio
from tests.waiting import until

Told = dict[str, Any]


@pytest.fixture(scope="module")
async def police(trio: Trio) -> Office:
    office = Office(trio, "readers")
    await office.furnish()
    return office


def without_compiler() -> str:
    """Tell why Java's source cannot be run here; nothing if it can."""
    if shutil.which("java") is None:
        return "no `java` on PATH (the JRE that ships cannot compile)"
    modules = subprocess.run(["java", "--list-modules"], capture_output=True, text=True, check=True)  # noqa: S607 - the reader's own Java
    return "" if "jdk.compiler" in modules.stdout else "`java` on PATH is no JDK: no jdk.compiler"


@asynccontextmanager
async def running(*argv: str, **env: str) -> AsyncIterator[Reader]:
    """Run a consumer; what it prints is read, and in the end it is killed with all its children."""
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={**os.environ, **env},
        start_new_session=True,
    )
    try:
        yield Reader(process)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


def in_order(told: Iterable[Told]) -> bool:
    """Tell whether each case's records count from 1 without a gap or a repeat."""
    numbers: dict[str, list[int]] = defaultdict(list)
    for one in told:
        assert one.get("gap", False) is False
        numbers[one.get("case") or one["case_id"]].append(one["task_seq"])
    return all(found == [*range(1, len(found) + 1)] for found in numbers.values())


def holds(file: Path, text: str) -> bool:
    return file.is_file() and file.read_text() == text


async def come(police: Office, key: str) -> UUID:
    """Call the police to a case, and let them report in; both stand on their topic then."""
    case_id, whistle_id = await police.called(key)
    assert (await police.post_act(case_id, whistle_id, key)).status_code == 202

    async def told() -> bool:
        about = [dict(one.headers)["ce_subject"] for one in await police.records()]
        return about.count(str(case_id).encode()) == 2

    await until(told, "the call and the report-in are told")
    return case_id


async def test_java_reads_each_record_once_in_order_and_from_a_time(
    police: Office, tmp_path: Path
) -> None:
    if reason := without_compiler():
        pytest.skip(reason)
    jars = [
        str(one.path) for one in locked_jars() if one.artifact in {"kafka-clients", "slf4j-api"}
    ]
    source = str(CONSUMER.with_name("Department.java"))
    java = ("java", "-cp", os.pathsep.join(jars), source)
    await come(police, "java-1")
    lying = await police.records()
    for record in lying:
        await police.send_again(record)
    between = datetime.now(UTC)
    async with running(*java, *police.reads(tmp_path / "known")) as reader:
        told = await reader.next(len({dict(one.headers)["ce_id"] for one in lying}))
        later = await come(police, "java-2")
        told += await reader.next(2)
    assert in_order(told)
    assert [one["task_seq"] for one in told if one["case"] == str(later)] == [1, 2]
    async with running(*java, *police.reads(tmp_path / "fresh"), between.isoformat()) as reader:
        assert [one["case"] for one in await reader.next(2)] == [str(later)] * 2


async def test_curl_takes_gives_back_and_listens_without_a_gap(
    trio: Trio, police: Office, tmp_path: Path
) -> None:
    if missing := [name for name in ("curl", "jq") if shutil.which(name) is None]:
        pytest.skip(f"not on PATH: {', '.join(missing)}")
    env = {"TOKEN": police.token(), "KEY": police.key, "DEPARTMENT": police.department}
    env |= {"ROUTING": trio.urls["routing"], "INTAKE": trio.urls["intake"]}
    script = ("sh", str(CONSUMER.with_name("department.sh")))

    async def ask(*words: str) -> list[Told]:
        process = await asyncio.create_subprocess_exec(
            *script, *words, stdout=asyncio.subprocess.PIPE, env={**os.environ, **env}
        )
        out, _ = await process.communicate()
        assert process.returncode == 0
        return [json.loads(line) for line in out.splitlines()]

    while await ask("take"):
        pass  # what other tests left in the queue
    case_id, whistle_id = await police.called("curl")
    place = tmp_path / "place"
    async with running(*script, "listen", str(place), **env) as reader:
        told = await reader.next(1)
        while told[-1]["case_id"] != str(case_id):
            told += await reader.next(1)

        async def kept() -> bool:
            return holds(place, str(len(told)))  # places count from 1

        await until(kept, "the place is kept")
    lent, again = await ask("give-back"), await ask("take")
    assert [one["task_seq"] for one in lent] == [one["task_seq"] for one in again] == [1]
    for _ in range(2):
        (accepted,) = await ask("report-in", str(case_id), str(whistle_id))
        assert accepted["act_id"]
    async with running(*script, "listen", str(place), **env) as reader:
        (came,) = await reader.next(1)
        assert (came["case_id"], came["data"]["change"]) == (str(case_id), "reported_in")
    assert in_order([*told, came])
    given = await until(lambda: ask("take"), "the change is lent")
    assert [one["task_seq"] for one in given] == [2]
    assert await ask("take") == [], "a report-in sent twice is told once"
