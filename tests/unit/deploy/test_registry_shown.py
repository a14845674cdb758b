"""What `chuishao registry check` prints: read by a clerk, Chinese first."""

from typing import Any

import pytest

from deploy.cli import registry
from deploy.cli.screen import out

TOLD: dict[str, Any] = {
    "tenant": "t-1", "profile_version": 2, "counts": {"team": 41}, "more": False,
    "figures": [
        {"of": "level/grid", "zh": "网格", "declared": 157, "kind": "exact", "held": 156,
         "fits": False},
        {"of": "link/x", "zh": "联户（平均）", "declared": None, "kind": "unknown", "held": 14.5,
         "fits": True},
    ],
    "teams": [{"team": "x", "zh": "铁三角", "level": "grid", "units": 157, "complete": 156}],
    "findings": [
        {"code": "team", "level": "warn", "kind": "unit", "subject": f"g{n}", "name": "一[格]",
         "field": "r", "zh": "缺“联户长”。", "en": "x"}
        for n in range(41)
    ],
}  # fmt: skip


def test_figures_teams_and_what_is_missing_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    with out.capture() as shown:
        registry.show(TOLD)
    text = shown.get()
    assert "157个中" not in text
    assert "157 个中 156 个齐全" in text
    assert "14.5" in text
    assert "一[格]" in text
    assert "g39" in text
    assert "g40" not in text
    assert "共 41 条" in text
    assert not capsys.readouterr().out


def test_nothing_missing_is_said() -> None:
    with out.capture() as shown:
        registry.show({**TOLD, "findings": []})
    assert "没有缺的 · nothing is missing" in shown.get()
