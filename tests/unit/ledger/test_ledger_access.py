"""Roles by acts by records, for every profile: the rule beside a second one, cell by cell."""

from itertools import product
from typing import get_args

import pytest

from services.ledger.domain.access import Object, Subject, Verb, allow
from tests import factories, rights

CHILDREN = {"town": ["v1", "v2"], "v1": ["g1", "g2"], "v2": ["g3"]}
PATHS = {"g1": {"g1", "v1", "town"}, "g3": {"g3", "v2", "town"}, "town": {"town"}}
KINDS = ("unit", "department", "household", "person", "staff", "front_end", "profile", "matter")
UNITS = ("town", "v1", "g1", "g2", "v2", "g9")
# No profile of ours lets a role see sensitive groups: these a town might add.
TRUSTED = {"carer": ["view", "sensitive"], "blind_carer": ["sensitive", "handle"],
           "nurse": ["view", "handle", "sensitive"]}  # fmt: skip


@pytest.mark.parametrize("profile", rights.PROFILES)
def test_every_cell_is_as_a_second_rule_says(profile: str) -> None:
    roles = rights.roles_of(factories.town_lines(profile)) | TRUSTED
    cells = list(product(roles.items(), get_args(Verb), KINDS, UNITS, PATHS))
    assert len(cells) > 1_000
    for (role, can), verb, kind, unit, asked in cells:
        who = Subject("here", frozenset([role]), frozenset([unit]), frozenset(can))
        what = Object("here", kind, frozenset(PATHS[asked]), whole=asked == "town")
        within = asked in rights.below(unit, CHILDREN)
        said = allow(who, verb, what)
        assert said.code == rights.code(role, can, verb, kind, within=within), (role, verb, kind)
        assert said.allowed == (said.code == "allowed")
        assert said.zh.endswith("。")
        assert said.en.endswith(".")


@pytest.mark.parametrize("role", ["operator", "center_clerk", "citizen"])
def test_another_towns_record_and_none_are_the_same_answer(role: str) -> None:
    who = Subject("here", frozenset([role]), frozenset(["town"]), frozenset(["view", "handle"]))
    for verb in get_args(Verb):
        theirs = allow(who, verb, Object("there", "person", frozenset(["town"])))
        none = allow(who, verb, Object("here", "person", known=False))
        assert theirs == none
        assert theirs.code == "record_not_found"


def test_whoever_loses_view_has_lost_all_the_rest() -> None:
    what = Object("here", "unit", frozenset(["town"]))
    for can in (frozenset(["handle", "register", "supervise"]), frozenset[str]()):
        who = Subject("here", frozenset(["x"]), frozenset(["town"]), can)
        assert allow(who, "read", what).code == "right_missing"


def test_an_operator_sees_sensitive_groups_by_a_right_alone_and_only_in_his_units() -> None:
    what = Object("here", "person", frozenset(["g1", "town"]))
    bare = Subject("here", frozenset(["operator"]), frozenset(["town"]))
    may = Subject(bare.tenant_id, bare.roles, bare.units, frozenset(["view", "sensitive"]))
    elsewhere = Subject("here", bare.roles, frozenset(["g2"]), may.can)
    assert allow(bare, "sensitive", what).code == "right_missing"
    assert allow(may, "sensitive", what).allowed
    assert allow(elsewhere, "sensitive", what).code == "unit_not_allowed"


def test_a_department_at_the_towns_unit_is_not_shown_coverage() -> None:
    who = Subject("here", frozenset(["x"]), frozenset(["town"]), frozenset(["view", "handle"]))
    police = Subject(who.tenant_id, who.roles, who.units, who.can, "police")
    what = Object("here", "profile", frozenset(["town"]), whole=True)
    assert allow(who, "coverage", what).allowed
    assert allow(police, "coverage", what).code == "unit_not_allowed"
