"""A workbook that could not be written leaves nothing behind."""

import gc
import tempfile
from pathlib import Path

import pytest

from deploy.exchange.books import write_registry
from deploy.exchange.town import Town
from deploy.local.errors import LocalStackError


@pytest.mark.filterwarnings("error")
def test_what_cannot_be_written_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "sheets"))
    (tmp_path / "sheets").mkdir()
    (tmp_path / "out.xlsx").mkdir()
    for name in ("nowhere/x.xlsx", "out.xlsx"):
        with pytest.raises(LocalStackError, match="Name a file that can be written"):
            write_registry(tmp_path / name, Town("town", {}, {}, {}), lambda _: None)
        gc.collect()
    assert {one.name for one in tmp_path.iterdir()} == {"sheets", "out.xlsx"}
    assert list((tmp_path / "sheets").iterdir()) == []
