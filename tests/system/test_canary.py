"""People planted through the doors lie open nowhere: on no topic, in no log, in no dump."""

import asyncio
import subprocess
from base64 import b64encode, urlsafe_b64encode
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import asyncpg
import httpx
import pytest
from aiokafka import AIOKafkaProducer

from contracts.topics import INTAKE_EVENTS, LEDGER_REGISTRY, TOPICS
from deploy.cli.told import Town
from deploy.local.lying import lying_on
from deploy.local.postgres_home import find_home
from deploy.local.quiet import Watch
from deploy.local.seeding import post_set
from deploy.local.state import StackState
from deploy.local.topics import apply_topics, registered_topics
from deploy.local.whole import Running
from services.ledger.domain.numbers import citizen_check
from tests.faults.ground import TENANT
from tests.system.canary import lying_open
from tests.system.collector import Collector
from tests.system.doors import QUIET_S, opened, report
from tests.system.test_secrets import logs
from tests.waiting import until


def number(body: str) -> str:
    return body + citizen_check(body)


PERSON = {
    "name": "欧阳𠮷·金丝雀依明",
    "id_number": number("33010619900307412"),
    "phone": "16077760001",
    "relation": "金丝雀户主之侄",
}
STAFF = {"name": "金丝雀热合曼·𠮷", "phone": "16077760002", "openid": "canary-openid-7760"}
ADDRESS = "金丝雀弄堂七十七号后门"
REPORTER = {"name": "𠮷野·金丝雀报", "phone": "16077760003"}
SAID = {"summary": "金丝雀井盖响", "description": "金丝雀说：院里井盖夜里响𠮷。"}
PLACE, NOTE, REFUSED = "金丝雀路口东第三家", "金丝雀回访记录", "金丝雀错行𠮷"
SENSITIVE = "金丝雀随访：每月初七去看𠮷"
GROUP = "canary_group_7760"
WRONG = {"name": "金丝雀误·𠮷", "id_number": "330106199003074999", "phone": "16077760004"}
WORDS = (
    *PERSON.values(), *STAFF.values(), ADDRESS, *REPORTER.values(), *SAID.values(), PLACE, NOTE,
    REFUSED, SENSITIVE, *WRONG.values(),
)  # fmt: skip
NOBODY = f"{TENANT}|no-case-of-anybody".encode()
WORD = "𠮷·金丝雀16077769999"


def _dumped(text: str) -> str:
    return rf"COPY bag (raw) FROM stdin;\n\\x{text.encode().hex()}\n"


@pytest.mark.parametrize(
    "open_",
    [
        WORD,
        f"before {WORD} after".encode("utf-16-le"),
        f"before {WORD} after".encode("utf-16-be"),
        quote(WORD),
        quote(WORD).lower(),
        *(b64encode(b"x" * n + WORD.encode() + b"y" * m) for n in range(3) for m in range(3)),
        urlsafe_b64encode(b"??>" + WORD.encode()),
        b64encode(b"x" + WORD.encode("utf-16-le")),
        _dumped(f"some words, {WORD} and others"),
        _dumped(b64encode(f"some words, {WORD}".encode()).decode()),
        r"\ud842\udfb7\u00b7\u91d1\u4e1d\u96c016077769999",
    ],
)
def test_the_search_finds_a_word_that_lies_open(open_: str | bytes) -> None:
    assert lying_open([b"noise", open_, b"more noise"], [WORD, "absent"]) == [WORD]


def test_the_search_finds_nothing_where_nothing_is() -> None:
    assert lying_open([b"\x00\xff" * 99, "金丝", "ab" * 40, WORD[:-1]], [WORD]) == []


async def test_the_search_finds_what_is_planted_in_the_open_on_a_topic_and_in_a_dump(
    running: Running, state: StackState
) -> None:
    topic = replace(LEDGER_REGISTRY, name="canary.open", partitions=1)
    await apply_topics(state.kafka, [topic])
    await _send(state, topic.name, b"k", b"", {"x": WORD.encode("utf-16-be")})
    parts = [part async for record in lying_on(state.kafka, topic) for part in _parts(record)]
    assert lying_open(parts, [WORD]) == [WORD]
    await _execute(running, "console", "CREATE TABLE bag (raw bytea)")
    await _execute(running, "console", "INSERT INTO bag VALUES ($1)", b64encode(WORD.encode()))
    try:
        assert lying_open([await _dump(running, "console")], [WORD]) == [WORD]
    finally:
        await _execute(running, "console", "DROP TABLE bag")


async def test_planted_people_lie_open_nowhere(
    running: Running, state: StackState, collector: Collector
) -> None:
    answers = await _plant(state)
    async with Watch(state) as watch:
        await watch.until_quiet(QUIET_S)
    assert not lying_open(answers, WORDS)
    try:
        async for name, held in _everything(running, state):
            assert not lying_open(held, WORDS), name
    finally:
        for service in ("routing", "ledger"):
            await _execute(running, service, "DELETE FROM quarantine WHERE record_key = $1", NOBODY)
        planted = (("person", "p-canary"), ("household", "h-canary"), ("staff", "s-canary"))
        gone = [{"kind": kind, "id": name, "body": None} for kind, name in planted]
        token = state.token(TENANT, "operator")
        await post_set(state.url("ledger"), token, "canary-gone", gone)
    spans = [str(span) for span in collector.spans]
    assert spans
    assert not lying_open(spans, WORDS)


async def _plant(state: StackState) -> list[str]:
    """Bring people in by the doors, right and wrong; return what was said to what is wrong."""
    token = state.token(TENANT, "operator")
    posts = [{"unit": "g01", "role": "grid_worker", "rank": 1}]
    lines: list[dict[str, Any]] = [
        {"kind": "household", "id": "h-canary", "body": {"grid": "g01", "address": ADDRESS}},
        {"kind": "person", "id": "p-canary", "body": {"household": "h-canary", **PERSON}},
        {"kind": "staff", "id": "s-canary", "body": {"posts": posts, **STAFF}},
    ]
    await post_set(state.url("ledger"), token, "canary-1", lines)
    await _plant_sensitive(state, token)
    wrong = {"kind": "person", "id": "p-wrong", "body": {"household": "h-canary", **WRONG}}
    odd = {
        "kind": "unit",
        "id": "u-wrong",
        "body": {"level": {"of": REFUSED}, "zh": [REFUSED], "more": REFUSED},
    }
    said = [
        await _refused(state, "canary-2", one)
        for one in (wrong, odd, {"kind": REFUSED, "id": REFUSED, "body": REFUSED})
    ]

    given = {"location": {"grid": "g01", "address": PLACE}, "reporter": REPORTER, **SAID}
    accepted, _ = await report(state, "canary-person", **given)
    said += [await _refused_report(state, {**given, **more}) for more in _WRONG_REPORTS]
    town = Town(state, TENANT)
    case = await opened(town, accepted["case_id"], "g01")
    by = (case["owner"]["role"], case["owner"]["unit"], case["owner"]["staff"])
    case = await town.step(case, {"step": "first_ask", "note": NOTE}, *by)
    case = await town.step(case, {"step": "grid_settle"}, *by)
    await town.step(case, {"step": "resolve", "result": NOTE, "proof": ["photo-1"]}, *by)
    await _set_aside(state, accepted["case_id"])
    return said


async def _plant_sensitive(state: StackState, token: str) -> None:
    """Let the town keep a sensitive group, and the planted person belong to it."""
    async with httpx.AsyncClient(base_url=state.url("ledger"), timeout=10) as client:
        operator = {"Authorization": f"Bearer {token}"}
        listed = (await client.get("/v1/registry/profile", headers=operator)).json()["records"]
        newest = max((one["body"] for one in listed), key=lambda body: int(body["version"]))
        version, written = newest["version"] + 1, newest["body"]
        written["registry"]["sensitive_groups"] = [{"id": GROUP, "zh": "金丝雀类"}]
        carer = {"id": "carer", "zh": "随访人", "level": "grid", "can": ["view", "sensitive"]}
        written["roles"].append(carer)
        body = {"version": version, "body": written}
        line = {"kind": "profile", "id": str(version), "body": body}
        await post_set(state.url("ledger"), token, "canary-profile", [line])
        path = f"/v1/registry/person/p-canary/sensitive/{GROUP}"
        carers = state.token(TENANT, "carer", units=["g01"])
        given = {"note": SENSITIVE, "reason": "planted for a search"}
        answer = await client.put(path, json=given, headers={"Authorization": f"Bearer {carers}"})
        assert answer.status_code == 200, answer.text
        assert not lying_open([answer.text], WORDS)


_WRONG_REPORTS: tuple[Mapping[str, Any], ...] = (
    {"reporter": {**REPORTER, "phone": [WRONG["phone"]]}},
    {"category": REFUSED},
    {"occurred_at": REFUSED},
    {"more": REFUSED},
)


async def _refused(state: StackState, change_set: str, line: Mapping[str, Any]) -> str:
    async with httpx.AsyncClient(base_url=state.url("ledger"), timeout=10) as client:
        answer = await client.post(
            f"/v1/registry/change-sets/{change_set}",
            json=line,
            headers={"Authorization": f"Bearer {state.token(TENANT, 'operator')}"},
        )
    assert answer.status_code == 422, answer.text
    return answer.text


async def _refused_report(state: StackState, body: Mapping[str, Any]) -> str:
    async with httpx.AsyncClient(base_url=state.url("intake"), timeout=10) as client:
        answer = await client.post(
            "/v1/cases",
            json={"tenant": TENANT, **body},
            headers={"X-Api-Key": state.api_key, "Idempotency-Key": "canary-wrong"},
        )
    assert answer.status_code == 422, (body, answer.text)
    return answer.text


async def _set_aside(state: StackState, case_id: str) -> None:
    """Send the report once more with a broken header, and wait until routing has set it aside."""
    async for record in lying_on(state.kafka, INTAKE_EVENTS):
        headers = dict(record.headers)
        if headers.get("ce_subject") == case_id.encode():
            break
    broken = {**headers, "ce_time": b"no time"}
    await _send(state, INTAKE_EVENTS.name, NOBODY, record.value, broken)
    conn = await asyncpg.connect(state.dsns["routing"])
    await until(lambda: conn.fetchval("SELECT count(*) FROM quarantine"), "it is set aside")
    await conn.close()


async def _send(
    state: StackState, topic: str, key: bytes, value: bytes, headers: Mapping[str, bytes]
) -> None:
    async with AIOKafkaProducer(bootstrap_servers=state.kafka) as producer:
        await producer.send_and_wait(topic, value, key, headers=[*headers.items()])


async def _everything(
    running: Running, state: StackState
) -> AsyncIterator[tuple[str, list[bytes | str]]]:
    topics = (*TOPICS, *await registered_topics(state.kafka))
    by_topic: dict[str, list[bytes | str]] = {topic.name: [] for topic in TOPICS}
    async for record in lying_on(state.kafka, *topics):
        by_topic.setdefault(record.topic, []).extend(_parts(record))
    for name, parts in by_topic.items():
        assert parts, f"nothing lies on {name}"
        yield name, parts
    for name, text in logs(running.layout.data_dir):
        yield name, [text]
    async with httpx.AsyncClient(timeout=10) as client:
        for service in state.services:
            for path in ("/metrics", "/ready"):
                yield f"{service}{path}", [(await client.get(state.url(service) + path)).text]
    for service in state.services:
        dump = await _dump(running, service)
        assert b"PostgreSQL database dump complete" in dump
        yield f"dump of {service}", [dump]


def _parts(record: Any) -> list[bytes | str]:
    named = [part for name, value in record.headers for part in (name, value)]
    return [record.key or b"", record.value or b"", *named]


async def _dump(running: Running, service: str) -> bytes:
    program = find_home(running.layout.data_dir / "postgres").bin_dir / "pg_dump"
    argv = [str(program), "--dbname", running.dsn(service)]
    done = await asyncio.to_thread(subprocess.run, argv, capture_output=True, check=True)
    return done.stdout


async def _execute(running: Running, service: str, query: str, *given: object) -> None:
    conn = await asyncpg.connect(running.dsn(service))
    await conn.execute(query, *given)
    await conn.close()
