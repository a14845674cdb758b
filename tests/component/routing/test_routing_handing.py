"""A case passes from hand to hand: at night, in somebody's stead, by a transfer. Through doors."""

import asyncio
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from contracts.calendar import load
from contracts.facts import CaseCalledV1, CaseHandedOverV1
from tests.component.routing.desk import Desk

OFFICIAL = {
    "kind": "calendar",
    "id": "cn",
    "body": load().model_dump(mode="json", exclude_none=True),
}
ROW = {"kind": "backup_pair", "id": "bp-1", "body": {"grids": ["g01", "g02", "g03"]}}


def at(local: str) -> datetime:
    return datetime.fromisoformat(f"{local}+08:00")


NIGHT, TUESDAY = at("2025-03-03T20:15"), at("2025-03-04T10:05")


def away(staff: str) -> dict[str, Any]:
    body = {"staff": staff, "begin": "2025-03-04T08:00+08:00", "end": "2025-03-04T18:00+08:00"}
    return {"kind": "absence", "id": f"a-{staff}", "body": body}


async def known_hours(desk: Desk, *lines: Any) -> None:
    await desk.town(OFFICIAL, *lines, change_set="hours")


async def worker(desk: Desk, unit: str) -> tuple[str, str, str]:
    return await rostered(desk, unit, "grid_worker")


async def rostered(desk: Desk, unit: str, role: str) -> tuple[str, str, str]:
    async with desk.pool.acquire() as conn:
        town = (await desk.towns.known(conn, [desk.tenant]))[desk.tenant].town
    return role, unit, town.posts[unit, role][0]


async def post(desk: Desk, path: str, by: tuple[str, str, str], **body: Any) -> httpx.Response:
    return await desk.http.post(f"/v1/{path}", json=body or None, headers=desk.headers(*by))


async def shown(desk: Desk, case_id: UUID) -> dict[str, Any]:
    answer = await desk.get(f"/v1/cases/{case_id}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def queue(desk: Desk, unit: str) -> dict[str, Any]:
    answer = await desk.get(f"/v1/queues/{unit}", "grid_worker", unit)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def offer(
    desk: Desk, case_id: UUID, by: tuple[str, str, str], to: Any, **more: Any
) -> httpx.Response:
    seq = (await desk.case(case_id))["seq"]
    body = {"to": to, "reason": "不在我的网格", "expected_seq": seq, **more}
    return await post(desk, f"cases/{case_id}/transfers", by, **body)


async def let_time_come(desk: Desk, now: datetime) -> None:
    """Let the tenant's clock read a moment, and every timer fire that is due then."""
    from_at = await desk.now() - timedelta(seconds=9)
    offset = {"from_at": from_at.isoformat(), "seconds": (now - from_at).total_seconds()}
    clock = {"kind": "clock", "id": "clock", "body": {"offsets": [offset]}}
    await desk.town(clock, change_set=f"clock-{now.isoformat()}")
    for _ in range(3):
        await desk.clockwork().tick()


# --- YH-S04 --------------------------------------------------------------------------------------


async def asked(desk: Desk) -> tuple[UUID, tuple[str, str, str], tuple[str, str, str]]:
    """Let the worker of g03 take on a case in g01; return it, him, and the worker of g01."""
    case_id = await desk.report(location={"grid": "g01"})
    first, other = await worker(desk, "g03"), await worker(desk, "g01")
    answer = await desk.step(case_id, "first_ask", first, 0)
    assert answer.status_code == 200, answer.text
    return case_id, first, other


async def test_yh_s04_who_was_asked_first_owns_it_with_a_sheet_and_cannot_be_rid_of_it(
    desk: Desk,
) -> None:
    case_id, first, other = await asked(desk)
    case = await shown(desk, case_id)
    assert case["owner"] == {"unit": "g03", "role": first[0], "staff": first[2]}
    assert case["first_asked"] == {"staff": first[2], "sheet": f"{case['number']}-S"}
    answer = await desk.step(case_id, "grid_settle", other, case["seq"])
    assert answer.status_code == 200, answer.text
    assert answer.json()["owner"]["staff"] == first[2]
    refused = await desk.step(case_id, "refuse", first, answer.json()["seq"], reason="r")
    assert refused.json()["code"] == "unknown_step"


async def test_yh_s04_it_moves_only_by_a_transfer_that_the_receiver_has_taken(desk: Desk) -> None:
    case_id, first, other = await asked(desk)
    clocks = (await shown(desk, case_id))["clocks"]
    answer = await offer(desk, case_id, first, {"staff": other[2]})
    assert answer.status_code == 201, answer.text
    offered = answer.json()
    assert offered["owner"]["staff"] == first[2]
    assert offered["clocks"] == clocks
    transfer = offered["transfer"]["transfer_id"]
    assert [one["transfer_id"] for one in (await queue(desk, "g01"))["transfers"]] == [transfer]
    taken = await post(desk, f"transfers/{transfer}/takings", other)
    assert taken.status_code == 200, taken.text
    assert taken.json()["owner"]["staff"] == other[2]
    assert taken.json()["transfer"] is None
    assert (await queue(desk, "g01"))["transfers"] == []
    assert (await desk.told(case_id))[-2:] == ["case.transfer_offered", "case.handed_over"]
    fact = (await desk.announced(case_id))[-1].data
    assert isinstance(fact, CaseHandedOverV1)
    assert (fact.from_owner.staff, fact.owner.staff) == (first[2], other[2])


async def test_yh_s04_a_transfer_that_is_declined_or_withdrawn_changes_nothing(desk: Desk) -> None:
    case_id, first, other = await asked(desk)
    transfer = (await offer(desk, case_id, first, {"staff": other[2]})).json()["transfer"]
    path = f"transfers/{transfer['transfer_id']}"
    answer = await post(desk, f"{path}/declines", other, reason="我这里也忙")
    assert answer.status_code == 200, answer.text
    assert answer.json()["owner"]["staff"] == first[2]
    assert "我这里也忙" not in (await desk.announced(case_id))[-1].body.decode()
    role = {"unit": "g01", "role": other[0]}
    transfer = (await offer(desk, case_id, first, role)).json()["transfer"]
    path = f"transfers/{transfer['transfer_id']}"
    assert (await post(desk, f"{path}/withdrawals", first)).json()["transfer"] is None
    assert (await post(desk, f"{path}/takings", other)).status_code in (403, 409)
    assert (await shown(desk, case_id))["owner"]["staff"] == first[2]


async def test_yh_s04_a_wrong_transfer_is_refused_and_says_how_to_mend_it(desk: Desk) -> None:
    case_id, first, other = await asked(desk)
    elder = {"unit": "town", "role": "town_leader"}
    wrong = [
        ({"staff": first[2]}, {}, 422, "to_oneself"),
        ({"staff": "nobody"}, {}, 422, "unknown_receiver"),
        ({"unit": "g01", "role": "village_cadre"}, {}, 422, "unknown_receiver"),
        (elder, {}, 422, "cannot_accept"),
        ({"staff": other[2]}, {"expected_seq": 1}, 409, "stale"),
        ({}, {}, 422, "invalid_fields"),
        ({"staff": other[2], "unit": "g01"}, {}, 422, "invalid_fields"),
    ]
    for to, more, status, code in wrong:
        answer = await offer(desk, case_id, first, to, **more)
        assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    answer = await offer(desk, case_id, other, {"staff": first[2]})
    assert (answer.status_code, answer.json()["code"]) == (403, "not_the_owner")
    answer = await offer(desk, case_id, first, {"staff": other[2]})
    assert answer.status_code == 201
    again = await offer(desk, case_id, first, {"staff": other[2]})
    assert (again.status_code, again.json()["code"]) == (409, "transfer_open")


async def test_yh_s04_a_transfer_is_taken_once_and_by_its_receiver_alone(desk: Desk) -> None:
    case_id, first, other = await asked(desk)
    transfer = (await offer(desk, case_id, first, {"staff": other[2]})).json()["transfer"]
    path = f"transfers/{transfer['transfer_id']}/takings"
    cadre = await rostered(desk, "v1", "village_cadre")
    refused = await post(desk, path, cadre)
    assert (refused.status_code, refused.json()["code"]) == (403, "not_the_receiver")
    both = await asyncio.gather(*(post(desk, path, other) for _ in range(2)))
    assert sorted(one.status_code for one in both) == [200, 409]
    assert (await desk.told(case_id)).count("case.handed_over") == 1
    missing = await post(desk, f"transfers/{uuid4()}/takings", other)
    assert missing.json()["code"] == "transfer_not_found"


async def test_an_offer_is_moot_once_the_flow_has_moved_the_case_on(desk: Desk) -> None:
    case_id, first, other = await asked(desk)
    transfer = (await offer(desk, case_id, first, {"staff": other[2]})).json()["transfer"]
    for step, given in (("grid_settle", {}), ("up_village", {"reason": "r"})):
        answer = await desk.step(case_id, step, first, (await desk.case(case_id))["seq"], **given)
        assert answer.status_code == 200, answer.text
    assert answer.json()["transfer"] is None
    late = await post(desk, f"transfers/{transfer['transfer_id']}/takings", other)
    assert (late.status_code, late.json()["code"], late.json()["names"]) == (
        409,
        "transfer_ended",
        ["moot"],
    )


# --- YH-S07 --------------------------------------------------------------------------------------


async def test_yh_s07_urgent_after_hours_the_team_has_it_and_the_village_is_called_in_the_end(
    timed: Desk,
) -> None:
    await known_hours(timed)
    case_id = await timed.urgent(at=NIGHT)
    case = await shown(timed, case_id)
    assert case["owner"]["role"] == "village_team"
    assert case["call"]["called"][0]["role"] == "grid_leader"
    assert datetime.fromisoformat(case["call"]["ack_due_at"]) == at("2025-03-03T20:30")
    await let_time_come(timed, at("2025-03-03T20:29:30"))
    assert (await timed.told(case_id)).count("case.called") == 1
    await let_time_come(timed, at("2025-03-03T20:31"))
    called = [e.data for e in await timed.announced(case_id) if isinstance(e.data, CaseCalledV1)]
    assert [one.called[0].role for one in called] == ["grid_leader", "village_cadre"]
    assert [one.via for one in called] == [("voice", "sms")] * 2
    assert (await shown(timed, case_id))["owner"]["role"] == "village_team"
    why = (await timed.get(f"/v1/cases/{case_id}/why")).json()["tried"]
    assert {"rule": "duty", "held": False, "because": "after_hours"} in why


async def test_yh_s07_an_answer_in_time_calls_nobody_else(timed: Desk) -> None:
    await known_hours(timed)
    case_id = await timed.urgent(at=NIGHT)
    cadre = await rostered(timed, "v1", "village_cadre")
    wrong = await post(timed, f"cases/{case_id}/acks", cadre)
    assert (wrong.status_code, wrong.json()["code"]) == (403, "not_called")
    leader = await rostered(timed, "g01", "grid_leader")
    answer = await post(timed, f"cases/{case_id}/acks", leader)
    assert answer.status_code == 200, answer.text
    assert answer.json()["call"] is None
    again = await post(timed, f"cases/{case_id}/acks", leader)
    assert (again.status_code, again.json()["code"]) == (409, "nobody_called")
    await let_time_come(timed, at("2025-03-03T20:31"))
    assert (await timed.told(case_id)).count("case.called") == 1


# --- YH-9 ----------------------------------------------------------------------------------------


async def test_yh_9_the_morning_signs_for_what_the_night_has_filed(timed: Desk) -> None:
    await known_hours(timed)
    case_id = await timed.report(location={"grid": "g01"}, case_class="general", at=NIGHT)
    (sheet,) = (await queue(timed, "g01"))["handovers"]
    assert datetime.fromisoformat(sheet["due_at"]) == at("2025-03-04T08:30")
    assert sheet["number"] == f"{(await shown(timed, case_id))['number']}-Y"
    await let_time_come(timed, at("2025-03-04T08:10"))
    by = await worker(timed, "g01")
    path = f"handovers/{sheet['handover_id']}/receipt"
    team = await rostered(timed, "g01", "village_team")
    wrong = await post(timed, path, team)
    assert (wrong.status_code, wrong.json()["code"]) == (403, "role_not_allowed")
    both = await asyncio.gather(*(post(timed, path, by) for _ in range(2)))
    assert sorted(one.status_code for one in both) == [200, 409]
    case = await shown(timed, case_id)
    assert case["owner"]["staff"] == by[2]
    assert case["handover"]["received_by"] == by[2]
    assert (await queue(timed, "g01"))["handovers"] == []
    await let_time_come(timed, at("2025-03-04T09:00"))
    assert "hand_over" not in await timed.missed(case_id)
    told = await timed.told(case_id)
    assert (told.count("handover.received"), told.count("case.handed_over")) == (1, 1)


async def test_yh_9_a_sheet_that_nobody_signs_for_is_told_of_once(timed: Desk) -> None:
    await known_hours(timed)
    case_id = await timed.report(location={"grid": "g01"}, case_class="general", at=NIGHT)
    for now in ("2025-03-04T08:31", "2025-03-04T08:40"):
        await let_time_come(timed, at(now))
    assert (await timed.missed(case_id)).count("hand_over") == 1
    assert (await shown(timed, case_id))["owner"]["role"] == "village_team"


# --- YH-S09 --------------------------------------------------------------------------------------


async def absent_pair(desk: Desk) -> tuple[UUID, tuple[str, str, str]]:
    """Let the worker of g01 be away; return an urgent case of his, and his partner."""
    own, partner = await worker(desk, "g01"), await worker(desk, "g03")
    await known_hours(desk, ROW, away(own[2]))
    return await desk.urgent(at=TUESDAY), partner


async def test_yh_s09_a_the_partner_is_called_and_answers_by_taking_it_on(timed: Desk) -> None:
    case_id, partner = await absent_pair(timed)
    case = await shown(timed, case_id)
    assert case["owner"]["staff"] == partner[2]
    assert case["call"]["reason"] == "backup_called"
    assert datetime.fromisoformat(case["call"]["ack_due_at"]) == at("2025-03-04T10:15")
    (fact,) = [e.data for e in await timed.announced(case_id) if isinstance(e.data, CaseCalledV1)]
    assert [one.role for one in fact.told] == ["village_cadre"]
    answer = await timed.step(case_id, "first_ask", partner, case["seq"])
    assert answer.status_code == 200, answer.text
    assert answer.json()["call"] is None
    await let_time_come(timed, at("2025-03-04T10:16"))
    assert (await shown(timed, case_id))["owner"]["staff"] == partner[2]


async def test_yh_s09_b_both_have_it_until_either_settles_it(desk: Desk) -> None:
    own, partner = await worker(desk, "g01"), await worker(desk, "g03")
    await known_hours(desk, ROW)
    case_id = await desk.urgent(at=TUESDAY)
    case = await shown(desk, case_id)
    assert (case["owner"]["staff"], case["joint"][0]["staff"]) == (own[2], partner[2])
    assert [one["number"] for one in (await queue(desk, "g03"))["joint"]] == [case["number"]]
    done = {"result": "谈妥", "proof": desk.proof}
    for step, given in (("first_ask", {}), ("grid_settle", {}), ("resolve", done)):
        seq = (await desk.case(case_id))["seq"]
        answer = await desk.step(case_id, step, partner, seq, **given)
        assert answer.status_code == 200, answer.text
    assert answer.json()["joint"] == []
    assert (await queue(desk, "g03"))["joint"] == []


async def test_yh_s09_c_without_an_answer_the_village_has_it(timed: Desk) -> None:
    case_id, partner = await absent_pair(timed)
    await let_time_come(timed, at("2025-03-04T10:16"))
    case = await shown(timed, case_id)
    assert case["owner"]["role"] == "village_cadre"
    assert (await timed.told(case_id))[-1] == "case.assigned"
    late = await post(timed, f"cases/{case_id}/acks", partner)
    assert late.status_code in (403, 409)


# --- what cannot be told -------------------------------------------------------------------------


@pytest.mark.parametrize("hour", ["02:00", "10:05"])
async def test_without_a_calendar_the_first_on_the_roster_has_it_at_any_hour(
    desk: Desk, hour: str
) -> None:
    case_id = await desk.urgent(at=at(f"2025-03-04T{hour}"))
    case = await shown(desk, case_id)
    assert case["owner"]["staff"] == (await worker(desk, "g01"))[2]
    why = (await desk.get(f"/v1/cases/{case_id}/why")).json()["tried"]
    assert {"rule": "duty", "held": False, "because": "no_calendar"} in why
