from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from contracts.registry import Change
from services.chassis.seal import KeyRing
from services.console.towns import Towns
from tests import factories
from tests.factories import START, TENANT


@pytest.fixture
def ring(tmp_path: Path) -> KeyRing:
    return KeyRing(factories.secrets(tmp_path).key_file)


def changes(ring: KeyRing, *lines: dict[str, Any], change_set: str = "more") -> list[Change]:
    return factories.registry_changes(ring, lines or None, change_set=change_set)


def take(towns: Towns, given: list[Change]) -> None:
    for record in factories.registry_records(given):
        towns.take(record)


def unit(id_: str, name: str | None) -> dict[str, Any]:
    body = None if name is None else {"zh": name, "level": "grid", "parent": "v1"}
    return {"kind": "unit", "id": id_, "body": body}


def test_a_change_set_takes_effect_whole(ring: KeyRing) -> None:
    towns, given = Towns(), changes(ring)
    take(towns, given[:-1])
    assert towns.get(TENANT) is None
    assert not towns.any_town.is_set()
    take(towns, given[-1:])
    town = towns.get(TENANT)
    assert town is not None
    assert town.units["g01"] == "菊黄洼网格"
    assert towns.any_town.is_set()
    assert list(towns.every()) == [TENANT]


def test_units_are_renamed_and_removed_and_each_set_is_counted(ring: KeyRing) -> None:
    towns = Towns()
    take(towns, changes(ring))
    town = towns.get(TENANT)
    assert town is not None
    before = town.changes
    take(towns, changes(ring, unit("g01", "新名"), unit("g02", None)))
    assert town.units["g01"] == "新名"
    assert "g02" not in town.units
    assert town.changes == before + 1


def test_departments_are_named_renamed_and_removed(ring: KeyRing) -> None:
    towns = Towns()
    take(towns, changes(ring))
    town = towns.get(TENANT)
    assert town is not None
    assert town.departments["court"] == "法院"
    body = {"zh": "派出所", "level": "town"}
    renamed = {"kind": "department", "id": "police", "body": body}
    take(towns, changes(ring, renamed, {"kind": "department", "id": "court", "body": None}))
    assert town.departments["police"] == "派出所"
    assert "court" not in town.departments


def test_a_case_is_told_by_the_profile_it_was_opened_under(ring: KeyRing) -> None:
    towns = Towns()
    take(towns, changes(ring))
    town = towns.get(TENANT)
    assert town is not None
    line = next(one for one in factories.town_lines() if one["kind"] == "profile")
    body = line["body"]["body"]
    renamed = {**body, "town": {**body["town"], "zh": "新义和镇"}}
    second = {"kind": "profile", "id": "2", "body": {"version": 2, "body": renamed}}
    take(towns, changes(ring, second, change_set="v2"))
    names = [profile and profile.town.zh for profile in map(town.profile, (1, 2, 9, None))]
    assert names == ["义和镇", "新义和镇", "新义和镇", "新义和镇"]


def test_a_broken_profile_is_refused_and_the_last_one_stands(ring: KeyRing) -> None:
    towns = Towns()
    take(towns, changes(ring))
    town = towns.get(TENANT)
    assert town is not None
    records = factories.registry_records(changes(ring))
    profile = next(one for one in records if one.key and b"|profile|" in one.key)
    headers = {**profile.headers, "ce_changeset": b"bad", "ce_last": b"true"}
    body = b'{"version": 2, "body": {"schema": "town-profile/1"}}'
    towns.take(replace(profile, headers=headers, value=body))
    assert (town.newest, sorted(town.profiles)) == (1, [1])


def test_states_of_steps_come_from_the_flow(ring: KeyRing) -> None:
    towns = Towns()
    take(towns, changes(ring))
    town = towns.get(TENANT)
    assert town is not None
    assert town.states_of_steps(1, "closed_loop")["return_visit"] == ("resolved",)
    assert town.states_of_steps(1, "nowhere") == {}


def test_the_towns_time_follows_its_clock_and_ends_with_it(ring: KeyRing) -> None:
    towns = Towns()
    take(towns, changes(ring))
    town = towns.get(TENANT)
    assert town is not None
    assert str(town.zone) == "Asia/Shanghai"
    assert town.now(START) == START
    offset = {"from_at": START.isoformat(), "seconds": 3600}
    clock = {"kind": "clock", "id": "clock", "body": {"offsets": [offset]}}
    take(towns, changes(ring, clock, change_set="c1"))
    assert town.now(START) == START + timedelta(hours=1)
    take(towns, changes(ring, {**clock, "body": None}, change_set="c2"))
    assert town.now(START) == START
