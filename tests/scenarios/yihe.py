"""Yihe: the centre whistles, a worker is first asked, and a case goes up its ladder and back."""

from typing import Any

from tests.scenarios.stage import CLERK, Stage, is_about
from tests.scenarios.told import scenario

CALLED = ("police", "justice", "court")
SETTLED = {"result": "达成协议", "proof": ["photo-1"]}


async def in_progress(stage: Stage, grid: str, **body: Any) -> dict[str, Any]:
    """Report something in a grid, and let its worker begin."""
    case = await stage.report(location={"grid": grid}, **body)
    for step in ("first_ask", "grid_settle"):
        case = {**case, **await stage.step(case, step, stage.person("grid_worker", grid))}
    return case


@scenario("YH-S01", "yihe", "2025-03-03T09:00")
async def the_centre_whistles(stage: Stage) -> None:
    worker = stage.person("grid_worker", "g01")
    case, other = [await in_progress(stage, "g01", **{"class": "complex"}) for _ in range(2)]
    whistle, led = [await stage.whistle(one, CALLED) for one in (case, other)]
    assert {slot["department"] for slot in whistle["slots"]} == set(CALLED)
    # 16 hours on duty: Monday 7.5, Tuesday 8, Wednesday 0.5.
    assert all(is_about(slot["due_at"], "2025-03-05T09:00") for slot in whistle["slots"])

    await stage.report_in(whistle, "justice")
    await stage.report_in(whistle, "court")
    refused = await stage.step_refused(case, "resolve", worker, **SETTLED)
    assert refused["code"] == "whistle_open", "the first named leads, and has not come"
    consult = f"/v1/cases/{case['case_id']}/consultations"
    agreed = {"departments": list(CALLED), "result": "各让一步"}
    seq = (await stage.case(case))["seq"]
    refused = await stage.refused(consult, CLERK, expected_seq=seq, **agreed)
    assert refused["code"] == "still_awaited"
    await stage.report_in(whistle, "police")
    seq = (await stage.case(case))["seq"]
    await stage.post(consult, CLERK, expected_seq=seq, **agreed)
    said = (await stage.case(case))["said"]
    assert [one["words"] for one in said if "result" in one["words"]] == [{"result": "各让一步"}]

    await stage.report_in(led, "police")
    for one in (case, other):
        assert (await stage.step(one, "resolve", worker, **SETTLED))["state"] == "resolved"
