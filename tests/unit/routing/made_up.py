"""A made-up town of three grids and two villages, and what happens in it: values only."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

from contracts.profile import load_dict
from services.routing.compiled import rules_from
from services.routing.domain.opening import open_case
from services.routing.domain.rules import Rules
from services.routing.domain.steps import take_step
from services.routing.domain.town import GridMap, Setting, Town, Unit
from services.routing.domain.values import Act, Actor, Case, Decision, Refused, Report

PROFILES = Path(__file__).parents[3] / "contracts" / "profiles"
TOWNS = ("changping", "gucheng", "haohuahong", "yidukou", "yihe")
CASE_ID = UUID(int=7)
NOW = datetime.fromisoformat("2025-03-03T10:00:00+08:00")  # a Monday


def square(west: float, south: float, east: float, north: float) -> tuple[Any, ...]:
    return (((west, south), (east, south), (east, north), (west, north), (west, south)),)


UNITS = (
    Unit("town", "town", "某镇"),
    Unit("v1", "village", "东村", "town"),
    Unit("v2", "village", "西村", "town"),
    Unit("g1", "grid", "东一格", "v1", square(0, 0, 1, 1)),
    Unit("g2", "grid", "东二格", "v1", square(1, 0, 2, 1)),
    Unit("g3", "grid", "西一格", "v2", square(0, 1, 2, 2)),
)
# Nobody works in g3, and no cadre is rostered in v2.
POSTS: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("g1", "grid_worker"): ("w1", "w1b"),
    ("g1", "grid_leader"): ("l1",),
    ("g1", "village_team"): ("t1",),
    ("g2", "dedicated_grid_worker"): ("d2",),
    ("v1", "village_cadre"): ("c1", "c1b"),
    ("town", "center_clerk"): ("k1", "k2"),
    ("town", "department_officer"): ("o1",),
}


def town(
    units: tuple[Unit, ...] = UNITS, posts: Mapping[tuple[str, str], tuple[str, ...]] = POSTS
) -> Town:
    return Town(
        units={unit.id: unit for unit in units},
        posts=posts,
        grid_level="grid",
        village_level="village",
        town_level="town",
        grid_map=GridMap([unit for unit in units if unit.level == "grid"]),
    )


TOWN = town()


@cache
def rules(profile: str = "yihe") -> Rules:
    return rules_from(1, load_dict(PROFILES / f"{profile}.yaml"))


def setting(profile: str = "yihe", where: Town = TOWN) -> Setting:
    return Setting(where, rules(profile))


def report(**more: Any) -> Report:
    return Report(front_end="window", **more)


def opening(profile: str = "yihe", where: Setting | None = None, **more: Any) -> Decision:
    return open_case(CASE_ID, report(**more), NOW, where or setting(profile))


def opened(profile: str = "yihe", **more: Any) -> Case:
    return opening(profile, **({"grid": "g1"} | more)).case


def at_state(state: str, profile: str = "yihe", **more: Any) -> Case:
    """Return a case in g1 that somehow came to a state."""
    return replace(opened(profile), state=state, accepted=True, **more)


def person(staff: str, role: str, unit: str) -> Actor:
    return Actor(staff, frozenset({role}), frozenset({unit}))


WORKER = person("w1", "grid_worker", "g1")
LEADER = person("l1", "grid_leader", "g1")
TEAM = person("t1", "village_team", "g1")
CADRE = person("c1", "village_cadre", "v1")
CLERK = person("k1", "center_clerk", "town")
OTHER_CLERK = person("k2", "center_clerk", "town")
OFFICER = person("o1", "department_officer", "town")


def step(
    case: Case,
    step_id: str,
    by: Actor,
    *,
    profile: str = "yihe",
    now: datetime = NOW,
    seq: int | None = None,
    **given: object,
) -> Decision | Refused:
    act = Act(step_id, by, given, case.seq if seq is None else seq)
    return take_step(case, act, now, setting(profile))


def taken(case: Case, step_id: str, by: Actor, **more: Any) -> Decision:
    decision = step(case, step_id, by, **more)
    assert isinstance(decision, Decision), decision
    return decision


def refused(case: Case, step_id: str, by: Actor, **more: Any) -> Refused:
    decision = step(case, step_id, by, **more)
    assert isinstance(decision, Refused), decision.case.state
    return decision


def types(decision: Decision) -> list[str]:
    return [fact.type.removesuffix(".v1") for fact in decision.facts]


def data(decision: Decision, type_: str) -> Mapping[str, Any]:
    (found,) = [fact.data for fact in decision.facts if fact.type == f"{type_}.v1"]
    return found
