import json
from base64 import b64encode
from typing import Any
from uuid import UUID, uuid4

import pytest

from services.chassis.inbox import Record
from services.quarantine.replay import replay_next
from tests import factories
from tests.component.ledger.office import Office, fact

PROFILE = next(one for one in factories.town_lines() if one["kind"] == "profile")
CASE = UUID(int=77)
OWNER = {"unit": "g1", "role": "grid_worker", "staff": "w1"}
OPENED = {
    "number": "250303-0001",
    "front_end": "app",
    "category": "other",
    "severity": "ordinary",
    "class": "general",
    "flow": "f",
    "profile_version": 1,
    "state": "reported",
    "grid": "g1",
    "village": "v1",
    "owner": OWNER,
    "received_at": "2025-03-03T10:00:00+08:00",
}
CLERK = {"unit": "town", "role": "center_clerk", "staff": "k1"}
STEP = {"step": "s", "from_state": "reported", "to_state": "owned", "by": OWNER, "owner": CLERK}
BY = {"by": OWNER}


class Story:
    """The facts of one tenant's cases, each with its number."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self.events = 0

    def fact(self, type_: str, body: Any, case: object = CASE, **headers: str) -> Record:
        self.events += 1
        return fact(self.office.tenant, type_, case, body, event=self.events, **headers)

    async def hear(self, *told: tuple[str, Any]) -> None:
        await self.office.hear(*(self.fact(type_, body) for type_, body in told))

    async def counts(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.office.get("/v1/counts")).json()["counts"]
        return found

    async def now(self) -> tuple[str, str, bool, bool]:
        (one,) = await self.counts()
        return one["state"], one["owner_unit"], one["closed"], one["late"]


@pytest.fixture
def story(office: Office) -> Story:
    return Story(office)


async def test_counts_follow_a_case_to_its_end_and_back(story: Story) -> None:
    await story.hear(("case.opened.v1", OPENED))
    assert await story.now() == ("reported", "g1", False, False)
    await story.hear(("case.assigned.v1", {"owner": CLERK, "rule": "next_step"}))
    assert await story.now() == ("reported", "town", False, False)
    await story.hear(("case.step_taken.v1", STEP))
    assert await story.now() == ("owned", "town", False, False)
    missed = {"deadline": "class", "due_at": "2025-03-10T10:00:00+08:00"}
    await story.hear(("case.deadline_missed.v1", missed))
    assert await story.now() == ("owned", "town", False, True)
    closed = {**STEP, "to_state": "closed"}
    await story.hear(("case.step_taken.v1", closed), ("case.closed.v1", {**BY, "state": "closed"}))
    assert await story.now() == ("closed", "town", True, True)
    again = {**STEP, "from_state": "closed", "to_state": "returned", "owner": OWNER}
    await story.hear(("case.step_taken.v1", again), ("case.reopened.v1", BY))
    assert await story.now() == ("returned", "g1", False, True)


async def test_one_batch_counts_like_many(story: Story) -> None:
    await story.hear(
        ("case.opened.v1", OPENED),
        ("case.assigned.v1", {"owner": CLERK, "rule": "r"}),
        ("case.step_taken.v1", STEP),
        ("case.closed.v1", {**BY, "state": "closed"}),
    )
    assert await story.now() == ("owned", "town", True, False)


async def test_a_fact_counts_once_however_often_it_comes(story: Story) -> None:
    opened = story.fact("case.opened.v1", OPENED)
    again = story.fact("case.reopened.v1", BY)
    closed = story.fact("case.closed.v1", {**BY, "state": "closed"})
    await story.office.hear(opened, opened, *[closed] * 50)
    await story.office.hear(opened, closed)
    await story.office.hear(again, closed, opened, again)
    assert (await story.now())[2] is False
    assert (await story.office.get("/v1/counts")).json()["cases"] == 1
    assert len(await story.office.rows("case_ledger")) == 3


async def test_every_dimension_is_counted_apart(story: Story) -> None:
    unplaced: dict[str, Any] = {"grid": None, "fallback": "no_place"}
    for n, changes in enumerate([{}, {}, unplaced, {"class": "urgent"}]):
        body = {**OPENED, **changes, "number": str(n)}
        await story.office.hear(story.fact("case.opened.v1", body, uuid4()))
    found = [(one["grid"], one["fallback"], one["case_class"], one["cases"])
             for one in await story.counts()]  # fmt: skip
    assert sorted(found) == [
        ("", "no_place", "general", 1),
        ("g1", "", "general", 2),
        ("g1", "", "urgent", 1),
    ]


KEPT: list[tuple[str, Any]] = [
    ("wish.claimed.v9", {"a": 1}),
    ("case.opened.v1", {"number": 5}),
    ("case.opened.v1", b"\xff\x00 no JSON"),
    ("case.closed.v1", None),
    ("case.step_taken.v1", b""),
    ("case.step_taken.v1", STEP),
]


@pytest.mark.parametrize(("type_", "body"), KEPT, ids=[f"{t}-{b!s:.12}" for t, b in KEPT])
async def test_a_fact_is_kept_as_it_came_whatever_it_says(
    story: Story, type_: str, body: Any
) -> None:
    record = story.fact(type_, body)
    await story.office.hear(record)
    (kept,) = await story.office.rows("case_ledger")
    assert kept["body"] == record.value
    assert kept["headers"] == {name: value.decode() for name, value in record.headers.items()}
    assert (kept["type"], kept["at"]) == (type_, record.at)
    assert await story.counts() == []


@pytest.mark.parametrize("subject", ["household/h1", "no-uuid", "77"])
async def test_a_counted_fact_about_no_case_is_kept_and_not_counted(
    story: Story, subject: str
) -> None:
    other = story.fact("case.opened.v1", OPENED)
    await story.office.hear(story.fact("case.opened.v1", OPENED, subject), other)
    assert len(await story.office.rows("case_ledger")) == 2
    assert len(await story.counts()) == 1


async def test_the_facts_of_a_case_can_be_read_whatever_their_envelope_says(story: Story) -> None:
    await story.hear(("case.opened.v1", OPENED))
    strange = story.fact("case.closed.v1", {**BY, "state": "x"}, ce_time="yesterday")
    await story.office.hear(strange)
    answer = await story.office.get(f"/v1/cases/{CASE}/facts")
    assert answer.status_code == 200
    facts = answer.json()["facts"]
    assert [(one["type"], one["seq"]) for one in facts] == [
        ("case.opened.v1", 1), ("case.closed.v1", 2),
    ]  # fmt: skip
    assert facts[1]["occurred_at"] == "yesterday"


UNITS: list[tuple[str, str | None]] = [("town", None), ("v1", "town"), ("g1", "v1"), ("g2", "v1")]


@pytest.mark.parametrize(
    ("grid", "unit", "status"),
    [("g1", "g1", 200), ("g1", "v1", 200), ("g1", "town", 200), ("g1", "g2", 403),
     ("g2", "g1", 200), ("g2", "g2", 200), (None, "town", 200), (None, "v1", 403)],
)  # fmt: skip
async def test_facts_are_shown_to_the_units_of_the_case_and_to_its_owner(
    story: Story, grid: str | None, unit: str, status: int
) -> None:
    units = [
        {"kind": "unit", "id": id_, "body": {"level": "grid", "zh": id_, "parent": parent}}
        for id_, parent in UNITS
    ]
    assert (await story.office.post_set("units", [PROFILE, *units])).status_code == 200
    await story.hear(("case.opened.v1", {**OPENED, "grid": grid, "village": None}))
    path = f"/v1/cases/{CASE}/facts"
    answer = await story.office.get(path, "center_clerk", units=[unit])
    assert answer.status_code == status
    if status == 403:
        assert set(answer.json()) == {"type", "status", "code", "title", "detail"}
    assert (await story.office.get(path, "center_clerk")).status_code == 403
    assert (await story.office.get(path, "citizen", units=[unit])).status_code == 403
    assert (await story.office.get(path, "operator")).status_code == 200


async def test_another_tenants_case_is_answered_like_none(story: Story) -> None:
    await story.hear(("case.opened.v1", OPENED))
    none = await story.office.get(f"/v1/cases/{uuid4()}/facts")
    theirs = await story.office.of("town997").get(f"/v1/cases/{CASE}/facts")
    assert none.status_code == theirs.status_code == 404
    assert none.json() == theirs.json()


@pytest.mark.parametrize(
    "broken",
    [{"ce_id": "x"}, {"ce_sequence": "many"}, {"ce_sequence": str(2**40)}, {"ce_type": "a\0b"}],
)
async def test_an_envelope_that_cannot_be_kept_is_set_aside_with_its_reason(
    story: Story, broken: dict[str, str]
) -> None:
    record = story.fact("case.opened.v1", OPENED, uuid4(), **broken)
    await story.office.hear(record)
    place = (record.topic, record.partition, record.offset)
    aside = await story.office.pool.fetchrow(
        "SELECT * FROM quarantine WHERE (topic, partition, record_offset) = ($1, $2, $3)", *place
    )
    assert aside is not None
    assert aside["reason"]
    assert aside["body"] == json.dumps(OPENED).encode()
    assert await story.office.rows("case_ledger") == []


CORRECT = """
UPDATE quarantine
SET corrected_headers = $4, corrected_body = body
WHERE (topic, partition, record_offset) = ($1, $2, $3)
"""
LET_GO = """
INSERT INTO quarantine_release (record_key, released_by)
SELECT record_key, 'op-1'
FROM quarantine
WHERE (topic, partition, record_offset) = ($1, $2, $3)
"""
LEFT = "SELECT count(*) FROM quarantine WHERE (topic, partition, record_offset) = ($1, $2, $3)"


async def test_what_was_set_aside_takes_effect_under_the_services_own_role(story: Story) -> None:
    office, case = story.office, uuid4()
    record = story.fact("case.opened.v1", OPENED, case, ce_sequence="many")
    await office.hear(record)
    place, readers = (record.topic, record.partition, record.offset), {record.topic: office.facts}
    await office.pool.execute(LET_GO, *place)
    assert await replay_next(office.served, readers)
    assert await office.pool.fetchval(LEFT, *place) == 1, "it failed again, and is held again"
    mended = {**record.headers, "ce_sequence": b"1"}
    told = {name: b64encode(value).decode() for name, value in mended.items()}
    await office.pool.execute(CORRECT, *place, told)
    await office.pool.execute(LET_GO, *place)
    assert await replay_next(office.served, readers)
    assert await office.pool.fetchval(LEFT, *place) == 0
    assert [row["subject"] for row in await office.rows("case_ledger")] == [str(case)]


async def test_a_miss_that_is_withdrawn_makes_nobody_late(story: Story) -> None:
    def again(deadline: str) -> tuple[str, Any]:
        told = {"deadline": deadline, "clock": "duty", "armed": True, "miss_withdrawn": True}
        return "case.deadline_set.v1", {**told, "due_at": OPENED["received_at"]}

    def missed(deadline: str) -> tuple[str, Any]:
        return "case.deadline_missed.v1", {
            "deadline": deadline,
            "due_at": OPENED["received_at"],
        }

    await story.hear(("case.opened.v1", OPENED), missed("class"), missed("step.first_ask"))
    await story.hear(again("step.first_ask"))
    assert (await story.now())[-1] is True, "the other miss stands"
    await story.hear(again("class"), again("class"))
    assert (await story.now())[-1] is False
    await story.hear(missed("class"))
    await story.hear(again("first_action"))
    assert (await story.now())[-1] is True
    await story.office.pool.execute("UPDATE case_now SET missed = '[]'")
    await story.hear(again("class"))
    assert (await story.now())[-1] is True, "what was missed before it was kept stays missed"


async def test_counts_take_no_filter_and_say_so(office: Office) -> None:
    answer = await office.get("/v1/counts?unit=nosuch&state=zzz")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_fields")
    assert [one["field"] for one in answer.json()["errors"]] == ["unit", "state"]
