"""No line of code names a town: what differs between towns is in their profiles."""

from functools import cache
from pathlib import Path

import pytest

from contracts.profile import load
from deploy.local.seeding import DEMO_TOWN, PROFILES

ROOT = Path(__file__).resolve().parents[3]
KINDS = {".css", ".html", ".js", ".py", ".sql", ".svg"}


@cache
def names() -> frozenset[str]:
    """Return what the towns of our profiles are called, in both languages."""
    towns = [load(path).town for path in PROFILES.glob("*.yaml") if path.stem != "base"]
    called = (name for town in towns for name in (town.id, town.en, town.zh[:-1]) if name)
    return frozenset(name.casefold() for name in called)


def named_in(text: str) -> set[str]:
    return {name for name in names() if name in text.casefold()}


def test_five_towns_are_looked_for() -> None:
    assert {"yihe", "义和", "yidukou", "义渡口", "haohuahong", "gucheng", "changping"} <= names()


@pytest.mark.parametrize("folder", ["contracts", "services", "deploy"])
def test_the_code_names_no_town_but_the_demo_s_default_once(folder: str) -> None:
    naming = {
        str(path.relative_to(ROOT)): found
        for path in (ROOT / folder).rglob("*")
        if path.suffix in KINDS and (found := named_in(path.read_text(encoding="utf-8")))
    }
    assert naming == ({"deploy/local/seeding.py": {DEMO_TOWN}} if folder == "deploy" else {})
