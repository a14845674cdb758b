import json
from typing import Any

import pytest

from contracts.profile import load, load_dict, parse
from deploy.cli.case_story import LEFT, choose, story_flow, untouched
from deploy.cli.whistle_story import departments_of, rungs_of
from deploy.local.errors import LocalStackError
from deploy.local.seeding import PROFILES

FLOW = story_flow(load(PROFILES / "yihe.yaml"))


def opened(**more: Any) -> dict[str, Any]:
    return {"case_id": "c", "grid": "g01", "flow": FLOW.id, "state": FLOW.start, **more}


@pytest.mark.parametrize("name", ["changping", "gucheng", "haohuahong", "yidukou"])
def test_a_profile_whose_flows_lack_the_steps_is_refused(name: str) -> None:
    with pytest.raises(LocalStackError, match="first_ask → grid_settle") as raised:
        story_flow(load(PROFILES / f"{name}.yaml"))
    assert "--tenant" in str(raised.value)


def test_one_step_of_another_name_is_enough() -> None:
    body = json.dumps(load_dict(PROFILES / "yihe.yaml"), default=str)
    renamed = json.loads(body.replace("grid_settle", "grid_talk"))
    with pytest.raises(LocalStackError, match="grid_settle"):
        story_flow(parse(renamed))


def test_the_case_is_the_first_that_nobody_has_touched() -> None:
    cases = [
        opened(case_id="closed", state="closed"),
        opened(case_id="nowhere", grid=None),
        opened(case_id="another flow", flow="standard_case"),
        opened(case_id="first"),
        opened(case_id="second"),
    ]
    assert choose(cases, FLOW)["case_id"] == "first"
    with pytest.raises(LocalStackError, match="--fresh"):
        choose(cases[:3], FLOW)


def test_what_the_workers_take_on_leaves_cases_for_the_next_stories() -> None:
    cases = [opened(case_id=str(n)) for n in range(4 + LEFT)]
    taken = untouched(cases, FLOW)[:-LEFT]
    assert [one["case_id"] for one in taken] == ["0", "1", "2", "3"]
    assert choose(cases, FLOW)["case_id"] == "4"
    again = [{**one, "state": "owned"} for one in taken] + cases[5:]
    assert choose(again, FLOW)["case_id"] == "5"
    assert not untouched(again, FLOW)[:-LEFT]


def test_the_ladder_is_told_rung_by_rung_with_the_names_that_the_profile_has() -> None:
    profile = load(PROFILES / "yihe.yaml")
    assert rungs_of(profile) == [
        (0, ["remind", "score"]),
        (3_600, ["notify_head"]),
        (14_400, ["escalate"]),
    ]
    called = departments_of(profile)
    assert [(one.zh, one.en) for one in called.values()] == [
        ("公安", "Police"),
        ("司法", "Justice"),
        ("法院", "Court"),
    ]
