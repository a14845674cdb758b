"""Merging a town's file into the defaults, and the traps of YAML."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.profile import ProfileError, load, load_dict, merge

PROFILES = Path(__file__).parents[3] / "contracts" / "profiles"

IDS = st.sampled_from(["a", "b", "c", "d"])
VALUES = st.recursive(
    st.integers() | st.text(max_size=3),
    lambda inner: st.dictionaries(IDS, inner, max_size=3) | st.lists(inner, max_size=3),
    max_leaves=8,
)
MAPS = st.dictionaries(IDS, VALUES, max_size=4)


def problems_in(path: Path) -> list[tuple[str, str]]:
    with pytest.raises(ProfileError) as refused:
        load_dict(path)
    return [(problem.path, problem.en) for problem in refused.value.problems]


def written(folder: Path, text: str, name: str = "town.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("base", "own", "merged"),
    [
        pytest.param({"a": 1}, {"b": 2}, {"a": 1, "b": 2}, id="keys-of-both-stand"),
        pytest.param({"a": 1}, {"a": 2}, {"a": 2}, id="own-value-wins"),
        pytest.param(
            {"a": {"x": 1, "y": 1}}, {"a": {"y": 2}}, {"a": {"x": 1, "y": 2}}, id="maps-go-deep"
        ),
        pytest.param({"a": [1, 2]}, {"a": [3]}, {"a": [3]}, id="plain-lists-are-replaced"),
        pytest.param(
            {"a": [{"id": "x", "n": 1, "m": 1}]},
            {"a": [{"id": "y"}, {"id": "x", "n": 2}]},
            {"a": [{"id": "x", "n": 2, "m": 1}, {"id": "y"}]},
            id="lists-merge-by-id",
        ),
        pytest.param(
            {"a": [{"when": "x", "n": 1}]},
            {"a": [{"when": "x", "n": 2}]},
            {"a": [{"when": "x", "n": 2}]},
            id="lists-merge-by-when",
        ),
        pytest.param(
            {"a": [{"id": "x"}]}, {"a": [{"n": 1}]}, {"a": [{"n": 1}]}, id="lists-without-ids"
        ),
        pytest.param({"a": [{"id": "x"}]}, {"a": []}, {"a": []}, id="an-empty-list-empties"),
        pytest.param({"a": 1, "b": 1}, {"a": None}, {"b": 1}, id="null-removes"),
        pytest.param({}, {"a": None}, {}, id="null-for-nothing-is-nothing"),
        pytest.param(
            {"a": [{"id": "x", "n": 1, "m": 1}]},
            {"a": [{"id": "x", "n": None}]},
            {"a": [{"id": "x", "m": 1}]},
            id="null-removes-within-an-item",
        ),
        pytest.param({"a": {"x": 1}}, {"a": 2}, {"a": 2}, id="another-kind-replaces-a-map"),
        pytest.param({"a": 2}, {"a": {"x": 1}}, {"a": {"x": 1}}, id="a-map-replaces-another-kind"),
        pytest.param(
            {"a": [{"id": "x"}, {"id": "y"}]},
            {"a": [{"id": "x", "remove": True}]},
            {"a": [{"id": "y"}]},
            id="an-item-is-removed",
        ),
        pytest.param(
            {"a": [{"id": "x"}]},
            {"a": [{"id": "z", "remove": True}]},
            {"a": [{"id": "x"}, {"id": "z", "remove": True}]},
            id="removing-what-is-not-there-stays-to-be-refused",
        ),
        pytest.param(
            {"a": [{"id": "x", "n": 1}]},
            {"a": [{"id": "x", "n": 2}, {"id": "x", "n": 3}]},
            {"a": [{"id": "x", "n": 2}, {"id": "x", "n": 3}]},
            id="an-id-written-twice-stays-to-be-refused",
        ),
    ],
)
def test_merging(base: dict[str, Any], own: dict[str, Any], merged: dict[str, Any]) -> None:
    before = deepcopy((base, own))

    assert merge(base, own) == merged
    assert (base, own) == before


@settings(max_examples=50)
@given(base=MAPS, own=MAPS)
def test_merging_again_changes_nothing_and_what_was_said_is_kept(
    base: dict[str, Any], own: dict[str, Any]
) -> None:
    merged = merge(base, own)

    assert merge(merged, own) == merged
    assert merge(base, {}) == base
    assert merge({}, own) == own
    assert merged.keys() == base.keys() | own.keys()


def test_the_order_of_own_items_does_not_matter() -> None:
    base = {"a": [{"id": "x", "n": 1}, {"id": "y", "n": 1}]}
    own = [{"id": "x", "n": 2}, {"id": "y", "n": 3}]

    assert merge(base, {"a": own}) == merge(base, {"a": own[::-1]})


def test_files_extend_one_another(tmp_path: Path) -> None:
    written(tmp_path, "a: 1\nb: 1\nc: 1\n", "base.yaml")
    written(tmp_path, "extends: base.yaml\nb: 2\nc: 2\n", "county.yaml")
    path = written(tmp_path, "extends: county.yaml\nc: 3\n")

    assert load_dict(path) == {"extends": "county.yaml", "a": 1, "b": 2, "c": 3}


def test_files_that_extend_each_other_are_refused(tmp_path: Path) -> None:
    written(tmp_path, "extends: town.yaml\n", "base.yaml")
    path = written(tmp_path, "extends: base.yaml\n")

    assert problems_in(path) == [("base.yaml.extends", "leads in a circle")]


@pytest.mark.parametrize(
    ("text", "at", "says"),
    [
        pytest.param("a: 1\non: 2\n", "town.yaml:2", "the key 'on' as true or false", id="key-on"),
        pytest.param("a: {no: 2}\n", "town.yaml:1", "the key 'no' as true or false", id="key-no"),
        pytest.param("a: 1\n5: 2\n", "town.yaml:2", "'5' is no text", id="key-number"),
        pytest.param("a: 1\n~: 2\n", "town.yaml:2", "'~' is no text", id="key-null"),
        pytest.param("? [a]\n: 1\n", "town.yaml:1", "is no text", id="key-list"),
        pytest.param("a: 1\nb: 2\na: 3\n", "town.yaml:3", "already on line 1", id="key-twice"),
        pytest.param("x:\n  - {a: 1, a: 2}\n", "town.yaml:2", "already on line 2", id="deep-twice"),
        pytest.param("a: &x [1]\nb: *x\n", "town.yaml:1", "not used", id="alias"),
        pytest.param("a: &x {}\nb: {<<: *x}\n", "town.yaml:2", "'<<' is no text", id="merge-key"),
        pytest.param("a: [1\n", "town.yaml:2", "no valid YAML", id="broken"),
        pytest.param("a: !!python/object:os.x {}\n", "town.yaml:1", "no valid YAML", id="object"),
        pytest.param("a: 1\n---\nb: 1\n", "town.yaml:2", "no valid YAML", id="two-documents"),
        pytest.param("a: 2025-13-41\n", "town.yaml", "cannot be read", id="impossible-date"),
        pytest.param("", "town.yaml", "expected keys", id="empty"),
        pytest.param("- a\n", "town.yaml", "expected keys", id="list"),
        pytest.param("extends: 5\n", "town.yaml.extends", "a file's name", id="extends-a-number"),
        pytest.param("extends: no.yaml\n", "no.yaml", "cannot be read", id="extends-nothing"),
        pytest.param("a: " + "[" * 200_000, "town.yaml:1", "nested deeper", id="too-deep"),
        pytest.param("a: " + "x" * 600_000, "town.yaml", "larger than", id="too-large"),
    ],
)
def test_traps_of_yaml_are_refused(tmp_path: Path, text: str, at: str, says: str) -> None:
    found = problems_in(written(tmp_path, text))

    assert found[0][0] == at
    assert says in found[0][1]


def test_traps_are_refused_all_at_once(tmp_path: Path) -> None:
    path = written(tmp_path, "on: 1\na: {x: 1, x: 2}\nb: 1\nb: 2\n")

    assert {at for at, _ in problems_in(path)} == {"town.yaml:1", "town.yaml:2", "town.yaml:4"}


def test_a_file_which_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "town.yaml"
    path.write_bytes("a: 镇".encode("gb18030"))

    assert problems_in(path) == [("town.yaml", "is not encoded in UTF-8")]


@pytest.mark.parametrize(
    ("text", "quoted", "bare", "at"),
    [
        pytest.param(
            "links: [{id: l, zh: 联, from_role: grid_worker, to: grid, check: %s}]",
            '"off"',
            "off",
            "links.l.check",
            id="off",
        ),
        pytest.param(
            "clock: {holidays: [%s]}", '"2025-10-01"', "2025-10-01", "clock.holidays.0", id="date"
        ),
        pytest.param(
            "notifications: {quiet_hours: {from: %s}}",
            '"21:00"',
            "21:00",
            "notifications.quiet_hours.from",
            id="time",
        ),
        pytest.param(
            "town: {published: %s}", '"2025-10-01"', "2025-10-01", "town.published", id="day"
        ),
    ],
)
def test_what_must_be_quoted_is_refused_bare(
    tmp_path: Path, text: str, quoted: str, bare: str, at: str
) -> None:
    base = f"extends: {PROFILES / 'base.yaml'}\n"
    load(written(tmp_path, base + text % quoted))

    with pytest.raises(ProfileError) as refused:
        load(written(tmp_path, base + text % bare))

    assert [problem.path for problem in refused.value.problems] == [at]
    assert "in quotes" in refused.value.problems[0].en
