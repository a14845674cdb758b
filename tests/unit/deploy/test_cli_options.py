"""What the commands refuse at once, and how they say so."""

from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deploy.cli.clock import seconds_of
from deploy.cli.main import app
from deploy.cli.up import options
from deploy.local.errors import LocalStackError
from deploy.local.keys import versions
from deploy.local.made import ignored, remember, remembered, told_as_it_was
from deploy.local.phones import together
from deploy.local.secrets import secrets_of
from deploy.local.seeding import Size, town_wish
from deploy.local.stack import locked
from deploy.local.state import StackState
from deploy.seed.numbers import phone_block


@pytest.mark.parametrize("given", ["A B=yihe", "=yihe", "-x=yihe", "镇=yihe", "a:b=yihe"])
def test_an_id_that_no_tenant_can_have_is_refused_with_the_option(given: str) -> None:
    with pytest.raises(LocalStackError) as refused:
        town_wish(given)
    assert f"--tenant {given}" in str(refused.value)
    assert "字母、数字和 . _ -" in str(refused.value)


@pytest.mark.parametrize(
    ("given", "tenant"), [("yihe", "yihe"), ("t-1=yihe", "t-1"), ("towns/own.yaml", "own")]
)
def test_keys_are_made_for_the_town_that_is_seeded(given: str, tenant: str, tmp_path: Path) -> None:
    told = CliRunner().invoke(app, ["secrets", "--tenant", given, "--data-dir", str(tmp_path)])
    assert told.exit_code == 0, told.output
    assert list(versions(secrets_of(tmp_path).key_file)) == [tenant]


def test_a_tenant_is_asked_for_once() -> None:
    with pytest.raises(LocalStackError, match=r"--tenant: the id x was given twice"):
        options(["x=yihe", "x=gucheng"], size=Size())
    assert len(options(["x=yihe", "y=yihe"], size=Size()).towns) == 2


def test_towns_that_would_share_telephones_are_refused() -> None:
    other = next(f"t-{n}" for n in range(10_000) if phone_block(f"t-{n}") == phone_block("x"))
    with pytest.raises(LocalStackError, match="share their telephone numbers"):
        options(["x=yihe", f"{other}=yihe"], size=Size())


def test_a_label_says_whose_it_is_where_towns_share_a_stack() -> None:
    assert together({"x": {"1": "甲"}}).labels == {"1": "甲"}
    assert together({"x": {"1": "甲", "2": "乙"}, "y": {"1": "丙"}}).labels == {
        "1": "x 甲 / y 丙",
        "2": "x 乙",
    }


def test_options_that_cannot_reach_a_town_are_named(tmp_path: Path) -> None:
    made = town_wish("x=yihe", Size(villages=2, grids=6), seed=3)
    remember(tmp_path, made)
    remember(tmp_path, town_wish("y=gucheng"))
    assert remembered(tmp_path, "x") == made
    again = town_wish("x=yihe")
    assert ignored(again, remembered(tmp_path, "x")) == []
    asked = town_wish("x=gucheng", Size(villages=2, grids=7, people=9), seed=1)
    options_named = ["--tenant x=gucheng", "--grids 7", "--people 9", "--seed 1"]
    assert ignored(asked, remembered(tmp_path, "x")) == options_named
    assert ignored(town_wish("y=gucheng", seed=1), remembered(tmp_path, "y")) == []
    assert remembered(tmp_path, "z") is None
    assert ignored(town_wish("z=yihe", Size(grids=7)), None) == ["--grids 7"]
    remember(tmp_path, replace(made, profile=tmp_path / "gone" / "yihe.yaml"))
    assert ignored(again, remembered(tmp_path, "x")) == []  # made up from another checkout
    told = told_as_it_was("x", options_named)
    assert "保持原样" in told.splitlines()[0]
    assert "--fresh" in told


def test_a_data_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/foo")):
        with (
            pytest.raises(LocalStackError, match=f"--data-dir {place}: not usable"),
            locked(place),
        ):
            pass


def test_an_unknown_town_is_named_beside_those_that_are_there(tmp_path: Path) -> None:
    state = StackState(tmp_path, {"tenants": ["a", "b"]})
    with pytest.raises(LocalStackError, match=r"--tenant zz: this stack has no such town.*a, b"):
        state.tenant("zz")
    with pytest.raises(LocalStackError, match="Choose a tenant with --tenant: a, b"):
        state.tenant(None)


@pytest.mark.parametrize("back", ["-P1D", "P-1D"])
def test_a_clock_goes_forward_alone(back: str) -> None:
    with pytest.raises(LocalStackError, match="forward alone: write P1D"):
        seconds_of(back)


@pytest.mark.parametrize("wrong", ["PT0.5S", "P99999999D", "P7321D", "P1M", "P1Y", "-x", "1h", ""])
def test_a_length_that_cannot_be_is_told_what_may_be(wrong: str) -> None:
    with pytest.raises(LocalStackError, match=r"whole days, hours, minutes and seconds.*P7320D"):
        seconds_of(wrong)


def test_the_longest_length_is_taken() -> None:
    assert seconds_of("P7320D") == 7_320 * 86_400
    assert seconds_of("P1DT1H1M1S") == 90_061
