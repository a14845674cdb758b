"""Laws of a registry's life: nobody is lost, nobody is left pointing at what is gone."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from services.ledger.domain.life import (
    Lines,
    Records,
    merge_households,
    merge_units,
    move,
    named_twice,
    outside,
    split_grid,
    split_household,
)

AT = datetime(2020, 7, 31, tzinfo=UTC)
Body = Mapping[str, Any]


def after(records: Records, lines: Lines) -> dict[tuple[str, str], Body]:
    whole: dict[tuple[str, str], Body | None] = {**records, **lines}
    return {key: body for key, body in whole.items() if body is not None}


def dangling(records: Records) -> list[tuple[str, str]]:
    """Return what names a unit, a household or a person that is not there, or a foreign head."""
    found = []
    for (kind, name), body in records.items():
        units = [body.get("parent"), body.get("grid"), body.get("group"), body.get("unit")]
        units += [post["unit"] for post in body.get("posts", ())]
        units += [*body.get("grids", ()), *body.get("units", ())]
        named = [("unit", one) for one in units if one]
        named += [("household", body["household"])] if body.get("household") else []
        named += [(body["to_kind"], body["to"])] if kind == "link" else []
        if body.get("head"):
            named.append(("person", body["head"]))
            found += [(kind, name)] * (
                records.get(("person", body["head"]), {}).get("household") != name
            )
        found += [(kind, name) for one in named if one not in records]
    return found


@st.composite
def towns(draw: st.DrawFn) -> dict[tuple[str, str], Body]:
    """Draw a town of villages, grids, groups, households, people, staff and what links them."""
    villages = [f"v{n}" for n in range(draw(st.integers(2, 5)))]
    town: dict[tuple[str, str], Body] = {("unit", "town"): {"level": "town", "zh": "镇"}}
    for village in villages:
        town["unit", village] = {"level": "village", "zh": f"{village}村", "parent": "town"}
    grids = [f"g{n}" for n in range(draw(st.integers(2, 6)))]
    for grid in grids:
        parent = draw(st.sampled_from(villages))
        town["unit", grid] = {"level": "grid", "zh": grid, "parent": parent}
        town["unit", f"{grid}-a"] = {"level": "group", "zh": "组", "parent": grid}
    units = [name for kind, name in town if kind == "unit"]
    for n in range(draw(st.integers(2, 6))):
        grid = draw(st.sampled_from(grids))
        home: dict[str, Any] = {"grid": grid, "sealed": f"address {n}"}
        if draw(st.booleans()):
            home["group"] = f"{grid}-a"
        lives = [f"p{n}-{m}" for m in range(draw(st.integers(0, 3)))]
        if lives:
            home["head"] = lives[0]
        town["household", f"h{n}"] = home
        town.update({("person", p): {"household": f"h{n}", "sealed": p} for p in lives})
    homes = [name for kind, name in town if kind == "household"]
    for n in range(draw(st.integers(0, 4))):
        some = draw(st.lists(st.sampled_from(units), min_size=1, max_size=3))
        town["staff", f"s{n}"] = {"posts": [{"unit": u, "role": "r", "rank": 1} for u in some]}
        kind, to = draw(
            st.one_of(
                st.tuples(st.just("unit"), st.sampled_from(units)),
                st.tuples(st.just("household"), st.sampled_from(homes)),
            )
        )
        town["link", f"l{n}"] = {"link": "k", "staff": f"s{n % 2}", "to_kind": kind, "to": to}
    town["party_unit", "b"] = {"level": "p", "zh": "支部", "units": villages}
    town["roster", "r"] = {"unit": draw(st.sampled_from(units)), "shifts": []}
    pair = draw(st.lists(st.sampled_from(grids), min_size=2, max_size=2, unique=True))
    town["backup_pair", "ab"] = {"grids": pair}
    return town


def people(records: Records) -> dict[str, Any]:
    return {name: body["sealed"] for (kind, name), body in records.items() if kind == "person"}


def names(records: Records, kind: str) -> list[str]:
    return sorted(name for of, name in records if of == kind)


@settings(max_examples=60, deadline=None)
@given(towns(), st.data())
def test_villages_that_become_one_leave_nobody_behind(
    town: dict[tuple[str, str], Body], data: st.DataObject
) -> None:
    villages = [name for name in names(town, "unit") if name.startswith("v")]
    gone = data.draw(st.lists(st.sampled_from(villages), min_size=1, unique=True))
    body = {"level": "village", "zh": "新村", "parent": "town"}
    lines = merge_units(town, "n1", body, gone, AT)
    now = after(town, lines)
    assert not dangling(now)
    assert not {("unit", one) for one in gone} & now.keys()
    assert [one["code"] for one in now["unit", "n1"]["aliases"]] == gone
    assert people(now) == people(town)
    assert names(now, "household") == names(town, "household")
    assert names(now, "staff") == names(town, "staff")
    assert all(town[key] != lines[key] for key in lines.keys() & town.keys())
    later = after(now, merge_units(now, "n2", body, ["n1"], AT))
    assert {one["code"] for one in later["unit", "n2"]["aliases"]} == {*gone, "n1"}


def test_a_village_may_take_in_the_others_under_its_own_id() -> None:
    town = {
        ("unit", one): {"level": "village", "zh": one, "parent": "town"} for one in ("v1", "v2")
    }
    lines = merge_units(town, "v1", town["unit", "v1"], ["v1", "v2", "v2"], AT)
    assert lines.keys() == town.keys()
    assert lines["unit", "v2"] is None
    assert [one["code"] for one in (lines["unit", "v1"] or {})["aliases"]] == ["v2"]


def test_a_household_that_leaves_its_group_behind_is_in_none() -> None:
    town: dict[tuple[str, str], Body] = {
        ("unit", "g"): {"parent": "v"},
        ("unit", "g-a"): {"parent": "g"},
        ("unit", "g-a-1"): {"parent": "g-a"},
        ("unit", "g-b"): {"parent": "g"},
        ("household", "alone"): {"grid": "g", "group": "g-b"},
        ("household", "below"): {"grid": "g", "group": "g-a-1"},
    }
    lines = split_grid(town, "g", "new", {"parent": "v"}, ["g-a", "alone"])
    assert lines["household", "alone"] == {"grid": "new"}
    assert lines["household", "below"] == {"grid": "new", "group": "g-a-1"}
    assert outside(town, "g", ["g-a", "g-a-1", "alone", "v", "x"]) == ["g-a-1", "v", "x"]


def test_a_unit_in_two_mergers_is_named() -> None:
    assert named_twice([("n", ["a", "b", "b"]), ("m", ["b", "n"]), ("c", ["c"])]) == ["b", "n"]


@settings(max_examples=40, deadline=None)
@given(towns(), st.data())
def test_a_grid_that_is_split_stays_and_each_household_is_in_one_of_the_two(
    town: dict[tuple[str, str], Body], data: st.DataObject
) -> None:
    grid = data.draw(st.sampled_from([n for n in names(town, "unit") if n in {"g0", "g1"}]))
    inside = [n for n in names(town, "household") if town["household", n]["grid"] == grid]
    loose = [n for n in inside if "group" not in town["household", n]]
    moved = {n for n in [f"{grid}-a", *loose] if data.draw(st.booleans())}
    body = {"level": "grid", "zh": "新格", "parent": town["unit", grid]["parent"]}
    now = after(town, split_grid(town, grid, "new", body, moved))
    assert not dangling(now)
    assert now["unit", grid] == town["unit", grid]
    for home in inside:
        there = now["household", home]
        assert there["grid"] in (grid, "new")
        if "group" in there:
            assert now["unit", there["group"]]["parent"] == there["grid"]
        else:
            assert (there["grid"] == "new") == (home in moved)


@settings(max_examples=60, deadline=None)
@given(towns(), st.data())
def test_people_who_move_are_in_one_household_and_come_back_as_they_were(
    town: dict[tuple[str, str], Body], data: st.DataObject
) -> None:
    everybody = names(town, "person")
    some = data.draw(st.sets(st.sampled_from(everybody))) if everybody else set[str]()
    home = data.draw(st.sampled_from(names(town, "household")))
    now = after(town, move(town, some, home))
    assert not dangling(now)
    assert people(now) == people(town)
    assert all(now["person", one]["household"] == home for one in some)
    unmoved = [one for one in everybody if one not in some]
    assert all(now["person", one] == town["person", one] for one in unmoved)


@settings(max_examples=60, deadline=None)
@given(towns(), st.data())
def test_a_household_that_splits_and_merges_again_has_its_people(
    town: dict[tuple[str, str], Body], data: st.DataObject
) -> None:
    home = data.draw(st.sampled_from(names(town, "household")))
    lives = [n for n in names(town, "person") if town["person", n]["household"] == home]
    some = data.draw(st.sets(st.sampled_from(lives))) if lives else set[str]()
    body = {"grid": town["household", home]["grid"], **({"head": min(some)} if some else {})}
    now = after(town, split_household(town, some, "new", body))
    assert not dangling(now)
    assert {n for n in lives if now["person", n]["household"] == "new"} == some
    again = after(now, merge_households(now, home, ["new"]))
    assert not dangling(again)
    assert people(again) == people(town)
    assert {n: again["person", n] for n in lives} == {n: town["person", n] for n in lives}
    assert names(again, "household") == names(town, "household")
