import json
from typing import Any

import pytest

from contracts.profile import load, load_dict, parse
from deploy.cli.demo import choose, story_flow
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
