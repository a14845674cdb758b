"""What a bench has to say: a figure, its floor where it has one, and what is asked of it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table

_SMALL = 0.1  # of a floor: below, two digits say nothing


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. `floor` is of the same run; `must` and `aim` are of the performance budget."""

    part: str
    what: str
    value: float | None
    unit: str
    floor: float | None = None
    must: str = ""
    aim: str = ""

    @property
    def ratio(self) -> float | None:
        """How much of the floor's figure ours is."""
        if not self.value or not self.floor:
            return None
        share = self.value / self.floor
        return round(share, 2 if share >= _SMALL else 4)

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "ratio": self.ratio}


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """Return p50, p90, p99 and the most."""
    ranked = sorted(values)
    shares = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "most": 1.0}
    last = len(ranked) - 1
    return {name: round(ranked[int(last * share)], 1) for name, share in shares.items()}


def table_of(rows: Sequence[Row]) -> Table:
    """Lay the rows out, a part under the other."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("", overflow="fold")
    for name in ("实测\nmeasured", "下限\nfloor", "比\nratio", "须\nmust", "望\naim"):
        table.add_column(name, justify="right", no_wrap=True)
    part = ""
    for row in rows:
        if row.part != part:
            table.add_section()
            table.add_row(f"[bold]{row.part}[/bold]")
            part = row.part
        value = "–" if row.value is None else f"{row.value:,g} {row.unit}".strip()
        floor = "" if row.floor is None else f"{row.floor:,g}"
        ratio = "" if row.ratio is None else f"{row.ratio:.{2 if row.ratio >= _SMALL else 4}f} ×"
        table.add_row(f"  {row.what}", value, floor, ratio, row.must, row.aim)
    return table
