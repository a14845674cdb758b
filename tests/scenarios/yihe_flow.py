"""Yihe's closed loop: first asked, up the ladder and back, to the return visit; followed by all."""

from collections.abc import Mapping
from typing import Any

from tests.scenarios.stage import Person, Stage, is_about
from tests.scenarios.told import scenario
from tests.scenarios.yihe import SETTLED, in_progress
from tests.waiting import until

REASON = {"reason": "本级化解不了"}


# --- who was asked first -------------------------------------------------------------------------


@scenario("YH-S04", "yihe", "2025-03-03T09:00")
async def first_asked_owns_it(stage: Stage) -> None:
    asked = stage.person("grid_worker", "g01")
    grids = [unit.record_id for unit in stage.entries("unit") if unit.body["level"] == "grid"]
    workers = [stage.person("grid_worker", grid) for grid in grids]
    other, third = [one for one in workers if one.staff != asked.staff][-2:]
    case = await stage.report(location={"grid": other.unit})
    assert case["owner"]["staff"] == other.staff

    owned = await stage.step(case, "first_ask", asked)
    mine = {"unit": asked.unit, "role": asked.role, "staff": asked.staff}
    assert owned["owner"] == mine
    assert owned["first_asked"] == {"staff": asked.staff, "sheet": f"{case['number']}-S"}
    assert owned["grid"] == other.unit
    assert owned["allowed_steps"] == ["grid_settle"], "there is nothing by which he is rid of it"
    refused = await stage.step_refused(case, "cancel", asked, reason="不归我管")
    assert refused["code"] == "role_not_allowed"
    begun = await stage.step(case, "grid_settle", other)
    assert begun["owner"] == mine, "others may help, and it stays his"

    refused = await stage.refused(
        f"/v1/cases/{case['case_id']}/transfers",
        other,
        expected_seq=begun["seq"],
        to=to(other),
        **REASON,
    )
    assert refused["code"] == "not_the_owner"
    offered = await offer(stage, case, asked, other)
    assert offered["owner"] == mine
    await stage.post(f"{offered['path']}/declines", other, reason="我这里也忙")
    assert (await stage.case(case))["owner"] == mine
    offered = await offer(stage, case, asked, other)
    refused = await stage.refused(f"{offered['path']}/takings", third)
    assert refused["code"] in ("not_the_receiver", "unit_not_allowed")
    assert (await stage.case(case))["owner"] == mine
    await stage.post(f"{offered['path']}/takings", other)
    assert (await stage.case(case))["owner"]["staff"] == other.staff
    assert len(await stage.facts(case, "case.handed_over.v1")) == 1


def to(person: Person) -> dict[str, str]:
    return {"staff": person.staff}


async def offer(
    stage: Stage, case: Mapping[str, Any], by: Person, person: Person
) -> dict[str, Any]:
    """Offer a case to somebody; return it with the offer's `path`."""
    seq = (await stage.case(case))["seq"]
    path = f"/v1/cases/{case['case_id']}/transfers"
    offered = await stage.post(path, by, expected_seq=seq, to=to(person), **REASON)
    return {**offered, "path": f"/v1/transfers/{offered['transfer']['transfer_id']}"}


# --- up and back ---------------------------------------------------------------------------------


@scenario("YH-S05", "yihe", "2025-03-03T09:00")
async def step_by_step_upward_and_back(stage: Stage) -> None:
    case = await in_progress(stage, "g01")
    worker = stage.person("grid_worker", "g01")
    cadre = stage.person("village_cadre", case["village"])
    clerk = stage.person("center_clerk", "town")
    refused = await stage.step_refused(case, "up_town", worker, **REASON)
    assert refused["code"] == "role_not_allowed"
    refused = await stage.step_refused(case, "up_town", cadre, **REASON)
    assert refused["code"] == "rung_skipped", "whoever moves it"
    assert "up_town" not in (await stage.case(case, cadre))["allowed_steps"]
    assert (await stage.case(case))["state"] == "in_progress"

    risen = await stage.step(case, "up_village", worker, **REASON)
    assert (risen["state"], risen["owner"]["staff"]) == ("at_village", cadre.staff)
    risen = await stage.step(case, "up_town", cadre, **REASON)
    assert (risen["state"], risen["owner"]["staff"]) == ("at_town", clerk.staff)
    refused = await stage.step_refused(case, "send_down", clerk)
    assert (refused["code"], refused["names"]) == ("needs_missing", ["instruction"])
    await stage.step(case, "send_down", clerk, instruction="请再走访一次")
    returned = await stage.case(case, worker)
    assert (returned["state"], returned["owner"]["staff"]) == ("returned", worker.staff)
    assert returned["said"][-1]["words"] == {"instruction": "请再走访一次"}
    assert (await stage.step(case, "grid_settle", worker))["state"] == "in_progress"


@scenario("YH-S06", "yihe", "2025-03-03T09:00")
async def no_close_without_a_return_visit(stage: Stage) -> None:
    case = await in_progress(stage, "g01")
    cadre = stage.person("village_cadre", case["village"])
    clerk = stage.person("center_clerk", "town")
    await stage.step(case, "up_village", stage.person("grid_worker", "g01"), **REASON)
    await stage.step(case, "village_settle", cadre)
    resolved = await stage.step(case, "resolve", cadre, **SETTLED)
    assert resolved["owner"]["staff"] == clerk.staff
    (due_at,) = [
        one["due_at"] for one in resolved["clocks"] if one["deadline"] == "step.return_visit"
    ]
    assert is_about(due_at, "2025-03-06T09:00")
    refused = await stage.step_refused(case, "return_visit", cadre, satisfied=True)
    assert refused["code"] == "same_person"
    await stage.settled()
    assert await stage.messages(case, "deadline_missed") == []

    await stage.past(due_at)
    assert (await stage.case(case))["state"] == "resolved"
    told = await stage.told(case, "deadline_missed")
    assert (told[clerk.staff]["state"], told[clerk.staff]["channel"]) == ("delivered", "sms")
    assert is_about(told[clerk.staff]["created_at"], "2025-03-06T09:00")
    missed = await stage.facts(case, "case.deadline_missed.v1")
    assert [fact["data"]["deadline"] for fact in missed] == ["step.return_visit"]
    refused = await stage.step_refused(case, "return_visit", cadre, satisfied=True)
    assert refused["code"] == "same_person"
    assert (await stage.step(case, "return_visit", clerk, satisfied=True))["state"] == "closed"


# --- who reported follows it ---------------------------------------------------------------------


async def followed(stage: Stage, case: Mapping[str, Any], steps: int) -> dict[str, Any]:
    """Open the page of whoever has the tracking code, until it shows so many steps;
    it may take as long as patience lasts, a minute."""
    code = case["accepted"]["tracking_code"]

    async def shown() -> Any:
        async with stage.door("intake") as client:
            answer = await client.get(f"/v1/track/{code}")
        return answer.json() if answer.is_success and len(answer.json()["steps"]) >= steps else None

    found: dict[str, Any] = await until(shown, f"{steps} steps are shown")
    return found


@scenario("YH-S13", "yihe", "2025-03-03T09:00")
async def the_citizen_follows_the_flow(stage: Stage) -> None:
    reporter = {"name": "钱七", "phone": "13800000007"}
    case = await in_progress(stage, "g01", summary="井盖松动", reporter=reporter)
    other = await stage.report("路灯不亮", location={"grid": "g02"})
    worker = stage.person("grid_worker", "g01")
    await stage.step(case, "up_village", worker, **REASON)

    shown = await followed(stage, case, 3)
    roles = [(step["zh"], step["role"]["zh"]) for step in shown["steps"]]
    assert roles == [(name, "基础网格员") for name in ("首问登记", "网格化解", "转新村")]
    assert all(is_about(step["at"], "2025-03-03T09:00") for step in shown["steps"])
    assert (shown["number"], shown["stage"]["state"]) == (case["number"], "at_village")
    page = str(shown)
    private = ("钱七", "13800000007", "井盖", worker.staff, other["number"])
    assert not [one for one in private if one in page]
    theirs = await followed(stage, other, 0)
    assert (theirs["number"], theirs["steps"]) == (other["number"], [])
    async with stage.door("intake") as client:
        assert (await client.get("/v1/track/0000-0000-0000")).status_code == 404
