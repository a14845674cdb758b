"""Every rule of the profile, broken on purpose, is reported at its exact place."""

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from contracts.profile import Problem, ProfileError, load_dict, parse

PROFILES = Path(__file__).parents[3] / "contracts" / "profiles"
FAULTS = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))


@cache
def yihe() -> str:
    return json.dumps(load_dict(PROFILES / "yihe.yaml"))


def at(body: Any, path: str) -> Any:
    for part in path.split(".") if path else ():
        if isinstance(body, list):
            keys = [item.get("id", item.get("when")) for item in body]
            body = body[keys.index(part) if part in keys else int(part)]
        else:
            body = body[part]
    return body


def edited(edits: dict[str, Any]) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(yihe())
    for path, value in edits.items():
        parent, _, key = path.rpartition(".")
        holder = at(body, parent)
        if key == "+":
            holder.append(value)
        elif value is not None:
            holder[key] = value
        else:
            del holder[key]
    return body


def problems(edits: dict[str, Any]) -> tuple[Problem, ...]:
    with pytest.raises(ProfileError) as refused:
        parse(edited(edits))
    return refused.value.problems


def rows() -> Iterator[Any]:
    for kind, faults in FAULTS.items():
        for row in faults:
            path = row.get("at", next(iter(row["edits"])))
            yield pytest.param(row["edits"], path, row["says"], id=f"{kind}-{row['id']}")


@pytest.mark.parametrize(("edits", "path", "says"), list(rows()))
def test_a_fault_is_reported_once_at_its_place_in_both_languages(
    edits: dict[str, Any], path: str, says: str
) -> None:
    found = problems(edits)

    assert [problem.path for problem in found] == [path]
    assert says in found[0].en
    assert re.search("[一-鿿]", found[0].zh)


def test_a_key_that_is_no_text_is_refused() -> None:
    body: dict[Any, Any] = {**edited({}), True: "on"}

    with pytest.raises(ProfileError, match="a key must be text"):
        parse(body)


def test_a_value_too_deep_to_be_printed_is_reported_all_the_same() -> None:
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]

    assert [problem.path for problem in problems({"levels": deep})] == ["levels.0"]


def test_levels_in_a_circle_are_reported_at_each_of_them() -> None:
    found = problems({"levels.town.parent": "grid"})

    circle = {problem.path for problem in found if "in a circle" in problem.en}
    assert circle == {"levels.grid.parent", "levels.village.parent", "levels.town.parent"}


def test_collectors_in_a_circle_are_reported_at_each_of_them() -> None:
    found = problems({"cadences.weekly_meeting.feeds": "daily_report"})

    assert [problem.path for problem in found] == [
        "cadences.daily_report.feeds",
        "cadences.weekly_meeting.feeds",
    ]


def test_faults_of_form_come_all_at_once_and_before_those_of_meaning() -> None:
    found = problems(
        {"colour": "red", "levels.grid.count": -1, "settle": None, "cases.default_flow": "none"}
    )

    assert {problem.path for problem in found} == {"colour", "levels.grid.count", "settle"}


def test_faults_of_meaning_come_all_at_once_in_whatever_order_lists_are() -> None:
    several = {k: v for row in FAULTS["references"][::7] for k, v in row["edits"].items()}
    body = edited(several)
    for key in ("levels", "roles", "departments", "flows", "cadences", "front_ends"):
        body[key].reverse()

    with pytest.raises(ProfileError) as refused:
        parse(body)

    assert len(refused.value.problems) == len(several)
    assert refused.value.problems == problems(several)


GOLDEN = """\
配置有 3 处问题（yihe.yaml） / 3 problems in the profile
  1. duty.spans：合计 7.5 小时，不足 duty.hours_min 的 8 小时
     duty.spans: add up to 7.5 h, less than the 8 h of duty.hours_min
  2. roles.lawyer.level：没有层级 'vilage'，是不是 'village'？应取自 levels
     roles.lawyer.level: unknown level 'vilage' — did you mean 'village'? take one from levels
  3. settle.ladder：'village' 不在 'town' 之上，请从下往上排
     settle.ladder: 'village' is not above 'town' — order the ladder from the bottom upward"""


def test_the_error_reads_as_a_list_for_people() -> None:
    body = edited(
        {
            "settle.ladder": ["grid", "town", "village"],
            "roles.lawyer.level": "vilage",
            "duty.spans": [["08:30", "12:00"], ["14:00", "18:00"]],
        }
    )

    with pytest.raises(ProfileError) as refused:
        parse(body, source="yihe.yaml")

    assert str(refused.value) == GOLDEN
