import os
from pathlib import Path

import pytest

from deploy.local.errors import LocalStackError
from deploy.local.made import remember
from deploy.local.seeding import town_wish
from deploy.local.state import FILE, read_state, write_state


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="cut-short"),
        pytest.param('{"kafka": "127.0.0.1:1"}', id="no-pid"),
        pytest.param('{"pid": "?"}', id="no-number"),
        pytest.param("[]", id="no-object"),
        pytest.param(f'{{"pid": {2**22 + 7}}}', id="pid-of-nobody"),
    ],
)
def test_a_file_that_says_nothing_of_use_means_that_nothing_runs(text: str, tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(LocalStackError, match="No stack is running"):
        read_state(tmp_path)


def test_a_stack_of_another_user_is_running_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_pid: int, _signal: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    write_state(tmp_path, {"kafka": "127.0.0.1:1"})
    monkeypatch.setattr(os, "kill", refuse)
    assert read_state(tmp_path).kafka == "127.0.0.1:1"


def test_a_stack_that_others_started_is_found_by_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "given.json"
    file.write_text('{"kafka": "kafka:9092", "console": "http://a", "shown": {"console": "b"}}')
    monkeypatch.setenv("CHUISHAO_STACK", str(file))
    remember(tmp_path, town_wish("t-1=yihe"))
    state = read_state(tmp_path)
    assert (state.kafka, state.shown("console"), state.tenants) == ("kafka:9092", "b", ["t-1"])
    with pytest.raises(LocalStackError, match="chuishao secrets"):
        assert state.api_key


def test_a_file_of_a_stack_that_cannot_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHUISHAO_STACK", str(tmp_path / "nowhere.json"))
    with pytest.raises(LocalStackError, match=r"CHUISHAO_STACK.*nowhere\.json"):
        read_state(tmp_path)
