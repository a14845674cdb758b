from pathlib import Path

import pytest

from deploy.cli.up import erase
from deploy.local.errors import LocalStackError
from deploy.local.stack import locked
from deploy.local.state import write_state


def with_data(place: Path) -> Path:
    """Leave what a stack leaves that was killed: data, a state file, a lock that nobody holds."""
    with locked(place):
        write_state(place, {})
    for name in ("kafka", "postgres", "secrets", "logs"):
        (place / name).mkdir()
        (place / name / "data").touch()
    return place


def test_what_a_killed_stack_left_is_erased(tmp_path: Path) -> None:
    place = with_data(tmp_path / "data")
    erase(place)
    assert [path.name for path in place.iterdir()] == ["lock"]


def test_the_data_of_a_stack_that_is_still_starting_is_left_alone(tmp_path: Path) -> None:
    place = with_data(tmp_path / "data")
    (place / "stack.json").unlink()
    before = sorted(place.rglob("*"))
    with locked(place), pytest.raises(LocalStackError, match="already running"):
        erase(place)
    assert sorted(place.rglob("*")) == before


def test_a_directory_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(LocalStackError, match="left alone"):
        erase(tmp_path)
    assert (tmp_path / "thesis.txt").exists()


def test_there_is_nothing_to_erase_before_the_first_start(tmp_path: Path) -> None:
    erase(tmp_path / "none")
    assert not (tmp_path / "none").exists()
