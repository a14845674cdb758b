"""The bench runs as a command, and every figure of it was measured."""

import json
import subprocess
from pathlib import Path

import pytest

CHUISHAO = Path(__file__).parents[2] / ".venv" / "bin" / "chuishao"
SMALL = ("--cases", "2000", "--rate", "20", "--seconds", "5", "--armed", "20000")
READS = ("--persons", "6000")


@pytest.mark.long
@pytest.mark.timeout(900)
def test_every_row_has_its_figure_and_its_floor() -> None:
    done = subprocess.run(  # noqa: S603 - a command of ours
        [CHUISHAO, "bench", *SMALL, *READS, "--json"], check=True, capture_output=True, text=True
    )
    printed = json.loads(done.stdout)
    assert printed["interpreter"].startswith("CPython")
    rows = printed["rows"]
    assert [row["what"] for row in rows if row["value"] is None] == []
    beside = {row["part"].split(" · ")[1] for row in rows if row["ratio"] is not None}
    assert beside == {
        "accepting, intake alone",
        "opening, routing alone",
        "registry import, ledger alone",
        "registry, reading",
    }
    (refused,) = [row["value"] for row in rows if "refused" in row["what"]]
    assert refused == 0
