"""No word of a resident or a worker lies open: not in a table, not in a log, not in an answer."""

import json
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
import structlog
from structlog.testing import LogCapture

from tests.component.routing.desk import Desk

CANARY = "金丝雀7041"
WORDS = {name: f"{CANARY}-{name}" for name in
         ("summary", "description", "address", "name", "phone", "openid")}  # fmt: skip
WORKER = ("grid_worker", "g01", "s-gw-01")
CLERK = ("center_clerk", "town", "s-cc-01")
TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"


def shapes(text: str) -> list[str]:
    """Return how a text can look in a dump."""
    return [
        text,
        json.dumps(text).strip('"'),
        text.encode().hex(),
        b64encode(text.encode()).decode().rstrip("=")[:-1],
    ]


async def whole_database(desk: Desk) -> str:
    dump = []
    for table in await desk.pool.fetch(TABLES):
        name = table["tablename"]
        rows = await desk.pool.fetch(f"SELECT t::text AS line FROM {name} t")  # noqa: S608 - ours
        dump += [f"{name}: {row['line']}" for row in rows]
    return "\n".join(dump)


@pytest.fixture
def logged() -> Iterator[LogCapture]:
    capture = LogCapture()
    structlog.configure(processors=[capture])
    yield capture
    structlog.reset_defaults()


async def test_words_lie_open_nowhere(desk: Desk, logged: LogCapture) -> None:
    said: dict[str, Any] = {"location": {"grid": "g01"}, "category": "security"}
    case_id = await desk.report(words=WORDS, **said)
    conflict = desk.event(words={**WORDS, "summary": f"{CANARY} again"}, **said)
    await desk.hear(desk.record(conflict))
    other = desk.record(desk.event("other", words=WORDS, **said))
    await desk.hear(replace(other, value=(other.value or b"")[:-2]))
    await desk.hear(other)
    answers = []

    async def act(step: str, by: tuple[str, str, str], **given: object) -> None:
        seq = (await desk.case(case_id))["seq"]
        answers.append(await desk.step(case_id, step, by, seq, **given))

    await act("first_ask", WORKER, note=CANARY)
    await act("grid_settle", WORKER)
    await act("resolve", WORKER, result=CANARY)
    await act("resolve", WORKER, result=CANARY, proof=[CANARY])
    await act("resolve", WORKER, result=f"{CANARY}\0", proof=desk.proof)
    await act("resolve", WORKER, result=CANARY, proof=desk.proof, reason=CANARY, other=[CANARY])
    await act(CANARY, WORKER, result=CANARY)
    await act("resolve", CLERK, result=CANARY, proof=desk.proof)
    await act("resolve", WORKER, result=CANARY, proof=desk.proof)
    await act("reopen", CLERK, reason=CANARY)
    codes = [answer.status_code for answer in answers]
    assert codes == [200, 200, 422, 422, 422, 422, 422, 403, 200, 200]

    case = f"/v1/cases/{case_id}"
    for path in (f"{case}/history", f"{case}/why", "/v1/queues/g01", f"/v1/cases/{uuid4()}"):
        answers.append(await desk.get(path))  # noqa: PERF401 - one after the other
    for answer in answers:
        if "text" not in answer.json():  # the case itself, opened for its people
            assert CANARY not in answer.text
    dump = await whole_database(desk)
    assert case_id.hex in dump.replace("-", "")
    for shape in shapes(CANARY):
        assert shape not in dump
        assert shape not in str(logged.entries)
    assert any(entry["event"] == "key_conflict_kept" for entry in logged.entries)


async def test_only_contacts_travel_on_and_only_sealed(desk: Desk) -> None:
    await desk.report(words=WORDS, location={"grid": "g01"})
    opened = (await desk.announced())[0].data.model_dump()
    assert opened["reporter"]["fields"].keys() == {"name", "phone", "openid"}
    bare = await desk.report("bare", words={"description": "d"}, location={"grid": "g01"})
    assert (await desk.announced(bare))[0].data.model_dump()["reporter"] is None
