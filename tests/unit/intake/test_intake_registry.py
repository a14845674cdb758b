from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from contracts.registry import Change
from services.chassis.seal import KeyRing
from services.intake.registry import KINDS, Registry
from tests import factories

LATER = datetime(2025, 6, 1, tzinfo=UTC)
TOWN, OTHER = "yihe", "gucheng"


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> KeyRing:
    return KeyRing(factories.secrets(tmp_path_factory.mktemp("keys"), TOWN, OTHER).key_file)


@pytest.fixture
def registry(ring: KeyRing) -> Registry:
    known = Registry()
    read = [line for line in factories.town_lines() if line["kind"] in KINDS]
    lines = [*read, factories.demo_front_end(ring, "key-1")]
    take(known, factories.registry_changes(ring, lines))
    return known


def take(known: Registry, changes: list[Change]) -> None:
    for record in factories.registry_records(changes):
        known.take(record)


def changed(
    ring: KeyRing, *lines: Mapping[str, Any], change_set: str = "next", tenant: str = TOWN
) -> Iterator[Change]:
    yield from factories.registry_changes(ring, lines, change_set=change_set, tenant=tenant)


def removed(kind: str, record_id: str) -> dict[str, Any]:
    return {"kind": kind, "id": record_id, "body": None}


def unit(unit_id: str, zh: str = "新格") -> dict[str, Any]:
    return {"kind": "unit", "id": unit_id, "body": {"level": "grid", "zh": zh, "parent": "v1"}}


def test_a_set_takes_effect_whole_or_not_at_all(ring: KeyRing, registry: Registry) -> None:
    first, second = changed(ring, unit("g91"), unit("g92"))
    take(registry, [first])
    assert "g91" not in registry.towns[TOWN].units
    take(registry, [second])
    assert {"g91", "g92"} <= registry.towns[TOWN].units.keys()


def test_a_set_without_its_end_ends_where_another_begins(ring: KeyRing, registry: Registry) -> None:
    cut, _ = changed(ring, unit("g91"), unit("g92"))
    (next_one,) = changed(ring, unit("g93"), change_set="after")
    take(registry, [cut, next_one])
    assert {"g91", "g93"} <= registry.towns[TOWN].units.keys()


def test_the_sets_of_two_towns_do_not_end_each_other(ring: KeyRing, registry: Registry) -> None:
    mine, mine_last = changed(ring, unit("g91"), unit("g92"))
    (theirs,) = changed(ring, unit("g93"), tenant=OTHER)
    take(registry, [mine, theirs])
    assert "g91" not in registry.towns[TOWN].units
    assert "g93" in registry.towns[OTHER].units
    take(registry, [mine_last])
    assert "g91" in registry.towns[TOWN].units


def test_what_cannot_be_read_leaves_what_was_known(ring: KeyRing, registry: Registry) -> None:
    before = registry.towns[TOWN].profile
    (bad,) = factories.registry_records(list(changed(ring, unit("g91"))))
    with pytest.raises(ValueError, match=r"registry\.unit\.v1"):
        registry.take(replace(bad, value=b"{}"))
    with pytest.raises(ValueError, match="header"):
        registry.take(replace(bad, headers={}))
    assert registry.towns[TOWN].profile is before


def test_only_the_front_end_that_is_removed_loses_its_key(
    ring: KeyRing, registry: Registry
) -> None:
    digest = ring.api_key_digest("key-1")
    for kind in ("staff", "household", "department", "unit"):
        take(registry, list(changed(ring, removed(kind, "demo"), change_set=kind)))
    other = {**factories.demo_front_end(ring, "key-9"), "id": "other"}
    take(registry, list(changed(ring, other, change_set="other")))
    assert TOWN in registry.granted(digest)
    take(registry, list(changed(ring, removed("front_end", "demo"), change_set="last")))
    assert registry.granted(digest) == {}


def test_a_unit_is_removed_as_a_unit_alone(ring: KeyRing, registry: Registry) -> None:
    take(registry, list(changed(ring, removed("household", "g01"))))
    assert "g01" in registry.towns[TOWN].units
    take(registry, list(changed(ring, removed("unit", "g01"), change_set="last")))
    assert "g01" not in registry.towns[TOWN].units


def test_without_a_clock_the_towns_time_is_real_again(ring: KeyRing, registry: Registry) -> None:
    (one,) = changed(ring, unit("g01"))
    body = {"offsets": [{"from_at": "2025-01-01T00:00:00Z", "seconds": 60}]}
    clock = replace(
        one, kind="clock", record_id="clock", data=Change.KINDS["clock"].model_validate(body)
    )
    take(registry, [clock])
    assert registry.towns[TOWN].offsets.at(LATER) == timedelta(seconds=60)
    take(registry, [replace(clock, data=None, change_set="gone")])
    assert registry.towns[TOWN].offsets.at(LATER) == timedelta(0)


def test_a_key_moves_with_its_front_end(ring: KeyRing, registry: Registry) -> None:
    old, new = ring.api_key_digest("key-1"), ring.api_key_digest("key-2")
    take(registry, list(changed(ring, factories.demo_front_end(ring, "key-2"))))
    assert registry.granted(old) == {}
    assert registry.granted(new)[TOWN][0] == "demo"


def test_one_key_may_stand_for_several_towns(ring: KeyRing, registry: Registry) -> None:
    line = factories.demo_front_end(ring, "key-1", zh="热线")
    take(registry, list(changed(ring, {**line, "id": "hotline"}, tenant=OTHER)))
    granted = registry.granted(ring.api_key_digest("key-1"))
    assert {town: name for town, (name, _) in granted.items()} == {TOWN: "demo", OTHER: "hotline"}


def profile(version: int, body: Mapping[str, Any]) -> dict[str, Any]:
    return {"kind": "profile", "id": str(version), "body": {"version": version, "body": body}}


def test_the_newest_profile_counts_and_a_faulty_one_does_not(
    ring: KeyRing, registry: Registry
) -> None:
    body = next(dict(x["body"]["body"]) for x in factories.town_lines() if x["kind"] == "profile")
    (third,) = changed(ring, profile(3, body))
    take(registry, [third])
    assert registry.towns[TOWN].version == 3
    take(registry, list(changed(ring, profile(2, body), change_set="older")))
    assert registry.towns[TOWN].version == 3
    assert third.data is not None
    faulty = third.data.model_copy(update={"version": 4, "body": {**body, "flows": []}})
    take(registry, [replace(third, record_id="4", data=faulty, change_set="faulty")])
    assert registry.towns[TOWN].version == 3
    assert registry.towns[TOWN].profile is not None


def test_any_town_is_told_by_the_first_profile(ring: KeyRing) -> None:
    known = Registry()
    take(known, list(changed(ring, unit("g01"))))
    assert not known.any_town.is_set()
    lines = [line for line in factories.town_lines() if line["kind"] == "profile"]
    take(known, list(changed(ring, *lines, change_set="seed")))
    assert known.any_town.is_set()
