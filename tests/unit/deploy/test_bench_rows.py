"""What a bench prints: a ratio where there is a floor, and every row on a line of its own."""

import io
from datetime import UTC, datetime, timedelta

from rich.console import Console

from deploy.bench.rows import Row, percentiles, table_of
from deploy.bench.timers import firing_per_s


def test_a_ratio_is_ours_by_the_floors() -> None:
    assert Row("a", "b", 30.0, "/s", 40.0).ratio == 0.75
    assert Row("a", "b", 30.0, "/s", 40_000.0).ratio == 0.0008
    assert Row("a", "b", 30.0, "/s").ratio is None
    assert Row("a", "b", None, "/s", 40.0).ratio is None


def test_percentiles_are_of_what_was_seen() -> None:
    assert percentiles([float(n) for n in range(1, 101)]) == {
        "p50": 50.0,
        "p90": 90.0,
        "p99": 99.0,
        "most": 100.0,
    }
    assert percentiles([4.0]) == {"p50": 4.0, "p90": 4.0, "p99": 4.0, "most": 4.0}


def test_a_rate_of_firing_leaves_out_the_last_batch_whose_end_nobody_knows() -> None:
    began = datetime(2025, 3, 3, tzinfo=UTC)
    batches = [began] * 50 + [began + timedelta(seconds=1)] * 50 + [began + timedelta(seconds=2)]
    assert firing_per_s(batches) == 50
    assert firing_per_s([began] * 3) is None
    assert firing_per_s([]) is None


def test_each_figure_has_a_line_below_its_part() -> None:
    rows = [
        Row("接收 · accepting", "每秒 · per second", 1234.5, "/s", 2469.0, "0.6 ×", "0.85 ×"),
        Row("接收 · accepting", "没量到 · not seen", None, "ms"),
    ]
    screen = io.StringIO()
    Console(file=screen, width=120).print(table_of(rows))
    lines = [" ".join(line.split()) for line in screen.getvalue().splitlines()]
    assert "接收 · accepting" in lines
    assert "每秒 · per second 1,234.5 /s 2,469 0.50 × 0.6 × 0.85 ×" in lines
    assert "没量到 · not seen –" in lines
