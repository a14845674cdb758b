import asyncio
from typing import Any
from uuid import UUID

import pytest

from contracts.facts import CaseOpenedV1, CaseStepTakenV1
from services.chassis.seal import SealedFields
from tests import factories
from tests.component.routing.desk import Desk

Person = tuple[str, str, str]
Taken = tuple[str, Person, dict[str, Any]]
WORKER = ("grid_worker", "g01", "s-gw-01")
CADRE = ("village_cadre", "v1", "s-vc-01")
CLERK = ("center_clerk", "town", "s-cc-01")
RESULT: dict[str, Any] = {"result": "灯已修好"}  # with a proof of the town


@pytest.fixture
async def case_id(desk: Desk) -> UUID:
    return await desk.report(location={"grid": "g01"})


async def seq(desk: Desk, case_id: UUID) -> int:
    found: int = (await desk.case(case_id))["seq"]
    return found


async def walk(desk: Desk, case_id: UUID, *steps: Taken) -> dict[str, Any]:
    body: dict[str, Any] = {}
    for step, by, given in steps:
        proof = {"proof": desk.proof} if step == "resolve" else {}
        answer = await desk.step(case_id, step, by, await seq(desk, case_id), **given, **proof)
        assert answer.status_code == 200, answer.text
        body = answer.json()
    return body


TO_RESOLVED: tuple[Taken, ...] = (
    ("first_ask", WORKER, {}),
    ("grid_settle", WORKER, {}),
    ("resolve", WORKER, RESULT),
)


async def test_a_case_is_walked_to_its_end(desk: Desk, case_id: UUID) -> None:
    visit = {"satisfied": True, "note": "群众满意"}
    body = await walk(desk, case_id, *TO_RESOLVED, ("return_visit", CLERK, visit))
    assert (body["state"], body["allowed_steps"], body["clocks"]) == ("closed", ["reopen"], [])
    case = await desk.case(case_id)
    assert case["closed"]
    assert case["done"] == [
        ["first_ask", "s-gw-01"], ["grid_settle", "s-gw-01"], ["resolve", "s-gw-01"],
        ["return_visit", "s-cc-01"],
    ]  # fmt: skip
    told = await desk.announced(case_id)
    assert [event.seq for event in told] == list(range(1, len(told) + 1))
    assert case["seq"] == case["human_seq"] == len(told)
    assert [event.data.TYPE for event in told][-3:] == [
        "case.step_taken.v1", "case.return_visited.v1", "case.closed.v1",
    ]  # fmt: skip
    assert desk.woken


REFUSED: list[tuple[str, tuple[str, Person, dict[str, Any]], int, str, list[str]]] = [
    ("no such step", ("nope", WORKER, {}), 422, "unknown_step", ["first_ask"]),
    ("no such step, with words", ("nope", WORKER, {"reason": "r"}), 422, "unknown_step", []),
    ("not now", ("resolve", WORKER, RESULT), 409, "step_not_allowed", ["first_ask"]),
    ("wrong role", ("first_ask", CADRE, {}), 403, "role_not_allowed", ["grid_worker"]),
    ("wrong unit", ("first_ask", ("grid_worker", "v1", "x"), {}), 403, "unit_not_allowed", ["g01"]),
    ("something missing", ("cancel", CLERK, {}), 422, "needs_missing", ["reason"]),
]


@pytest.mark.parametrize(
    ("wanted", "status", "code", "names"),
    [row[1:] for row in REFUSED],
    ids=[row[0] for row in REFUSED],
)
async def test_a_refusal_says_what_would_be_right_and_where_the_case_stands(
    desk: Desk,
    case_id: UUID,
    wanted: Taken,
    status: int,
    code: str,
    names: list[str],
) -> None:
    before = dict(await desk.case(case_id))
    step, by, given = wanted
    answer = await desk.step(case_id, step, by, before["seq"], **given)
    problem = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, problem["status"], problem["code"]) == (status, status, code)
    assert set(names) <= set(problem["names"])
    assert (problem["state"], problem["seq"]) == (before["state"], before["seq"])
    assert problem["title"]
    assert dict(await desk.case(case_id)) == before


async def test_neither_a_colleague_nor_the_one_who_settled_it_goes_on(
    desk: Desk, case_id: UUID
) -> None:
    await walk(desk, case_id, *TO_RESOLVED[:2])
    colleague = ("grid_worker", "g01", "somebody-else")
    done = {**RESULT, "proof": desk.proof}
    other = await desk.step(case_id, "resolve", colleague, await seq(desk, case_id), **done)
    assert (other.status_code, other.json()["code"]) == (403, "not_the_handler")
    await walk(desk, case_id, TO_RESOLVED[2])
    same = ("village_cadre", "v1", "s-gw-01")
    visit = await desk.step(case_id, "return_visit", same, await seq(desk, case_id), satisfied=True)
    assert (visit.status_code, visit.json()["code"]) == (403, "same_person")
    assert visit.json()["names"] == ["resolve"]


async def test_an_act_upon_an_old_look_is_refused_with_the_present(
    desk: Desk, case_id: UUID
) -> None:
    first = await seq(desk, case_id)
    await walk(desk, case_id, TO_RESOLVED[0])
    now = await seq(desk, case_id)
    old = dict.fromkeys((0, first, now - 1), "stale")
    for seen, code in {**old, now + 1: "seq_ahead", 2**70: "seq_ahead"}.items():
        answer = await desk.step(case_id, "grid_settle", WORKER, seen)
        assert (answer.status_code, answer.json()["code"]) == (409, code), seen
        assert str(now) in answer.json()["title"]
        assert (answer.json()["seq"], answer.json()["state"]) == (now, "owned")


async def test_of_two_people_at_once_one_acts_and_the_other_is_told(
    desk: Desk, case_id: UUID
) -> None:
    seen = await seq(desk, case_id)
    answers = await asyncio.gather(
        *(desk.step(case_id, "first_ask", ("grid_worker", "g01", f"w{n}"), seen) for n in range(6))
    )
    assert sorted(answer.status_code for answer in answers) == [200, *[409] * 5]
    assert (await desk.told(case_id)).count("case.accepted") == 1


FAULTY: list[tuple[dict[str, Any], str]] = [
    ({"reason": ""}, "reason"),
    ({"reason": "   "}, "reason"),
    ({"reason": 5}, "reason"),
    ({"reason": ["r"]}, "reason"),
    ({"reason": "x" * 2_001}, "reason"),
    ({"reason": "a\0b"}, "reason"),
    ({"reason": "a\x1bb"}, "reason"),
    ({"reason": "r", "result": "not asked for"}, "result"),
    ({"reason": "r", "state": "closed"}, "state"),
    ({"reason": "r", "note": {"a": 1}}, "note"),
    ({"reason": "r", "satisfied": True}, "satisfied"),
]


@pytest.mark.parametrize(("given", "field"), FAULTY, ids=[str(g)[:40] for g, _ in FAULTY])
async def test_a_field_that_cannot_be_kept_is_named_and_not_repeated(
    desk: Desk, case_id: UUID, given: dict[str, Any], field: str
) -> None:
    answer = await desk.step(case_id, "cancel", CLERK, await seq(desk, case_id), **given)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_fields")
    assert field in {one["field"] for one in answer.json()["errors"]}
    assert "not asked for" not in answer.text


async def test_what_was_said_with_a_step_is_read_by_whoever_has_the_case_next(
    desk: Desk, case_id: UUID
) -> None:
    way: tuple[Taken, ...] = (
        *TO_RESOLVED[:2],
        ("up_village", WORKER, {"reason": "谈不拢"}),
        ("send_down", CADRE, {"instruction": "请再走访一次"}),
    )
    await walk(desk, case_id, *way)
    said = (await desk.get(f"/v1/cases/{case_id}", *WORKER[:2])).json()["said"]
    assert [one["words"] for one in said] == [{"reason": "谈不拢"}, {"instruction": "请再走访一次"}]


async def test_the_town_is_reached_through_the_village_alone(desk: Desk, case_id: UUID) -> None:
    await walk(desk, case_id, *TO_RESOLVED[:2])
    answer = await desk.step(case_id, "up_town", CADRE, await seq(desk, case_id), reason="r")
    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["names"]) == (
        409,
        "rung_skipped",
        ["village"],
    )


@pytest.mark.parametrize("text", ["第一行\r\n第二行", "换行\n制表\t", "王𠮷·阿力木", "x" * 2_000])
async def test_words_are_kept_as_they_were_typed(desk: Desk, case_id: UUID, text: str) -> None:
    await walk(desk, case_id, ("cancel", CLERK, {"reason": text}))
    told = [event.data for event in await desk.announced(case_id)]
    (step,) = [one for one in told if isinstance(one, CaseStepTakenV1)]
    assert step.sealed is not None
    sealed = SealedFields(step.sealed.kid, step.sealed.key, step.sealed.fields)
    assert desk.ring.open(desk.tenant, str(case_id), sealed, {"reason"}) == {"reason": text}


@pytest.mark.parametrize("proof", ["p1", [], ["p"] * 21, [5], ["a b"], ["../x"], [""], {}])
async def test_proof_is_a_short_list_of_attachments(
    desk: Desk, case_id: UUID, proof: object
) -> None:
    await walk(desk, case_id, *TO_RESOLVED[:2])
    given = {"result": "r", "proof": proof}
    answer = await desk.step(case_id, "resolve", WORKER, await seq(desk, case_id), **given)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "proof")


async def test_proof_has_been_posted_in_this_town(
    desk: Desk, neighbour: Desk, case_id: UUID
) -> None:
    await walk(desk, case_id, *TO_RESOLVED[:2])
    for wrong in ("photo-1", *neighbour.proof):
        given = {"result": "r", "proof": [*desk.proof, wrong]}
        answer = await desk.step(case_id, "resolve", WORKER, await seq(desk, case_id), **given)
        assert (answer.status_code, answer.json()["code"]) == (422, "attachment_unknown")
        assert [one["field"] for one in answer.json()["errors"]] == ["proof.1"]
    answer = await desk.step(case_id, "resolve", WORKER, await seq(desk, case_id), result="r")
    assert (answer.json()["code"], answer.json()["names"]) == ("needs_missing", ["proof"])


async def test_a_case_shows_what_came_with_it_and_with_its_steps(desk: Desk) -> None:
    ids = [factories.attachment(desk.ring, name, desk.tenant) for name in ("a", "b", "c")]
    case_id = await desk.report(location={"grid": "g01"}, attachments=(ids[2], ids[0]))
    again = desk.event(location={"grid": "g01"}, attachments=(ids[1],))
    await desk.hear(desk.record(again))
    await walk(desk, case_id, *TO_RESOLVED)
    shown = (await desk.get(f"/v1/cases/{case_id}")).json()["attachments"]
    assert shown == [ids[2], ids[0], ids[1], *desk.proof]
    opened = (await desk.announced(case_id))[0].data
    assert isinstance(opened, CaseOpenedV1)
    assert opened.attachments == (ids[2], ids[0])


@pytest.mark.parametrize("satisfied", [None, "true", 1, []])
async def test_satisfied_is_yes_or_no(desk: Desk, case_id: UUID, satisfied: object) -> None:
    await walk(desk, case_id, *TO_RESOLVED)
    answer = await desk.step(
        case_id, "return_visit", CLERK, await seq(desk, case_id), satisfied=satisfied
    )
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "satisfied")


BODIES: list[tuple[bytes, int]] = [
    (b"", 400),
    (b"{", 400),
    (b"[]", 422),
    (b"null", 422),
    (b'{"step":"first_ask"}', 422),
    (b'{"step":"first_ask","expected_seq":-1}', 422),
    (b'{"step":"first_ask","expected_seq":"many"}', 422),
    (b'{"step":5,"expected_seq":1}', 422),
    (b'{"step":"%s","expected_seq":1}' % (b"x" * 65), 422),
    (b"[" * 10_000, 400),
    (b'{"step":"a","expected_seq":1,"\\ud800":"x"}', 400),
    (b'{"step":"a\\ud800","expected_seq":1}', 400),
    (b"\xff\xfe", 400),
]


@pytest.mark.parametrize(("body", "status"), BODIES, ids=[str(b[:40]) for b, _ in BODIES])
async def test_a_body_that_is_no_step_is_a_problem_and_no_crash(
    desk: Desk, case_id: UUID, body: bytes, status: int
) -> None:
    answer = await desk.http.post(
        f"/v1/cases/{case_id}/steps",
        content=body,
        headers={**desk.headers(*WORKER), "content-type": "application/json"},
    )
    assert answer.status_code == status
    assert answer.json()["code"]


async def test_a_body_without_end_is_cut_off_before_it_is_read(desk: Desk, case_id: UUID) -> None:
    sent = 0

    async def endless() -> Any:
        nonlocal sent
        while sent < 50_000_000:
            sent += 65_536
            yield b" " * 65_536

    for headers, status in ((desk.headers(*WORKER), 413), ({}, 401)):
        sent = 0
        answer = await desk.http.post(
            f"/v1/cases/{case_id}/steps", content=endless(), headers=headers
        )
        assert answer.status_code == status
        assert sent < 2_000_000


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"step": "cancel", "step": "first_ask", "expected_seq": 3}', "json_duplicate_key"),
        (b'{"step": "first_ask", "expected_seq": NaN}', "json_not_a_number"),
        (b'{"step": "first_ask"', "json_malformed"),
        (b"", "json_malformed"),
    ],
)
async def test_a_step_is_read_as_strictly_as_a_report(desk: Desk, body: bytes, code: str) -> None:
    case_id = await desk.report(location={"grid": "g01"})
    path, headers = f"/v1/cases/{case_id}/steps", desk.headers("grid_worker", "g01", "s-gw-01")
    answer = await desk.http.post(path, content=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, code)


async def test_a_step_that_was_taken_is_answered_though_the_case_is_another_units_then(
    desk: Desk, case_id: UUID
) -> None:
    before = await seq(desk, case_id)
    await desk.pool.execute(
        "CREATE FUNCTION hand_away() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " NEW.grid = 'g04'; NEW.village = 'v2'; NEW.owner_unit = 'g04'; RETURN NEW; END $$"
    )
    await desk.pool.execute(
        "CREATE TRIGGER hand_away BEFORE UPDATE ON cases"
        f" FOR EACH ROW WHEN (OLD.case_id = '{case_id}') EXECUTE FUNCTION hand_away()"
    )
    answer = await desk.step(case_id, "first_ask", WORKER, before)
    await desk.pool.execute("DROP FUNCTION hand_away CASCADE")
    assert answer.status_code == 200
    assert answer.json()["seq"] == (await desk.case(case_id))["seq"] > before
    later = await desk.step(case_id, "grid_settle", WORKER, answer.json()["seq"])
    assert (later.status_code, later.json()["code"]) == (403, "unit_not_allowed")
