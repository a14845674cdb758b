"""The whistle's later stages through routing's doors, on a real database."""

from collections.abc import Mapping
from copy import deepcopy
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest

from tests import factories
from tests.component.routing.desk import Desk, town_lines
from tests.component.routing.test_routing_whistles import (
    CLERK,
    POLICE,
    act,
    blow,
    called,
    outcomes,
)

LEADER = ("town_leader", "town", "s-tl-01")
COUNTY = ("county_clerk", "county", "s-co-01")
WORKER = ("grid_worker", "g01", "s-gw-01")
HOUR = {"within": "PT1H", "clock": "calendar"}


async def other_rules(desk: Desk, **whistle: Any) -> None:
    """Publish a second version of the profile with other rules for the whistle."""
    (line,) = [one for one in town_lines() if one["kind"] == "profile"]
    body = deepcopy(line["body"])
    for role in body["body"]["roles"]:
        if role["id"] == "department_officer":
            role["can"].append("whistle")
    body["body"]["departments"] += whistle.pop("departments", [])
    body["body"]["whistle"] |= whistle
    second = {"kind": "profile", "id": "2", "body": {**body, "version": 2}}
    await desk.town(second, change_set="profile-2")


async def post(desk: Desk, path: str, by: tuple[str, str, str], **body: Any) -> httpx.Response:
    return await desk.http.post(f"/v1/{path}", json=body, headers=desk.headers(*by))


async def slot(desk: Desk, case_id: UUID, department: str) -> Mapping[str, Any]:
    rows = await desk.rows("slot", case_id)
    (found,) = [row for row in rows if row["department"] == department]
    return dict(found)


async def data_of(desk: Desk, case_id: UUID, type_: str) -> list[dict[str, Any]]:
    told = await desk.announced(case_id)
    return [one.data.model_dump() for one in told if one.data.TYPE.removesuffix(".v1") == type_]


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def refused(desk: Desk, *departments: str, key: str = "k1") -> tuple[UUID, UUID]:
    """Call departments; the first refuses and proposes the justice office."""
    case_id, whistle_id = await called(desk, *departments, key=key)
    words = {"basis": "不属本所管辖", "proposed": "justice"}
    answer = await act(desk, whistle_id, "refusals", **POLICE, **words)
    assert answer.status_code == 200, answer.text
    return case_id, whistle_id


async def later(desk: Desk, **span: float) -> None:
    """Move the town's clock on and let all that is due come, twice for good measure."""
    await desk.set_clock((await desk.now() - timedelta(seconds=9), timedelta(**span)))
    clockwork = desk.clockwork()
    for _ in range(4):
        await clockwork.tick()


# --- rulings -------------------------------------------------------------------------------------


async def test_an_accepted_refusal_calls_the_one_proposed_in_its_place(desk: Desk) -> None:
    case_id, whistle_id = await refused(desk, "police", "court")
    path = f"whistles/{whistle_id}/rulings"
    answer = await post(desk, path, LEADER, **POLICE, ruling="accept", note="依职责清单")
    assert answer.status_code == 200, answer.text
    assert await outcomes(desk, case_id) == {"police": "refused", "court": None, "justice": None}
    justice = await slot(desk, case_id, "justice")
    assert justice["lead"]
    assert justice["whistle_id"] != whistle_id
    assert justice["due_at"] > (await slot(desk, case_id, "court"))["due_at"]
    assert (await desk.told(case_id))[-3:] == ["whistle.refused", "whistle.ruled", "whistle.blown"]
    open_clocks = {
        row["deadline"] for row in await desk.rows("timer", case_id) if row["outcome"] is None
    }
    assert {"report_in/justice", "report_in/court"} <= open_clocks
    assert "report_in/police" not in open_clocks


async def test_the_case_is_held_until_the_leads_refusal_is_decided(desk: Desk) -> None:
    case_id, whistle_id = await refused(desk, "police")
    worker = ("grid_worker", "g01", (await desk.case(case_id))["owner_staff"])
    for step in ("first_ask", "grid_settle"):
        await desk.step(case_id, step, worker, (await desk.case(case_id))["seq"])
    done = {"result": "谈妥", "proof": desk.proof}
    answer = await desk.step(case_id, "resolve", worker, (await desk.case(case_id))["seq"], **done)
    assert code(answer) == (409, "whistle_open")
    path = f"whistles/{whistle_id}/rulings"
    await post(desk, path, LEADER, **POLICE, ruling="accept", call="court")
    court = (await slot(desk, case_id, "court"))["whistle_id"]
    await act(desk, court, "report-ins", "court", department="court", means="remote")
    answer = await desk.step(case_id, "resolve", worker, (await desk.case(case_id))["seq"], **done)
    assert answer.status_code == 200, answer.text


async def test_a_rejected_refusal_runs_for_its_whole_time_anew(desk: Desk) -> None:
    case_id, whistle_id = await refused(desk, "police")
    before = await slot(desk, case_id, "police")
    path = f"whistles/{whistle_id}/rulings"
    answer = await post(desk, path, LEADER, **POLICE, ruling="reject")
    assert answer.status_code == 200, answer.text
    now = await slot(desk, case_id, "police")
    assert now["blown_at"] > before["blown_at"]
    assert (now["outcome"], now["ruling"], now["due_at"] > before["due_at"]) == (
        None,
        "reject",
        True,
    )
    clocks = [
        (row["kind"], row["due_at"], row["outcome"])
        for row in await desk.rows("timer", case_id)
        if row["deadline"] == "report_in/police" and row["kind"] == "miss"
    ]
    assert sorted(clocks, key=lambda one: one[1]) == [
        ("miss", before["due_at"], "void"),
        ("miss", now["due_at"], None),
    ]
    words = {"basis": "仍不属本所", "proposed": "justice"}
    assert code(await act(desk, whistle_id, "refusals", **POLICE, **words)) == (
        409,
        "refusal_rejected",
    )
    assert (await act(desk, whistle_id, "report-ins", **POLICE, means="remote")).status_code == 200
    assert await outcomes(desk, case_id) == {"police": "reported"}


async def test_only_the_arbiter_decides_and_only_once(desk: Desk) -> None:
    case_id, whistle_id = await refused(desk, "police")
    path, accept = f"whistles/{whistle_id}/rulings", {**POLICE, "ruling": "accept"}
    assert code(await post(desk, path, WORKER, **accept)) == (403, "role_not_allowed")
    assert code(await post(desk, path, ("town_leader", "g01", "x"), **accept)) == (
        403,
        "unit_not_allowed",
    )
    assert code(await act(desk, whistle_id, "rulings", **accept)) == (403, "role_not_allowed")
    unknown = {**accept, "call": "atlantis"}
    assert code(await post(desk, path, LEADER, **unknown)) == (422, "unknown_department")
    assert (await post(desk, path, LEADER, **accept)).status_code == 200
    assert code(await post(desk, path, LEADER, **accept)) == (409, "nothing_to_rule")
    assert (await desk.told(case_id)).count("whistle.ruled") == 1


async def test_the_arbiter_reads_the_basis_and_nobody_finds_it_in_the_clear(desk: Desk) -> None:
    case_id, _ = await refused(desk, "police")
    shown = (await desk.get(f"/v1/cases/{case_id}", "town_leader")).json()
    said = {one["type"]: (one["department"], one["words"]) for one in shown["said"]}
    assert said["whistle.refused.v1"] == ("police", {"basis": "不属本所管辖"})
    (whistle,) = shown["whistles"]
    assert (whistle["slots"][0]["proposed"], whistle["slots"][0]["ruling"]) == ("justice", None)
    for event in await desk.announced(case_id):
        assert "不属本所" not in event.body.decode()
    history = (await desk.get(f"/v1/cases/{case_id}/history")).text
    assert "不属本所" not in history
    assert "whistle.refused.v1" in history


SECOND = """
INSERT INTO slot (tenant_id, whistle_id, department, case_id, lead, blown_at)
VALUES ($1, $2, 'police', $3, false, now())
"""


async def test_the_database_keeps_a_department_from_being_open_twice(desk: Desk) -> None:
    case_id, _ = await refused(desk, "police")
    await desk.pool.execute(SECOND, desk.tenant, uuid4(), case_id)
    with pytest.raises(asyncpg.UniqueViolationError, match="slot_open"):
        await desk.pool.execute(SECOND, desk.tenant, uuid4(), case_id)


async def test_where_it_is_open_elsewhere_a_rejection_is_refused(desk: Desk) -> None:
    case_id, whistle_id = await refused(desk, "police")
    await desk.pool.execute(SECOND, desk.tenant, uuid4(), case_id)
    answer = await post(desk, f"whistles/{whistle_id}/rulings", LEADER, **POLICE, ruling="reject")
    assert code(answer) == (409, "already_called")


async def test_a_refusal_that_nobody_rules_on_is_told_of_once(timed: Desk) -> None:
    case_id, whistle_id = await refused(timed, "police", "court")
    assert [row["deadline"] for row in await timed.rows("timer", case_id)].count("rule/police") == 1
    due_at = (await slot(timed, case_id, "police"))["ruling_due_at"]
    await later(timed, hours=7)
    (told,) = await data_of(timed, case_id, "whistle.unruled")
    assert told["due_at"] == due_at
    (refusal,) = await data_of(timed, case_id, "whistle.refused")
    assert (told["arbiter"], told["due_at"]) == (refusal["arbiter"], refusal["ruling_due_at"])
    path = f"whistles/{whistle_id}/rulings"
    answer = await post(timed, path, LEADER, **POLICE, ruling="reject")
    assert answer.status_code == 200, answer.text


async def test_a_case_that_closes_leaves_no_refusal_undecided(desk: Desk) -> None:
    case_id, whistle_id = await refused(desk, "police")
    seq = (await desk.case(case_id))["seq"]
    answer = await desk.step(case_id, "cancel", CLERK, seq, reason="误报")
    assert answer.status_code == 200, answer.text
    assert await outcomes(desk, case_id) == {"police": "withdrawn"}
    answer = await post(desk, f"whistles/{whistle_id}/rulings", LEADER, **POLICE, ruling="accept")
    assert code(answer) == (409, "whistle_not_allowed")


# --- arriving ------------------------------------------------------------------------------------


async def test_one_who_reported_in_and_keeps_silent_is_missed_once_and_climbs(timed: Desk) -> None:
    await other_rules(timed, arrival={"urgent": HOUR})
    case_id, whistle_id = await called(timed, "police", "court")
    for department in ("police", "court"):
        given = {"department": department, "means": "app_ack"}
        await act(timed, whistle_id, "report-ins", department, **given)
    assert (await act(timed, whistle_id, "arrivals", **POLICE)).status_code == 200
    await later(timed, hours=7)
    (missed,) = await data_of(timed, case_id, "whistle.stage_missed")
    assert (missed["department"], missed["stage"]) == ("court", "arrive")
    climbed = await data_of(timed, case_id, "case.escalated")
    assert {(one["department"], one["stage"]) for one in climbed} == {("court", "arrive")}
    assert [one["rung"] for one in climbed] == [0, 1, 2, 3]
    assert await data_of(timed, case_id, "whistle.missed") == []
    answer = await act(timed, whistle_id, "arrivals", "court", department="court")
    assert answer.status_code == 200, answer.text
    assert [one["late"] for one in await data_of(timed, case_id, "whistle.arrived")] == [
        False,
        True,
    ]
    clocks = [row for row in await timed.rows("timer", case_id) if "/" in row["deadline"]]
    assert None not in {row["outcome"] for row in clocks}


async def test_one_who_arrived_and_is_not_let_go_is_told_of_once(timed: Desk) -> None:
    await other_rules(timed, release={"urgent": HOUR})
    case_id, whistle_id = await called(timed, "police", "court")
    for department in ("police", "court"):
        given = {"department": department, "means": "on_site"}
        answer = await act(timed, whistle_id, "report-ins", department, **given)
    due = {one["department"]: one["release_due_at"] for one in answer.json()["slots"]}
    assert None not in due.values()
    gone = await post(timed, f"whistles/{whistle_id}/release", CLERK, departments=["court"])
    assert gone.status_code == 200, gone.text
    await later(timed, hours=7)
    (told,) = await data_of(timed, case_id, "whistle.unreleased")
    assert told["department"] == "police"
    assert await data_of(timed, case_id, "case.escalated") == []


async def test_where_the_class_demands_the_spot_nothing_else_is_a_report_in(desk: Desk) -> None:
    await other_rules(desk, on_site_only=["urgent"])
    case_id, whistle_id = await called(desk, "police")
    answer = await act(desk, whistle_id, "report-ins", **POLICE, means="remote")
    assert code(answer) == (422, "means_not_allowed")
    assert answer.json()["names"] == ["on_site"]
    answer = await act(desk, whistle_id, "report-ins", **POLICE, means="on_site")
    assert [one["stage"] for one in answer.json()["slots"]] == ["arrived"]
    assert await outcomes(desk, case_id) == {"police": "reported"}


# --- the call upward -----------------------------------------------------------------------------


async def upward(desk: Desk, key: str = "k1") -> tuple[UUID, str]:
    """Open a case and call the county to it."""
    case_id = await desk.report(key, location={"grid": "g01"}, case_class="complex")
    seq = (await desk.case(case_id))["seq"]
    words = {"reason": "需区级协调", "expected_seq": seq}
    answer = await post(desk, f"cases/{case_id}/calls-upward", CLERK, **words)
    assert answer.status_code == 201, answer.text
    return case_id, answer.json()["whistle_id"]


async def test_the_county_finds_the_case_in_its_queue_and_answers(desk: Desk) -> None:
    other = await desk.report("k0", location={"grid": "g01"})
    case_id, whistle_id = await upward(desk)
    queue = (await desk.get("/v1/queues/county", *COUNTY[:2])).json()
    assert [one["case_id"] for one in queue["cases"]] == [str(case_id)]
    assert (await desk.get(f"/v1/cases/{other}", *COUNTY[:2])).status_code == 403
    shown = (await desk.get(f"/v1/cases/{case_id}", *COUNTY[:2])).json()
    assert [one["words"] for one in shown["said"]] == [{"reason": "需区级协调"}]
    assert shown["owner"]["unit"] != "county"
    answer = await post(desk, f"whistles/{whistle_id}/answers", COUNTY, answer="区里派员")
    assert answer.status_code == 200, answer.text
    assert [one["outcome"] for one in answer.json()["calls_upward"]] == ["answered"]
    assert (await desk.get("/v1/queues/county", *COUNTY[:2])).json()["cases"] == []
    assert (await desk.told(case_id))[-2:] == ["whistle.called_upward", "whistle.answered"]
    for event in await desk.announced(case_id):
        assert "区级协调" not in event.body.decode()
        assert "区里派员" not in event.body.decode()


async def test_who_may_not_call_answer_or_look_is_told(desk: Desk) -> None:
    case_id, whistle_id = await upward(desk)
    words = {"reason": "再呼", "expected_seq": (await desk.case(case_id))["seq"]}
    path = f"cases/{case_id}/calls-upward"
    assert code(await post(desk, path, WORKER, **words)) == (403, "role_not_allowed")
    assert code(await post(desk, path, CLERK, **words)) == (409, "already_called_upward")
    path = f"whistles/{whistle_id}/answers"
    assert code(await post(desk, path, CLERK, answer="好")) == (403, "unit_not_allowed")
    assert code(await post(desk, f"whistles/{uuid4()}/answers", COUNTY, answer="好")) == (
        404,
        "whistle_not_found",
    )
    assert (await desk.get("/v1/queues/county")).status_code == 403
    assert (await desk.get("/v1/queues/prefecture", "x", "prefecture")).status_code == 404
    assert (await post(desk, path, COUNTY, answer="好")).status_code == 200
    assert code(await post(desk, path, COUNTY, answer="好")) == (409, "already_answered")


UPWARD = {
    "enabled": True,
    "from": "town",
    "to": "county",
    "deadline": {**HOUR, "counts_from": "blown"},
}


async def test_an_answer_that_does_not_come_is_told_once(timed: Desk) -> None:
    await other_rules(timed, call_upward=UPWARD)
    case_id, whistle_id = await upward(timed)
    await later(timed, hours=2)
    (told,) = await data_of(timed, case_id, "whistle.unanswered")
    assert (str(told["whistle_id"]), told["unit"]) == (whistle_id, "county")
    answer = await post(timed, f"whistles/{whistle_id}/answers", COUNTY, answer="来晚了")
    assert [one["outcome"] for one in answer.json()["calls_upward"]] == ["answered_late"]


async def test_the_last_rung_calls_the_county_once_for_all_who_miss(timed: Desk) -> None:
    rung = {"after": "PT0S", "do": "call_upward"}
    await other_rules(timed, call_upward=UPWARD, on_miss=[rung])
    case_id, _ = await called(timed, "police", "court")
    await later(timed, hours=1)
    assert len(await data_of(timed, case_id, "whistle.missed")) == 2
    (call,) = await data_of(timed, case_id, "whistle.called_upward")
    assert (call["unit"], call["by"]["role"]) == ("county", "system")
    (row,) = await timed.rows("upward_call", case_id)
    assert row["outcome"] is None
    seqs = [event.seq for event in await timed.announced(case_id)]
    assert seqs == list(range(1, len(seqs) + 1))


# --- the joint consultation ----------------------------------------------------------------------


async def test_yh_s01_one_result_for_all_once_all_have_come(desk: Desk) -> None:
    case_id, whistle_id = await called(desk, "police", "justice", "court")
    path, three = f"cases/{case_id}/consultations", ["police", "justice", "court"]
    for department in ("police", "justice"):
        given = {"department": department, "means": "on_site"}
        await act(desk, whistle_id, "report-ins", department, **given)
    words = {"departments": three, "result": "三方一致：当日修复"}
    seq = (await desk.case(case_id))["seq"]
    answer = await post(desk, path, CLERK, **words, expected_seq=seq)
    assert code(answer) == (409, "still_awaited")
    assert answer.json()["names"] == ["court"]
    await act(desk, whistle_id, "report-ins", "court", department="court", means="on_site")
    seq = (await desk.case(case_id))["seq"]
    assert code(await post(desk, path, WORKER, **words, expected_seq=seq)) == (
        403,
        "role_not_allowed",
    )
    answer = await post(desk, path, CLERK, **words, expected_seq=seq)
    assert answer.status_code == 201, answer.text
    assert answer.json()["seq"] == (await desk.case(case_id))["seq"] == seq + 1
    (fact,) = await data_of(desk, case_id, "case.consulted")
    assert list(fact["departments"]) == three
    shown = (await desk.get(f"/v1/cases/{case_id}")).json()
    assert shown["said"][-1]["words"] == {"result": "三方一致：当日修复"}
    assert "当日修复" not in (await desk.announced(case_id))[-1].body.decode()


# --- a department whistles too -------------------------------------------------------------------


async def test_a_department_that_has_come_calls_another(desk: Desk) -> None:
    await other_rules(desk, blowers=["center_clerk", "town_leader", "department_officer"])
    case_id, whistle_id = await called(desk, "police")
    assert code(await department_blows(desk, case_id, "police")) == (403, "unit_not_allowed")
    await act(desk, whistle_id, "report-ins", **POLICE, means="remote")
    answer = await department_blows(desk, case_id, "police")
    assert answer.status_code == 201, answer.text
    assert await outcomes(desk, case_id) == {"police": "reported", "court": None}
    blown = (await data_of(desk, case_id, "whistle.blown"))[-1]
    assert (blown["by"]["unit"], blown["by"]["staff"]) == ("police", "o1")


async def department_blows(desk: Desk, case_id: UUID, department: str) -> httpx.Response:
    who = {"tenant": desk.tenant, "department": department, "staff": "o1"}
    token = factories.token(desk.secrets, "department_officer", **who)
    seq = (await desk.case(case_id))["seq"]
    return await desk.http.post(
        f"/v1/cases/{case_id}/whistles",
        json={"departments": ["court"], "reason": "需法院到场", "expected_seq": seq},
        headers={"Authorization": f"Bearer {token}"},
    )


async def test_thirty_departments_are_called_at_once_and_each_has_a_clock(desk: Desk) -> None:
    thirty = [f"d{n:02}" for n in range(30)]
    made_up = [{"id": one, "zh": one, "level": "town"} for one in thirty]
    await other_rules(desk, departments=made_up, targets=thirty)
    case_id = await desk.report(location={"grid": "g01"}, case_class="urgent")
    answer = await blow(desk, case_id, *thirty)
    assert answer.status_code == 201, answer.text
    assert set(await outcomes(desk, case_id)) == set(thirty)
    clocks = [
        row["deadline"]
        for row in await desk.rows("timer", case_id)
        if row["kind"] == "miss" and row["deadline"].startswith("report_in/")
    ]
    assert sorted(clocks) == [f"report_in/{one}" for one in thirty]
